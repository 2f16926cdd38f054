"""AVIF files: items by hand, so that metadata are carried over as they are; pixels by libavif (imagecodecs).

Results have the original's 8, 10 or 12 bits and full chroma (4:4:4), and say that they are sRGB. They are lossless
where quality 100 is asked for, or where the original keeps R, G and B as they are (identity matrix), which only
lossless files do; else lossy. On 8 photographs, at quality 95, the mean error of L is 0.291 in color, where saving the
gray photograph costs 0.226. Large results are grids of cells that are coded one by one, which keeps memory bounded.

Orientation is what the file's irot and imir say, as the standard wants it; the pixels stay as they are stored. Pillow
is not used because it reads 10 and 12 bits as 8.

Source: AV1 Image File Format 1.1, MIAF (ISO/IEC 23000-22).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np

from core.errors import ImageError
from core.imaging.arrays import Samples
from core.imaging.avif_metadata import (
    bit_depth,
    check_color,
    describing_items,
    is_identity,
    placing_properties,
    read_metadata,
    stored_bits,
)
from core.imaging.avif_pictures import LOSSLESS, Coding, color_properties, picture_items
from core.imaging.heif_items import Item, Items, read_items, write_file
from core.imaging.output import ColorPage, Output
from core.imaging.profiles import tone_of
from core.imaging.samples import split_alpha, stretch
from core.imaging.scan import ImageLimits, Page, Probe, Scan

MAX_EDGE_PX = 32_768
MAX_PIXELS = 16_384 * 16_384
"""What libavif, and with it most readers, take."""
BRANDS = (b"avif", b"mif1", b"miaf")
SEQUENCE_BRAND = b"avis"
BITS_LOSS = "the finest of 16 bits, since AVIF holds 12"
SEQUENCE_LOSS = "the further pictures of a sequence"


@dataclass(frozen=True)
class _Header:
    """The items of a file, and what they tell about its main picture."""

    items: Items
    main: Item
    width: int
    height: int
    bits: int


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the items. Raises ImageError as codec.probe says."""
    header = _read_header(stream, limits)
    return Probe.of("AVIF", header.width, header.height, 8 if header.bits == 8 else 16)


def _read_header(stream: BinaryIO, limits: ImageLimits) -> _Header:
    items = read_items(stream)
    main = items.primary_item()
    size = main.property(b"ispe")
    if size is None or len(size) < 12:
        raise ImageError("unreadable_image", "The AVIF does not say how large it is.")
    width, height = struct.unpack_from(">II", size, 4)
    limits.check_pixels(width * height)
    items.check_extents(stream)
    check_color(main)
    return _Header(items, main, width, height, bit_depth(items, main))


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode, of a sequence the first picture. Raises ImageError as codec.decode says."""
    header = _read_header(stream, limits)
    metadata, losses = read_metadata(stream, header.items, header.main)
    pixels = _read_pixels(stream)
    if pixels.shape[:2] != (header.height, header.width) or (pixels.dtype == np.uint8) != (header.bits == 8):
        raise ImageError("unreadable_image", "The AVIF's picture has another size or depth than its header says.")
    stream.seek(8)
    if stream.read(4) == SEQUENCE_BRAND:
        losses = (*losses, SEQUENCE_LOSS)
    samples, alpha = split_alpha(stretch(pixels, header.bits))
    tone, tone_losses = tone_of(metadata.icc_profile, gray=samples.ndim == 2)
    return Scan("AVIF", (Page(samples, alpha, metadata, tone),), (*tone_losses, *losses))


def _read_pixels(stream: BinaryIO) -> Samples:
    """(H, W) or (H, W, 2 to 4), with the bits that the file has."""
    stream.seek(0)
    content = bytearray(stream.read())
    # With this brand libavif takes the still picture of a sequence. imagecodecs would write the other frames into
    # memory that is not there.
    content[8:12] = BRANDS[0]
    try:
        pixels: Samples = imagecodecs.avif_decode(content)
    except (imagecodecs.AvifError, ValueError) as error:
        raise _refusal(str(error)) from error
    return pixels


def _refusal(reason: str) -> ImageError:
    if "runcated" in reason:
        return ImageError("truncated_image", "The AVIF ends before its picture does.")
    return ImageError("unreadable_image", f"The AVIF is damaged: {reason}.")


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """An AVIF with alpha. Raises ImageError(too_large_for_format) past MAX_EDGE_PX or MAX_PIXELS."""
    page, metadata = pages[0], scan.metadata
    if max(page.width, page.height) > MAX_EDGE_PX or page.width * page.height > MAX_PIXELS:
        size = f"{page.width:,} x {page.height:,}"
        message = f"AVIF holds at most {MAX_EDGE_PX:,} pixels across and down; this picture has {size}."
        raise ImageError("too_large_for_format", message)
    own = scan.format == "AVIF"
    lossless = output.quality == LOSSLESS or (own and is_identity(metadata))
    coding = Coding(_result_bits(page, scan), LOSSLESS if lossless else output.quality)
    pictures = picture_items(page, scan.alpha, coding, [*color_properties(coding), *placing_properties(scan)])
    described, losses = describing_items(scan, output, first=len(pictures) + 1)
    write_file(stream, BRANDS, [*pictures, *described])
    return (*losses, BITS_LOSS) if page.bit_depth == 16 and not own else losses


def _result_bits(page: ColorPage, scan: Scan) -> int:
    if page.bit_depth == 8:
        return 8
    return stored_bits(scan.metadata) or 12
