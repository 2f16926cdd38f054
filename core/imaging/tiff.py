"""TIFF files: pixels by tifffile and imagecodecs, tags carried over byte for byte.

Pillow is not used because it reads 16-bit color as 8-bit and cannot write it.
Source: TIFF 6.0, BigTIFF.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from core.errors import ImageError
from core.imaging import ifd
from core.imaging.arrays import Samples
from core.imaging.cmyk import rgb_from_cmyk
from core.imaging.metadata import Metadata
from core.imaging.profiles import tone_of
from core.imaging.samples import looked_up, stretch
from core.imaging.scan import ImageLimits, Page, Probe, Scan
from core.imaging.tiff_segments import check_endings, read_lzw
from core.imaging.tiff_tags import read_metadata
from core.imaging.tiff_writer import encode

__all__ = ["decode", "encode", "probe"]

Pixels = NDArray[np.unsignedinteger | np.bool_]

MAX_PAGES = 10_000
COLORS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
}
COMPRESSIONS = frozenset(
    {COMPRESSION.NONE, COMPRESSION.CCITTRLE, COMPRESSION.CCITT_T4, COMPRESSION.CCITT_T6, COMPRESSION.LZW}
    | {COMPRESSION.JPEG, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE, COMPRESSION.PACKBITS}
    | {COMPRESSION.ZSTD, COMPRESSION.WEBP}
)
DNG_VERSION = 50706
SUB_IFDS_LOSS = "the smaller or further pictures that hang on a page (SubIFDs)"


@contextmanager
def _reading() -> Iterator[None]:
    """Around what tifffile does with a damaged file: its failures, of whatever type, come out as ImageError."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # From TypeError to ZeroDivisionError, there is no type that tifffile does not raise.
        raise ImageError("unreadable_image", f"The TIFF is damaged: {str(error)[:200]}.") from error


@contextmanager
def _opened(stream: BinaryIO, limits: ImageLimits) -> Iterator[list[tifffile.TiffPage]]:
    """All pages, checked: tifffile alone would leave out those whose directory was cut off."""
    offsets = _page_offsets(stream)
    stream.seek(0)
    with _reading():
        file = tifffile.TiffFile(stream, name="scan.tif")
    with file:
        with _reading():
            pages = [page.aspage() for page in file.pages]
            if not pages or [page.offset for page in pages] != offsets:
                raise ImageError("unreadable_image", "The TIFF's pages cannot all be read.")
            _check_pages(pages, limits, file.filehandle.size)
        yield pages


