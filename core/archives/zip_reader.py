"""The walk over a ZIP, on the standard library's zipfile."""

import stat
import struct
import zlib
from bz2 import BZ2File
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from typing import IO, BinaryIO, cast
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.archives.members import ArchiveLimits, Member, clean_path, display_path
from core.archives.reading import DAMAGE, Budget, CountedStream, too_many_entries
from core.errors import ArchiveError, MemberError

ACCEPTED_METHODS = frozenset({ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2})
AES_METHOD = 99
UTF8_FLAG = 0x0800
ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000
UNICODE_PATH_FIELD = 0x7075
MADE_ON_DOS = 0
DOS_FOLDER = 0x10

END_RECORD = struct.Struct("<4s4H2LH")
END_MAGIC = b"PK\x05\x06"
END64_RECORD = struct.Struct("<4sQ2H2L4Q")
END64_MAGIC = b"PK\x06\x06"
END64_LOCATOR = struct.Struct("<4sLQL")
LOCATOR_MAGIC = b"PK\x06\x07"
DIRECTORY_BYTES_PER_ENTRY = 512


def walk_zip(stream: BinaryIO, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members of a ZIP in the order of its directory; see `core.archives.walk`."""
    try:
        check_directory_size(stream, limits)
        archive = ZipFile(stream)
    except DAMAGE as error:
        raise ArchiveError("broken_archive", f"the ZIP is damaged or was cut off ({error})") from error
    entries = archive.infolist()
    if len(entries) > limits.max_entries:
        raise too_many_entries(limits)
    budget = Budget(limits)
    files = [info for info in entries if not is_folder(info)]
    for index, info in enumerate(files):
        yield member_of(archive, index, info, limits, budget)


def member_of(archive: ZipFile, index: int, info: ZipInfo, limits: ArchiveLimits, budget: Budget) -> Member:
    """One entry as a member, refused where it is no plain file."""
    name = entry_name(info)
    path, error = display_path(name), None
    try:
        path = clean_path(name, limits.max_path_depth)
        check_entry(path, info, limits)
    except MemberError as refused:
        error = refused

    def open_entry() -> BinaryIO:
        try:
            source = open_bzip2(archive, info) if info.compress_type == ZIP_BZIP2 else archive.open(info)
        except DAMAGE as damage:
            raise MemberError("damaged_entry", f"{path}: is damaged in the archive ({damage})") from damage
        counted = CountedStream(cast(BinaryIO, source), path, limits, budget, info.compress_size)
        return cast(BinaryIO, counted)

    return Member(index, path, info.file_size, error, open_entry)


def open_bzip2(archive: ZipFile, info: ZipInfo) -> IO[bytes]:
    """An entry packed with bzip2, unpacked piece by piece and checked by bzip2's own checksums.

    zipfile would unpack all of what it has read, and four KiB of bzip2 can be four GiB.
    """
    packed = copy(info)
    packed.compress_type, packed.file_size = ZIP_STORED, info.compress_size
    packed.CRC = None  # type: ignore[assignment]  # what zipfile takes for "unknown"; the sum is of the unpacked bytes
    return cast(IO[bytes], BZ2File(archive.open(packed)))


def is_folder(info: ZipInfo) -> bool:
    """Tell whether an entry is a folder and hides no data."""
    by_attributes = stat.S_ISDIR(info.external_attr >> 16) or bool(info.external_attr & DOS_FOLDER)
    return info.file_size == 0 and (by_attributes or entry_name(info).endswith("/"))


def check_entry(path: str, info: ZipInfo, limits: ArchiveLimits) -> None:
    """Raise MemberError for what is no plain, readable file of an accepted size, as far as the directory tells."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise MemberError("link", f"{path}: is a link, not a file")
    if kind not in (0, stat.S_IFREG):
        raise MemberError("device", f"{path}: is a device or the like, not a file")
    if info.flag_bits & ENCRYPTED_FLAGS or info.compress_type == AES_METHOD:
        raise MemberError("encrypted", f"{path}: is encrypted")
    if info.compress_type not in ACCEPTED_METHODS:
        raise MemberError("unsupported_compression", f"{path}: is packed by a method that is not read")
    if info.file_size > limits.max_entry_bytes:
        raise MemberError("entry_too_large", f"{path}: unpacks to more than {limits.max_entry_bytes:,} bytes")


def entry_name(info: ZipInfo) -> str:
    """An entry's name.

    Without the UTF-8 flag: Info-ZIP's Unicode path field, else UTF-8 where the bytes are that, else the code page 437
    of the ZIP standard. In what DOS or Windows made, the backslash is a separator.
    """
    name = info.orig_filename
    if not info.flag_bits & UTF8_FLAG:
        raw = name.encode("cp437")
        with suppress(UnicodeDecodeError):
            name = unicode_path(info.extra, raw) or raw.decode()
    return name.replace("\\", "/") if info.create_system == MADE_ON_DOS else name


def unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """The name in Info-ZIP's Unicode path field (APPNOTE 4.6.9), unless the name was changed after it was written."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<2H", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if (
            kind == UNICODE_PATH_FIELD
            and len(field) > 5
            and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw_name)
        ):
            return field[5:].decode()
    return None


def check_directory_size(stream: BinaryIO, limits: ArchiveLimits) -> None:
    """Raise ArchiveError (`too_many_entries`) before zipfile would read an enormous directory into memory."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - END_RECORD.size - 0xFFFF - END64_LOCATOR.size))
    tail = stream.read()
    end = len(tail) - END_RECORD.size
    if tail[end : end + 4] != END_MAGIC or tail[-2:] != b"\0\0":
        end = tail.rfind(END_MAGIC)
    if end < 0 or end + END_RECORD.size > len(tail):
        raise BadZipFile("its end is missing")
    directory_bytes = END_RECORD.unpack_from(tail, end)[5]
    locator = end - END64_LOCATOR.size
    if locator >= 0 and tail.startswith(LOCATOR_MAGIC, locator):
        directory_bytes = directory_bytes64(stream, size - len(tail) + locator, directory_bytes)
    if directory_bytes > size:
        raise BadZipFile("its directory is longer than the whole file")
    if directory_bytes > limits.max_entries * DIRECTORY_BYTES_PER_ENTRY:
        raise too_many_entries(limits)


def directory_bytes64(stream: BinaryIO, locator: int, otherwise: int) -> int:
    """The directory's size as a ZIP64 has it, in either place where versions of zipfile look for it."""
    sizes = []
    stream.seek(locator)
    for at in (END64_LOCATOR.unpack(stream.read(END64_LOCATOR.size))[2], locator - END64_RECORD.size):
        stream.seek(max(0, at))
        record = stream.read(END64_RECORD.size)
        if record.startswith(END64_MAGIC) and len(record) == END64_RECORD.size:
            sizes.append(END64_RECORD.unpack(record)[8])
    return max(sizes, default=otherwise)
