"""The items of HEIF files, of which AVIF is one kind: pictures, EXIF and XMP, with their properties and references.

Source: ISO/IEC 14496-12 section 8.11 (meta boxes), ISO/IEC 23008-12 (HEIF).
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import ImageError
from core.imaging.isobmff import Box, contents, file_boxes, make_box, make_full_box, read_boxes

MAX_META_BYTES = 64 * 2**20
MAX_ITEMS = 100_000
MIME_XMP = b"application/rdf+xml"

Property = tuple[bytes, bytes]
"""Kind and contents of a box that describes an item, with version and flags where the box has them."""
Reference = tuple[bytes, tuple[int, ...]]
"""What an item has to do with which others: dimg (is made of), auxl (is alpha of), cdsc (describes), thmb, prem."""


@dataclass(frozen=True)
class Item:
    """One item.

    Args:
        number: its identifier in the file.
        kind: av01, hvc1, grid, Exif, mime, ...
        content_type: of mime items.
        extents: offset and size of its pieces; inside of the box of small data (idat) if in_meta, else in the file.
        in_meta: see extents.
        properties: in their order.
        essential: indices of those that readers must understand.
        references: to others.
        is_hidden: of written files: whether it is no picture by itself.
    """

    number: int
    kind: bytes
    content_type: bytes = b""
    extents: tuple[tuple[int, int], ...] = ()
    in_meta: bool = False
    properties: tuple[Property, ...] = ()
    essential: frozenset[int] = frozenset()
    references: tuple[Reference, ...] = ()
    is_hidden: bool = False

    def property(self, kind: bytes, prefix: bytes = b"") -> bytes | None:
        """The contents of the first property of a kind that begins with some bytes; None if there is none."""
        return next((data for name, data in self.properties if name == kind and data.startswith(prefix)), None)

    def refers_to(self, kind: bytes) -> tuple[int, ...]:
        """The items that it refers to in some way."""
        return tuple(number for name, numbers in self.references if name == kind for number in numbers)


@dataclass(frozen=True)
class Items:
    """All items of a file, the number of the primary one, and where the box of small data is."""

    primary: int
    items: dict[int, Item]
    small_data: Box | None

    def primary_item(self) -> Item:
        """The picture that the file is about. Raises ImageError(unreadable_image) where it is missing."""
        if self.primary not in self.items:
            raise ImageError("unreadable_image", "The file lacks the picture that it says it holds.")
        return self.items[self.primary]

    def data(self, stream: BinaryIO, item: Item, limit: int) -> bytes:
        """An item's data. Raises ImageError(truncated_image) where they go past the end, or past a limit of bytes."""
        if sum(size for _, size in item.extents) > limit:
            raise ImageError("unreadable_image", f"The file's item {item.kind!r} is larger than any real one.")
        pieces = []
        for offset, size in item.extents:
            stream.seek(offset + (self.small_data.start if item.in_meta and self.small_data else 0))
            pieces.append(stream.read(size))
            if len(pieces[-1]) < size:
                raise ImageError("truncated_image", "The file ends before its picture does.")
        return b"".join(pieces)

    def check_extents(self, stream: BinaryIO) -> None:
        """Raise ImageError(truncated_image) where data of an item lie behind the end of the file."""
        file_bytes = stream.seek(0, io.SEEK_END)
        extents = (extent for item in self.items.values() if not item.in_meta for extent in item.extents)
        if any(offset + size > file_bytes for offset, size in extents):
            raise ImageError("truncated_image", "The file ends before its picture does.")

    def about(self, number: int, kind: bytes) -> Item | None:
        """The first item of a kind that describes another one."""
        return next(iter(self.all_about(number, kind)), None)

    def all_about(self, number: int, kind: bytes) -> list[Item]:
        """All items of a kind that describe another one."""
        return [item for item in self.items.values() if item.kind == kind and number in item.refers_to(b"cdsc")]


