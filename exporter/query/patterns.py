r"""The patterns of `like` and `ilike`, and literal text inside them.

On both databases `%` stands for any text, `_` for one character, and a backslash takes the next character literally.
`ilike` does not tell case apart; beyond ASCII, PostgreSQL folds case as the database's locale does, SQLite as Python.
SQLite's patterns end at a NUL character inside a stored text, and take the
noncharacters U+FFFE and U+FFFF for U+FFFD; `contains`, `starts_with` and `ends_with` are exact there too.
"""

from exporter.query.families import SQLITE
from exporter.query.spec import PATTERNS, Operator

MAX_GLOB_BYTES = 50_000  # SQLITE_MAX_LIKE_PATTERN_LENGTH
_LITERAL_IN_GLOB = {"*": "[*]", "?": "[?]", "[": "[[]"}
_BLURRED = {
    "\0",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\u07ff",
    "\U0010ffff",
}  # the last two: in UTF-16 files, with an index
_WILDCARDS = {"%": "*", "_": "?"}


def pattern_fault(operator: Operator, text: str, dialect: str) -> str | None:
    """Say why a pattern cannot be asked of the database, or None where it can."""
    if operator in PATTERNS and _ends_in_escape(text):
        return r"The pattern ends in a single backslash: write \\ for a backslash"
    if dialect != SQLITE or operator not in PATTERNS:
        return None
    if "\0" in text:
        return f"SQLite cannot look for the character NUL with {operator!s}; contains and = can"
    if _pattern_bytes(operator, text) > MAX_GLOB_BYTES:
        return f"The pattern is too long: SQLite takes {MAX_GLOB_BYTES} bytes, with * ? [ counted as three"
    return None


def literal(text: str) -> str:
    """Escape a text so that LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def glob_literal(text: str) -> str:
    """Escape a text so that SQLite's GLOB takes it literally."""
    return "".join(_LITERAL_IN_GLOB.get(character, character) for character in text)


def is_plain(text: str) -> bool:
    """Tell whether SQLite's GLOB, which may use an index, looks for the text exactly."""
    return not _BLURRED & set(text) and len(glob_literal(text).encode()) < MAX_GLOB_BYTES


def glob(pattern: str) -> str:
    """Turn a LIKE pattern into the GLOB pattern that tells case apart."""
    parts, escaped = [], False
    for character in pattern:
        if escaped or character not in "\\%_":
            parts.append(glob_literal(character))
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            parts.append(_WILDCARDS[character])
    return "".join(parts)


def _ends_in_escape(pattern: str) -> bool:
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 1


def _pattern_bytes(operator: Operator, text: str) -> int:
    return len((text if operator is Operator.ILIKE else glob(text)).encode())
