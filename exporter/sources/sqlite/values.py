"""SQLite values as Arrow arrays: exact, or not at all."""

from collections.abc import Callable, Sequence
from math import copysign, isinf
from threading import local

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter.sources.base import Form
from exporter.sources.types import Storage, variant_type

Values = Sequence[object]
_SPELLED = "SELECT group_concat(concat(value), ' ') FROM carray(?)"
LONG = 10**15  # an integer from here on has over 15 digits
MISFITS = (pa.ArrowInvalid, pa.ArrowTypeError)


def fitted(values: Values, wanted: pa.DataType) -> pa.Array | None:
    """Carry the values by the wanted type, or give None where one of them does not fit it exactly.

    Arrow's own inference looks at every value and refuses nearly every mix. It takes integers among reals, up to
    2**53 as they must be, and it takes texts among blobs, so that case is looked at here.
    """
    try:
        array = pa.array(values)
        if array.type == wanted:
            return array if wanted != pa.binary() or str not in set(map(type, values)) else None
        if array.type == pa.null():
            return pa.nulls(len(array), wanted)
        return array.cast(wanted) if (array.type, wanted) == (pa.int64(), pa.float64()) else None
    except MISFITS:
        return None


def carried(values: Values, wanted: pa.DataType, form: Form) -> pa.Array | None:
    """Carry the values as a read of that form does: TEXT has reals spelled, and a VARIANT for what does not fit."""
    array = fitted(values, wanted)
    if form is Form.TYPED:
        return array
    if array is None:
        return variant(values)
    if wanted != pa.float64():
        return array
    return variant(values) if has_long_integer(values, array) else spelled(values)


def has_long_integer(values: Values, numbers: pa.DoubleArray) -> bool:
    """Tell whether an integer among reals has more digits than every program keeps; `numbers` are the values."""
    ends = pc.min_max(numbers)
    if numbers.null_count == len(numbers) or max(-ends["min"].as_py(), ends["max"].as_py()) < LONG:
        return False
    return any(isinstance(value, int) and abs(value) >= LONG for value in values)


def spelled(values: Values) -> pa.StringArray:
    """Spell every value exactly, as text."""
    reals = iter(_reals([value for value in values if isinstance(value, float)]))
    return pa.array(
        [next(reals) if isinstance(value, float) else _SPELL[type(value)](value) for value in values],
        pa.string(),
    )


def variant(values: Values) -> pa.Array:
    """Carry values of any kind by the struct of a VARIANT column."""
    kinds = pa.array([_STORAGE.get(type(value)) for value in values], pa.uint8())
    fields = list(variant_type())
    return pa.StructArray.from_arrays([kinds, spelled(values)], fields=fields, mask=kinds.is_null())


def _reals(values: list[float]) -> list[str]:
    """Spell numbers as SQLite does, by SQLite itself: `exporter.sources.sqlite.textsql` must not differ."""
    if not values:
        return []
    numbers = np.array(values)
    texts = _speller.connection.execute(_SPELLED, (apsw.carray(numbers),)).get.split()
    if not np.isfinite(numbers).all() or ((numbers == 0) & np.signbit(numbers)).any():
        return [_signed(value, text) for value, text in zip(values, texts, strict=True)]
    return list(texts)


def _signed(value: float, text: str) -> str:
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "-0.0" if value == 0 and copysign(1, value) < 0 else text


class _Speller(local):
    """Each thread's own connection to no file."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")


_speller = _Speller()


def _blob(value: bytes) -> str:
    return f"\\x{value.hex()}"


_STORAGE = {int: Storage.INTEGER, float: Storage.REAL, str: Storage.TEXT, bytes: Storage.BLOB}
_SPELL: dict[type, Callable[..., str | None]] = {
    int: str,
    str: str,
    bytes: _blob,
    type(None): lambda _: None,
}
