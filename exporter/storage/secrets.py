"""Secrets at rest: datasource URLs are encrypted, tokens are hashed, passwords are argon2."""

import base64
import hashlib
import hmac
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from exporter.errors import SettingInvalid

TOKEN_PREFIX = "exp_"  # noqa: S105 - what a token begins with
TOKEN_BYTES = 32
MAX_PASSWORD_CHARACTERS = 1024
SETUP_CODE_CHARACTERS = 10


class Vault:
    """Encrypts with a key derived from SECRET_KEY; reads what the previous one encrypted, too."""

    def __init__(self, secret_key: str, previous: str | None = None) -> None:
        keys = [secret_key] if previous is None else [secret_key, previous]
        self._fernet = MultiFernet([_fernet(key) for key in keys])

    def encrypt(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def decrypt(self, text: str) -> str:
        """Raise SettingInvalid when the key is not the one that encrypted."""
        try:
            return self._fernet.decrypt(text.encode("ascii")).decode()
        except InvalidToken as exc:
            raise SettingInvalid(
                name="SECRET_KEY",
                value="(hidden)",
                expected="this is not the key that encrypted the stored datasource URLs",
            ) from exc


def setup_code(secret_key: str) -> str:
    """Give the code that makes the first admin: the same in every process, worthless once there is a user."""
    digest = hmac.digest(secret_key.encode(), b"exporter:first-admin", "sha256")
    return base64.b32encode(digest).decode("ascii")[:SETUP_CODE_CHARACTERS]


def sign(secret_key: str, text: str) -> str:
    """Prove to another process of this installation that the key is the same, without telling it."""
    return hmac.digest(secret_key.encode(), b"exporter:worker:" + text.encode(), "sha256").hex()


def same(given: str, right: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def _fernet(secret_key: str) -> Fernet:
    digest = hashlib.sha256(b"exporter:datasource-urls:" + secret_key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> str:
    """Hash without salt: the token has 256 random bits, so nothing shorter can be tried."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def hash_password(password: str) -> str:
    return _hasher().hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Check in the same time whether or not there is such a user (`password_hash` None)."""
    try:
        return _hasher().verify(password_hash or _nobodys_hash(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    return _hasher().check_needs_rehash(password_hash)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return hash_password(secrets.token_urlsafe())
