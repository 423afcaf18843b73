"""The name that a finished file is offered under: pure functions from options to a safe name."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date as Date  # noqa: N812 - a type, told apart from the argument `date`
from typing import Any

from exporter.formats.base import FormatEntry

DEFAULT_PATTERN = "{datasource}-{date}"
MAX_PATTERN = 150
_MAX_STEM_BYTES = 200  # with an extension still below the 255 bytes of common file systems
_MAX_DATASOURCE = 80
_PLACEHOLDER = re.compile(r"\{(datasource|date|format)\}")
_FORBIDDEN = frozenset('/\\<>:"|?*')  # separators, and what Windows does not take
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control and direction marks can disguise a name


def pattern_fault(pattern: str) -> str | None:
    """Say what would be right, or None for a pattern that makes safe names."""
    if not pattern.strip():
        return "Must not be blank"
    if len(pattern) > MAX_PATTERN:
        return f"Must be at most {MAX_PATTERN} characters long"
    literal = _PLACEHOLDER.sub("x", pattern)
    if "{" in literal or "}" in literal:
        return "May hold the placeholders {datasource}, {date} and {format}, and no other braces"
    if any(_is_unsafe(character) for character in literal):
        return 'Must be a plain file name with no control characters and none of / \\ < > : " | ? *'
    if pattern != pattern.strip() or pattern.startswith(".") or pattern.endswith("."):
        return "Must not start or end with a dot or a space"
    return None


def file_name(options: Mapping[str, Any], *, datasource: str, date: Date, entry: FormatEntry) -> str:
    """Expand the option `file_name`; the extension is added unless, or as far as, it is already there."""
    facts = {"datasource": _safe(datasource), "date": f"{date:%Y-%m-%d}", "format": entry.name}
    name = _PLACEHOLDER.sub(lambda found: facts[found[1]], options["file_name"])
    extension = entry.extension(options)
    stem = _without(name, extension)
    return _cut(stem) + extension


def _without(name: str, extension: str) -> str:
    """Take `.csv.gz`, or its beginning `.csv`, off a name's end."""
    inner = "." + extension.split(".")[1]
    for ending in (extension, inner):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def _is_unsafe(character: str) -> bool:
    return character in _FORBIDDEN or unicodedata.category(character) in _UNSEEN


def _safe(name: str) -> str:
    kept = "".join("_" if _is_unsafe(character) else character for character in name[:_MAX_DATASOURCE])
    return kept.strip(". ") or "export"


def _cut(stem: str) -> str:
    return stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore")
