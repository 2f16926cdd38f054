"""The codestream inside of a JPEG 2000 file: its headers read, its tiles taken out one by one and put together again.

One tile after the other keeps memory bounded, whatever the size of the picture: OpenJPEG holds what it is given as a
whole, in 4 bytes for every sample.

Source: ISO/IEC 15444-1 annex A.
"""

import io
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from core.errors import ImageError

SOC, SIZ, COD, COC, TLM, PLM = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57
QCD, PPM, SOT, EOC = 0xFF5C, 0xFF60, 0xFF90, 0xFFD9
CODING = frozenset({COD, QCD})
SIZ_CODE = ">HHHIIIIIIIIH"
SOT_BYTES = 12
MAX_MAIN_BYTES = 2**20
MAX_COMPONENTS = 4
MAX_TILES = 65_535
MAX_TILE_PARTS = 1_000_000
# They tell lengths of all tiles together, which do not hold for single ones; decoders need neither.
LENGTHS = frozenset({TLM, PLM})

Area = tuple[int, int, int, int]
"""Left, top, right, bottom of a tile, in pixels of the picture."""


@dataclass(frozen=True)
class Siz:
    """The size of the picture and its tiles, on the reference grid (section A.5.1)."""

    capabilities: int
    right: int
    bottom: int
    left: int
    top: int
    tile_width: int
    tile_height: int
    tile_left: int
    tile_top: int
    components: bytes

    @property
    def width(self) -> int:
        """Pixels per row."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles across and down."""
        across = -(-(self.right - self.tile_left) // self.tile_width)
        return across, -(-(self.bottom - self.tile_top) // self.tile_height)

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return (self.components[0] & 0x7F) + 1

    def tile_area(self, number: int) -> Area:
        """Where a tile lies on the reference grid."""
        down, across = divmod(number, self.tiles[0])
        left, top = self.tile_left + across * self.tile_width, self.tile_top + down * self.tile_height
        right, bottom = min(left + self.tile_width, self.right), min(top + self.tile_height, self.bottom)
        return max(left, self.left), max(top, self.top), right, bottom

    def segment(self) -> bytes:
        """The marker segment."""
        fields = (self.right, self.bottom, self.left, self.top)
        tile = (self.tile_width, self.tile_height, self.tile_left, self.tile_top)
        length, count = 38 + len(self.components), len(self.components) // 3
        return struct.pack(SIZ_CODE, SIZ, length, self.capabilities, *fields, *tile, count) + self.components


@dataclass(frozen=True)
class Main:
    """The main header.

    Args:
        siz: sizes.
        segments: markers and their whole segments, but for SIZ.
        end: where the first tile begins in the file.
    """

    siz: Siz
    segments: tuple[tuple[int, bytes], ...]
    end: int

    @property
    def is_reversible(self) -> bool:
        """Whether all components are coded with the wavelet that allows lossless coding (5/3)."""
        transforms = [segment[13] for marker, segment in self.segments if marker == COD and len(segment) > 13]
        transforms += [segment[10] for marker, segment in self.segments if marker == COC and len(segment) > 10]
        return bool(transforms) and all(transform == 1 for transform in transforms)

    @property
    def can_be_split(self) -> bool:
        """Whether tiles can be decoded one by one: not where their packets' headers stand in the main header."""
        return all(marker != PPM for marker, _ in self.segments)


def read_main(stream: BinaryIO, start: int) -> Main:
    """The main header of a codestream. Raises ImageError(truncated_image | unreadable_image | unsupported_format)."""
    stream.seek(start)
    if _number(stream) != SOC or _number(stream) != SIZ:
        raise ImageError("unreadable_image", "The JPEG 2000 codestream does not begin with its size.")
    siz = _parse_siz(_segment(stream, SIZ))
    segments = []
    while (marker := _number(stream)) != SOT:
        segments.append((marker, _segment(stream, marker)))
        if stream.tell() - start > MAX_MAIN_BYTES:
            raise ImageError("unreadable_image", "The JPEG 2000 header is larger than any real one.")
    return Main(siz, tuple(segments), stream.tell() - 2)


def _number(stream: BinaryIO) -> int:
    data = stream.read(2)
    if len(data) < 2:
        raise truncated()
    return int.from_bytes(data)


def _segment(stream: BinaryIO, marker: int) -> bytes:
    if marker < 0xFF00:
        raise ImageError("unreadable_image", "The JPEG 2000 header is damaged.")
    length = _number(stream)
    body = stream.read(max(length - 2, 0))
    if len(body) < length - 2:
        raise truncated()
    return struct.pack(">HH", marker, length) + body


def truncated() -> ImageError:
    """What is raised for a file that is cut off."""
    return ImageError("truncated_image", "The JPEG 2000 file ends before its picture does.")


def _parse_siz(segment: bytes) -> Siz:
    head = struct.calcsize(SIZ_CODE)
    if len(segment) < head:
        raise ImageError("unreadable_image", "The JPEG 2000 header is damaged.")
    *_, capabilities, right, bottom, left, top, width, height, tile_left, tile_top, count = struct.unpack_from(
        SIZ_CODE, segment
    )
    siz = Siz(capabilities, right, bottom, left, top, width, height, tile_left, tile_top, segment[head:])
    inside = tile_left <= left < min(right, tile_left + width) and tile_top <= top < min(bottom, tile_top + height)
    if not inside or len(siz.components) != 3 * count or count == 0:
        raise ImageError("unreadable_image", "The JPEG 2000 header gives an impossible size.")
    if siz.tiles[0] * siz.tiles[1] > MAX_TILES:
        raise ImageError("unreadable_image", "The JPEG 2000 header gives an impossible number of tiles.")
    _check_components(siz)
    return siz


def _check_components(siz: Siz) -> None:
    kinds = {siz.components[i : i + 3] for i in range(0, len(siz.components), 3)}
    if len(kinds) > 1 or siz.components[1:3] != b"\1\1" or len(siz.components) > 3 * MAX_COMPONENTS:
        message = "JPEG 2000 whose components differ in bits or size, or with more than four, is not accepted."
        raise ImageError("unsupported_format", message)
    if siz.components[0] & 0x80 or siz.bits > 16:
        message = "JPEG 2000 with signed samples, or more than 16 bits of them, is not accepted."
        raise ImageError("unsupported_format", message)


def read_tile_parts(stream: BinaryIO, main: Main, end: int) -> dict[int, list[tuple[int, int]]]:
    """Where the parts of each tile start and end in the file.

    Args:
        stream: the file.
        main: its codestream's main header.
        end: where the codestream ends at the latest.

    Raises:
        ImageError: truncated_image where a tile, or the end of the codestream, is missing.
    """
    parts: dict[int, list[tuple[int, int]]] = defaultdict(list)
    across, down = main.siz.tiles
    place = main.end
    for _ in range(MAX_TILE_PARTS):
        stream.seek(place)
        head = stream.read(min(SOT_BYTES, end - place))
        if head[:2] == struct.pack(">H", EOC):
            break
        if len(head) < SOT_BYTES:
            raise truncated()
        marker, _, tile, size = struct.unpack_from(">HHHI", head)
        part_end = place + size if size else end - 2
        if marker != SOT or tile >= across * down or part_end < place + SOT_BYTES:
            raise ImageError("unreadable_image", "The JPEG 2000 codestream is damaged.")
        if part_end + 2 > end:
            raise truncated()
        parts[tile].append((place, part_end))
        place = part_end
    if len(parts) < across * down:
        raise truncated()
    return parts


def tile_codestreams(
    stream: BinaryIO, main: Main, parts: dict[int, list[tuple[int, int]]]
) -> Iterator[tuple[Area, bytes]]:
    """Each tile as a codestream of its own, which lies at the same place of the reference grid."""
    rest = b"".join(segment for marker, segment in main.segments if marker not in LENGTHS)
    for tile in sorted(parts):
        left, top, right, bottom = main.siz.tile_area(tile)
        siz = replace(
            main.siz,
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            tile_left=left,
            tile_top=top,
            tile_width=right - left,
            tile_height=bottom - top,
        )
        pieces = [struct.pack(">H", SOC), siz.segment(), rest]
        for start, end in parts[tile]:
            stream.seek(start)
            part = stream.read(end - start)
            pieces += [part[:4], bytes(2), part[6:]]
        x, y = main.siz.left, main.siz.top
        yield (left - x, top - y, right - x, bottom - y), b"".join([*pieces, struct.pack(">H", EOC)])


class Joiner:
    """Puts tiles that were coded on their own, each in one part, together to the codestream of one picture.

    All tiles but the last of a row or column must be squares whose edge is a power of two, at least that of a code
    block times two to the power of the wavelet's levels: then their coding is the same anywhere on the grid.
    """

    def __init__(self, stream: BinaryIO, width: int, height: int, edge: int) -> None:
        self._stream = stream
        self._size = (width, height)
        self._edge = edge
        self._tile = 0
        self._common: frozenset[tuple[int, bytes]] = frozenset()

    def add(self, codestream: bytes) -> None:
        """Write the next tile, from left to right and from top to bottom."""
        main = read_main(io.BytesIO(codestream), 0)
        if self._tile == 0:
            siz = Siz(main.siz.capabilities, *self._size, 0, 0, self._edge, self._edge, 0, 0, main.siz.components)
            self._stream.write(struct.pack(">H", SOC) + siz.segment() + b"".join(s for _, s in main.segments))
            self._common = frozenset(main.segments)
        # Small tiles have fewer levels than the first, and say so in their own header.
        own = b"".join(s for marker, s in main.segments if marker in CODING and (marker, s) not in self._common)
        part = memoryview(codestream)[main.end : -2]
        self._stream.write(struct.pack(">HHHIBB", SOT, 10, self._tile, len(part) + len(own), 0, 1))
        self._stream.write(own)
        self._stream.write(part[SOT_BYTES:])
        self._tile += 1

    def finish(self) -> None:
        """Write the end."""
        self._stream.write(struct.pack(">H", EOC))
