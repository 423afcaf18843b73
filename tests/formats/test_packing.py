"""Compressing in a thread of its own: the same bytes in order, and no thread left behind."""

import gzip
import io
import threading
import tracemalloc
import zipfile

import pyarrow as pa
import pytest
import zstandard

from exporter.formats import packing, registry, text
from exporter.formats.base import WriterRequest
from exporter.formats.compression import open_sink
from exporter.formats.options import parse_options
from exporter.formats.packing import MAX_WAITING, SMALL, Packing

DEADLINE = 10
UNPACKED = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "zip": lambda data: zipfile.ZipFile(io.BytesIO(data)).read("m.csv"),
}


def packers():
    return [thread for thread in threading.enumerate() if thread.name.startswith(packing.THREAD)]


def test_blocks_come_back_in_order_and_large_ones_from_another_thread():
    threads, out = set(), []

    def pack(data):
        threads.add(threading.current_thread().name)
        return bytes(data[:1])

    work = Packing(pack, out.append)
    work.write(b"0")
    assert threads == {threading.current_thread().name}
    for number in range(1, 9):
        work.write(f"{number}".encode() * (SMALL if number % 2 else 1))
    work.settle()
    assert b"".join(out) == b"012345678"
    work.close()
    assert len(threads) == 2
    assert not packers()


def test_no_more_blocks_wait_than_memory_is_set_aside_for():
    go, begun = threading.Event(), threading.Event()

    def pack(data):
        begun.set()
        assert go.wait(DEADLINE)
        return bytes(data[:1])

    out = []
    work = Packing(pack, out.append)
    for _ in range(MAX_WAITING):
        work.write(b"x" * SMALL)
    assert begun.wait(DEADLINE)
    assert out == []
    go.set()
    work.write(b"y" * SMALL)
    assert out
    work.close()


def test_a_failure_in_the_thread_reaches_the_writer():
    def pack(_data):
        raise MemoryError

    work = Packing(pack, lambda _: None)
    work.write(b"x" * SMALL)
    with pytest.raises(MemoryError):
        work.settle()
    work.close()
    assert not packers()


@pytest.mark.parametrize("compression", sorted(UNPACKED))
def test_packed_files_hold_every_block_whatever_its_size(compression):
    blocks = [bytes([65 + number]) * size for number, size in enumerate([1, SMALL, 10, 3 * SMALL, 0, 7])]
    stream = io.BytesIO()
    sink = open_sink(stream, compression, "m.csv")
    for block in blocks:
        assert sink.write(block) == len(block)
    sink.finish()
    assert UNPACKED[compression](stream.getvalue()) == b"".join(blocks)
    assert not packers()


@pytest.mark.parametrize(
    ("name", "raw"),
    [("csv", {"compression": "zip"}), ("json", {"compression": "gzip"}), ("excel", {})],
)
def test_an_abandoned_writer_writes_nothing_more_and_leaves_no_thread(column, name, raw):
    entry = registry.get(name)
    stream = io.BytesIO()
    options = parse_options(entry, raw, defaults={})
    writer = entry.open_writer(WriterRequest(stream=stream, columns=(column("a"),), options=options))
    for _ in range(5):
        writer.write(pa.RecordBatch.from_arrays([pa.array(["x" * 100] * 5_000)], names=["a"]))
    assert packers()
    before = stream.getvalue()
    writer.abandon()
    writer.abandon()
    assert stream.getvalue() == before
    assert not packers()


def test_looking_for_special_characters_takes_no_more_memory_than_the_texts():
    values = pa.array(["a\nb" * 1_000_000, '"'])
    tracemalloc.start()
    try:
        assert text.special(values, b'"&') == [ord("\n"), ord('"')]
        assert tracemalloc.get_traced_memory()[1] < 4 * values.nbytes
    finally:
        tracemalloc.stop()
