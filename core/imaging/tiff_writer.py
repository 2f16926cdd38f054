"""Writing TIFF files by tifffile, their tags byte for byte those of the original."""

import io
import struct
from collections.abc import Sequence

import numpy as np
import tifffile

from core.imaging import ifd
from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.scan import Page, Scan
from core.imaging.tiff_tags import RESOLUTION_TAGS, resolution, resolution_unit

CLASSIC_BYTES = 3_900_000_000
POINTERS = {ifd.EXIF_IFD: "ExifTag", ifd.GPS_IFD: "GPSTag"}


def encode(pages: Sequence[Samples], scan: Scan) -> bytes:
    """A TIFF (deflate) of the same bit depth, pages, byte order and tags; BigTIFF where it may pass 4 GB."""
    buffer = io.BytesIO()
    size = sum(pixels.nbytes for pixels in pages)
    layout = ifd.Layout(scan.metadata.layout.order, big=size > CLASSIC_BYTES)
    with tifffile.TiffWriter(buffer, bigtiff=layout.big, byteorder=layout.order) as writer:
        for pixels, page in zip(pages, scan.pages, strict=True):
            _write_page(writer, pixels, page, layout)
    _append_directories(buffer, scan, layout)
    return buffer.getvalue()


def _write_page(writer: tifffile.TiffWriter, pixels: Samples, page: Page, layout: ifd.Layout) -> None:
    tags = page.metadata.tags
    pointer_type = layout.pointer_type
    writer.write(
        pixels if page.alpha is None else np.dstack((pixels, page.alpha)),
        photometric="rgb",
        planarconfig="contig",
        extrasamples=None if page.alpha is None else (page.metadata.alpha_kind,),
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        contiguous=False,
        iccprofile=meta.result_profile(page.metadata.icc_profile),
        resolution=resolution(tags, page.metadata.layout),
        resolutionunit=resolution_unit(tags, page.metadata.layout),
        extratags=[_extratag(entry, pointer_type) for entry in tags if entry.tag not in RESOLUTION_TAGS],
    )


def _extratag(entry: ifd.Entry, pointer_type: int) -> tuple[int | str, int, int, bytes | int, bool]:
    # A pointer is written as zero first; a name instead of a number passes tifffile's filter of such tags.
    if entry.children:
        return POINTERS[entry.tag], pointer_type, 1, 0, False
    return entry.tag, entry.field_type, entry.count, entry.data, False


def _append_directories(buffer: io.BytesIO, scan: Scan, layout: ifd.Layout) -> None:
    """Write the EXIF and GPS directories behind everything else and point the pages' tags to them."""
    buffer.seek(0)
    _, first = ifd.read_layout(buffer.read(16))
    offsets = ifd.read_chain(buffer, layout, first, len(scan.pages))
    for page, offset in zip(scan.pages, offsets, strict=True):
        for entry in (entry for entry in page.metadata.tags if entry.children):
            start = buffer.seek(0, io.SEEK_END)
            start += buffer.write(b"\0" * (start % 2))
            buffer.write(ifd.serialize(entry.children, layout, start))
            buffer.seek(ifd.find_value(buffer, layout, offset, entry.tag))
            buffer.write(struct.pack(layout.offset_code, start))
