"""JSON lists as PostgreSQL array literals (https://www.postgresql.org/docs/current/arrays.html, 8.15.6)."""

from collections.abc import Callable, Sequence

MAX_DIMENSIONS = 6  # PostgreSQL's own limit


def spell(items: Sequence[object], text_of: Callable[[object], str], depth: int = 1) -> str:
    """Write a list; `text_of` gives the spelling of an item. Raises ValueError where lists are nested too deep."""
    if depth > MAX_DIMENSIONS:
        raise ValueError(depth)
    return "{" + ",".join(_item(item, text_of, depth) for item in items) + "}"


def _item(item: object, text_of: Callable[[object], str], depth: int) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list | tuple):
        return spell(item, text_of, depth + 1)
    return '"' + text_of(item).replace("\\", "\\\\").replace('"', '\\"') + '"'
