"""The walk over a TAR, plain or compressed, on the standard library's tarfile."""

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from core.archives.members import ArchiveLimits, Member, clean_path, display_path
from core.archives.packing import unpacked
from core.archives.reading import DAMAGE, FREE_BYTES, Budget, CountedStream, too_many_entries
from core.errors import ArchiveError, MemberError

HEADER_BYTES = 1 << 20
"""The most that may stand before one member's content: its header, long name and extended attributes."""

MAX_SIZE_DIGITS = 20

NO_MEMBERS = frozenset({b"V", b"D"})
"""GNU's volume labels and lists of a folder's files."""


# Named here because StrictTarInfo's method has to call its parameter `tarfile`, as the base class does.
HeaderError = tarfile.HeaderError
EndOfArchive: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # typeshed leaves it out


class StrictTarInfo(tarfile.TarInfo):
    """Tells a damaged or missing header from the archive's end; tarfile takes both for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "StrictTarInfo":
        try:
            return super().fromtarfile(tarfile)
        except EndOfArchive:
            raise
        except HeaderError as error:
            raise ArchiveError("broken_archive", f"the TAR is damaged or was cut off ({error})") from error


class EndOfTapeError(EOFError):
    """There are no more bytes."""

    def __init__(self) -> None:
        super().__init__("it ends too early")


class Tape(io.RawIOBase):
    """A TAR's bytes, unpacked, counted, and no more of them at once than was allowed.

    tarfile reads headers into memory whatever length they claim; the allowance is what stops it. It also takes the
    end for an empty piece that may be asked for again, for as many bytes as a header claims; here the end is an error.
    """

    def __init__(self, stream: BinaryIO, limits: ArchiveLimits) -> None:
        self._packed = stream
        self._stream = unpacked(stream)
        self._is_packed = self._stream is not stream
        self._ratio = limits.max_entry_ratio
        self._count = 0
        self._allowed = 0

    def allow(self, count: int) -> None:
        """Let so many more bytes be read."""
        self._allowed = self._count + count

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(min(size, HEADER_BYTES) if size >= 0 else HEADER_BYTES)
        if not piece:
            raise EndOfTapeError
        self._count += len(piece)
        if self._is_packed and self._count > FREE_BYTES + self._packed.tell() * self._ratio:
            message = f"the archive unpacks to more than {self._ratio:,} times its packed size"
            raise ArchiveError("archive_too_large", message)
        if self._count > self._allowed + tarfile.RECORDSIZE:
            raise ArchiveError("broken_archive", f"the TAR has a header of more than {HEADER_BYTES:,} bytes")
        return piece


def walk_tar(stream: BinaryIO, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members of a TAR in their order; see `core.archives.walk`."""
    try:
        yield from TarWalk(stream, limits).members()
    except DAMAGE as error:
        raise ArchiveError("broken_archive", f"the TAR is damaged or was cut off ({error})") from error


class TarWalk:
    """One walk along the tape."""

    def __init__(self, stream: BinaryIO, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._budget = Budget(limits)
        self._tape = Tape(stream, limits)
        self._tape.allow(HEADER_BYTES)
        self._archive = tarfile.open(  # noqa: SIM115 - nothing but the caller's stream is held
            fileobj=self._tape,
            mode="r|",
            tarinfo=StrictTarInfo,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def members(self) -> Iterator[Member]:
        """Yield the members; folders are none."""
        index = entries = 0
        while (info := self._next()) is not None:
            entries += 1
            if entries > self._limits.max_entries:
                raise too_many_entries(self._limits)
            if not info.isdir() and info.type not in NO_MEMBERS:
                self._tape.allow(info.size + HEADER_BYTES)
                yield self._member(index, info)
                index += 1
        self._read_to_the_end()

    def _next(self) -> tarfile.TarInfo | None:
        unread = max(0, self._archive.offset - self._archive.fileobj.tell())
        self._tape.allow(unread + HEADER_BYTES)
        # tarfile keeps every header that it has read; a walk has no use for them.
        self._archive.members = []  # type: ignore[attr-defined]  # typeshed leaves it out
        info = self._archive.next()
        if sum(len(key) + len(value) for key, value in self._archive.pax_headers.items()) > HEADER_BYTES:
            raise ArchiveError("broken_archive", f"the TAR has global headers of more than {HEADER_BYTES:,} bytes")
        # tarfile reads a size that is no number as none at all.
        size = info.pax_headers.get("size", "0") if info else "0"
        if info and (info.size < 0 or not size.isdecimal() or len(size) > MAX_SIZE_DIGITS):
            raise ArchiveError("broken_archive", f"the TAR is damaged (the size of {display_path(info.name)})")
        return info

    def _read_to_the_end(self) -> None:
        """Read what follows the end mark: a packed stream's checksum, zeros, or an archive that nobody must miss."""
        while True:
            self._tape.allow(HEADER_BYTES)
            try:
                block = self._archive.fileobj.read(tarfile.BLOCKSIZE)
            except EndOfTapeError:
                return
            if is_tar_header(block):
                raise ArchiveError("broken_archive", "another TAR follows the end of this one; send each by itself")

    def _member(self, index: int, info: tarfile.TarInfo) -> Member:
        name = readable_name(info.name)
        path, error = display_path(name), None
        try:
            path = clean_path(name, self._limits.max_path_depth)
            check_entry(path, info, self._limits)
        except MemberError as refused:
            error = refused

        def open_member() -> BinaryIO:
            source = cast(BinaryIO, self._archive.extractfile(info))
            return cast(BinaryIO, CountedStream(source, path, self._limits, self._budget))

        return Member(index, path, info.size, error, open_member)


def is_tar_header(block: bytes) -> bool:
    """Tell whether a block is a TAR member's header, by its checksum."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def check_entry(path: str, info: tarfile.TarInfo, limits: ArchiveLimits) -> None:
    """Raise MemberError for what is no plain file of an accepted size, as far as its header tells."""
    if info.islnk() or info.issym():
        raise MemberError("link", f"{path}: is a link, not a file")
    if not info.isreg():
        raise MemberError("device", f"{path}: is a device or the like, not a file")
    if info.size > limits.max_entry_bytes:
        raise MemberError("entry_too_large", f"{path}: unpacks to more than {limits.max_entry_bytes:,} bytes")


def readable_name(name: str) -> str:
    """A member's name; bytes that are no UTF-8 are read as Latin-1, as old archives of western systems have them."""
    raw = name.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
