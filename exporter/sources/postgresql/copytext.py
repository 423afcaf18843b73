"""Blocks of COPY's text format as string columns.

Arrow's CSV parser reads the format but for two things that are done around it: it takes a byte order mark at the
start of its input for no data, and it leaves COPY's backslash escapes as they are.
"""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from exporter.failures import QueryFailed
from exporter.sources.base import Column
from exporter.sources.postgresql.copyblocks import Block

BOM = b"\xef\xbb\xbf"
BACKSLASH = "\0"  # stands in for an escaped backslash meanwhile: PostgreSQL's texts cannot hold it
ESCAPES = (
    ("\\\\", BACKSLASH),
    ("\\n", "\n"),
    ("\\t", "\t"),
    ("\\r", "\r"),
    ("\\b", "\b"),
    ("\\f", "\f"),
    ("\\v", "\v"),
    (BACKSLASH, "\\"),
)
PARSE = pyarrow.csv.ParseOptions(
    delimiter="\t", quote_char=False, double_quote=False, escape_char=False, ignore_empty_lines=False
)


def names(width: int) -> list[str]:
    """Name a block's columns for the parser, where a result's own names need not differ."""
    return [str(position) for position in range(width)]


def convert_options(types: Sequence[pa.DataType]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types=dict(zip(names(len(types)), types, strict=True)),
        null_values=["\\N"],
        strings_can_be_null=True,
        true_values=["t"],
        false_values=["f"],
    )


def parse(block: Block, options: pyarrow.csv.ConvertOptions) -> list[pa.Array]:
    """Parse a block into one array a column. Raises pa.ArrowInvalid where a value does not fit its type."""
    data = BOM + block.data if block.data.startswith(BOM) else block.data
    read = pyarrow.csv.ReadOptions(
        column_names=names(len(options.column_types)), block_size=len(data) + 1, use_threads=False
    )
    options.check_utf8 = not data.isascii()  # far faster over a block than value by value
    table = pyarrow.csv.read_csv(pa.BufferReader(data), read, PARSE, options)
    if table.num_rows != block.rows:
        raise QueryFailed(reason=f"{block.rows} rows came but {table.num_rows} were understood")
    return [whole(column) for column in table.columns]


def whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def has_escapes(data: bytes) -> bool:
    r"""Tell whether any backslash is there but for those of NULLs, `\N`."""
    return b"\\" in data and data.count(b"\\") != data.count(b"\\N")


def unescaped(column: pa.Array) -> pa.Array:
    """Undo COPY's escapes. Pairs of backslashes go first and left to right, as the server wrote them."""
    if not pc.any(pc.match_substring(column, "\\")).as_py():
        return column
    for escape, meaning in ESCAPES:
        column = pc.replace_substring(column, escape, meaning)
    return column


class TextParser:
    """Turns blocks into string columns, each value in its exact spelling."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._options = convert_options([pa.string()] * len(columns))
        self.lost: Counter[tuple[int, str]] = Counter()  # nothing ever is

    def parse(self, block: Block) -> list[pa.Array]:
        arrays = parse(block, self._options)
        return [unescaped(array) for array in arrays] if has_escapes(block.data) else arrays
