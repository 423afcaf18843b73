import datetime as dt
import decimal
import gc
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.formats import parquet, registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.sources.base import Kind
from exporter.sources.types import arrow_type

D = decimal.Decimal
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read(done):
    return pq.read_table(io.BytesIO(done.data), page_checksum_verification=True)


def every_type(column):
    return [
        (column("i", Kind.INTEGER), [-(2**63), 2**63 - 1, None]),
        (column("i2", Kind.INTEGER, bits=16), [-32768, 32767, None]),
        (column("i4", Kind.INTEGER, bits=32), [-(2**31), 2**31 - 1, None]),
        (column("f", Kind.FLOAT), [0.1, float("inf"), None]),
        (column("f4", Kind.FLOAT, bits=32), [0.5, float("-inf"), None]),
        (column("d", Kind.DECIMAL, precision=12, scale=2), [D("9999999999.99"), D("-0.01"), None]),
        (
            column("d38", Kind.DECIMAL, precision=38, scale=10),
            [D("9" * 28 + "." + "9" * 10), D("0E-10"), None],
        ),
        (column("d76", Kind.DECIMAL, precision=76, scale=1), [D("9" * 75 + ".9"), D("-1.5"), None]),
        (column("d0", Kind.DECIMAL), ["123456.789", "NaN", None]),
        (column("b", Kind.BOOLEAN), [True, False, None]),
        (column("t.x t", Kind.TEXT), ["", 'q"\n\0😀', None]),
        (column("dd", Kind.DATE), [dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
        (column("ti", Kind.TIME), [dt.time(0), dt.time(23, 59, 59, 999999), None]),
        (
            column("ts", Kind.TIMESTAMP),
            [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), None],
        ),
        (
            column("tz", Kind.TIMESTAMPTZ),
            [dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC), None],
        ),
        (column("x", Kind.BINARY), [b"\x00\xff", b"", None]),
        (column("u", Kind.UUID), ["6e8bc430-9c3a-11d9-9669-0800200c9a66", None, ""]),
        (column("j", Kind.JSON), ["{}", None, "[1]"]),
        (column("a", Kind.ARRAY), ["{1,2}", None, "{}"]),
        (column("o", Kind.OTHER), ["1 day", None, ""]),
        (column("v", Kind.VARIANT), ["1", None, ""]),
    ]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
def test_every_type_comes_back_with_its_schema_and_database_type(write, column, compression):
    columns, values = zip(*every_type(column), strict=True)
    arrays = [pa.array(value, arrow_type(c)) for c, value in zip(columns, values, strict=True)]
    done = write("parquet", columns, [arrays, [array.slice(1) for array in arrays]], compression=compression)
    table = read(done)
    assert done.rows == table.num_rows == 5
    for c, value in zip(columns, values, strict=True):
        assert table.schema.field(c.name).type == arrow_type(c)
        assert table.schema.field(c.name).metadata[b"database_type"].decode() == c.database_type
        assert table[c.name].to_pylist() == value + value[1:]
    codec = {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    chunk = pq.ParquetFile(io.BytesIO(done.data)).metadata.row_group(0).column(0)
    assert chunk.compression == codec
    assert chunk.statistics.has_min_max


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.none() | texts, st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=9)
        ),
        max_size=20,
    ),
    size=st.integers(1, 25),
    cut=st.integers(0, 20),
)
def test_any_rows_come_back_in_order_whatever_the_row_group_size(write, column, rows, size, cut):
    columns = [column("a"), column("b", Kind.INTEGER), column("c", Kind.BINARY)]
    arrays = [pa.array([row[i] for row in rows], arrow_type(columns[i])) for i in range(3)]
    batch = pa.RecordBatch.from_arrays(arrays, names=["a", "b", "c"])
    done = write("parquet", columns, [batch.slice(0, cut), batch.slice(cut)], row_group_size=size)
    assert [tuple(row.values()) for row in read(done).to_pylist()] == rows
    assert done.rows == len(rows)


