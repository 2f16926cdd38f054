"""The list of a ZIP's entries (its central directory), read record by record; layout after PKWARE's APPNOTE 6.3.10."""

import struct
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from core.errors import ArchiveError

END_RECORD = struct.Struct("<4s4H2LH")
END_MAGIC = b"PK\x05\x06"
END64_LOCATOR = struct.Struct("<4sLQL")
END64_LOCATOR_MAGIC = b"PK\x06\x07"
END64_RECORD = struct.Struct("<4sQ2H2L4Q")
END64_MAGIC = b"PK\x06\x06"
ENTRY = struct.Struct("<4s6H3L5H2L")
ENTRY_MAGIC = b"PK\x01\x02"
TAIL_BYTES = END_RECORD.size + 0xFFFF

UTF8_FLAG = 0x800
ZIP64_EXTRA = 0x0001
UNICODE_PATH_EXTRA = 0x7075
UNKNOWN_16 = 0xFFFF
UNKNOWN_32 = 0xFFFFFFFF
WINDOWS_SYSTEMS = frozenset({0, 6, 10, 11, 14})
"""'Made by' FAT, HPFS, Windows NTFS, and 11 and 14 as some packers number NTFS and VFAT."""


@dataclass(frozen=True)
class Directory:
    """Where the directory lies: its first byte, the byte after its last, and what precedes the ZIP itself (a
    self-extractor's program); all in bytes from the start of the stream."""

    start: int
    end: int
    prefix_bytes: int


@dataclass(frozen=True)
class ZipEntry:
    """One record of the directory; sizes and offset are claims. `offset` is that of its local header in the stream."""

    name: str
    flags: int
    method: int
    crc: int
    packed_bytes: int
    unpacked_bytes: int
    mode: int
    dos_folder: bool
    offset: int


def find_directory(stream: BinaryIO) -> Directory | None:
    """Locate the directory from the end of the stream; None where nothing looks like the end of a ZIP.

    Raises:
        ArchiveError: broken_archive, or unsupported_archive for one part of a split ZIP.
    """
    size = stream.seek(0, 2)
    tail_start = max(0, size - TAIL_BYTES)
    stream.seek(tail_start)
    tail = stream.read(TAIL_BYTES)
    position = end_record_position(tail)
    if position is None:
        return None
    _, disk, first_disk, *_, directory_bytes, offset, _ = END_RECORD.unpack_from(tail, position)
    end = tail_start + position
    if found := find_zip64(stream, end):
        end, directory_bytes, offset = found
    elif disk not in (0, UNKNOWN_16) or first_disk not in (0, UNKNOWN_16):
        raise ArchiveError("unsupported_archive", "this is one part of a split ZIP; join the parts first")
    start = end - directory_bytes
    if start < offset:
        raise ArchiveError("broken_archive", "the ZIP is damaged: its list of entries is not where it should be")
    return Directory(start, end, start - offset)


def end_record_position(tail: bytes) -> int | None:
    """Return where the end record stands: the last whose comment reaches exactly to the end, else the last at all."""
    last = None
    position = tail.rfind(END_MAGIC)
    while position >= 0:
        if position + END_RECORD.size <= len(tail):
            last = position if last is None else last
            comment_bytes = END_RECORD.unpack_from(tail, position)[-1]
            if position + END_RECORD.size + comment_bytes == len(tail):
                return position
        position = tail.rfind(END_MAGIC, 0, position)
    return last


