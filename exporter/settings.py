"""The installation's settings: parsed and checked once, then frozen.

Each comes from the environment (`EXPORTER_<NAME>`) or from `config.toml` in the instance folder; the variable wins.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from exporter import secretkey, storageurl
from exporter.settingvalues import (
    boolean,
    choice,
    database_url,
    hosts,
    networks,
    paths,
    refuse,
    scheduler,
    storage_url,
    text,
    whole,
    words,
)

PREFIX = "EXPORTER_"
# Names under the prefix that are not the server's: the command line's, and those of the tests.
FOREIGN_NAMES = frozenset({"SERVER", "TOKEN"})
FOREIGN_PREFIXES = ("TEST_", "REQUIRE_")
MIB = 1024 * 1024


class Handover(StrEnum):
    """How a download leaves the server: DIRECT through it, ACCEL by the nginx before it, PRESIGNED by the bucket."""

    DIRECT = "direct"
    ACCEL = "x-accel-redirect"
    PRESIGNED = "presigned"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One installation. Sizes are in bytes, times in seconds unless the name says otherwise; None means no limit."""

    instance_path: Path
    secret_key: str
    previous_secret_key: str | None
    database_url: str
    storage_url: str
    downloads: str
    executor: str
    dask_scheduler: str | None
    workers: int
    max_pending: int
    max_pending_per_user: int
    max_rows: int | None
    max_file_bytes: int | None
    min_free_bytes: int
    escape_formulas: bool
    retention_days: int
    audit_days: int
    webhook_days: int
    statement_timeout: int
    parallel_reads: int
    export_readers: int
    max_attempts: int
    lease_seconds: int
    shutdown_grace_seconds: int
    postgres_hosts: frozenset[str] | None
    webhook_hosts: frozenset[str]
    sqlite_roots: tuple[Path, ...]
    max_content_length: int
    trusted_hosts: frozenset[str] | None
    trusted_proxies: frozenset[IPv4Network | IPv6Network]
    log_format: str

    @property
    def embedded(self) -> bool:
        """Whether the app database is the embedded SQLite file, which one process serves."""
        return self.database_url.startswith("sqlite:")

    @property
    def database_file(self) -> Path | None:
        return Path(self.database_url.removeprefix("sqlite:///")).resolve() if self.embedded else None

    @property
    def storage_path(self) -> Path:
        """The folder where files are written: they rest there too, unless the store is a bucket."""
        if self.bucket is not None:
            return self.instance_path / "staged"
        return Path(self.storage_url.removeprefix("file://"))

    @property
    def bucket(self) -> storageurl.S3Address | None:
        return storageurl.parse_s3_url(self.storage_url) if self.storage_url.startswith("s3:") else None


_Parser = Callable[[str, object], Any]
_Default = Callable[[Path], Any]

# One row per setting: how it is read, and its default, made from the instance folder.
SETTINGS: Mapping[str, tuple[_Parser, _Default]] = {
    "SECRET_KEY": (text, secretkey.kept),
    "PREVIOUS_SECRET_KEY": (text, secretkey.previous),
    "DATABASE_URL": (database_url, lambda instance: f"sqlite:///{instance / 'exporter.sqlite3'}"),
    "STORAGE_URL": (storage_url, lambda instance: f"file://{instance / 'exports'}"),
    "DOWNLOADS": (choice(*Handover), lambda _: Handover.DIRECT),
    "EXECUTOR": (choice("threads", "dask"), lambda _: "threads"),
    "DASK_SCHEDULER": (scheduler, lambda _: None),
    "WORKERS": (whole(1), lambda _: max(2, os.cpu_count() or 1)),
    "MAX_PENDING": (whole(1), lambda _: 1000),
    "MAX_PENDING_PER_USER": (whole(1), lambda _: 200),
    "MAX_ROWS": (whole(1), lambda _: None),
    "MAX_FILE_BYTES": (whole(1), lambda _: None),
    "MIN_FREE_BYTES": (whole(0), lambda _: 256 * MIB),
    "ESCAPE_FORMULAS": (boolean, lambda _: False),
    "RETENTION_DAYS": (whole(0), lambda _: 7),
    "AUDIT_DAYS": (whole(0), lambda _: 365),
    "WEBHOOK_DAYS": (whole(0), lambda _: 30),
    "STATEMENT_TIMEOUT": (whole(1), lambda _: 3600),
    "PARALLEL_READS": (whole(1), lambda _: 2),
    "EXPORT_READERS": (whole(1), lambda _: 1),
    "MAX_ATTEMPTS": (whole(1), lambda _: 3),
    "LEASE_SECONDS": (whole(1), lambda _: 15),
    "SHUTDOWN_GRACE_SECONDS": (whole(0), lambda _: 30),
    "POSTGRES_HOSTS": (words, lambda _: None),
    "WEBHOOK_HOSTS": (hosts, lambda _: frozenset({"public"})),
    "SQLITE_ROOTS": (paths, lambda instance: (instance,)),
    "MAX_CONTENT_LENGTH": (whole(1), lambda _: MIB),
    "TRUSTED_HOSTS": (words, lambda _: None),
    "TRUSTED_PROXIES": (networks, lambda _: frozenset()),
    "LOG_FORMAT": (choice("text", "json"), lambda _: "text"),
}


