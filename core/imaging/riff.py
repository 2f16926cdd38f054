"""The chunks of RIFF files, of which WebP is one. Source: RFC 9649 (WebP) section 2.3."""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import ImageError

MAX_CHUNKS = 100_000
HEAD_BYTES = 12


@dataclass(frozen=True)
class Chunk:
    """Where a chunk stands in a file.

    Args:
        kind: its four letters.
        start: where its data begin.
        size: bytes of its data.
    """

    kind: bytes
    start: int
    size: int

    def read(self, stream: BinaryIO) -> bytes:
        """Its data."""
        stream.seek(self.start)
        return stream.read(self.size)


def read_chunks(stream: BinaryIO) -> Iterator[Chunk]:
    """All chunks of a file, in their order. Raises ImageError(truncated_image | unreadable_image)."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    file_end = stream.seek(0, io.SEEK_END)
    if len(head) < HEAD_BYTES:
        raise _truncated()
    end = 8 + int(struct.unpack_from("<I", head, 4)[0])
    if end > file_end:
        raise _truncated()
    start = HEAD_BYTES
    for _ in range(MAX_CHUNKS):
        if start + 8 > end:
            return
        stream.seek(start)
        kind, size = struct.unpack("<4sI", stream.read(8))
        if start + 8 + size > end:
            raise _truncated()
        yield Chunk(kind, start + 8, size)
        start += 8 + size + size % 2
    raise ImageError("unreadable_image", "The file has more chunks than any real one.")


def _truncated() -> ImageError:
    return ImageError("truncated_image", "The file ends before its last chunk does.")


def write(stream: BinaryIO, form: bytes, chunks: Sequence[tuple[bytes, bytes | memoryview]]) -> None:
    """Write a file of some form (its four letters, such as b"WEBP") with chunks of the given kinds and data."""
    total = len(form) + sum(8 + len(data) + len(data) % 2 for _, data in chunks)
    stream.write(struct.pack("<4sI4s", b"RIFF", total, form))
    for kind, data in chunks:
        stream.write(struct.pack("<4sI", kind, len(data)))
        stream.write(data)
        stream.write(b"\0" * (len(data) % 2))
