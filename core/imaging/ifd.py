"""Image file directories, the tables of tags that TIFF and EXIF are made of, copied byte for byte.

Values are never interpreted here, so that whatever a catalogue has put into a tag comes out as it went in.
Source: TIFF 6.0 section 2, BigTIFF, EXIF 2.32 section 4.6.
"""

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

ByteOrder = Literal["<", ">"]

TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
POINTER_TYPES = {4, 13, 16, 18}

ORIENTATION = 274
SUB_IFDS = 330
EXIF_IFD = 34665
GPS_IFD = 34853
INTEROPERABILITY_IFD = 40965
CHILD_TAGS = frozenset({EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD})

MAX_DEPTH = 3
MAX_ENTRIES = 4096
MAX_VALUE_BYTES = 64 * 2**20

OUTSIDE = "a directory lies outside of the file"


class IfdError(Exception):
    """A directory that cannot be read; the caller decides what that means for the file."""


@dataclass(frozen=True)
class Entry:
    """One tag.

    Args:
        tag: its number.
        field_type: the TIFF field type, 1..18.
        data: the value as it is stored, in the file's byte order.
        children: for a tag that points to a further directory, that directory's entries.
    """

    tag: int
    field_type: int
    data: bytes
    children: tuple["Entry", ...] = ()

    @property
    def count(self) -> int:
        """Number of values in data."""
        return len(self.data) // TYPE_SIZES[self.field_type]

    def integer(self, order: ByteOrder) -> int:
        """The first value of a SHORT, LONG or pointer tag."""
        codes = {2: "H", 4: "I", 8: "Q"}
        size = TYPE_SIZES[self.field_type]
        return int(struct.unpack_from(order + codes.get(size, "B"), self.data)[0])


@dataclass(frozen=True)
class Layout:
    """How a file writes its directories: byte order, and whether offsets have 8 bytes (BigTIFF)."""

    order: ByteOrder
    big: bool = False

    @property
    def count_code(self) -> str:
        """struct code of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def offset_code(self) -> str:
        """struct code of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def pointer_type(self) -> int:
        """Field type of a tag that points to a directory: LONG, or LONG8."""
        return 16 if self.big else 4

    @property
    def offset_size(self) -> int:
        """Bytes of an offset, which are also those a value may have inside its entry."""
        return 8 if self.big else 4


def read_layout(header: bytes) -> tuple[Layout, int]:
    """Byte order and size of offsets from a file's first 16 bytes, and where its first directory is."""
    orders: dict[bytes, ByteOrder] = {b"II": "<", b"MM": ">"}
    order = orders.get(header[:2])
    if order is None or len(header) < 8:
        raise IfdError("no TIFF header")
    version = struct.unpack_from(order + "H", header, 2)[0]
    if version == 42:
        return Layout(order), int(struct.unpack_from(order + "I", header, 4)[0])
    if version == 43 and len(header) >= 16:
        return Layout(order, big=True), int(struct.unpack_from(order + "Q", header, 8)[0])
    raise IfdError("no TIFF header")


@dataclass(frozen=True)
class Directory:
    """One directory.

    Args:
        entries: its tags, as far as their values can be read.
        unreadable: the numbers of those whose values cannot.
        next_offset: where the next directory of the chain is; 0 after the last.
    """

    entries: tuple[Entry, ...]
    unreadable: tuple[int, ...]
    next_offset: int


def read_chain(stream: BinaryIO, layout: Layout, offset: int, max_directories: int) -> list[int]:
    """Offsets of all directories of a file.

    Raises IfdError for a directory outside of the file, a chain that returns to itself, or one that is too long.
    """
    offsets: list[int] = []
    while offset:
        if offset in offsets[-1:] or len(offsets) >= max_directories:
            raise IfdError(f"it has more than {max_directories:,} pages or a page that follows itself")
        offsets.append(offset)
        *_, offset = _read_table(stream, layout, offset)
    return offsets


def read_ifd(stream: BinaryIO, layout: Layout, offset: int, depth: int = 0) -> Directory:
    """Read the directory at an offset, and those that its EXIF, GPS and interoperability tags point to.

    Raises IfdError for a directory that lies outside of the stream.
    """
    rows, next_offset = _read_table(stream, layout, offset)
    entries = []
    unreadable = []
    for raw in rows:
        entry = _read_entry(stream, layout, raw, depth)
        if entry is None:
            unreadable.append(_number_of(raw, layout))
        else:
            entries.append(entry)
    return Directory(tuple(entries), tuple(unreadable), next_offset)


def find_value(stream: BinaryIO, layout: Layout, offset: int, tag: int) -> int:
    """Where the value (or its offset) of a tag stands in the directory at an offset."""
    rows, _ = _read_table(stream, layout, offset)
    number = [_number_of(raw, layout) for raw in rows].index(tag)
    head = struct.calcsize(layout.count_code) + 4 + layout.offset_size
    return offset + head + number * (4 + 2 * layout.offset_size)


def _read_table(stream: BinaryIO, layout: Layout, offset: int) -> tuple[list[bytes], int]:
    _seek(stream, offset)
    count = _read_number(stream, layout.count_code)
    if count > MAX_ENTRIES:
        raise IfdError("a directory has too many tags")
    size = 4 + 2 * layout.offset_size
    table = stream.read(count * size)
    if len(table) < count * size:
        raise IfdError(OUTSIDE)
    return [table[i : i + size] for i in range(0, len(table), size)], _read_number(stream, layout.offset_code)


def _seek(stream: BinaryIO, offset: int) -> None:
    # BigTIFF has room for offsets that no stream can seek to.
    if offset >= 1 << 62:
        raise IfdError(OUTSIDE)
    stream.seek(offset)


