"""What a request may ask of each format: one schema per format, and how options become complete.

The values of `parse_options` are plain JSON values, stored with the job and shown in its receipt. Parsing
them again gives the same values.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from exporter.errors import Invalid
from exporter.formats import names, presets
from exporter.formats.base import FormatEntry
from exporter.formats.names import file_name

__all__ = ["CsvOptions", "ExcelOptions", "JsonOptions", "ParquetOptions", "file_name", "parse_options"]

STREAM_COMPRESSIONS = ("none", "gzip", "zstd", "zip")
DELIMITERS = frozenset(",;\t|!#$%&*/<=>@^_`~()[]{}")  # none can stand in a bare number, date or time
_BARE = re.compile(r"[-+.]*[0-9].*|[-+]?inf(inity)?|nan|t|f|true|false", re.IGNORECASE)
_MAX_NULL_VALUE = 20
_MAX_INDENT = 8
_MAX_ROW_GROUP = 10_000_000
_MAX_SHEET_NAME = 31  # UTF-16 units, Excel's limit
_SHEET_FORBIDDEN = frozenset("[]:*?/\\")


def _says(text: str) -> dict[str, str]:
    return {"description": text}


class Text(fields.String):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages=_messages("Must be text"), **kwargs)


class Choice(Text):
    """One of a few words, in any case; `words` are further spellings of them."""

    def __init__(self, *choices: str, words: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        error = "Must be one of: " + ", ".join(_shown(choice) for choice in choices)
        super().__init__(validate=validate.OneOf(choices, error=error), **kwargs)
        self.words = words or {}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).lower()
        return self.words.get(text, text)


class Delimiter(Text):
    """A single character, or the word `tab`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return "\t" if text.lower() in {"tab", "\\t"} else text


