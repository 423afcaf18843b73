import io
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import settings

from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.sources.base import Column, Kind

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault
settings.load_profile("unhurried")


def make_column(name, kind=Kind.TEXT, **facts):
    return Column(name=name, kind=kind, database_type=facts.pop("database_type", kind.value), **facts)


def as_batch(arrays):
    return pa.RecordBatch.from_arrays(list(arrays), names=[f"c{i}" for i in range(len(arrays))])


def write_file(format_name, columns, batches, *, headers=True, name=None, **raw):
    """Write batches (lists of arrays, or record batches) and give the bytes, the writer and the options."""
    entry = registry.get(format_name)
    options = parse_options(entry, raw, defaults={})
    stream = io.BytesIO()
    request = WriterRequest(
        stream=stream, columns=tuple(columns), options=options, include_headers=headers, file_name=name
    )
    writer = entry.open_writer(request)
    for batch in batches:
        writer.write(batch if isinstance(batch, pa.RecordBatch) else as_batch(batch))
    writer.finish()
    notices = {notice.code: notice.count for notice in writer.notices()}
    return SimpleNamespace(
        data=stream.getvalue(),
        rows=writer.rows_in_file,
        notices=notices,
        options=options,
        writer=writer,
    )


@pytest.fixture(scope="session")
def column():
    return make_column


@pytest.fixture(scope="session")
def write():
    return write_file
