"""Bytes from strangers in bounded pieces: decompression that never gives more than asked for, and counted members."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from core.archives.members import ArchiveLimits
from core.errors import ArchiveError, InputError, MemberError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 64 * 1024
FREE_BYTES = 1024 * 1024
"""Up to here nobody is harmed, and small blank scans may be packed as tightly as they like."""
DECODER_MEMORY_BYTES = 256 * 1024 * 1024
ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
ZSTD_STEP_BYTES = 512

Read = Callable[[int], bytes]
"""Gives 1 to n bytes for n, or none at the end."""


class BrokenStreamError(Exception):
    """Packed bytes that cannot be unpacked, or that end early; the readers turn it into an error of ours."""


class Decoder(Protocol):
    """What `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most max_length bytes."""


class ZlibDecoder:
    """zlib with the bounded interface of bz2 and lzma.

    Args:
        wbits: -15 for raw deflate, 31 for gzip.
    """

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most max_length bytes."""
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(piece) < max_length
        return piece


class ZstdDecoder:
    """Zstandard with the bounded interface of bz2 and lzma.

    Its library unpacks all it is given, so it is given little: 512 bytes hold at most 128 blocks of 128 KiB.
    """

    def __init__(self) -> None:
        # Only workers install zstandard; the web reads no archives but imports this package.
        import zstandard

        self._zstd = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
        self._error = zstandard.ZstdError
        self._packed = io.BytesIO()
        self._unpacked = io.BytesIO()
        self.eof = False
        self.needs_input = True

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data + self._packed.read()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most max_length bytes."""
        if data:
            self._packed = io.BytesIO(self._packed.read() + data)
        piece = self._unpacked.read(max_length)
        while not piece and not self._zstd.eof and (step := self._packed.read(ZSTD_STEP_BYTES)):
            try:
                self._unpacked = io.BytesIO(self._zstd.decompress(step))
            except self._error as error:
                raise BrokenStreamError(str(error)) from error
            piece = self._unpacked.read(max_length)
        self.eof = self._zstd.eof and not piece
        self.needs_input = not piece and not self._zstd.eof
        return piece


def xz_decoder() -> Decoder:
    """Return a decoder of .xz whose memory is bounded, whatever dictionary the stream asks for."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY_BYTES)


def gzip_decoder() -> Decoder:
    """Return a decoder of one gzip member."""
    return ZlibDecoder(31)


def deflate_decoder() -> Decoder:
    """Return a decoder of raw deflate, as in ZIP."""
    return ZlibDecoder(-15)


def bzip2_decoder() -> Decoder:
    """Return a decoder of one bzip2 stream."""
    return bz2.BZ2Decompressor()


class Unpacker:
    """Unpacked bytes of a packed source, never more at once than asked for.

    Args:
        read: gives the packed bytes.
        new_decoder: makes a decoder; called again for every further stream in the source.
        magic: how a further stream starts. What follows a stream and is none is ignored, as gzip(1) does it.
            Empty for a source of exactly one stream.
    """

    def __init__(self, read: Read, new_decoder: Callable[[], Decoder], magic: tuple[bytes, ...] = ()) -> None:
        self._read = read
        self._new_decoder = new_decoder
        self._decoder = new_decoder()
        self._magic = magic
        self._ended = False
        self.packed_bytes = 0
        self.unpacked_bytes = 0

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end.

        Raises:
            BrokenStreamError: the bytes cannot be unpacked, or end before the stream does.
        """
        while not self._ended:
            if self._decoder.eof:
                self._start_next_stream()
                continue
            piece = self._step(count)
            if piece:
                self.unpacked_bytes += len(piece)
                return piece
        return b""

    def _step(self, count: int) -> bytes:
        packed = self._next_packed() if self._decoder.needs_input else b""
        starved = self._decoder.needs_input and not packed
        piece = self._decode(packed, count)
        if starved and not piece and not self._decoder.eof:
            raise BrokenStreamError("the packed bytes end too early")
        return piece

    def _decode(self, packed: bytes, count: int) -> bytes:
        try:
            return self._decoder.decompress(packed, count)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
            raise BrokenStreamError(str(error)) from error

    def _next_packed(self) -> bytes:
        packed = self._read(PIECE_BYTES)
        self.packed_bytes += len(packed)
        return packed

    def _start_next_stream(self) -> None:
        """Go on with the stream that follows the one that ended; zero padding between the two is skipped."""
        rest = self._decoder.unused_data.lstrip(b"\0") if self._magic else b""
        while self._magic and len(rest) < max(map(len, self._magic)):
            packed = self._next_packed()
            if not packed:
                break
            rest = (rest + packed).lstrip(b"\0")
        self._ended = not (self._magic and rest.startswith(self._magic))
        if not self._ended:
            self._decoder = self._new_decoder()
            self._ahead(rest)

    def _ahead(self, packed: bytes) -> None:
        """Give back what was read beyond the end of a stream, so that the next read starts with it."""
        read = self._read

        def read_ahead(count: int) -> bytes:
            self._read = read
            return packed

        self._read = read_ahead
        self.packed_bytes -= len(packed)


class Budget:
    """The bytes that all members of one archive may have together."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._left = limits.max_total_bytes

    def spend(self, count: int) -> None:
        """Count bytes that were handed out.

        Raises:
            ArchiveError: archive_too_large.
        """
        self._left -= count
        if self._left < 0:
            raise ArchiveError("archive_too_large", "the archive unpacks to more than the limit on its total size")


class MemberStream(io.RawIOBase):
    """One member's bytes, counted against its own limit and the archive's. After an error it gives that error for ever.

    Args:
        path: for messages.
        pull: gives the bytes; raises MemberError for what is wrong with them.
    """

    def __init__(self, path: str, pull: Read, limits: ArchiveLimits, budget: Budget) -> None:
        self._path = path
        self._pull = pull
        self._left = limits.max_entry_bytes
        self._budget = budget
        self._failure: InputError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._failure is not None:
            raise type(self._failure)(self._failure.code, self._failure.message)
        with memoryview(buffer).cast("B") as view:
            try:
                piece = self._counted(min(len(view), PIECE_BYTES))
            except InputError as error:
                self._failure = error
                raise
            view[: len(piece)] = piece
        return len(piece)

    def _counted(self, count: int) -> bytes:
        piece = self._pull(count)
        self._left -= len(piece)
        if self._left < 0:
            raise MemberError("entry_too_large", f"{self._path}: is larger than the limit on one file")
        self._budget.spend(len(piece))
        return piece


def member_stream(path: str, pull: Read, limits: ArchiveLimits, budget: Budget) -> io.BufferedReader:
    """Return a member's bytes as a buffered stream under the limits; see `MemberStream`."""
    return io.BufferedReader(MemberStream(path, pull, limits, budget), PIECE_BYTES)
