"""Counting the rows of a file from its bytes, as they go by."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np

Units = np.ndarray[Any, np.dtype[Any]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int64]]
Test = Callable[[Units], Truths]

_SEGMENT = 1 << 18  # units at a time, so that all of it stays in the processor's cache
_QUOTE, _NEWLINE = 0x22, 0x0A
_ROW = int.from_bytes(b"<r", "little")
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def row_tags(data: Any) -> int:
    """Count `<r`, two bytes at a time at both of the places where they may start: no other tag begins so."""
    units, found = np.frombuffer(data, np.uint8), 0
    for _, part in _segments(units, overlap=1):
        for shifted in (part, part[1:]):
            pairs = shifted[: len(shifted) & ~1].view("<u2")
            found += int(np.count_nonzero(pairs == _ROW))
    return found


class QuotedLines:
    """Counts newlines outside double quotes, across any cutting of the bytes."""

    def __init__(self, *, wide: bool = False) -> None:
        """Count in units of two bytes, little endian, where `wide`."""
        self.lines = 0
        self._quotes = _Quotes()
        self._unit = "<u2" if wide else "u1"

    def feed(self, data: Any) -> None:
        for _, units in _segments(np.frombuffer(data, self._unit)):
            newlines = _bits(units == _NEWLINE) & self._quotes.outside(units)
            self.lines += int(np.bitwise_count(newlines).sum())


def places_outside(data: Any, wanted: bytes) -> Places:
    """Find every one of the wanted bytes outside double quotes."""
    quotes, found = _Quotes(), [np.zeros(0, np.int64)]
    for start, units in _segments(np.frombuffer(data, np.uint8)):
        words = _bits(one_of(units, wanted)) & quotes.outside(units)
        found.append(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")) + start)
    return np.concatenate(found)


def one_of(units: Units, wanted: bytes) -> Truths:
    return reduce(np.bitwise_or, [units == byte for byte in wanted])


def have_pair(data: Any, first: Test, second: Test) -> bool:
    """Whether a byte that passes the first test stands before one that passes the second."""
    return any(
        bool((first(units[:-1]) & second(units[1:])).any())
        for _, units in _segments(np.frombuffer(data, np.uint8), overlap=1)
    )


def _segments(units: Units, overlap: int = 0) -> Iterator[tuple[int, Units]]:
    for start in range(0, len(units), _SEGMENT):
        yield start, units[start : start + _SEGMENT + overlap]


class _Quotes:
    """Tells which places are outside double quotes, segment after segment.

    A doubled quote flips the state twice, which is right. The state of all places is found at once: bit masks of 64
    places, a running XOR inside each mask, and one more over the masks.
    """

    def __init__(self) -> None:
        self._inside = False

    def outside(self, units: Units) -> Words:
        inside = _running_xor(_bits(units == _QUOTE))
        odd = inside >> np.uint64(63)
        state = np.bitwise_xor.accumulate(odd)
        before = np.concatenate(([np.uint64(0)], state[:-1])) ^ np.uint64(self._inside)
        self._inside ^= bool(state[-1])
        return ~(inside ^ (before * _ALL))


def _bits(truths: Truths) -> Words:
    packed = np.packbits(truths, bitorder="little")
    padded = np.zeros(-(-len(packed) // 8) * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8")


def _running_xor(words: Words) -> Words:
    for distance in (1, 2, 4, 8, 16, 32):
        words = words ^ (words << np.uint64(distance))
    return words
