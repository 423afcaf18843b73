"""Numbers, sizes, spans and moments as people read them."""

from datetime import UTC, datetime

from flask import Blueprint
from markupsafe import Markup

UNITS = ("B", "kB", "MB", "GB", "TB")
STEP = 1000
WHOLE_FROM = 10  # a size from here on needs no decimals
MINUTE, HOUR, DAY = 60, 3600, 86400
FORMATS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "excel": "Excel"}


def register(bp: Blueprint) -> None:
    for name, word in (
        ("number", number),
        ("size", size),
        ("span", span),
        ("moment", moment),
        ("format_word", format_word),
    ):
        bp.add_app_template_filter(word, name)


def number(value: int) -> str:
    return f"{value:,}"


def size(value: int) -> str:
    amount, unit = float(value), 0
    while amount >= STEP and unit < len(UNITS) - 1:
        amount, unit = amount / STEP, unit + 1
    shown = f"{amount:.1f}" if unit and amount < WHOLE_FROM else f"{amount:.0f}"
    return f"{shown} {UNITS[unit]}"


def span(seconds: float) -> str:
    """Say how long something takes, in at most two units."""
    whole = round(seconds)
    if whole < 1:
        return "less than a second"
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s" if whole % MINUTE else f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return "1 day" if whole // DAY == 1 else f"{whole // DAY} days"


def moment(value: str | datetime | None) -> Markup | str:
    """Mark a moment up in UTC; the page's script shows it in the reader's own zone."""
    if value is None:
        return "never"
    at = value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value)
    exact = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{}</time>').format(exact, at.strftime("%Y-%m-%d %H:%M UTC"))


def format_word(name: str) -> str:
    return FORMATS.get(name, name)