class Whole(fields.Integer):
    """A whole number, also as text from a command line; where null is allowed, the word `none` is null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages=_messages("Must be a whole number"), **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        none = self.allow_none and isinstance(value, str) and value.lower() == "none"
        return super().deserialize(None if none else value, *args, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Switch(fields.Boolean):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages=_messages("Must be true or false"), **kwargs)


def _messages(invalid: str) -> dict[str, Any]:
    return {"invalid": invalid, "invalid_utf8": invalid, "too_large": invalid, "null": "Must not be null"}


def _shown(choice: str) -> str:
    return {"\n": r"\n (or the word lf)", "\r\n": r"\r\n (or the word crlf)"}.get(choice, choice)


def _file_name_is_safe(value: str) -> None:
    if fault := names.pattern_fault(value):
        raise ValidationError(fault)


def _delimiter_is_clear(value: str) -> None:
    if value not in DELIMITERS or len(value) != 1:
        shown = " ".join(sorted(DELIMITERS - set(",;|\t")))
        raise ValidationError(f"Must be one character: , ; | tab, or one of {shown}")


def _null_value_is_clear(value: str) -> None:
    if len(value) > _MAX_NULL_VALUE or not value.isprintable() or '"' in value or value != value.strip():
        raise ValidationError(
            f"Must be at most {_MAX_NULL_VALUE} printable characters, with no quote and no space at an end"
        )
    if _BARE.fullmatch(value):
        raise ValidationError("Must not look like a number, a date or a true or false value")


def _sheet_name_is_valid(value: str) -> None:
    if not value.strip() or len(value.encode("utf-16-le", "replace")) > 2 * _MAX_SHEET_NAME:
        raise ValidationError(f"Must be 1 to {_MAX_SHEET_NAME} characters long")
    if not value.isprintable() or _SHEET_FORBIDDEN & set(value):
        raise ValidationError("Must be printable and hold none of [ ] : * ? / \\")
    if value.startswith("'") or value.endswith("'"):
        raise ValidationError("Must not start or end with an apostrophe")
    if value.lower() == "history":
        raise ValidationError("Must not be History: Excel keeps that name for itself")


def _preset(format_name: str) -> Choice:
    return Choice(
        *presets.names(format_name),
        metadata=_says("A named set of options; one that is given beside it wins"),
    )


class _Options(Schema):
    """What every format takes; an unknown option is a fault that lists the known ones."""

    file_name = Text(
        load_default=names.DEFAULT_PATTERN,
        validate=_file_name_is_safe,
        metadata=_says("Name of the file; {datasource}, {date} and {format} are filled in"),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error_messages["unknown"] = "Unknown option. Must be one of: " + ", ".join(sorted(self.fields))


class CsvOptions(_Options):
    compression = Choice(*STREAM_COMPRESSIONS, load_default="none", metadata=_says("Of the whole file"))
    delimiter = Delimiter(
        load_default=",", validate=_delimiter_is_clear, metadata=_says("Between values; `tab` is understood")
    )
    quoting = Choice(
        "text",
        "minimal",
        "all",
        load_default="text",
        metadata=_says(
            'Which values are quoted. `text` tells NULL from an empty text, and "007" from a number; NULL never is'
        ),
    )
    encoding = Choice(
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "iso-8859-1",
        "windows-1252",
        load_default="utf-8",
        metadata=_says("`utf-8-sig` begins with the mark that Excel looks for"),
    )
    encoding_errors = Choice(
        "strict",
        "replace",
        load_default="strict",
        metadata=_says("A character that the encoding lacks fails the job, or becomes ? and is counted"),
    )
    line_terminator = Choice(
        "\n",
        "\r\n",
        words={"lf": "\n", "crlf": "\r\n", "\\n": "\n", "\\r\\n": "\r\n"},
        load_default="\n",
        metadata=_says("`lf` and `crlf` are understood"),
    )
    null_value = Text(
        load_default="",
        validate=_null_value_is_clear,
        metadata=_says("How NULL is written; a text equal to it is quoted"),
    )
    escape_formulas = Switch(
        load_default=False, metadata=_says("Put a ' before texts that a spreadsheet would take for a formula")
    )
    booleans = Choice("t/f", "true/false", load_default="t/f", metadata=_says("How booleans are written"))
    preset = _preset("csv")

    @validates_schema
    def _null_value_fits(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if kwargs.get("partial"):
            return
        null_value = data["null_value"]
        if data["delimiter"] in null_value:
            raise ValidationError("Must not hold the delimiter", "null_value")
        try:
            null_value.encode(data["encoding"])
        except UnicodeEncodeError as exc:
            raise ValidationError(f"Must be writable in {data['encoding']}", "null_value") from exc


class JsonOptions(_Options):
    compression = Choice(*STREAM_COMPRESSIONS, load_default="none", metadata=_says("Of the whole file"))
    layout = Choice(
        "array",
        "lines",
        "columns",
        load_default="array",
        metadata=_says("One array of objects, one object a line, or names once and rows as arrays"),
    )
    indent = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(
            1, _MAX_INDENT, error=f"Must be null or a whole number from 1 to {_MAX_INDENT}"
        ),
        metadata=_says("Spaces of one step; null writes no line breaks"),
    )
    preset = _preset("json")

    @validates_schema
    def _indent_fits(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if not kwargs.get("partial") and data["layout"] == "lines" and data["indent"] is not None:
            raise ValidationError(
                "Must be null with the layout lines: one object stands on one line", "indent"
            )


class ParquetOptions(_Options):
    compression = Choice(
        "zstd", "snappy", "gzip", "none", load_default="zstd", metadata=_says("Of the columns' pages")
    )
    row_group_size = Whole(
        load_default=131_072,
        validate=validate.Range(
            1, _MAX_ROW_GROUP, error=f"Must be a whole number from 1 to {_MAX_ROW_GROUP}"
        ),
        metadata=_says("Rows of one group; fewer make smaller steps for readers that skip"),
    )


class ExcelOptions(_Options):
    sheet_name = Text(
        load_default="Data",
        validate=_sheet_name_is_valid,
        metadata=_says("Further sheets get a number behind it"),
    )


def parse_options(
    entry: FormatEntry, raw: Mapping[str, Any], *, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the complete effective options.

    What is given comes first, then the preset, the installation's `defaults`, the format's own. A preset is
    shown expanded and keeps its name. Raises Invalid with a sentence per option.
    """
    schema = _made(entry.options)
    try:
        given = schema.load(raw, partial=True)
        preset = presets.PRESETS.get(entry.name, {}).get(given.get("preset", ""), {})
        known = {name: value for name, value in defaults.items() if name in schema.fields}
        complete = schema.load({**known, **preset, **given})
    except ValidationError as exc:
        raise Invalid({name: ". ".join(faults) for name, faults in exc.messages_dict.items()}) from exc
    return dict(sorted(complete.items()))


@cache
def _made(schema: type[Schema]) -> Schema:
    """Make each schema once, for all requests."""
    return schema()
