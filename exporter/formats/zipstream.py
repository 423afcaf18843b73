"""A zip archive written front to back, deflated for speed.

Sizes follow each member in a data descriptor, and ZIP64 records appear only where a number needs them, so a small
archive is one that every reader takes. Times are fixed: equal data gives equal bytes.
"""

import struct
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from exporter.formats.base import Stream
from exporter.formats.packing import Packing

LEVEL = 1  # of isal: a fifth larger than zlib's 6, several times faster
LIMIT32 = 0xFFFFFFFF  # numbers from here on stand in a ZIP64 record
_LIMIT16 = 0xFFFF
_ELSEWHERE = 0xFFFFFFFF
_FLAGS = 0x0808  # sizes follow the data; names are UTF-8
_DEFLATED = 8
_EPOCH = 0x0021 << 16  # 1980-01-01 00:00, the first moment a zip knows
_RAW_DEFLATE = -15


@dataclass(kw_only=True)
class _Member:
    name: bytes
    offset: int
    crc: int = 0
    size: int = 0
    packed: int = 0


class ZipStream:
    """One member is open at a time; `write` goes to it, and what is written must not change any more."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._position = 0
        self._members: list[_Member] = []
        self._deflater = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
        self._packing = Packing(self._pack, self._put_packed)

    def open(self, name: str) -> None:
        member = _Member(name=name.encode(), offset=self._position)
        self._members.append(member)
        self._deflater = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
        self._put(
            struct.pack(
                "<4sHHHLLLLHH", b"PK\3\4", 20, _FLAGS, _DEFLATED, _EPOCH, 0, 0, 0, len(member.name), 0
            )
            + member.name
        )

    def write(self, data: Any) -> int:
        return self._packing.write(data)

    def close(self) -> None:
        """Finish the open member."""
        self._packing.settle()
        member = self._members[-1]
        self._put_packed(self._deflater.flush())
        sizes = "QQ" if max(member.size, member.packed) >= LIMIT32 else "LL"
        self._put(struct.pack(f"<4sL{sizes}", b"PK\7\10", member.crc, member.packed, member.size))

    def add(self, name: str, data: bytes) -> None:
        self.open(name)
        self.write(data)
        self.close()

    def finish(self) -> None:
        """Write the directory: without it, nobody takes the bytes for an archive."""
        self._packing.close()
        start = self._position
        for member in self._members:
            self._put(_directory_entry(member))
        self._put(_end(len(self._members), start, self._position - start))

    def abandon(self) -> None:
        """Write nothing more. May follow any other call."""
        self._packing.close()

    def _pack(self, data: Any) -> bytes:
        """Deflate a block and take note of it; one at a time, in order."""
        member = self._members[-1]
        member.crc = isal_zlib.crc32(data, member.crc)
        member.size += memoryview(data).nbytes
        return bytes(self._deflater.compress(data))

    def _put_packed(self, packed: bytes) -> None:
        self._members[-1].packed += len(packed)
        self._put(packed)

    def _put(self, data: bytes) -> None:
        self._position += len(data)
        if data:
            self._stream.write(data)


def _directory_entry(member: _Member) -> bytes:
    numbers = (member.size, member.packed, member.offset)
    wide = [number for number in numbers if number >= LIMIT32]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, packed, offset = (_in_32_bits(number) for number in numbers)
    version = 45 if wide else 20
    lengths = (len(member.name), len(extra), 0, 0, 0)
    return (
        struct.pack("<4sHHHH", b"PK\1\2", version, version, _FLAGS, _DEFLATED)
        + struct.pack("<LLLLHHHHHLL", _EPOCH, member.crc, packed, size, *lengths, 0, offset)
        + member.name
        + extra
    )


def _in_32_bits(number: int) -> int:
    return number if number < LIMIT32 else _ELSEWHERE


def _end(count: int, start: int, size: int) -> bytes:
    plain = struct.pack(
        "<4sHHHHLLH",
        b"PK\5\6",
        0,
        0,
        min(count, _LIMIT16),
        min(count, _LIMIT16),
        _in_32_bits(size),
        _in_32_bits(start),
        0,
    )
    if count < _LIMIT16 and max(size, start) < LIMIT32:
        return plain
    record = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1) + plain
