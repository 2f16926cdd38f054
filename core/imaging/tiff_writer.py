"""Writing TIFF files by tifffile, strip by strip or tile by tile, their tags byte for byte those of the original."""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import tifffile
from tifffile import COMPRESSION

from core.imaging import ifd
from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.output import ColorPage, Output
from core.imaging.pieces import pieces
from core.imaging.scan import Page, Scan
from core.imaging.tiff_coding import Coding, coding_of
from core.imaging.tiff_tags import Tags, foreign_tags, own_tags

RESOLUTION_TAGS = frozenset({meta.X_RESOLUTION, meta.Y_RESOLUTION, meta.RESOLUTION_UNIT})
# LZW may make noise larger by half, and a classic TIFF ends at 4 GB.
CLASSIC_BYTES = 2_700_000_000
STRIP_BYTES = 1 << 20
STRIP_ROWS_STEP = 8
TILE_STEP = 16
MAX_TILE_PIXELS = 1 << 22
"""Larger tiles become strips: a tile is held as a whole, however small the picture is."""
POINTERS = {ifd.EXIF_IFD: "ExifTag", ifd.GPS_IFD: "GPSTag"}


@dataclass(frozen=True)
class _Sheet:
    """What is to be written as one page."""

    color: ColorPage
    page: Page
    tags: Tags
    coding: Coding

    @property
    def channels(self) -> int:
        return 3 if self.page.alpha is None else 4


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """A TIFF of the same bit depth, pages, byte order and tags; BigTIFF as the original or where it may pass 4 GB.

    Rows are written while the pages give them; the stream is also read.
    """
    layout = _layout(pages, scan)
    sheets = []
    losses: list[str] = []
    for number, (color, page) in enumerate(zip(pages, scan.pages, strict=True)):
        sheet, page_losses = _sheet(color, page, scan.format == "TIFF", layout.order, output.for_page(number))
        sheets.append(sheet)
        losses.extend(page_losses)
    # With a name of its own tifffile does not ask the stream for one, which temporary files lack.
    named = tifffile.FileHandle(stream, name="result.tif", size=0)
    with tifffile.TiffWriter(named, bigtiff=layout.big, byteorder=layout.order) as writer:
        for sheet in sheets:
            _write_page(writer, sheet, layout)
    _append_directories(stream, sheets, layout)
    return tuple(losses)


def _layout(pages: Sequence[ColorPage], scan: Scan) -> ifd.Layout:
    size = sum(page.width * page.height * 4 * page.bit_depth // 8 for page in pages)
    own = scan.metadata.layout
    if scan.format != "TIFF" and scan.metadata.portable.exif:
        own, _ = ifd.read_layout(scan.metadata.portable.exif[:16])
    return ifd.Layout(own.order, big=own.big or size > CLASSIC_BYTES)


def _sheet(
    color: ColorPage, page: Page, own: bool, order: ifd.ByteOrder, output: Output
) -> tuple[_Sheet, tuple[str, ...]]:
    metadata = page.metadata
    tags, losses = own_tags(metadata, output) if own else foreign_tags(metadata, output)
    channels = 3 if page.alpha is None else 4
    coding = coding_of(metadata.compression, channels, color.bit_depth, order, output.quality)
    if own and coding.compression != metadata.compression:
        name = COMPRESSION(metadata.compression).name
        losses += (f"the compression {name}, which cannot hold its color (Deflate was used)",)
    return _Sheet(color, page, tags, coding), losses


def _write_page(writer: tifffile.TiffWriter, sheet: _Sheet, layout: ifd.Layout) -> None:
    color, page, coding = sheet.color, sheet.page, sheet.coding
    resolution = meta.resolution(sheet.tags, layout)
    tile = _tile(page)
    rows = tile[0] if tile else _strip_rows(sheet)
    parts = pieces(color, page.alpha, rows)
    writer.write(
        map(coding.encode, _tiles(parts, tile) if tile else parts),
        shape=(color.height, color.width, sheet.channels),
        dtype=np.uint8 if color.bit_depth == 8 else np.uint16,
        rowsperstrip=None if tile else rows,
        tile=tile,
        photometric="rgb",
        planarconfig="contig",
        extrasamples=None if page.alpha is None else (page.metadata.alpha_kind,),
        compression=coding.compression,
        predictor=coding.predictor,
        subsampling=(1, 1) if coding.compression == COMPRESSION.JPEG else None,
        metadata=None,
        software=False,
        contiguous=False,
        iccprofile=meta.srgb_profile(),
        resolution=resolution,
        # Without a resolution tifffile writes one pixel for each unit, which is not to be an inch.
        resolutionunit=meta.NO_UNIT if resolution is None else meta.resolution_unit(sheet.tags, layout),
        extratags=[_extratag(entry, layout.pointer_type) for entry in sheet.tags if entry.tag not in RESOLUTION_TAGS],
    )


def _tile(page: Page) -> tuple[int, int] | None:
    """Rows and columns of the original's tiles; None where it has none, or none that are worth keeping."""
    tile = page.metadata.tile
    if tile is None or tile[0] % TILE_STEP or tile[1] % TILE_STEP or tile[0] * tile[1] > MAX_TILE_PIXELS:
        return None
    return tile


def _strip_rows(sheet: _Sheet) -> int:
    row_bytes = sheet.color.width * sheet.channels * sheet.color.bit_depth // 8
    rows = max(1, STRIP_BYTES // row_bytes // STRIP_ROWS_STEP) * STRIP_ROWS_STEP
    return min(rows, sheet.color.height)


def _tiles(bands: Iterator[Samples], tile: tuple[int, int]) -> Iterator[Samples]:
    """The tiles of rows of tiles, from left to right; the last in a row or column are filled up with black."""
    height, width = tile
    for band in bands:
        for left in range(0, band.shape[1], width):
            part = band[:, left : left + width]
            if part.shape[:2] != tile:
                part = np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)))
            yield np.ascontiguousarray(part)


def _extratag(entry: ifd.Entry, pointer_type: int) -> tuple[int | str, int, int, bytes | int, bool]:
    # A pointer is written as zero first; a name instead of a number passes tifffile's filter of such tags.
    if entry.children:
        return POINTERS[entry.tag], pointer_type, 1, 0, False
    return entry.tag, entry.field_type, entry.count, entry.data, False


def _append_directories(stream: BinaryIO, sheets: Sequence[_Sheet], layout: ifd.Layout) -> None:
    """Write the EXIF and GPS directories behind everything else and point the pages' tags to them."""
    stream.seek(0)
    _, first = ifd.read_layout(stream.read(16))
    offsets = ifd.read_chain(stream, layout, first, len(sheets))
    for sheet, offset in zip(sheets, offsets, strict=True):
        for entry in (entry for entry in sheet.tags if entry.children):
            start = stream.seek(0, io.SEEK_END)
            start += stream.write(b"\0" * (start % 2))
            stream.write(ifd.serialize(entry.children, layout, start))
            stream.seek(ifd.find_value(stream, layout, offset, entry.tag))
            stream.write(struct.pack(layout.offset_code, start))