class _Reader:
    """Takes numbers from the contents of a box."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 4
        self.version, self.flags = (data[0], int.from_bytes(data[1:4])) if len(data) >= 4 else (0, 0)

    def number(self, size: int) -> int:
        return int.from_bytes(self.raw(size))

    def raw(self, size: int) -> bytes:
        data = self._data[self._place : self._place + size]
        if len(data) < size:
            raise ImageError("unreadable_image", "The file's list of items is damaged.")
        self._place += size
        return data

    def rest(self) -> bytes:
        return self._data[self._place :]


def read_items(stream: BinaryIO) -> Items:
    """Read the box that lists a file's items. Raises ImageError(truncated_image | unreadable_image)."""
    meta = next((box for box in file_boxes(stream) if box.kind == b"meta"), None)
    if meta is None or meta.size < 4:
        raise ImageError("unreadable_image", "The file does not list its items.")
    boxes = {box.kind: box for box in read_boxes(stream, meta.start + 4, meta.end)}

    def reader(kind: bytes) -> _Reader:
        return _Reader(contents(stream, boxes[kind], MAX_META_BYTES) if kind in boxes else bytes(8))

    primary = reader(b"pitm")
    kinds = _read_kinds(stream, boxes.get(b"iinf"))
    places = _read_places(reader(b"iloc"))
    properties = _read_properties(stream, boxes.get(b"iprp"))
    references = _read_references(stream, boxes.get(b"iref"))
    items = {}
    for number, (kind, content_type) in kinds.items():
        in_meta, extents = places.get(number, (False, ()))
        own, essential = properties.get(number, ((), frozenset()))
        items[number] = Item(
            number, kind, content_type, extents, in_meta, own, essential, tuple(references.get(number, ()))
        )
    return Items(primary.number(4 if primary.version else 2), items, boxes.get(b"idat"))


def _read_kinds(stream: BinaryIO, box: Box | None) -> dict[int, tuple[bytes, bytes]]:
    kinds: dict[int, tuple[bytes, bytes]] = {}
    if box is None:
        return kinds
    wide = contents(stream, Box(box.kind, box.start, min(box.end, box.start + 4)), 4)[:1] != b"\0"
    for entry in read_boxes(stream, box.start + (8 if wide else 6), box.end):
        info = _Reader(contents(stream, entry, MAX_META_BYTES))
        if entry.kind == b"infe" and info.version >= 2:
            number = info.number(4 if info.version > 2 else 2)
            info.raw(2)
            kind = info.raw(4)
            _, _, names = info.rest().partition(b"\0")
            kinds[number] = kind, names.partition(b"\0")[0]
    return kinds


def _read_places(places: _Reader) -> dict[int, tuple[bool, tuple[tuple[int, int], ...]]]:
    sizes = places.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if places.version in (1, 2) else 0
    number_size = 4 if places.version == 2 else 2
    found: dict[int, tuple[bool, tuple[tuple[int, int], ...]]] = {}
    for _ in range(min(places.number(number_size), MAX_ITEMS)):
        number = places.number(number_size)
        method = places.number(2) & 15 if places.version in (1, 2) else 0
        places.raw(2)
        base = places.number(base_size)
        extents = []
        for _ in range(places.number(2)):
            places.raw(index_size)
            offset = base + places.number(offset_size)
            extents.append((offset, places.number(length_size)))
        found[number] = method == 1, tuple(extents)
    return found


def _read_properties(stream: BinaryIO, box: Box | None) -> dict[int, tuple[tuple[Property, ...], frozenset[int]]]:
    if box is None:
        return {}
    inner = {part.kind: part for part in reversed(list(read_boxes(stream, box.start, box.end)))}
    if b"ipco" not in inner or b"ipma" not in inner:
        return {}
    known = list(read_boxes(stream, inner[b"ipco"].start, inner[b"ipco"].end))
    properties = [(part.kind, contents(stream, part, MAX_META_BYTES)) for part in known]
    associations = _Reader(contents(stream, inner[b"ipma"], MAX_META_BYTES))
    size = 2 if associations.flags & 1 else 1
    found = {}
    for _ in range(min(associations.number(4), MAX_ITEMS)):
        number = associations.number(2 if associations.version == 0 else 4)
        raw = [associations.number(size) for _ in range(associations.number(1))]
        top = 1 << (8 * size - 1)
        chosen = [(value & top != 0, (value & (top - 1)) - 1) for value in raw]
        chosen = [(essential, index) for essential, index in chosen if 0 <= index < len(properties)]
        essentials = frozenset(i for i, (essential, _) in enumerate(chosen) if essential)
        found[number] = tuple(properties[index] for _, index in chosen), essentials
    return found


