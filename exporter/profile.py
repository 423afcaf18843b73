"""A first impression of columns from a sample of rows: how many values are missing, how many differ, their range.

For a preview only; pandas stays out of the path of an export's rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def profile(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Mapping[str, Any]]:
    """Give, per column, {name, nulls, distinct, min, max} of rows as JSON holds them.

    `min` and `max` are None unless all values are numbers, or all are texts.
    """
    import pandas as pd

    frame = pd.DataFrame([list(row) for row in rows], columns=list(range(len(columns))), dtype="object")
    return [{"name": name, **_of(frame[place])} for place, name in enumerate(columns)]


def _of(values: Any) -> dict[str, Any]:
    present = values.dropna()
    kinds = {type(value) for value in present}
    ordered = bool(kinds) and (kinds <= {int, float} or kinds == {str})
    return {
        "nulls": int(values.isna().sum()),
        "distinct": int(present.map(_key).nunique()),
        "min": present.min() if ordered else None,
        "max": present.max() if ordered else None,
    }


def _key(value: object) -> object:
    """Objects and arrays of a json column cannot be hashed; their spelling can. True is not 1."""
    return json.dumps(value, sort_keys=True) if isinstance(value, bool | list | dict) else value
