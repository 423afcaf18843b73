"""Do two files hold the same rows? `python -m bench.check TABLE FORMAT FILE` prints a file's rows and their digest.

The digest knows no order: each row is hashed over its canonical values, and the hashes are added. Numbers, dates and
texts are compared as what they are, however a format spells them.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bench import tables
from bench.digests import Digest
from bench.reading import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

NULL = 0x9E3779B97F4A7C15
ODD = np.uint64(0xBF58476D1CE4E5B9)
SHIFT = np.uint64(29)
DAY_CHARACTERS = 10


def main() -> None:
    table, format_name, file = sys.argv[1:]
    print(json.dumps(asdict(digest(table, format_name, Path(file)))))


def digest(table: str, format_name: str, file: Path) -> Digest:
    columns = tables.COLUMNS[table]
    rows, total = 0, 0
    for values in read_columns(file, format_name, [column.name for column in columns]):
        hashes = np.zeros(len(values[0]), dtype=np.uint64)
        for column, array in zip(columns, values, strict=True):
            hashes = _mixed(hashes * ODD + _hashed(column.kind, array))
        rows += len(hashes)
        total += int(hashes.sum(dtype=np.uint64))
    return Digest(rows=rows, sum=f"{total % 2**64:016x}")


def _mixed(hashes: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    return (hashes ^ (hashes >> SHIFT)) * ODD


def _hashed(kind: str, array: pa.Array) -> "NDArray[np.uint64]":
    nulls = np.asarray(array.is_null())
    hashes: NDArray[np.uint64] = _texts(kind, array) if kind in {"text", "date"} else _numbers(kind, array)
    hashes[nulls] = NULL
    return hashes


def _numbers(kind: str, array: pa.Array) -> "NDArray[np.uint64]":
    if kind == "int" and not pa.types.is_floating(array.type):
        found = np.asarray(pc.fill_null(array.cast(pa.int64()), 0))
    else:
        doubles = np.asarray(pc.fill_null(array.cast(pa.float64()), 0.0))
        found = {"int": doubles, "cents": np.rint(doubles * 100), "double": doubles}[kind]
        if kind != "double":
            found = found.astype(np.int64)
    return found.view(np.uint64).copy()


def _texts(kind: str, array: pa.Array) -> "NDArray[np.uint64]":
    if kind == "date":
        array = pc.utf8_slice_codeunits(array.cast(pa.string()), 0, DAY_CHARACTERS)
    encoded: Any = pc.fill_null(array, "").cast(pa.large_string()).dictionary_encode()
    words = pd.util.hash_array(encoded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    return words[np.asarray(encoded.indices)]


if __name__ == "__main__":
    main()
