"""Who sends the bytes of a download: the bucket by a signed address, or the nginx before the server."""

import hashlib
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.cli.rest import Client
from exporter.errors import StoreRefused
from exporter.storage.presigning import Presigner
from exporter.storageurl import parse_s3_url
from tests.objectstore import CREDENTIALS, SECRET
from tests.server import serving


def body(source, **more):
    return {"datasource": source, "format": "csv", "filters": {"table": "numbers"}, **more}


def fetched(url, **headers):
    """Fetch as a browser does that follows a redirect to another host."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.status, answer.headers, answer.read()


@pytest.fixture
def presigned(make_app, objectstore):
    return make_app(
        EXPORTER_STORAGE_URL=objectstore.url("team"),
        EXPORTER_DOWNLOADS="presigned",
        EXPORTER_TRUSTED_PROXIES="127.0.0.1",
    )


@pytest.fixture
def app(request):
    """The app that the test is about."""
    return request.getfixturevalue(request.node.get_closest_marker("usefixtures").args[0])


@pytest.fixture
def job(admin, source):
    return admin.export(body(source, options={"file_name": "Zürich; 1"}))


@pytest.fixture
def url(job):
    return f"exports/{job['id']}/download/"


@pytest.mark.usefixtures("presigned")
def test_a_presigned_download_is_sent_on_to_the_bucket(admin, job, url):
    answer = admin.get(url)
    assert (answer.status_code, answer.data) == (302, b"")
    assert answer.headers["Cache-Control"] == "private, no-store"
    location = answer.headers["Location"]
    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == ["300"]
    assert SECRET not in location
    status, headers, content = fetched(location)
    assert (status, hashlib.sha256(content).hexdigest()) == (200, job["checksum"]["value"])
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"].endswith("filename*=UTF-8''Z%C3%BCrich%3B%201.csv")
    status, _, part = fetched(location, Range="bytes=10-19")
    assert (status, part) == (206, content[10:20])


@pytest.mark.usefixtures("presigned")
def test_the_api_describes_that_it_sends_on(admin, url):
    paths = admin.get("openapi.json").json["paths"]
    responses = paths["/data-tools/api/v1/exports/{job_id}/download/"]["get"]["responses"]
    assert set(responses["302"]["headers"]) == {"Location", "ETag"} <= set(admin.get(url).headers.keys())


@pytest.mark.usefixtures("presigned")
def test_what_a_bucket_cannot_answer_is_answered_here(admin, job, url):
    etag = f'"{job["checksum"]["value"]}"'
    head = admin.http.head("/data-tools/api/v1/" + url)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(job["file_size"]))
    assert admin.get(url, headers={"If-None-Match": etag}).status_code == 304
    ranged = {"Range": "bytes=0-9"}
    assert admin.get(url, headers={**ranged, "If-Range": '"other"'}).status_code == 200
    assert admin.get(url, headers={**ranged, "If-Range": etag}).status_code == 302
    theirs = fetched(admin.get(url).headers["Location"])[1]["ETag"]
    assert admin.get(url, headers={**ranged, "If-Range": theirs}).status_code == 302


@pytest.mark.usefixtures("presigned")
def test_a_presigned_download_is_for_its_owner_and_in_the_audit_log(admin, member, job, url, services):
    assert admin.get(url).status_code == 302
    assert member.get(url).status_code == 404
    seen = [
        (entry["action"], entry["outcome"], entry["user"]["username"])
        for entry in admin.get("audit/?action=export.download").json["data"]["entries"]
    ]
    assert seen == [("export.download", "refused", "max"), ("export.download", "done", "ada")]


@pytest.mark.usefixtures("presigned")
def test_a_file_that_is_gone_is_a_410_and_no_address(admin, job, url, objectstore):
    objectstore.client.delete_object(Bucket="exports", Key=f"team/{job['id']}-1")
    assert admin.get(url).status_code == 410


def test_the_command_line_follows_to_the_bucket_without_its_token(instance, shop, objectstore):
    settings = {"EXPORTER_STORAGE_URL": objectstore.url("team"), "EXPORTER_DOWNLOADS": "presigned"}
    tokens = []

    def look(environ, start):
        tokens.append(environ.get("HTTP_AUTHORIZATION", ""))

    with serving(instance, shop, **settings, **CREDENTIALS) as server:
        job = server.until(server.submit("numbers"), "completed")
        with objectstore.failing(look):
            content = b"".join(Client(server.url, server.token).blocks(f"exports/{job['id']}/download/"))
    assert hashlib.sha256(content).hexdigest() == job["checksum"]["value"]
    assert not [token for token in tokens if "Bearer" in token]
    assert tokens[-1] == ""


@pytest.fixture
def accelerated(make_app):
    return make_app(EXPORTER_DOWNLOADS="x-accel-redirect", EXPORTER_TRUSTED_PROXIES="10.0.0.1")


@pytest.mark.usefixtures("accelerated")
def test_only_who_comes_through_the_proxy_is_left_to_it(admin, job, url):
    through = {"environ_base": {"REMOTE_ADDR": "10.0.0.1"}}
    answer = admin.get(url, **through)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["X-Accel-Redirect"] == f"/exporter-files/{job['id']}-1"
    etag = f'"{job["checksum"]["value"]}"'
    assert answer.headers["ETag"] == etag
    assert admin.get(url, headers={"If-None-Match": etag}, **through).status_code == 304
    past_it = admin.get(url)
    assert "X-Accel-Redirect" not in past_it.headers
    assert len(past_it.data) == job["file_size"]


@pytest.mark.usefixtures("accelerated")
def test_a_file_that_is_gone_is_a_410_and_not_left_to_the_proxy(admin, job, url, services):
    services.artifacts.delete(f"{job['id']}-1")
    assert admin.get(url, environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 410


@pytest.mark.parametrize(
    ("url", "environ", "start"),
    [
        ("s3://acme/p?region=eu-west-1", {}, "https://acme.s3.eu-west-1.amazonaws.com/p/key?"),
        ("s3://acme", {"AWS_REGION": "eu-west-2"}, "https://acme.s3.eu-west-2.amazonaws.com/key?"),
        ("s3://acme/p", {"AWS_ENDPOINT_URL": "http://minio:9000"}, "http://minio:9000/acme/p/key?"),
        ("s3://acme/p?endpoint_override=minio:9000", {}, "https://minio:9000/acme/p/key?"),
    ],
)
def test_an_address_is_in_the_words_of_the_store(monkeypatch, url, environ, start):
    for name, value in {**CREDENTIALS, **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    signed = Presigner(parse_s3_url(url)).url("key", disposition="attachment", content_type="text/csv")
    assert signed.startswith(start)
    assert SECRET not in signed


def test_without_credentials_no_address_is_given(monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreRefused, match="NoCredentialsError"):
        Presigner(parse_s3_url("s3://b?region=r")).url("key", disposition="a", content_type="b")
