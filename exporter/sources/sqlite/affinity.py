"""From a declared SQLite type, and what a sample of the values is stored as, to a Kind.

SQLite lets any value stand in any column, so a Kind is a good guess here: a reader proves it batch by batch.
"""

from enum import Enum

from exporter.sources.base import Kind


class Affinity(Enum):
    """What SQLite makes of a value before it stores it in a column."""

    INTEGER = "integer"
    TEXT = "text"
    NONE = "none"  # SQLite calls it BLOB: every value stays as it is
    REAL = "real"
    NUMERIC = "numeric"


_AFFINITIES = (  # the order and the words are those of https://www.sqlite.org/datatype3.html, section 3.1
    (("INT",), Kind.INTEGER),
    (("CHAR", "CLOB", "TEXT"), Kind.TEXT),
    (("BLOB",), Kind.BINARY),
    (("REAL", "FLOA", "DOUB"), Kind.FLOAT),
)
_AFFINITY_OF = {
    Kind.INTEGER: Affinity.INTEGER,
    Kind.TEXT: Affinity.TEXT,
    Kind.BINARY: Affinity.NONE,
    Kind.FLOAT: Affinity.REAL,
}
_STORED = {
    frozenset({"integer"}): Kind.INTEGER,
    frozenset({"real"}): Kind.FLOAT,
    frozenset({"integer", "real"}): Kind.FLOAT,
    frozenset({"text"}): Kind.TEXT,
    frozenset({"blob"}): Kind.BINARY,
}
_UNSTORED = ((("DATE", "TIME"), Kind.TEXT), (("BOOL",), Kind.INTEGER))


def affinity(database_type: str) -> Affinity:
    """ANY is none in a STRICT table and NUMERIC elsewhere: it is taken for none, the wider one."""
    if not database_type or database_type.upper() == "ANY":
        return Affinity.NONE
    kind = next((kind for words, kind in _AFFINITIES if _has(database_type, words)), None)
    return Affinity.NUMERIC if kind is None else _AFFINITY_OF[kind]


def declared_kind(database_type: str) -> Kind | None:
    """Give the kind that a declared type alone settles: None for a column without type or with NUMERIC affinity."""
    kind = next((kind for words, kind in _AFFINITIES if _has(database_type, words)), None)
    return None if kind is Kind.BINARY else kind


def sampled_kind(database_type: str, stored: frozenset[str]) -> Kind:
    """Give the kind of such a column from the storage classes met in it, which may be none."""
    if stored:
        return _STORED.get(stored, Kind.VARIANT)
    if not database_type:
        return Kind.TEXT
    if _has(database_type, ("BLOB",)):
        return Kind.BINARY
    return next((kind for words, kind in _UNSTORED if _has(database_type, words)), Kind.FLOAT)


def _has(database_type: str, words: tuple[str, ...]) -> bool:
    return any(word in database_type.upper() for word in words)
