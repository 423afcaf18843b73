"""What two files are compared by. This module is light: it asks a child, `bench.check`, to read them."""

import json
from dataclasses import dataclass
from pathlib import Path

from bench import child


@dataclass(frozen=True, kw_only=True)
class Digest:
    """A file's rows, and the sum over the hashes of their canonical values, which knows no order."""

    rows: int
    sum: str


def digest_of(table: str, format_name: str, file: Path) -> Digest:
    """Raise ChildFailed where the file cannot be read."""
    return Digest(**json.loads(child.run(child.module("bench.check", table, format_name, str(file))).printed))
