"""Metadata for results in another format than the original's, and the label that goes into the XMP of all of them."""

import io
import struct
from fractions import Fraction

from core.imaging import ifd, xmp
from core.imaging.metadata import (
    INCHES,
    LARGEST_DENOMINATOR,
    RATIONAL,
    RESOLUTION_UNIT,
    SHORT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Metadata,
    orientation_of,
)
from core.imaging.output import Output

EMPTY_EXIF = b"II*\0\x08\0\0\0" + bytes(6)
UNREADABLE_XMP_LOSS = "the XMP, which cannot be read (replaced)"


def labelled(packet: bytes, output: Output) -> tuple[bytes, tuple[str, ...]]:
    """The XMP that a result gets, UTF-8, b"" for none, and in words what of the original's was lost."""
    if output.provenance is None:
        return packet, ()
    losses: tuple[str, ...] = (UNREADABLE_XMP_LOSS,) * bool(packet and not xmp.is_readable(packet))
    cut, cut_losses = xmp.without_old_picture(packet)
    return xmp.label(cut, output.provenance), losses + cut_losses


def exif_block(metadata: Metadata) -> bytes:
    """EXIF for a result in another format: what the original's said, with its orientation and resolution in any case.

    Values stay where they are in the block, so that whatever points to them still does; a new first directory is
    put behind them where one is needed.

    Returns:
        A block that begins with its TIFF header; b"" where there is nothing to tell.
    """
    block = metadata.portable.exif or EMPTY_EXIF
    layout, offset = ifd.read_layout(block[:16])
    entries = ifd.read_ifd(io.BytesIO(block), layout, offset).entries
    added = []
    if orientation_of(entries, layout) != metadata.orientation:
        added.append(ifd.Entry(ifd.ORIENTATION, SHORT, struct.pack(layout.order + "H", metadata.orientation)))
    if metadata.dpi is not None and all(entry.tag != X_RESOLUTION for entry in entries):
        added.extend(resolution_entries(metadata.dpi, layout))
    return ifd.amended(block, added) if added else metadata.portable.exif


def resolution_entries(dpi: tuple[float, float], layout: ifd.Layout) -> list[ifd.Entry]:
    """The three tags that tell pixels per inch."""
    ratios = [Fraction(value).limit_denominator(LARGEST_DENOMINATOR) for value in dpi]
    numbers = [struct.pack(layout.order + "II", ratio.numerator, ratio.denominator) for ratio in ratios]
    unit = struct.pack(layout.order + "H", INCHES)
    return [
        ifd.Entry(X_RESOLUTION, RATIONAL, numbers[0]),
        ifd.Entry(Y_RESOLUTION, RATIONAL, numbers[1]),
        ifd.Entry(RESOLUTION_UNIT, SHORT, unit),
    ]
