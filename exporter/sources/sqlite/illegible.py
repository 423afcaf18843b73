"""Text that is not what the file's encoding says: which row and column hold it."""

from collections.abc import Iterable, Sequence

from exporter.errors import ValueUnwritable
from exporter.sources.base import Column

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


def legible(text: bytes | None, encoding: str) -> bool:
    try:
        (text or b"").decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
