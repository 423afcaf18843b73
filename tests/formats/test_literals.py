"""Arrow values made without pandas, and writers that make theirs so."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from exporter import literals

WRITES = """
import io, json, sys
import pyarrow as pa
from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.sources.base import Column, Kind

kinds = {"number": Kind.INTEGER, "word": Kind.TEXT, "day": Kind.DATE}
columns = tuple(Column(name=name, kind=kind, database_type="any", nullable=True) for name, kind in kinds.items())
with pa.ipc.open_stream(sys.stdin.buffer) as rows:
    batches = list(rows)
entry = registry.get(sys.argv[1])
stream = io.BytesIO()
options = parse_options(entry, {}, defaults={})
request = WriterRequest(stream=stream, columns=columns, options=options, include_headers=True, file_name="file")
writer = entry.open_writer(request)
for batch in batches:
    writer.write(batch)
writer.finish()
print(json.dumps({"bytes": len(stream.getvalue()), "pandas": "pandas" in sys.modules}))
"""


def test_texts_are_what_arrow_makes_of_them():
    assert literals.texts(["", "ä", "b"]).equals(pa.array(["", "ä", "b"]))
    assert literals.texts([]).equals(pa.array([], pa.string()))
    assert literals.text("ü").as_py() == "ü"


def test_numbers_truths_and_nothing_are_what_arrow_makes_of_them():
    assert literals.integers(np.arange(-3, 3, 2)).equals(pa.array([-3, -1, 1]))
    assert literals.integer(7).equals(pa.scalar(7))
    mask = np.arange(19) % 3 == 0
    assert literals.truths(mask).equals(pa.array(mask))
    assert literals.nothing(pa.string()).equals(pa.scalar(None, pa.string()))


@pytest.mark.parametrize("name", ["csv", "json", "parquet", "excel"])
def test_a_file_is_written_without_loading_pandas(name):
    days = pa.array(["2024-02-29", None])  # as a database spells it
    batch = pa.record_batch({"number": [1, 2], "word": ['a "b"', None], "day": days})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write(batch)
    done = subprocess.run(
        [sys.executable, "-c", WRITES, name],
        input=sink.getvalue().to_pybytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["bytes"] > 0
    assert not told["pandas"]
