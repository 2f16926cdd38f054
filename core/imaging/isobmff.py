"""Boxes, of which JPEG 2000, AVIF and HEIC files are made.

Source: ISO/IEC 14496-12 section 4.2, ISO/IEC 15444-1 annex I.4, C2PA 2.1 section A.5.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import ImageError

MAX_BOXES = 10_000
CREDENTIALS_ID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""With what the contents of a uuid box begin that holds a C2PA manifest."""


@dataclass(frozen=True)
class Box:
    """Where a box stands in a file.

    Args:
        kind: its four letters.
        start: where its contents begin, behind size and kind.
        end: where it ends.
    """

    kind: bytes
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of its contents."""
        return self.end - self.start


def read_boxes(stream: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes that stand one behind the other from start to end.

    Raises ImageError(truncated_image) for one that goes past the end, ImageError(unreadable_image) for what is no box.
    """
    for _ in range(MAX_BOXES):
        if start >= end:
            return
        box = _read_box(stream, start, end)
        yield box
        start = box.end
    raise ImageError("unreadable_image", "The file has more boxes than any real one.")


def _read_box(stream: BinaryIO, start: int, end: int) -> Box:
    stream.seek(start)
    head = stream.read(min(16, end - start))
    if len(head) < 8:
        raise ImageError("truncated_image", "The file ends inside of a box.")
    size, kind = struct.unpack_from(">I4s", head)
    head_size = 8
    if size == 1:
        if len(head) < 16:
            raise ImageError("truncated_image", "The file ends inside of a box.")
        size, head_size = struct.unpack_from(">Q", head, 8)[0], 16
    if size == 0:
        size = end - start
    if size < head_size:
        raise ImageError("unreadable_image", "A box of the file is smaller than its own head.")
    if start + size > end:
        raise ImageError("truncated_image", f"The file ends inside of its box {kind!r}.")
    return Box(kind, start + head_size, start + size)


def has_credentials(stream: BinaryIO) -> bool:
    """Whether one of a file's outermost boxes holds a C2PA manifest."""
    size = len(CREDENTIALS_ID)
    boxes = (box for box in file_boxes(stream) if box.kind == b"uuid" and box.size >= size)
    return any(contents(stream, Box(box.kind, box.start, box.start + size), size) == CREDENTIALS_ID for box in boxes)


def file_boxes(stream: BinaryIO) -> list[Box]:
    """The outermost boxes of a file. Raises as read_boxes does."""
    return list(read_boxes(stream, 0, stream.seek(0, io.SEEK_END)))


def contents(stream: BinaryIO, box: Box, limit: int) -> bytes:
    """What is in a box. Raises ImageError(unreadable_image) where that is more than `limit` bytes."""
    if box.size > limit:
        raise ImageError("unreadable_image", f"The file's box {box.kind!r} is larger than any real one.")
    stream.seek(box.start)
    return stream.read(box.size)


def make_box(kind: bytes, *parts: bytes) -> bytes:
    """A box, with its size before it. It must be smaller than 4 GB."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def make_full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box that begins with a version and flags."""
    return make_box(kind, struct.pack(">I", version << 24 | flags), *parts)
