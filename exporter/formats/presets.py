"""Named sets of options. An option given beside a preset wins over it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_SPREADSHEET: Mapping[str, Any] = {
    "delimiter": ",",
    "quoting": "text",
    "encoding": "utf-8-sig",
    "line_terminator": "\r\n",
    "null_value": "",
    "escape_formulas": True,
    "booleans": "t/f",
}

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "csv": {
            "spreadsheet": _SPREADSHEET,
            "spreadsheet-eu": {**_SPREADSHEET, "delimiter": ";"},
            "postgres-copy": {
                "delimiter": ",",
                "quoting": "minimal",
                "encoding": "utf-8",
                "line_terminator": "\n",
                "null_value": "",
                "escape_formulas": False,
                "booleans": "t/f",
            },
            "pandas": {
                "delimiter": ",",
                "quoting": "text",
                "encoding": "utf-8",
                "line_terminator": "\n",
                "null_value": "NULL",  # pandas skips the empty line that a lone NULL would leave
                "escape_formulas": False,
                "booleans": "true/false",  # pandas reads no others
            },
        },
        "json": {"bigquery": {"layout": "lines", "indent": None}},
    }
)


def names(format_name: str) -> tuple[str, ...]:
    return tuple(PRESETS.get(format_name, {}))
