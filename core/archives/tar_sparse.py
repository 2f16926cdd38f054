"""Sparse TAR members: files whose holes were left out. The map says where the stored bytes belong; the rest is zeros.

Source: "Storing Sparse Files", GNU tar manual, appendix on internals; old GNU format and PAX formats 0.0, 0.1 and 1.0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.archives.streams import Read

MAX_EXTENTS = 65_536
MAX_DIGITS = 19


class BadMapError(Exception):
    """A map that is malformed, overlaps itself, or leaves its file."""


@dataclass(frozen=True)
class SparseMap:
    """The stored stretches (offset, length), ascending and apart, in bytes; and the file's size with its holes."""

    extents: tuple[tuple[int, int], ...]
    size_bytes: int


def sparse_map(numbers: Sequence[int], size_bytes: int, stored_bytes: int) -> SparseMap:
    """Return the map given by offset, length, offset, length, ...

    Raises:
        BadMapError: it overlaps itself, leaves the file, or needs more bytes than are stored.
    """
    if len(numbers) % 2 or len(numbers) > 2 * MAX_EXTENTS:
        raise BadMapError("odd or too many numbers")
    end = 0
    extents = [pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair[1]]
    for offset, length in extents:
        if offset < end or length < 0:
            raise BadMapError("stretches overlap")
        end = offset + length
    if end > size_bytes or sum(length for _, length in extents) > stored_bytes:
        raise BadMapError("stretches leave the file")
    return SparseMap(tuple(extents), size_bytes)


def decimal(text: bytes) -> int:
    """Return a plain decimal number. Raises BadMapError for anything else."""
    if not text.isdigit() or len(text) > MAX_DIGITS:
        raise BadMapError("not a number")
    return int(text)


def numbers_from_pax(records: Sequence[tuple[str, bytes]]) -> list[int]:
    """Return the numbers of a PAX 0.0 map (repeated records) or of a 0.1 map (one list). Raises BadMapError."""
    for key, value in records:
        if key == "GNU.sparse.map":
            return [decimal(part) for part in value.split(b",")] if value else []
    return [decimal(value) for key, value in records if key in ("GNU.sparse.offset", "GNU.sparse.numbytes")]


def numbers_from_data(next_block: Callable[[], bytes]) -> list[int]:
    """Return the numbers of a PAX 1.0 map: lines at the start of the data, their count first. Raises BadMapError."""
    lines = bytearray()
    needed = 1
    while lines.count(b"\n") < needed:
        block = next_block()
        lines += block
        if needed == 1 and b"\n" in block:
            needed = 1 + 2 * decimal(bytes(lines.split(b"\n", 1)[0]))
        if not block or needed > 1 + 2 * MAX_EXTENTS or len(lines) > needed * (MAX_DIGITS + 1) + len(block):
            raise BadMapError("the map is cut off or too long")
    return [decimal(bytes(line)) for line in lines.split(b"\n")[1:needed]]


class SparseReader:
    """A sparse member's bytes with the holes filled in."""

    def __init__(self, stored: Read, layout: SparseMap) -> None:
        self._stored = stored
        self._extents = list(reversed(layout.extents))
        self._size = layout.size_bytes
        self._position = 0

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end; raises what the stored bytes' reader raises."""
        while self._extents and self._position >= sum(self._extents[-1]):
            self._extents.pop()
        offset, length = self._extents[-1] if self._extents else (self._size, 0)
        if self._position < offset:
            piece = bytes(min(count, offset - self._position))
        else:
            piece = self._stored(min(count, offset + length - self._position)) if length else b""
        self._position += len(piece)
        return piece
