"""Text that is not what the file's encoding says: which row and column hold it."""

from collections.abc import Iterable, Sequence

from exporter.failures import ValueUnwritable
from exporter.sources.base import Column
from exporter.sources.sqlite.parts import Range, RowIds
from exporter.sources.sqlite.reflection import quoted
from exporter.sources.sqlite.session import Session

Texts = Sequence[bytes | None]


def as_blobs(names: Sequence[str]) -> str:
    return ", ".join(f"iif(typeof({name}) = 'text', CAST({name} AS BLOB), NULL)" for name in names)


def unwritable(
    rows: Iterable[Texts], before: int, columns: Sequence[Column], encoding: str
) -> ValueUnwritable:
    """Name the first of `rows`, as `as_blobs` gives them and of which `before` have gone before, and its column."""
    reason = f"the text is not valid {encoding}"
    for number, texts in enumerate(rows, before + 1):
        for column, text in zip(columns, texts, strict=True):
            if not legible(text, encoding):
                return ValueUnwritable(row=number, column=column.name, reason=reason)
    return ValueUnwritable(row=before + 1, column="?", reason=reason)


def unwritable_in(
    session: Session, row_ids: RowIds, part: Range, before: int, columns: Sequence[Column]
) -> ValueUnwritable:
    """Find the text in a part of a table, of whose rows `before` come before it."""
    blobs = as_blobs([quoted(column.name) for column in columns])
    sql = f"SELECT {blobs}{row_ids.within} ORDER BY {row_ids.name}"
    return unwritable(session.execute(sql, (part.low, part.high)), before, columns, session.encoding)


def legible(text: bytes | None, encoding: str) -> bool:
    try:
        (text or b"").decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
