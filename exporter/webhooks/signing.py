"""Signatures as Standard Webhooks has them (standardwebhooks.com), so that its libraries verify ours."""

import base64
import hmac
import secrets
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
SECRET_BYTES = 32


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def signed_headers(secret: str, delivery_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Sign id, time and body: a receiver tells a forged, a changed and an old request by them."""
    stamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, b".".join((delivery_id.encode(), stamp.encode(), body)), "sha256")
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}",
    }
