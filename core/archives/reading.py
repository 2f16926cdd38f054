"""A member's bytes, counted while they are read: what an archive claims about itself is never believed."""

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO

from zstandard import ZstdError

from core.archives.members import ArchiveLimits
from core.errors import ArchiveError, InputError, MemberError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Small files may be packed very well; only what unpacks to more than this is measured against the ratio.
FREE_BYTES = 1 << 20
PIECE_BYTES = 1 << 18

DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ZstdError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    LookupError,
)
"""What the archive libraries raise for bytes that are not what they should be."""


def too_many_entries(limits: ArchiveLimits) -> ArchiveError:
    """The error for an archive with more entries than are accepted."""
    return ArchiveError("too_many_entries", f"the archive has more than {limits.max_entries:,} entries")


class Budget:
    """What all members of an archive together may still unpack to."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limit = limits.max_total_bytes
        self._left = limits.max_total_bytes

    def spend(self, count: int) -> None:
        """Take bytes off; ArchiveError (`archive_too_large`) when there are not enough."""
        self._left -= count
        if self._left < 0:
            raise ArchiveError("archive_too_large", f"the archive unpacks to more than {self._limit:,} bytes")


class CountedStream(io.RawIOBase):
    """A member's bytes under the limits.

    Args:
        source: the member as its library unpacks it.
        path: the member's, for messages.
        packed_bytes: what it takes in the archive, or None where that is not known.
    """

    def __init__(
        self,
        source: BinaryIO,
        path: str,
        limits: ArchiveLimits,
        budget: Budget,
        packed_bytes: int | None = None,
    ) -> None:
        self._source = source
        self._path = path
        self._limits = limits
        self._budget = budget
        self._packed_bytes = packed_bytes
        self._count = 0
        self._failure: InputError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._failure is not None:
            raise type(self._failure)(self._failure.code, self._failure.message)
        target = memoryview(buffer).cast("B")
        try:
            piece = self._read(min(len(target), PIECE_BYTES))
        except InputError as error:
            self._failure = error
            raise
        target[: len(piece)] = piece
        return len(piece)

    def _read(self, size: int) -> bytes:
        try:
            piece = self._source.read(size)
        except DAMAGE as error:
            raise MemberError("damaged_entry", f"{self._path}: is damaged in the archive ({error})") from error
        self._count += len(piece)
        self._budget.spend(len(piece))
        if self._count > self._limits.max_entry_bytes:
            message = f"{self._path}: unpacks to more than {self._limits.max_entry_bytes:,} bytes"
            raise MemberError("entry_too_large", message)
        ratio = self._limits.max_entry_ratio
        if self._packed_bytes is not None and self._count > FREE_BYTES + self._packed_bytes * ratio:
            message = f"{self._path}: unpacks to more than {ratio:,} times its packed size"
            raise MemberError("ratio_too_high", message)
        return piece
