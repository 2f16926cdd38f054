"""The walk over a ZIP: every entry of its directory in order, each read on its own."""

import lzma
import stat
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import BinaryIO

from core.archives.members import ArchiveLimits, Member, clean_path, display_path
from core.archives.streams import (
    DECODER_MEMORY_BYTES,
    FREE_BYTES,
    BrokenStreamError,
    Budget,
    Decoder,
    Read,
    Unpacker,
    ZstdDecoder,
    bzip2_decoder,
    deflate_decoder,
    member_stream,
)
from core.archives.zip_directory import Directory, ZipEntry, entry_offsets, find_directory, read_entries
from core.errors import ArchiveError, MemberError

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
LOCAL_MAGIC = b"PK\x03\x04"
ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000
STORED, DEFLATE, BZIP2, LZMA, ZSTD, AES = 0, 8, 12, 14, 93, 99
DECODERS: dict[int, Callable[[], Decoder]] = {DEFLATE: deflate_decoder, BZIP2: bzip2_decoder, ZSTD: ZstdDecoder}


def walk_zip(stream: BinaryIO, limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members of a ZIP in the order of its directory; see `core.archives.walk`."""
    directory = find_directory(stream)
    if directory is None:
        raise ArchiveError("broken_archive", "the ZIP is damaged or was cut off: its end is missing")
    return ZipWalk(stream, limits, directory).members()


class ZipWalk:
    """One walk: the offsets of all entries, and what is left of the limits."""

    def __init__(self, stream: BinaryIO, limits: ArchiveLimits, directory: Directory) -> None:
        self._stream = stream
        self._limits = limits
        self._directory = directory
        self._offsets: array[int] = entry_offsets(stream, directory, limits.max_entries)
        self._seen: set[int] = set()
        self._budget = Budget(limits)

    def members(self) -> Iterator[Member]:
        """Yield the members; folders are none."""
        index = 0
        for entry in read_entries(self._stream, self._directory):
            if not is_folder(entry):
                yield self._member(index, entry)
                index += 1

    def _member(self, index: int, entry: ZipEntry) -> Member:
        try:
            path, error = clean_path(entry.name, self._limits.max_path_depth), None
            check_entry(path, entry, self._limits)
            self._check_apart(path, entry)
        except MemberError as refused:
            path, error = display_path(entry.name), refused
        return Member(index, path, entry.unpacked_bytes, error, lambda: self._open(path, entry))

    def _check_apart(self, path: str, entry: ZipEntry) -> None:
        if entry.offset in self._seen:
            raise shared(path)
        self._seen.add(entry.offset)

    def _open(self, path: str, entry: ZipEntry) -> BinaryIO:
        self._stream.seek(entry.offset)
        header = self._stream.read(LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(LOCAL_MAGIC):
            raise damaged(path)
        name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)[-2:]
        start = entry.offset + LOCAL_HEADER.size + name_bytes + extra_bytes
        later = bisect_right(self._offsets, entry.offset)
        end = self._offsets[later] if later < len(self._offsets) else self._directory.start
        if start + entry.packed_bytes > end:
            raise shared(path)
        packed = slice_reader(self._stream, start, entry.packed_bytes)
        try:
            pull = EntryReader(path, entry, packed, self._limits.max_entry_ratio).read
        except BrokenStreamError as error:
            raise damaged(path) from error
        return member_stream(path, pull, self._limits, self._budget)


class EntryReader:
    """The unpacked bytes of one entry, never more than it claims, with its ratio and CRC checked."""

    def __init__(self, path: str, entry: ZipEntry, packed: Read, max_ratio: int) -> None:
        self._path = path
        self._entry = entry
        self._left = entry.unpacked_bytes
        self._crc = 0
        self._allowed_bytes = max(FREE_BYTES, max_ratio * entry.packed_bytes)
        self._read = packed
        if entry.method == LZMA:
            self._read = Unpacker(packed, lambda: zip_lzma_decoder(packed)).read
        elif entry.method != STORED:
            self._read = Unpacker(packed, DECODERS[entry.method]).read

    def read(self, count: int) -> bytes:
        """Return 1 to count bytes, or none at the end.

        Raises:
            MemberError: damaged_entry, ratio_too_high.
        """
        try:
            piece = self._read(min(count, self._left)) if self._left else b""
        except BrokenStreamError as error:
            raise damaged(self._path) from error
        self._left -= len(piece)
        self._crc = zlib.crc32(piece, self._crc)
        # The last piece is checked before it is handed out: a reader may stop there and never ask for more.
        if (not piece and self._left) or (not self._left and self._crc != self._entry.crc):
            raise damaged(self._path)
        if self._entry.unpacked_bytes - self._left > self._allowed_bytes:
            raise MemberError("ratio_too_high", f"{self._path}: unpacks to suspiciously many times its packed size")
        return piece


def check_entry(path: str, entry: ZipEntry, limits: ArchiveLimits) -> None:
    """Refuse what is no plain readable file.

    Raises:
        MemberError: link, device, encrypted, unsupported_compression, entry_too_large, damaged_entry.
    """
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        raise MemberError("link", f"{path}: is a link, not a file")
    if kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK):
        raise MemberError("device", f"{path}: is a device, not a file")
    if entry.flags & ENCRYPTED_FLAGS or entry.method == AES:
        raise MemberError("encrypted", f"{path}: is encrypted; pack it again without a password")
    if entry.method not in (STORED, LZMA, *DECODERS):
        raise MemberError(
            "unsupported_compression", f"{path}: is packed by method {entry.method}, which is not known here"
        )
    if entry.unpacked_bytes > limits.max_entry_bytes:
        raise MemberError("entry_too_large", f"{path}: is larger than the limit on one file")
    if entry.name.endswith("/") or (entry.method == STORED and entry.packed_bytes != entry.unpacked_bytes):
        raise damaged(path)


def is_folder(entry: ZipEntry) -> bool:
    """Tell whether an entry stands for a folder: by its name or its attributes, and it holds nothing."""
    marked = entry.name.endswith("/") or entry.dos_folder or stat.S_ISDIR(entry.mode)
    return marked and entry.unpacked_bytes == 0


def slice_reader(stream: BinaryIO, start: int, size: int) -> Read:
    """Return a reader of one stretch of the stream that keeps its own position, so that others may seek in between."""
    position, end = start, start + size

    def read(count: int) -> bytes:
        nonlocal position
        stream.seek(position)
        piece = stream.read(min(count, end - position))
        position += len(piece)
        return piece

    return read


def zip_lzma_decoder(packed: Read) -> Decoder:
    """Return a decoder of method 14, whose properties (APPNOTE 5.8.8) are read from the start of the packed bytes.

    Raises:
        BrokenStreamError: bad properties, or a dictionary that would take too much memory.
    """
    header = packed(9)
    if len(header) < 9 or header[2:4] != b"\x05\0" or header[4] >= 225:
        raise BrokenStreamError("bad LZMA properties")
    dictionary_bytes = int.from_bytes(header[5:9], "little")
    if dictionary_bytes > DECODER_MEMORY_BYTES:
        raise BrokenStreamError("the LZMA dictionary is too large")
    literals, lc = divmod(header[4], 9)
    pb, lp = divmod(literals, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(4096, dictionary_bytes), "lc": lc, "lp": lp, "pb": pb}]
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    except (lzma.LZMAError, ValueError) as error:
        raise BrokenStreamError(str(error)) from error


def damaged(path: str) -> MemberError:
    """Return the error of a member whose bytes are not what they should be."""
    return MemberError("damaged_entry", f"{path}: is damaged in the archive")


def shared(path: str) -> MemberError:
    """Return the error of a member whose packed bytes are also another's: bombs are made so (D. Fifield, WOOT 2019)."""
    return MemberError("damaged_entry", f"{path}: shares its bytes with another entry, or they are missing")
