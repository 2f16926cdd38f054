"""The strips and tiles of a TIFF page one by one: refusing those that are cut off, and reading those in LZW.

Source: TIFF 6.0 sections 10, 11 and 13, ITU-T T.4 and T.6.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, product
from typing import BinaryIO

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from core.errors import ImageError
from core.imaging import ifd
from core.imaging.arrays import Samples
from core.imaging.jpeg_pixels import check_end

T4_OPTIONS = 292
REVERSED_BITS = 2
JPEG_FIRST_SEGMENT = 4
END_OF_BLOCK = 0x001001
EOL_AND_ONES = b"\x00\x1f\xff\xff\xff"
SHORT, LONG = 3, 4
HEADER_BYTES = 8
PILE_PIXELS = 1 << 18
"""Read at once by libtiff, at least: each of its calls takes as long as some ten thousand pixels."""

Decode = Callable[[bytes, int, int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Segment:
    """A strip or a tile: where in the page it lies, and where in the file.

    Args:
        channels: of the page's samples, those that it holds.
        top: first row.
        left: first column.
        rows: in it, of a tile also those below the page.
        columns: likewise.
        start: of its data in the file.
        size_bytes: of its data.
    """

    channels: slice
    top: int
    left: int
    rows: int
    columns: int
    start: int
    size_bytes: int

    @property
    def samples(self) -> int:
        """How many of each pixel it holds."""
        return int(self.channels.stop - self.channels.start)

    def read(self, stream: BinaryIO) -> bytes:
        """Its data as they are coded."""
        stream.seek(self.start)
        return stream.read(self.size_bytes)


def segments(page: tifffile.TiffPage) -> Iterator[Segment]:
    """All of a page, plane by plane and row by row."""
    height, width = page.imagelength, page.imagewidth
    tiled = page.is_tiled
    rows = page.tilelength if tiled else min(max(page.rowsperstrip, 1), height)
    columns = page.tilewidth if tiled else width
    places = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
    planes = [slice(0, page.samplesperpixel)]
    if page.planarconfig == 2:
        planes = [slice(plane, plane + 1) for plane in range(page.samplesperpixel)]
    data = zip(page.dataoffsets, page.databytecounts, strict=False)
    for (channels, (top, left)), (start, size_bytes) in zip(product(planes, places), data, strict=False):
        yield Segment(channels, top, left, rows if tiled else min(rows, height - top), columns, start, size_bytes)


def check_endings(page: tifffile.TiffPage, stream: BinaryIO) -> None:
    """Refuse JPEG and CCITT data that are cut off, which their decoders fill up without a word.

    Raises ImageError(truncated_image); what imagecodecs raises for data that are damaged beyond that.
    """
    if page.compression == COMPRESSION.JPEG:
        for segment in segments(page):
            check_end(segment.read(stream), JPEG_FIRST_SEGMENT)
    decode = _fax_decoder(page)
    if decode is not None:
        for segment in segments(page):
            data = segment.read(stream)
            if page.fillorder == REVERSED_BITS:
                data = bytes(imagecodecs.bitorder_decode(data))
            _check_fax(data, segment, decode)


def _fax_decoder(page: tifffile.TiffPage) -> Decode | None:
    if page.compression == COMPRESSION.CCITT_T6:
        return imagecodecs.ccittfax4_decode
    if page.compression == COMPRESSION.CCITT_T4:
        return partial(imagecodecs.ccittfax3_decode, t4options=page.tags.valueof(T4_OPTIONS) or 0)
    return imagecodecs.ccittrle_decode if page.compression == COMPRESSION.CCITTRLE else None


def _check_fax(data: bytes, segment: Segment, decode: Decode) -> None:
    """Refuse CCITT data without some of their rows, which the decoder leaves white.

    Rows that are missing are read from what follows the data. So data that are whole decode to the same whatever
    follows them. The end-of-block mark, which most programs put behind whole data of T.6, cannot stand inside of them.
    """
    ending = int.from_bytes(data.rstrip(b"\0")[-4:])
    if ending // (ending & -ending or 1) & 0xFFFFFF == END_OF_BLOCK:
        return
    size = (segment.rows, segment.columns)
    found = decode(data, *size)
    for more in (b"\xff" * 64, b"\x55" * 64, EOL_AND_ONES * 20):
        if not np.array_equal(decode(data + more * (1 + segment.columns // 256), *size), found):
            raise ImageError("truncated_image", "A strip of the TIFF ends before its picture does.")


def read_lzw(page: tifffile.TiffPage, stream: BinaryIO) -> Samples:
    """The samples of a page in LZW, (H, W, samples), by libtiff, which is given a few strips or tiles at a time.

    imagecodecs' own LZW decoder, which tifffile uses, crashes the process on damaged data; libtiff does not. Raises
    what imagecodecs raises.
    """
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    pixels: Samples = np.empty(shape, np.uint8 if page.bitspersample <= 8 else np.uint16)
    for pile in _piles(page):
        first = pile[0]
        picture = imagecodecs.tiff_decode(_alone(page, pile, [segment.read(stream) for segment in pile]))
        picture = picture.reshape(-1, first.columns, first.samples)
        for number, segment in enumerate(pile):
            part = picture[number * first.rows :][: segment.rows]
            place = pixels[segment.top :, segment.left :, segment.channels][: segment.rows, : segment.columns]
            place[...] = part[: place.shape[0], : place.shape[1]]
    return pixels


def _piles(page: tifffile.TiffPage) -> Iterator[list[Segment]]:
    """Some of a page's segments at a time, all of them of the same rows but for the last, which may have fewer."""
    pile: list[Segment] = []
    usual_rows = next(segments(page)).rows
    for segment in segments(page):
        pile.append(segment)
        if segment.rows < usual_rows or len(pile) * segment.rows * segment.columns >= PILE_PIXELS:
            yield pile
            pile = []
    if pile:
        yield pile


def _alone(page: tifffile.TiffPage, pile: list[Segment], data: list[bytes]) -> bytes:
    """A TIFF whose strips are these strips or tiles, one below the other, in the byte order of the page's file."""
    order, first = page.parent.byteorder, pile[0]
    ends = list(accumulate(map(len, data), initial=HEADER_BYTES))
    tags: dict[int, tuple[int, list[int]]] = {
        256: (LONG, [first.columns]),
        257: (LONG, [sum(segment.rows for segment in pile)]),
        258: (SHORT, [page.bitspersample] * first.samples),
        259: (SHORT, [COMPRESSION.LZW]),
        262: (SHORT, [PHOTOMETRIC.MINISBLACK]),
        266: (SHORT, [page.fillorder]),
        273: (LONG, ends[:-1]),
        277: (SHORT, [first.samples]),
        278: (LONG, [first.rows]),
        279: (LONG, [len(part) for part in data]),
        317: (SHORT, [page.predictor]),
        338: (SHORT, [0] * (first.samples - 1)),
    }
    codes = {SHORT: "H", LONG: "I"}
    entries = [
        ifd.Entry(tag, kind, struct.pack(f"{order}{len(values)}{codes[kind]}", *values))
        for tag, (kind, values) in tags.items()
        if values
    ]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, ends[-1])
    return b"".join((head, *data, ifd.serialize(entries, ifd.Layout(order), ends[-1])))
