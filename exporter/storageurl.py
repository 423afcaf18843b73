"""What STORAGE_URL says of a bucket. Credentials are no part of it: they come as AWS_* variables."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

QUERY = ("region", "endpoint_override", "scheme")
EXPECTED = (
    "file:///absolute/folder or s3://bucket/prefix?region=…&endpoint_override=…, with the credentials in"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


@dataclass(frozen=True, kw_only=True)
class S3Address:
    """A place in a bucket. `endpoint` is the http(s) URL of a store that is not Amazon's."""

    bucket: str
    prefix: str
    region: str | None
    endpoint: str | None

    @property
    def folder(self) -> str:
        """The bucket and the prefix, as a path without slashes at its ends."""
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket

    @property
    def shown(self) -> str:
        return f"s3://{self.folder}"


def parse_s3_url(text: str) -> S3Address:
    """Raise ValueError with what was expected; the text itself may hold a secret and is in no message."""
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    sound = bucket and not set(bucket) & set("@:") and not parts.fragment and "//" not in prefix
    if not sound or not query.keys() <= set(QUERY) or not all(query.values()):
        raise ValueError(EXPECTED)
    return S3Address(bucket=bucket, prefix=prefix, region=query.get("region"), endpoint=_endpoint(query))


def _endpoint(query: dict[str, str]) -> str | None:
    given = query.get("endpoint_override")
    scheme = query.get("scheme", "https")
    if given is None:
        return None
    url = given if "://" in given else f"{scheme}://{given}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("endpoint_override=host:port or endpoint_override=http://host:port")
    return url.rstrip("/")
