import io
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats import counting, text
from exporter.formats.digits import plain_numbers
from exporter.formats.workbook import sheet_names

PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)


def lines_outside_quotes(data):
    inside, lines = False, 0
    for character in data:
        inside ^= character == '"'
        lines += character == "\n" and not inside
    return lines


@given(st.lists(st.text(st.sampled_from(list('"\n,ab')), max_size=300), max_size=5), st.integers(1, 200))
def test_lines_outside_quotes_are_counted_however_the_bytes_are_cut(parts, size):
    data = "".join(parts)
    for wide in (False, True):
        counter = counting.QuotedLines(wide=wide)
        encoded = data.encode("utf-16-le" if wide else "utf-8")
        stream = io.BytesIO(encoded)
        while block := stream.read(size * 2):
            counter.feed(block)
        assert counter.lines == lines_outside_quotes(data)


def test_a_quote_open_over_many_segments_is_still_open():
    counter = counting.QuotedLines()
    for block in ('"' + "\n" * 1_000_000, "\n" * 999, '"\n\n'):
        counter.feed(block.encode())
    assert counter.lines == 2


def test_a_wide_newline_is_no_half_of_another_character():
    counter = counting.QuotedLines(wide=True)
    counter.feed("\u0a0a\u2222\u0a22\n".encode("utf-16-le"))
    assert counter.lines == 1


@given(st.lists(st.sampled_from(["<row", "<ro", "w ", "<", "r", "x", "é"]), max_size=40))
def test_row_tags_are_counted_at_every_place(parts):
    data = "".join(parts).encode()
    assert counting.row_tags(data) == data.count(b"<r")


@given(
    st.lists(
        st.none() | st.from_regex(r"\A[-+.0-9eE]{0,6}\Z") | st.from_regex(PLAIN, fullmatch=True), max_size=6
    )
)
def test_plain_numbers_are_those_of_the_grammar(values):
    array = pa.array(values, pa.string())
    expected = all(PLAIN.fullmatch(value) for value in values if value is not None)
    assert plain_numbers(array) == expected
    assert plain_numbers(array.slice(1)) == all(PLAIN.fullmatch(v) for v in values[1:] if v is not None)


@given(st.lists(st.none() | st.binary(max_size=5), max_size=8), st.integers(0, 8))
def test_bytes_are_spelled_as_hexadecimal_in_any_slice(values, start):
    expected = [None if value is None else "\\x" + value.hex() for value in values[start:]]
    for kind in (pa.binary(), pa.large_binary()):
        assert text.hexadecimal(pa.array(values, kind).slice(start)).to_pylist() == expected


@given(st.lists(st.none() | st.text(max_size=4), max_size=8), st.integers(0, 8), st.integers(-3, 3))
def test_the_byte_at_a_place_is_found_in_any_slice(values, start, position):
    found = text.byte_at(pa.array(values, pa.string()).slice(start), position).tolist()
    encoded = [(value or "").encode("utf-8", "surrogatepass") for value in values[start:]]
    inside = [-len(e) <= position < len(e) for e in encoded]
    assert found == [e[position] if ok else 0 for e, ok in zip(encoded, inside, strict=True)]


def test_a_batch_is_cut_by_bytes_and_by_cells_in_order(monkeypatch):
    batch = pa.RecordBatch.from_arrays([pa.array(["x" * 1000] * 50), pa.array(range(50))], names=["a", "b"])
    monkeypatch.setattr(text, "PIECE_BYTES", 5000)
    cut = list(text.pieces(batch))
    assert max(piece.nbytes for piece in cut) <= 5000
    assert [n for piece in cut for n in piece["b"].to_pylist()] == list(range(50))
    monkeypatch.setattr(text, "PIECE_BYTES", 1 << 30)
    monkeypatch.setattr(text, "PIECE_CELLS", 10)
    assert max(piece.num_rows for piece in text.pieces(batch)) <= 5


def test_what_stands_under_a_null_is_not_looked_at_as_a_value():
    hidden = pa.StringArray.from_buffers(
        3, pa.py_buffer(np.array([0, 1, 3, 4], np.int32)), pa.py_buffer(b'5"x7'), pa.py_buffer(b"\x05"), 1
    )
    assert hidden.to_pylist() == ["5", None, "7"]
    assert plain_numbers(hidden)
    assert text.byte_at(hidden, 0).tolist() == [ord("5"), 0, ord("7")]
    assert text.longest(hidden) == 1


@pytest.mark.parametrize("name", ["Data", "x" * 31, "😀" * 15, "ab" * 15])
def test_names_of_further_sheets_differ_and_fit(name):
    names = sheet_names(name, 120)
    assert len({other.lower() for other in names}) == 120
    assert all(len(other.encode("utf-16-le")) <= 62 for other in names)
