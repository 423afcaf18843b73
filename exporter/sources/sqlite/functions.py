"""The SQL functions that our own statements call on SQLite, beside its built-in ones."""

from typing import Any

import apsw


def install(connection: apsw.Connection) -> None:
    """Add `exporter_lower`: SQLite's own `lower` knows the letters of ASCII only."""
    connection.create_scalar_function("exporter_lower", _lower, 1, deterministic=True)


def _lower(*values: Any) -> Any:
    (value,) = values
    return value.lower() if isinstance(value, str) else value