def _read_references(stream: BinaryIO, box: Box | None) -> dict[int, list[Reference]]:
    found: dict[int, list[Reference]] = {}
    if box is None:
        return found
    size = 4 if contents(stream, Box(box.kind, box.start, min(box.end, box.start + 4)), 4)[:1] == b"\1" else 2
    for entry in read_boxes(stream, box.start + 4, box.end):
        reader = _Reader(bytes(4) + contents(stream, entry, MAX_META_BYTES))
        number = reader.number(size)
        targets = tuple(reader.number(size) for _ in range(reader.number(2)))
        found.setdefault(number, []).append((entry.kind, targets))
    return found


def write_file(stream: BinaryIO, brands: Sequence[bytes], items: Sequence[tuple[Item, bytes]]) -> None:
    """Write a file of items and their data. The first item is the primary one; extents are found out here.

    Args:
        stream: where to.
        brands: of the file type box, the main one first.
        items: numbered from 1 on; at most 65,535, with less than 4 GB of data.
    """
    file_type = make_box(b"ftyp", brands[0], bytes(4), *brands)
    # What is written is of the same size wherever the data are.
    head_bytes = len(file_type) + len(_meta_box(items, 0)) + 8
    stream.write(file_type)
    stream.write(_meta_box(items, head_bytes))
    stream.write(struct.pack(">I4s", 8 + sum(len(data) for _, data in items), b"mdat"))
    for _, data in items:
        stream.write(data)


def _meta_box(items: Sequence[tuple[Item, bytes]], offset: int) -> bytes:
    handler = make_full_box(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
    primary = make_full_box(b"pitm", 0, 0, struct.pack(">H", items[0][0].number))
    places = []
    for item, data in items:
        places.append(struct.pack(">HHHII", item.number, 0, 1, offset, len(data)))
        offset += len(data)
    location = make_full_box(b"iloc", 0, 0, struct.pack(">HH", 0x4400, len(items)), *places)
    infos = make_full_box(b"iinf", 0, 0, struct.pack(">H", len(items)), *(_info_box(item) for item, _ in items))
    links = [
        make_box(kind, struct.pack(f">HH{len(numbers)}H", item.number, len(numbers), *numbers))
        for item, _ in items
        for kind, numbers in item.references
    ]
    references = make_full_box(b"iref", 0, 0, *links) if links else b""
    return make_full_box(
        b"meta", 0, 0, handler, primary, location, infos, references, _properties_box([item for item, _ in items])
    )


def _info_box(item: Item) -> bytes:
    content_type = item.content_type + b"\0" if item.kind == b"mime" else b""
    return make_full_box(
        b"infe", 2, int(item.is_hidden), struct.pack(">HH4s", item.number, 0, item.kind), b"\0", content_type
    )


def _properties_box(items: Sequence[Item]) -> bytes:
    known = list(dict.fromkeys(p for item in items for p in item.properties))
    associations = []
    for item in items:
        if item.properties:
            numbers = [
                known.index(p) + 1 | (0x8000 if i in item.essential else 0) for i, p in enumerate(item.properties)
            ]
            associations.append(struct.pack(f">HB{len(numbers)}H", item.number, len(numbers), *numbers))
    container = make_box(b"ipco", *(make_box(kind, data) for kind, data in known))
    return make_box(
        b"iprp", container, make_full_box(b"ipma", 0, 1, struct.pack(">I", len(associations)), *associations)
    )


def read_bytes(content: bytes) -> tuple[BinaryIO, Items]:
    """A file that is in memory, and its items."""
    stream = io.BytesIO(content)
    return stream, read_items(stream)
