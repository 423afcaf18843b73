"""A real S3 server over HTTP: moto's, with a door in front of it where a test may do as networks and S3 do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha1
from urllib.parse import urlencode

import pytest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

BUCKET = "exports"
SECRET = "a-secret-that-is-nowhere"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTING",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}
Fault = Callable[[dict, Callable], "object | None"]


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class ObjectStore:
    """`requests` are (method, path, query) as they came; `fault` may answer one in the store's place."""

    server: BaseWSGIServer
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Fault | None = None
    opaque: bool = False

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def url(self, prefix: str, **query: str) -> str:
        return f"s3://{BUCKET}/{prefix}?{urlencode({'endpoint_override': self.endpoint, **query})}"

    @cached_property
    def client(self):
        """Another S3 client than the one that is tested."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id="k", aws_secret_access_key="s"
        )

    def asked(self, *methods: str) -> list[str]:
        return [method for method, _, _ in self.requests if method in methods]

    @contextmanager
    def renaming_etags(self) -> Iterator[None]:
        """Give ETags that are no digests, as buckets do that encrypt by KMS."""
        self.opaque = True
        try:
            yield
        finally:
            self.opaque = False

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None


def refusal(status: int, code: str, *, methods: set[str], after: int = 0, times: int = 10**6) -> Fault:
    """Answer requests of these methods as S3 refuses: from the `after`-th on, so many `times`."""
    lock, seen = threading.Lock(), [0]

    def fault(environ: dict, start: Callable) -> object | None:
        if environ["REQUEST_METHOD"] not in methods:
            return None
        with lock:
            seen[0] += 1
            if not after < seen[0] <= after + times:
                return None
        return answered(environ, start, status, code)

    return fault


def answered(environ: dict, start: Callable, status: int, code: str) -> list[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start(f"{status} {code}", headers)
    return [body]


def _opaque(start: Callable) -> Callable:
    def begin(status: str, headers: list, *rest: object) -> object:
        told = [
            (name, f'"{sha1(value.encode()).hexdigest()}"' if name.lower() == "etag" else value)
            for name, value in headers
        ]
        return start(status, told, *rest)

    return begin


@contextmanager
def serving() -> Iterator[ObjectStore]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    held: list[ObjectStore] = []

    def door(environ: dict, start: Callable) -> object:
        store = held[0]
        store.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
        answer = store.fault(environ, start) if store.fault is not None else None
        whole = environ["REQUEST_METHOD"] in {"GET", "HEAD"}  # those of parts go back to the store
        begin = _opaque(start) if store.opaque and whole else start
        return moto(environ, begin) if answer is None else answer

    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=_Silent)
    held.append(ObjectStore(server))
    thread = threading.Thread(target=server.serve_forever, name="objectstore", daemon=True)
    thread.start()
    try:
        yield held[0]
    finally:
        held[0].client.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def _objectstore() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with serving() as store:
            yield store


@pytest.fixture
def objectstore(_objectstore) -> Iterator[ObjectStore]:
    """An S3 server with an empty bucket."""
    client = _objectstore.client
    client.create_bucket(Bucket=BUCKET)
    _objectstore.requests.clear()
    yield _objectstore
    _objectstore.fault = None
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for each in found:
        client.delete_object(Bucket=BUCKET, Key=each["Key"])
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    client.delete_bucket(Bucket=BUCKET)
