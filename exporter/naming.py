"""What a name that people give may look like: it is shown in lists, terminals and headers."""

from exporter.errors import Invalid

MAX_NAME = 150
NAME_RULE = f"Must be 1 to {MAX_NAME} printable characters with no space at either end"


def is_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def check_name(field: str, name: str) -> None:
    """Raise Invalid on `field`."""
    if not is_name(name):
        raise Invalid({field: NAME_RULE})
