"""The pagination block of a list."""

from typing import Any

from exporter.model import Page


def pagination(page: Page[Any]) -> dict[str, Any]:
    return {
        "total_count": page.total,
        "page_count": page.count,
        "current_page": page.number,
        "has_next": page.number < page.count,
        "has_previous": page.number > 1,
        "page_size": page.size,
    }