def default_instance_path(environ: Mapping[str, str]) -> Path:
    """Give `instance/` beside the checkout; for an installed package `exporter` in the user's folder for data.

    Raises SettingInvalid where the user has no home.
    """
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "wsgi.py").is_file():
        return checkout / "instance"
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if data.is_absolute():
        return data / "exporter"
    try:
        return Path.home() / ".local" / "share" / "exporter"
    except RuntimeError:
        raise refuse(f"{PREFIX}INSTANCE_PATH", "", "a folder; this user has no home to put one in") from None


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings, creating the instance folder and the secret key on first use. Raises SettingInvalid."""
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    instance = Path(given.pop("INSTANCE_PATH", "") or default_instance_path(environ)).expanduser().resolve()
    given = {name: value for name, value in given.items() if not _foreign(name)}
    _check_names(given, prefix=PREFIX)
    _make_instance(instance)
    values: dict[str, Any] = {**_read_file(instance / "config.toml"), **given}
    parsed = {
        name.lower(): parse(name, values[name]) if name in values else default(instance)
        for name, (parse, default) in SETTINGS.items()
    }
    settings = Settings(instance_path=instance, **parsed)
    _check_downloads(settings)
    _check_executor(settings)
    return settings


def _check_downloads(settings: Settings) -> None:
    """Raise SettingInvalid where DOWNLOADS fits neither the store nor what stands before the server."""
    how = settings.downloads
    if how == Handover.PRESIGNED and settings.bucket is None:
        raise refuse("DOWNLOADS", how, "that needs an s3:// store in STORAGE_URL")
    if how == Handover.PRESIGNED and not find_spec("botocore"):
        raise refuse("DOWNLOADS", how, "that needs botocore: pip install 'exporter[s3]'")
    if how == Handover.ACCEL and settings.bucket is not None:
        raise refuse("DOWNLOADS", how, "that needs a file:// store in STORAGE_URL")
    if how == Handover.ACCEL and not settings.trusted_proxies:
        raise refuse("DOWNLOADS", how, "that needs the nginx named in TRUSTED_PROXIES")


def _make_instance(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        expected = f"a folder that can be made ({exc.strerror})"
        raise refuse(f"{PREFIX}INSTANCE_PATH", str(folder), expected) from exc


def _check_executor(settings: Settings) -> None:
    """Refuse a Dask cluster without what it needs. Raises SettingInvalid."""
    if settings.executor != "dask":
        return
    if settings.dask_scheduler is None:
        raise refuse("EXECUTOR", "dask", "with it, DASK_SCHEDULER must be set to tcp://host:port")
    if settings.embedded:
        expected = (
            "with it, DATABASE_URL must be set to postgresql://…, for no worker reaches the default file"
        )
        raise refuse("EXECUTOR", "dask", expected)
    if find_spec("distributed") is None:
        raise refuse(
            "EXECUTOR", "dask", "it needs the package dask.distributed: pip install 'exporter[dask]'"
        )


def _foreign(name: str) -> bool:
    return name in FOREIGN_NAMES or name.startswith(FOREIGN_PREFIXES)


def _check_names(given: Mapping[str, object], *, prefix: str) -> None:
    for name in given:
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, [*SETTINGS, "INSTANCE_PATH"], n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise refuse(f"{prefix}{name}", given[name], f"there is no such setting{hint}")


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise refuse("config.toml", path.name, f"a TOML file ({exc})") from exc
    _check_names(values, prefix="")
    return values
