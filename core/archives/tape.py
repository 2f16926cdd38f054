"""A TAR as the sequence of bytes it is: read forward or skipped, from a plain file or from a compressed stream."""

from collections.abc import Callable
from typing import BinaryIO, Protocol

from core.archives.members import ArchiveLimits
from core.archives.streams import (
    FREE_BYTES,
    PIECE_BYTES,
    BrokenStreamError,
    Decoder,
    Unpacker,
    ZstdDecoder,
    bzip2_decoder,
    gzip_decoder,
    xz_decoder,
)
from core.errors import ArchiveError, MemberError

BLOCK_BYTES = 512
HEADERS_PER_ENTRY_BYTES = 4096
STREAM_FREE_BYTES = 16 * FREE_BYTES

ZSTD_MAGIC = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16)))
PACKINGS: tuple[tuple[tuple[bytes, ...], Callable[[], Decoder]], ...] = (
    ((b"\x1f\x8b",), gzip_decoder),
    ((b"BZh",), bzip2_decoder),
    ((b"\xfd7zXZ\0",), xz_decoder),
    (ZSTD_MAGIC, ZstdDecoder),
)
"""How the streams start, and what unpacks them. All four may hold several streams one after another."""


class Tape(Protocol):
    """Bytes that are read forward only."""

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end. Raises BrokenStreamError, ArchiveError."""

    def skip(self, count: int) -> None:
        """Pass over count bytes. Raises BrokenStreamError where there are fewer, ArchiveError."""

    def drain(self) -> None:
        """Pass over the rest, so that a stream's checksum is compared. Raises BrokenStreamError, ArchiveError."""


class PlainTape:
    """An uncompressed TAR; skipping costs nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        self._position = 0

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end."""
        self._stream.seek(self._position)
        piece = self._stream.read(count)
        self._position += len(piece)
        return piece

    def skip(self, count: int) -> None:
        """Pass over count bytes."""
        if count > self._size - self._position:
            raise BrokenStreamError("the archive ends inside a file")
        self._position += count

    def drain(self) -> None:
        """Pass over the rest."""
        self._position = self._size


class PackedTape:
    """A compressed TAR. Everything unpacked is counted: headers, padding and members nobody reads as well."""

    def __init__(self, unpacker: Unpacker, limits: ArchiveLimits) -> None:
        self._unpacker = unpacker
        self._max_ratio = limits.max_entry_ratio
        self._max_bytes = limits.max_total_bytes + limits.max_entries * HEADERS_PER_ENTRY_BYTES + FREE_BYTES
        self._broken: BrokenStreamError | None = None

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end."""
        if self._broken is not None:
            raise BrokenStreamError(str(self._broken))
        try:
            piece = self._unpacker.read(count)
        except BrokenStreamError as error:
            self._broken = error
            raise
        self._check_bomb()
        return piece

    def skip(self, count: int) -> None:
        """Pass over count bytes."""
        while count:
            piece = self.read(min(count, PIECE_BYTES))
            if not piece:
                raise BrokenStreamError("the archive ends inside a file")
            count -= len(piece)

    def drain(self) -> None:
        """Pass over the rest."""
        while self.read(PIECE_BYTES):
            pass

    def _check_bomb(self) -> None:
        unpacked, packed = self._unpacker.unpacked_bytes, self._unpacker.packed_bytes
        if unpacked > self._max_bytes:
            raise ArchiveError("archive_too_large", "the archive unpacks to more than the limit on its total size")
        if unpacked > max(STREAM_FREE_BYTES, self._max_ratio * packed):
            raise ArchiveError("archive_too_large", "the archive unpacks to suspiciously many times its packed size")


def unpacker_for(stream: BinaryIO) -> Unpacker | None:
    """Return what unpacks a stream, from its start and by its first bytes; None where it is not packed."""
    stream.seek(0)
    start = stream.read(8)
    stream.seek(0)
    for magic, new_decoder in PACKINGS:
        if start.startswith(magic):
            return Unpacker(stream.read, new_decoder, magic)
    return None


def read_exactly(tape: Tape, count: int) -> bytes:
    """Return count bytes, or fewer where the tape ends."""
    pieces = []
    while count and (piece := tape.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


class TapeData:
    """The bytes of one member on the tape, with the padding behind them; of use until the walk goes on."""

    def __init__(self, tape: Tape, path: str, size: int) -> None:
        self._tape = tape
        self._path = path
        self._left = size
        self._padding = -size % BLOCK_BYTES
        self._passed = False

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the member's end.

        Raises:
            MemberError: damaged_entry, where the archive ends or breaks inside the member.
            ArchiveError: archive_too_large.
            ValueError: the walk has gone on.
        """
        if self._passed:
            raise ValueError(f"{self._path}: a member of a TAR can be read only until the next one is asked for")
        try:
            piece = self._tape.read(min(count, self._left)) if self._left else b""
        except BrokenStreamError as error:
            raise MemberError("damaged_entry", f"{self._path}: is damaged in the archive") from error
        if self._left and not piece:
            raise MemberError("damaged_entry", f"{self._path}: is cut off, as the archive ends inside it")
        self._left -= len(piece)
        return piece

    def pass_over(self) -> None:
        """Go to the next header, whatever was read. Raises BrokenStreamError, ArchiveError."""
        self._passed = True
        self._tape.skip(self._left + self._padding)
