"""Every encoding of CSV: what it holds comes back, and what it lacks is named or counted."""

import csv
import io
from contextlib import closing

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.exporting import Desk, read
from tests.acceptance.judging import EXAMPLES

MARKS = {
    "utf-8": b"",
    "utf-8-sig": b"\xef\xbb\xbf",
    "utf-16": b"\xff\xfe",
    "iso-8859-1": b"",
    "windows-1252": b"",
}
LACKED = {
    "iso-8859-1": ["→", "€", "😀", "\u0100", "\ufffe"],
    "windows-1252": ["→", "\x81", "😀", "\u0100", "\x9d"],
}
encodings = pytest.mark.parametrize("encoding", MARKS)


@pytest.fixture
def texts(admin, instance):
    """Give a function that puts texts into a table, and a desk that exports it."""
    path = instance / "texts.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE texts (n INTEGER PRIMARY KEY, first TEXT, second TEXT)")
    desk = Desk(admin, f"sqlite:///{path}")

    def put(rows):
        with closing(apsw.Connection(str(path))) as connection, connection:
            connection.execute("DELETE FROM texts")
            connection.executemany("INSERT INTO texts (first, second) VALUES (?, ?)", rows)
        return desk

    return put


def writable(encoding):
    codec = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    return st.text(st.characters(codec=codec, exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
        ["", "?", "é", '"', "\r\n", "ÿ"]
    )


@encodings
def test_every_text_that_an_encoding_holds_comes_back(texts, encoding):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows=st.lists(
            st.tuples(st.none() | writable(encoding), st.none() | writable(encoding)), min_size=1, max_size=20
        ),
        errors=st.sampled_from(["strict", "replace"]),
        quoting=st.sampled_from(["text", "minimal", "all"]),
    )
    def check(rows, errors, quoting):
        done = texts(rows).export("texts", "csv", encoding=encoding, encoding_errors=errors, quoting=quoting)
        assert done.content.startswith(MARKS[encoding])
        assert "characters_replaced" not in done.warnings
        _, found = read(done)
        assert [tuple(None if kind == "null" else text for kind, text in row[1:]) for row in found] == rows

    check()


@pytest.mark.parametrize(
    ("encoding", "character"), [(name, lacked) for name, every in LACKED.items() for lacked in every]
)
def test_a_character_that_an_encoding_lacks_fails_with_its_row_and_column(texts, encoding, character):
    rows = [("é", "ok")] * 3000 + [("é", f"x{character}"), (character, "later")]
    job = texts(rows).ask("texts", "csv", encoding=encoding)
    assert job["error_code"] == "value_unwritable"
    assert job["error_message"].startswith(
        f"Row 3001, column 'second': the character {character!r} (U+{ord(character):04X})"
    )
    assert f"does not exist in {encoding}" in job["error_message"]
    assert job["file_size"] is None


@pytest.mark.parametrize("encoding", LACKED)
def test_characters_that_an_encoding_lacks_are_replaced_and_counted(texts, encoding):
    lacked = "".join(LACKED[encoding])
    done = texts([(f"é{lacked}?", "ok"), (None, lacked)]).export(
        "texts", "csv", encoding=encoding, encoding_errors="replace"
    )
    assert done.warnings == {"characters_replaced": 2 * len(lacked)}
    rows = list(csv.reader(io.StringIO(done.content.decode(encoding), newline="")))
    marks = "?" * len(lacked)
    assert rows[1:] == [["1", f"é{marks}?", "ok"], ["2", "", marks]]


@pytest.mark.parametrize("encoding", sorted(set(MARKS) - set(LACKED)))
def test_an_encoding_that_holds_every_character_replaces_none(texts, encoding):
    hostile = "→€😀\u0100\ufffe\uffff\0\x81"
    done = texts([(hostile, "?")]).export("texts", "csv", encoding=encoding, encoding_errors="replace")
    assert read(done)[1][0][1:] == [("quoted", hostile), ("quoted", "?")]
    assert done.warnings == {}


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "excel"])
def test_text_of_sqlite_that_is_no_utf8_fails_with_its_row_and_column(admin, instance, format_name):
    path = instance / "broken.db"
    with closing(apsw.Connection(str(path))) as connection, connection:
        connection.execute("CREATE TABLE broken (n INTEGER PRIMARY KEY, fine TEXT, t TEXT)")
        connection.executemany("INSERT INTO broken (fine, t) VALUES ('x', ?)", [("fine",)] * 700)
        connection.execute("INSERT INTO broken (fine, t) VALUES ('x', CAST(x'ff41' AS TEXT))")
    job = Desk(admin, f"sqlite:///{path}").ask("broken", format_name)
    assert (job["error_code"], job["file_size"]) == ("value_unwritable", None)
    assert job["error_message"] == "Row 701, column 't': the text is not valid UTF-8"
