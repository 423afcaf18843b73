"""Counting the rows of a file from its bytes, as they go by."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

Units = np.ndarray[Any, np.dtype[Any]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int64]]

WORD = 64  # bits
_SEGMENT = 1 << 17  # units at a time, so that all of it stays in the processor's cache
_QUOTE, _NEWLINE = 0x22, 0x0A
_ROW = int.from_bytes(b"<r", "little")
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def row_tags(data: Any) -> int:
    """Count `<r`, two bytes at a time at both of the places where they may start: no other tag begins so."""
    units, found = np.frombuffer(data, np.uint8), 0
    for _, part in segments(units, overlap=1):
        for shifted in (part, part[1:]):
            pairs = shifted[: len(shifted) & ~1].view("<u2")
            found += int(np.count_nonzero(pairs == _ROW))
    return found


def newlines(units: Units) -> int:
    return sum(int(np.count_nonzero(part == _NEWLINE)) for _, part in segments(units))


class QuotedLines:
    """Counts newlines outside double quotes, across any cutting of the bytes."""

    def __init__(self, *, wide: bool = False) -> None:
        """Count in units of two bytes, little endian, where `wide`."""
        self.lines = 0
        self._quotes = Quotes()
        self._unit = "<u2" if wide else "u1"

    def feed(self, data: Any) -> None:
        for _, units in segments(np.frombuffer(data, self._unit)):
            newlines = bits(units == _NEWLINE) & self._quotes.outside(units)
            self.lines += int(np.bitwise_count(newlines).sum())


def places_of(mask: Words) -> tuple[Places, Places]:
    """Give the words and, within them, the bits that are set."""
    words = np.flatnonzero(mask)
    found = np.flatnonzero(np.unpackbits(mask[words].view(np.uint8), bitorder="little"))
    return words[found // WORD], found % WORD


class Ranks:
    """Numbers places by how many separators stand before them; segments are fed in order."""

    def __init__(self) -> None:
        self.separators = 0

    def passed(self, separators: Words) -> None:
        """Go by the separators of a segment in which no place is asked for."""
        self.separators += int(np.bitwise_count(separators).sum())

    def of(self, separators: Words, places: Words) -> Places:
        """Give the number of separators before each of the places, both of them bit masks of one segment."""
        counts = np.bitwise_count(separators).astype(np.int64)
        before = np.cumsum(counts) - counts + self.separators
        self.separators += int(counts.sum())
        at, bit = places_of(places)
        below = (np.uint64(1) << bit.astype(np.uint64)) - np.uint64(1)
        return np.asarray(before[at] + np.bitwise_count(separators[at] & below))


def places_outside(data: Any, wanted: bytes) -> Places:
    """Find every one of the wanted bytes outside double quotes."""
    quotes, found = Quotes(), [np.zeros(0, np.int64)]
    for start, units in segments(np.frombuffer(data, np.uint8)):
        words = bits(one_of(units, wanted)) & quotes.outside(units)
        found.append(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")) + start)
    return np.concatenate(found)


def one_of(units: Units, wanted: bytes) -> Truths:
    return reduce(np.bitwise_or, [units == byte for byte in wanted])


def segments(units: Units, *, overlap: int = 0) -> Iterator[tuple[int, Units]]:
    for start in range(0, len(units), _SEGMENT):
        yield start, units[start : start + _SEGMENT + overlap]


class Quotes:
    """Tells which places are outside double quotes, segment after segment.

    A doubled quote flips the state twice, which is right. The state of all places is found at once: bit masks of 64
    places, a running XOR inside each mask, and one more over the masks.
    """

    def __init__(self) -> None:
        self.inside = False

    def outside(self, units: Units) -> Words:
        inside = _running_xor(bits(units == _QUOTE))
        odd = inside >> np.uint64(63)
        state = np.bitwise_xor.accumulate(odd)
        before = np.concatenate(([np.uint64(0)], state[:-1])) ^ np.uint64(self.inside)
        self.inside ^= bool(state[-1])
        return ~(inside ^ (before * _ALL))


def bits(truths: Truths) -> Words:
    packed = np.packbits(truths, bitorder="little")
    padded = np.zeros(-(-len(packed) // 8) * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8")


def _running_xor(words: Words) -> Words:
    for distance in (1, 2, 4, 8, 16, 32):
        words = words ^ (words << np.uint64(distance))
    return words