def _page_offsets(stream: BinaryIO) -> list[int]:
    stream.seek(0)
    try:
        layout, first = ifd.read_layout(stream.read(16))
        return ifd.read_chain(stream, layout, first, MAX_PAGES)
    except ifd.IfdError as error:
        raise ImageError("truncated_image", f"The TIFF is cut off or damaged: {error}.") from error


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the directories. Raises ImageError as codec.probe says."""
    with _opened(stream, limits) as pages:
        first = pages[0]
        pixels = [page.imagewidth * page.imagelength for page in pages]
        held = [max(count, _tile_pixels(page)) for count, page in zip(pixels, pages, strict=True)]
        bits = 8 if all(_bits(page) <= 8 for page in pages) else 16
        return Probe.of_pages("TIFF", first.imagewidth, first.imagelength, bits, pixels, held)


def _tile_pixels(page: tifffile.TiffPage) -> int:
    return int(page.tilewidth * page.tilelength) if page.is_tiled else 1


def _check_pages(pages: list[tifffile.TiffPage], limits: ImageLimits, file_bytes: int) -> None:
    if DNG_VERSION in pages[0].tags or (pages[0].subfiletype & 1 and ifd.SUB_IFDS in pages[0].tags):
        raise ImageError("unsupported_format", "Camera raw files are not accepted; develop them to TIFF or JPEG.")
    limits.check_pixels(sum(page.imagewidth * page.imagelength for page in pages))
    for page in pages:
        limits.check_pixels(page.imagewidth * page.imagelength)
        limits.check_pixels(_tile_pixels(page))
        _check_samples(page)
        _check_segments(page, file_bytes)


def _check_samples(page: tifffile.TiffPage) -> None:
    bits = _bits(page)
    colors = _colors(page)
    alphas = page.samplesperpixel - colors
    if page.sampleformat not in (1, 4) or not 1 <= bits <= 16 or page.imagedepth != 1:
        message = f"TIFF with {bits} bits per sample or numbers other than unsigned ones is not accepted."
        raise ImageError("unsupported_format", message)
    if alphas not in (0, 1) or (alphas and (bits not in (8, 16) or page.photometric == PHOTOMETRIC.PALETTE)):
        message = f"TIFF with {page.samplesperpixel} samples per pixel of {bits} bits is not accepted."
        raise ImageError("unsupported_format", message)
    if page.photometric == PHOTOMETRIC.SEPARATED and bits != 8:
        raise ImageError("unsupported_format", f"TIFF in CMYK of {bits} bits is not accepted; convert it to RGB.")
    if page.compression not in COMPRESSIONS:
        name = getattr(page.compression, "name", str(page.compression))
        raise ImageError("unsupported_format", f"TIFF compressed with {name} is not accepted.")


def _check_segments(page: tifffile.TiffPage, file_bytes: int) -> None:
    """Refuse pictures with missing strips or tiles, which tifffile would fill with zeros without a word."""
    ends = [at + size for at, size in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if len(ends) < _segment_count(page) or not all(page.dataoffsets) or not all(page.databytecounts):
        raise ImageError("truncated_image", "Parts of the TIFF's picture are missing.")
    if max(ends) > file_bytes:
        raise ImageError("truncated_image", "The TIFF ends before its picture does.")


def _segment_count(page: tifffile.TiffPage) -> int:
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    if page.is_tiled:
        return planes * -(-page.imagelength // page.tilelength) * -(-page.imagewidth // page.tilewidth)
    return planes * -(-page.imagelength // max(page.rowsperstrip, 1))


def _bits(page: tifffile.TiffPage) -> int:
    bits = page.bitspersample
    if isinstance(bits, int):
        return bits
    raise ImageError("unsupported_format", "TIFF whose samples differ in their bits is not accepted.")


def _colors(page: tifffile.TiffPage) -> int:
    if page.photometric == PHOTOMETRIC.YCBCR and page.compression == COMPRESSION.JPEG:
        return 3
    colors = COLORS.get(page.photometric)
    if colors is None:
        name = getattr(page.photometric, "name", str(page.photometric))
        raise ImageError("unsupported_format", f"TIFF in {name} is not accepted; convert it to RGB or gray.")
    return colors


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode all pages. Raises ImageError as codec.decode says."""
    with _opened(stream, limits) as pages:
        scanned = []
        losses = {SUB_IFDS_LOSS} if any(ifd.SUB_IFDS in page.tags for page in pages) else set()
        for page in pages:
            metadata, page_losses = read_metadata(stream, page)
            decoded, color_losses = _make_page(page, _read_pixels(page, stream), metadata)
            scanned.append(decoded)
            losses.update(page_losses, color_losses)
    return Scan("TIFF", tuple(scanned), tuple(sorted(losses)))


def _read_pixels(page: tifffile.TiffPage, stream: BinaryIO) -> Pixels:
    """The samples of a page, (H, W, samples)."""
    with _reading():
        check_endings(page, stream)
        if page.compression == COMPRESSION.LZW:
            return read_lzw(page, stream)
        pixels: Pixels = page.asarray()
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            pixels = np.moveaxis(pixels, 0, -1)
        return pixels.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)


def _make_page(page: tifffile.TiffPage, pixels: Pixels, metadata: Metadata) -> tuple[Page, tuple[str, ...]]:
    colors, bits = _colors(page), _bits(page)
    alpha = stretch(pixels[..., colors].copy(), bits) if page.samplesperpixel > colors else None
    color = np.ascontiguousarray(pixels[..., 0] if colors == 1 else pixels[..., :colors])
    if page.photometric == PHOTOMETRIC.SEPARATED:
        rgb, loss = rgb_from_cmyk(color.astype(np.uint8, copy=False), metadata.icc_profile, inverted=False)
        return Page(rgb, alpha, metadata), (loss,)
    if page.photometric == PHOTOMETRIC.PALETTE:
        samples = _apply_palette(color, page)
    else:
        samples = stretch(color, bits)
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            np.invert(samples, out=samples)
    tone, losses = tone_of(metadata.icc_profile, gray=samples.ndim == 2)
    return Page(samples, alpha, metadata, tone), losses


def _apply_palette(color: Pixels, page: tifffile.TiffPage) -> Samples:
    palette = page.colormap
    if palette is None or palette.shape[0] != 3 or int(color.max()) >= palette.shape[1]:
        raise ImageError("unreadable_image", "The TIFF's palette lacks colors that its picture uses.")
    # Some old programs wrote 8 bits where TIFF 6.0 wants 16; libtiff tells them apart in the same way.
    bits_too_many = 8 if int(palette.max()) > 255 else 0
    colors: Samples = (palette >> bits_too_many).astype(np.uint8).T
    return looked_up(colors, color)