def groups(done):
    metadata = pq.ParquetFile(io.BytesIO(done.data)).metadata
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def test_row_groups_have_the_size_asked_for_across_batches(write, column):
    batches = [[pa.array(range(n))] for n in (3, 4, 10, 1)]
    done = write("parquet", [column("a", Kind.INTEGER)], batches, row_group_size=5)
    assert groups(done) == [5, 5, 5, 3]
    assert read(done)["a"].to_pylist() == [*range(3), *range(4), *range(10), 0]


def test_a_row_group_ends_when_it_holds_many_bytes(write, column, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_HELD_BYTES", 1000)
    done = write("parquet", [column("a")], [[pa.array(["x" * 600] * 2)]] * 3)
    assert groups(done) == [2, 2, 2]


def test_row_groups_grow_where_a_file_would_have_too_many(write, column, monkeypatch):
    monkeypatch.setattr(parquet, "GROUPS_BEFORE_GROWTH", 3)
    done = write("parquet", [column("a", Kind.INTEGER)], [[pa.array(range(20))]], row_group_size=1)
    assert groups(done) == [1, 1, 1, 2, 2, 2, 4, 4, 3]
    assert read(done)["a"].to_pylist() == list(range(20))


def test_no_rows_give_a_file_with_its_schema(write, column):
    columns, _ = zip(*every_type(column), strict=True)
    table = read(write("parquet", columns, []))
    assert table.num_rows == 0
    assert [field.type for field in table.schema] == [arrow_type(c) for c in columns]


def test_a_batch_of_another_type_is_refused(write, column):
    with pytest.raises(pa.ArrowInvalid):
        write("parquet", [column("a", Kind.INTEGER)], [[pa.array(["x"])]])


def opened(stream, column):
    entry = registry.get("parquet")
    options = parse_options(entry, {"row_group_size": 10}, defaults={})
    return entry.open_writer(
        WriterRequest(stream=stream, columns=(column("a", Kind.INTEGER),), options=options)
    )


@pytest.mark.parametrize("word", ["abandon", "forget"])
def test_a_file_that_was_not_finished_is_no_parquet_file(column, word):
    stream = io.BytesIO()
    writer = opened(stream, column)
    writer.write(pa.RecordBatch.from_arrays([pa.array(range(25))], names=["a"]))
    before = stream.getvalue()
    assert before.startswith(b"PAR1")
    if word == "abandon":
        writer.abandon()
        writer.abandon()
    del writer
    gc.collect()
    assert stream.getvalue() == before
    with pytest.raises(pa.ArrowInvalid):
        pq.ParquetFile(io.BytesIO(before))


def test_the_streams_own_error_comes_through(column):
    class Full(io.BytesIO):
        def write(self, _data):
            raise OSError(28, "No space left on device")

    writer = opened(Full(), column)
    with pytest.raises(OSError, match="No space left"):
        writer.write(pa.RecordBatch.from_arrays([pa.array(range(25))], names=["a"]))
    writer.abandon()


def test_many_columns_and_wide_cells_are_whole(write, column):
    columns = [column(f"c{i}") for i in range(1000)]
    done = write("parquet", columns, [[pa.array([f"v{i}", None]) for i in range(1000)]])
    assert read(done).to_pylist()[0] == {f"c{i}": f"v{i}" for i in range(1000)}
    wide = "ab\n" * 3_500_000
    assert read(write("parquet", [column("a")], [[pa.array([wide, None])]]))["a"].to_pylist() == [wide, None]


def test_pandas_reads_it(write, column):
    import pandas as pd

    done = write(
        "parquet", [column("a", Kind.INTEGER), column("b")], [[pa.array([1, 2]), pa.array(["x", None])]]
    )
    frame = pd.read_parquet(io.BytesIO(done.data))
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].tolist()[0] == "x"