def find_zip64(stream: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """Return the ZIP64 end record's position and its size and offset of the directory, or None where there is none."""
    if end < END64_LOCATOR.size:
        return None
    stream.seek(end - END64_LOCATOR.size)
    magic, _, claimed, _ = END64_LOCATOR.unpack(stream.read(END64_LOCATOR.size))
    if magic != END64_LOCATOR_MAGIC:
        return None
    # The claimed position is off by the length of what precedes a self-extracting ZIP; then the record is just before.
    for position in (claimed, end - END64_LOCATOR.size - END64_RECORD.size):
        if not 0 <= position <= end - END64_LOCATOR.size - END64_RECORD.size:
            continue
        stream.seek(position)
        record = END64_RECORD.unpack(stream.read(END64_RECORD.size))
        if record[0] == END64_MAGIC:
            return position, record[-2], record[-1]
    raise ArchiveError("broken_archive", "the ZIP is damaged: its ZIP64 end record is missing")


def read_entries(stream: BinaryIO, directory: Directory) -> Iterator[ZipEntry]:
    """Yield the directory's records, however many there are said to be; none is kept.

    Raises:
        ArchiveError: broken_archive, after the entries that could be read.
    """
    position = directory.start
    while position < directory.end:
        stream.seek(position)
        record = stream.read(min(ENTRY.size, directory.end - position))
        if len(record) < ENTRY.size or not record.startswith(ENTRY_MAGIC):
            raise ArchiveError("broken_archive", "the ZIP is damaged: its list of entries cannot be read to the end")
        fields = ENTRY.unpack(record)
        name_bytes, extra_bytes, comment_bytes = fields[10:13]
        raw = stream.read(name_bytes + extra_bytes)
        position += ENTRY.size + name_bytes + extra_bytes + comment_bytes
        if position > directory.end or len(raw) < name_bytes + extra_bytes:
            raise ArchiveError("broken_archive", "the ZIP is damaged: its list of entries is cut off")
        yield entry_from(fields, raw[:name_bytes], extra_fields(raw[name_bytes:]), directory.prefix_bytes)


def entry_offsets(stream: BinaryIO, directory: Directory, max_entries: int) -> "array[int]":
    """Return the sorted offsets of all local headers, 8 bytes each. A damaged end of the directory is left to the walk.

    Raises:
        ArchiveError: too_many_entries, before anything was read from any entry.
    """
    offsets = array("Q")
    with suppress(ArchiveError):
        for entry in islice(read_entries(stream, directory), max_entries + 1):
            offsets.append(min(entry.offset, 2**64 - 1))
    if len(offsets) > max_entries:
        raise ArchiveError("too_many_entries", f"the archive has more than {max_entries} entries")
    return array("Q", sorted(offsets))


def entry_from(fields: tuple[int, ...], raw_name: bytes, extra: dict[int, bytes], prefix_bytes: int) -> ZipEntry:
    """Return one record of the directory, with the ZIP64 values in place of the placeholders."""
    _, made_by, _, flags, method, _, _, crc, packed, unpacked = fields[:10]
    offset = fields[-1]
    long_values = [value for (value,) in struct.iter_unpack("<Q", whole_words(extra.get(ZIP64_EXTRA, b"")))]
    # Each value stands in the extra field only if its place in the record holds the placeholder; so says APPNOTE 4.5.3.
    values = [
        long_values.pop(0) if value == UNKNOWN_32 and long_values else value for value in (unpacked, packed, offset)
    ]
    name = decode_name(raw_name, flags, extra.get(UNICODE_PATH_EXTRA, b""))
    attributes = fields[-2]
    return ZipEntry(
        name=name.replace("\\", "/") if made_by >> 8 in WINDOWS_SYSTEMS else name,
        flags=flags,
        method=method,
        crc=crc,
        packed_bytes=values[1],
        unpacked_bytes=values[0],
        mode=attributes >> 16,
        dos_folder=bool(attributes & 0x10),
        offset=values[2] + prefix_bytes,
    )


def whole_words(field: bytes) -> bytes:
    """Return a field up to its last whole 8 bytes."""
    return field[: len(field) // 8 * 8]


def extra_fields(raw: bytes) -> dict[int, bytes]:
    """Return an entry's extra fields by their id; the first of an id counts, what is malformed is ignored."""
    fields: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(raw):
        field_id, size = struct.unpack_from("<HH", raw, position)
        if position + 4 + size > len(raw):
            break
        fields.setdefault(field_id, raw[position + 4 : position + 4 + size])
        position += 4 + size
    return fields


def decode_name(raw: bytes, flags: int, unicode_path: bytes) -> str:
    """Return an entry's name: Info-ZIP's Unicode path, else UTF-8 (flagged or not), else cp437 as the standard says.

    A name in cp932 or another unmarked encoding cannot be told from cp437; it comes out as cp437 reads it, one to one,
    so that no two names become one.
    """
    # The field holds version 1, the CRC of the name it belongs to (else it is stale), and the name.
    if unicode_path.startswith(b"\1" + zlib.crc32(raw).to_bytes(4, "little")) and not flags & UTF8_FLAG:
        with suppress(UnicodeDecodeError):
            return unicode_path[5:].decode("utf-8")
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8")
    return raw.decode("cp437")
