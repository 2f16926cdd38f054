"""What a TAR is packed in: gzip, bzip2, xz or Zstandard."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

import zstandard

XZ_MEMORY_BYTES = 256 << 20
"""The most that unpacking xz may take; `xz -9` needs 65 MiB, and a hostile header could ask for 4 GiB."""


class Decompressor(Protocol):
    """What unpacks one xz stream or Zstandard frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class FrameReader:
    """The bytes of streams of xz or Zstandard put one behind the other.

    lzma.LZMAFile has no limit on memory, and zstandard's reader does not tell a stream that was cut off.
    """

    PIECE_BYTES = 256  # Zstandard gives up to 128 KiB for every 4 of them, and has no way to ask for less.

    def __init__(self, stream: BinaryIO, start: Callable[[], Decompressor]) -> None:
        self._stream = stream
        self._start = start
        self._frame = start()
        self._left = b""
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises EOFError where the stream was cut off."""
        while not self._ready:
            packed, self._left = self._left or self._stream.read(self.PIECE_BYTES), b""
            if self._frame.eof:
                if not packed:
                    return b""
                if not (packed := packed.lstrip(b"\0")):
                    continue
                self._frame = self._start()
            elif not packed:
                raise EOFError("the packed stream ends too early")
            self._ready = memoryview(self._frame.decompress(packed))
            if self._frame.eof:
                self._left = self._frame.unused_data
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream's bytes without their gzip, bzip2, xz or Zstandard packing, or the stream itself."""
    start = stream.read(6)
    stream.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(stream))
    if start == b"\xfd7zXZ\0":
        return cast(BinaryIO, FrameReader(stream, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(BinaryIO, FrameReader(stream, lambda: zstandard.ZstdDecompressor().decompressobj()))
    return stream
