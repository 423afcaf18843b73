"""The table of faults in docs/design.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| .+ \| .+ \| (`test_\w+`(?:, `test_\w+`)*) \|$", re.MULTILINE)
CATALOGUE = (
    (ROOT / "docs" / "design.md").read_text("utf-8").partition("## What it survives")[2].partition("\n## ")[0]
)


def named():
    return {name for tests in ROW.findall(CATALOGUE) for name in re.findall(r"`(test_\w+)`", tests)}


def existing():
    for path in (ROOT / "tests").rglob("test_*.py"):
        yield from re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)


def test_every_row_of_the_catalogue_names_tests_that_exist():
    rows = [line for line in CATALOGUE.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 25
    assert [row for row in rows if not ROW.match(row)] == []
    assert named() - set(existing()) == set()


def test_every_test_of_a_fault_is_in_the_catalogue():
    own = {
        name
        for path in (ROOT / "tests" / "faults").glob("test_*.py")
        if path.name not in {"test_catalogue.py", "test_failpoints.py"}
        for name in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert own - named() == set()