def _read_number(stream: BinaryIO, code: str) -> int:
    data = stream.read(struct.calcsize(code))
    if len(data) < struct.calcsize(code):
        raise IfdError(OUTSIDE)
    return int(struct.unpack(code, data)[0])


def _read_entry(stream: BinaryIO, layout: Layout, raw: bytes, depth: int) -> Entry | None:
    tag, field_type = struct.unpack_from(layout.order + "HH", raw)
    count = int(struct.unpack_from(layout.offset_code, raw, 4)[0])
    size = TYPE_SIZES.get(field_type, 0) * count
    if not 0 < size <= MAX_VALUE_BYTES:
        return None
    inline = raw[4 + layout.offset_size :]
    data = inline[:size]
    if size > layout.offset_size:
        try:
            _seek(stream, struct.unpack(layout.offset_code, inline)[0])
        except IfdError:
            return None
        data = stream.read(size)
    if len(data) < size:
        return None
    entry = Entry(tag, field_type, data)
    if tag not in CHILD_TAGS or field_type not in POINTER_TYPES:
        return entry
    return _with_children(stream, layout, entry, depth)


def _with_children(stream: BinaryIO, layout: Layout, entry: Entry, depth: int) -> Entry | None:
    if depth >= MAX_DEPTH:
        return None
    try:
        children = read_ifd(stream, layout, entry.integer(layout.order), depth + 1).entries
    except IfdError:
        return None
    return replace(entry, children=children) if children else None


def serialize(entries: Iterable[Entry], layout: Layout, offset: int) -> bytes:
    """Bytes of a directory that will stand at an offset, its values and further directories behind it."""
    entries = sorted((entry for entry in entries if entry.field_type in TYPE_SIZES), key=lambda entry: entry.tag)
    entry_size = 4 + 2 * layout.offset_size
    head_size = struct.calcsize(layout.count_code) + entry_size * len(entries) + layout.offset_size
    table = bytearray(struct.pack(layout.count_code, len(entries)))
    tail = bytearray()
    for entry in entries:
        tail += b"\0" * (len(tail) % 2)
        place = offset + head_size + len(tail)
        value, behind = _place_value(entry, layout, place)
        count = 1 if entry.children else entry.count
        field_type = layout.pointer_type if entry.children else entry.field_type
        table += struct.pack(layout.order + "HH", entry.tag, field_type) + struct.pack(layout.offset_code, count)
        table += value
        tail += behind
    return bytes(table + b"\0" * layout.offset_size + tail)


def block(entries: Iterable[Entry], order: ByteOrder) -> bytes:
    """A block of EXIF with one directory, beginning with its TIFF header; the entries' data are in that byte order."""
    layout = Layout(order)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HI", 42, 8) + serialize(entries, layout, 8)


def amended(block: bytes, entries: Iterable[Entry]) -> bytes:
    """A block of EXIF or a small TIFF whose first directory has some tags replaced or added; they point nowhere.

    All values stay where they are: a new first directory, and the new values, are put behind the block.
    Raises IfdError where the block cannot be read.
    """
    layout, offset = read_layout(block[:16])
    rows, next_offset = _read_table(io.BytesIO(block), layout, offset)
    table = {_number_of(row, layout): row for row in rows}
    block += b"\0" * (len(block) % 2)
    tail = b""
    for entry in entries:
        value, behind = _place_value(entry, layout, len(block) + len(tail))
        head = struct.pack(layout.order + "HH", entry.tag, entry.field_type)
        table[entry.tag] = head + struct.pack(layout.offset_code, entry.count) + value
        tail += behind + b"\0" * (len(behind) % 2)
    first = len(block) + len(tail)
    head_end = 16 if layout.big else 8
    header = block[: head_end - layout.offset_size] + struct.pack(layout.offset_code, first)
    directory = struct.pack(layout.count_code, len(table)) + b"".join(table[tag] for tag in sorted(table))
    return header + block[head_end:] + tail + directory + struct.pack(layout.offset_code, next_offset)


def with_shorts(block: bytes, layout: Layout, offset: int, values: Mapping[int, int | None]) -> bytes:
    """A block of EXIF whose directory at an offset has some of its tags set to one SHORT, or left out (None).

    Tags that it lacks are not added. Everything but that table stays as it is, where it is.
    Raises IfdError where the directory cannot be read.
    """
    rows, next_offset = _read_table(io.BytesIO(block), layout, offset)
    kept = []
    for row in rows:
        tag = _number_of(row, layout)
        value = values.get(tag)
        if tag not in values:
            kept.append(row)
        elif value is not None:
            head = struct.pack(layout.order + "HH", tag, 3) + struct.pack(layout.offset_code, 1)
            kept.append(head + struct.pack(layout.order + "H", value).ljust(layout.offset_size, b"\0"))
    if kept == rows:
        return block
    table = struct.pack(layout.count_code, len(kept)) + b"".join(kept) + struct.pack(layout.offset_code, next_offset)
    return block[:offset] + table + block[offset + len(table) :]


def _number_of(row: bytes, layout: Layout) -> int:
    return int(struct.unpack_from(layout.order + "H", row)[0])


def _place_value(entry: Entry, layout: Layout, place: int) -> tuple[bytes, bytes]:
    pointer = struct.pack(layout.offset_code, place)
    if entry.children:
        return pointer, serialize(entry.children, layout, place)
    if len(entry.data) <= layout.offset_size:
        return entry.data.ljust(layout.offset_size, b"\0"), b""
    return pointer, entry.data
