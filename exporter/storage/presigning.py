"""Addresses at which a bucket hands out one object to whoever has them, for a few minutes."""

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from exporter.errors import StoreRefused
from exporter.storage.staging import RETRY_AFTER_SECONDS
from exporter.storageurl import S3Address

VALID_SECONDS = 300
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def _regions() -> Iterator[str]:
    """Give what the environment says, in the order of pyarrow's client."""
    return (os.environ[name] for name in ("AWS_DEFAULT_REGION", "AWS_REGION") if name in os.environ)


class Presigner:
    """Signs with botocore, which finds its credentials where pyarrow does. Asks no server anything."""

    def __init__(self, address: S3Address) -> None:
        self._address = address

    def url(self, key: str, *, disposition: str, content_type: str) -> str:
        """Give an address good for one GET, whole or by ranges. Raises StoreRefused where nothing can be signed."""
        from botocore.exceptions import BotoCoreError

        place = {"Bucket": self._address.bucket, "Key": f"{self._address.prefix}/{key}".lstrip("/")}
        answer = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
            "ResponseCacheControl": "private, no-store",
        }
        try:
            return str(
                self._client.generate_presigned_url(
                    "get_object", Params={**place, **answer}, ExpiresIn=VALID_SECONDS
                )
            )
        except BotoCoreError as exc:
            raise StoreRefused(reason=type(exc).__name__, retry_after=RETRY_AFTER_SECONDS) from None

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config
        from botocore.session import get_session

        own = self._address.endpoint or any(name in os.environ for name in ENDPOINTS)
        style = "path" if own else "virtual"  # as pyarrow's client does
        return get_session().create_client(
            "s3",
            region_name=self._address.region or next(_regions(), None),
            endpoint_url=self._address.endpoint,
            config=Config(signature_version="s3v4", s3={"addressing_style": style}),
        )
