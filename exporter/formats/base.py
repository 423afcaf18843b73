"""What a file format is to the rest of the program: a Writer of record batches.

A writer knows a binary stream and the columns. Leaving it by an exception must never finish the file:
library writers used as `with` blocks do finish a valid-looking short file, so `finish` and `abandon` are
separate words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from exporter.sources.base import Column, Form, Notice, RowText

if TYPE_CHECKING:
    import pyarrow as pa
    from marshmallow import Schema


class Stream(Protocol):
    """The staged file: bytes go in at the end only.

    `write` takes any bytes-like object and writes all of it.
    """

    def write(self, data: Any, /) -> int: ...

    def flush(self) -> None: ...

    def tell(self) -> int: ...


class Writer(Protocol):
    """Turns batches into one file's bytes.

    `rows_in_file` is counted from the bytes written, not from the batches; it and `notices` are final after
    `finish`. Raises ValueUnwritable (with the data row, from 1, and the column) for a value that the format
    cannot hold.
    """

    @property
    def rows_in_file(self) -> int: ...

    def write(self, batch: "pa.RecordBatch") -> None: ...

    def finish(self) -> None:
        """Write what is left. The stream stays open: it belongs to the caller."""
        ...

    def abandon(self) -> None:
        """Release everything and write nothing more. Never raises; may follow any other call."""
        ...

    def notices(self) -> tuple[Notice, ...]: ...


class TextUnclear(Exception):
    """Rows spelled by a database are not what the writer can vouch for: they have to be read as batches."""


class TextWriter(Writer, Protocol):
    """A writer that also takes rows as its `row_text` describes them, in place of batches."""

    def write_text(self, data: bytes, rows: int) -> Sequence[int]:
        """Write whole rows, and give the NULLs of each column, counted from the bytes.

        `rows` are those that the database told. `rows_in_file` has then grown by the rows that were found. Raises
        TextUnclear.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class WriterRequest:
    """All that a writer is made of. `options` are complete: parsed, presets expanded, defaults filled in.

    `file_name` is the finished file's; a zip's member is named after it.
    """

    stream: Stream
    columns: tuple[Column, ...]
    options: Mapping[str, Any]
    include_headers: bool = True
    file_name: str | None = None


def _no_row_text(_columns: tuple[Column, ...], _options: Mapping[str, Any]) -> RowText | None:
    return None


@dataclass(frozen=True, kw_only=True)
class FormatEntry:
    """One row of the registry. `open_writer` and `count_rows` import their library on first use.

    `count_rows` reads a finished file by other code than wrote it; it takes the options and whether there are
    headers, and raises FileDamaged. `row_text` says how a database may spell the rows itself; its writer is then a
    TextWriter. None where there is no such way under these options.
    """

    name: str
    form: Form
    options: "type[Schema]"
    extension: Callable[[Mapping[str, Any]], str]  # from options: ".csv", ".csv.gz"
    content_type: Callable[[Mapping[str, Any]], str]
    open_writer: Callable[[WriterRequest], Writer]
    count_rows: Callable[[Path, Mapping[str, Any], bool], int]
    row_text: Callable[[tuple[Column, ...], Mapping[str, Any]], RowText | None] = _no_row_text
