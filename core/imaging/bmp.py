"""BMP files: headers by hand, pixels read by Pillow, which knows run lengths, and written by imagecodecs.

Results have 24 bits, or 32 with alpha, and a header that says that they are sRGB. BMP has no place for EXIF, XMP or
IPTC, nor for an orientation: pictures of other formats are turned upright.

Source: Microsoft's documentation of BITMAPFILEHEADER, BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from core.errors import ImageError
from core.imaging.arrays import Samples
from core.imaging.metadata import UPRIGHT, Metadata
from core.imaging.orientation import upright
from core.imaging.output import ArrayPage, ColorPage, Output, whole
from core.imaging.pieces import pieces
from core.imaging.profiles import tone_of
from core.imaging.samples import looked_up
from core.imaging.scan import ImageLimits, Page, Probe, Scan

FILE_HEADER_BYTES = 14
OLD_HEADER_BYTES, V4_HEADER_BYTES, V5_HEADER_BYTES = 12, 108, 124
HEADER_SIZES = frozenset({OLD_HEADER_BYTES, 40, 52, 56, 64, V4_HEADER_BYTES, V5_HEADER_BYTES})
UNCOMPRESSED, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3
BITS = frozenset({1, 4, 8, 16, 24, 32})
EMBEDDED_PROFILE = b"DEBM"
SRGB = b"BGRs"
MAX_PROFILE_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**32 - 1
METERS_PER_INCH = 0.0254
ROWS_AT_ONCE = 512

LABEL_LOSS = "the label that says that it was colorized, for which BMP has no place"
METADATA_LOSS = "EXIF, XMP and IPTC, for which BMP has no place"


@dataclass(frozen=True)
class Header:
    """What stands before a BMP's pixels.

    Args:
        pixels_at: where they begin in the file.
        size: bytes of the header that follows the file's own.
        width: pixels per row.
        height: rows.
        bits: per pixel.
        compression: one of the constants above.
        coded_bytes: bytes of the pixels; 0 where it is not told.
        per_meter: pixels per meter across and down; 0 where it is not told.
        rest: what follows in the header.
    """

    pixels_at: int
    size: int
    width: int
    height: int
    bits: int
    compression: int = UNCOMPRESSED
    coded_bytes: int = 0
    per_meter: tuple[int, int] = (0, 0)
    rest: bytes = b""


def _truncated() -> ImageError:
    return ImageError("truncated_image", "The BMP ends before its picture does.")


def read_header(stream: BinaryIO) -> Header:
    """Read both headers. Raises ImageError(truncated_image | unreadable_image | unsupported_format)."""
    stream.seek(0)
    head = stream.read(FILE_HEADER_BYTES + 4)
    if len(head) < FILE_HEADER_BYTES + 4:
        raise _truncated()
    pixels_at, size = struct.unpack_from("<II", head, 10)
    if size not in HEADER_SIZES:
        raise ImageError("unsupported_format", f"BMP with a header of {size} bytes is not accepted.")
    data = stream.read(size - 4)
    if len(data) < size - 4:
        raise _truncated()
    if size == OLD_HEADER_BYTES:
        width, height, _, bits = struct.unpack("<HHHH", data)
        return _checked(Header(pixels_at, size, width, height, bits))
    width, height, _, bits, compression, coded_bytes, across, down = struct.unpack_from("<iiHHIIii", data)
    rows = abs(height)
    return _checked(Header(pixels_at, size, width, rows, bits, compression, coded_bytes, (across, down), data[36:]))


def _checked(header: Header) -> Header:
    if header.width < 1 or header.height < 1:
        raise ImageError("unreadable_image", "The BMP's header gives an impossible size.")
    if header.bits not in BITS or header.compression > BITFIELDS:
        message = f"BMP with {header.bits} bits and compression {header.compression} is not accepted."
        raise ImageError("unsupported_format", message)
    return header


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the header. Raises ImageError as codec.probe says."""
    header = read_header(stream)
    limits.check_pixels(header.width * header.height)
    _check_length(header, stream.seek(0, io.SEEK_END))
    return Probe.of("BMP", header.width, header.height, 8)


def _check_length(header: Header, file_bytes: int) -> None:
    stride = (header.width * header.bits + 31) // 32 * 4
    coded = header.coded_bytes if header.compression in (RLE8, RLE4) else stride * header.height
    if header.pixels_at + coded > file_bytes:
        raise _truncated()


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    probe(stream, limits)
    header = read_header(stream)
    pixels = _read_pixels(stream)
    if pixels.shape[:2] != (header.height, header.width):
        raise ImageError("unreadable_image", "The BMP's picture has another size than its header says.")
    alpha = pixels[..., 3].copy() if pixels.ndim == 3 and pixels.shape[2] == 4 else None
    samples = pixels if alpha is None else np.ascontiguousarray(pixels[..., :3])
    metadata = Metadata(icc_profile=_read_profile(stream, header), dpi=_dpi(header))
    tone, losses = tone_of(metadata.icc_profile, gray=samples.ndim == 2)
    return Scan("BMP", (Page(samples, alpha, metadata, tone),), losses)


def _read_pixels(stream: BinaryIO) -> Samples:
    """(H, W) gray, or (H, W, 3 or 4)."""
    stream.seek(0)
    try:
        with Image.open(stream, formats=("BMP",)) as image:
            if image.mode == "P":
                palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
                return _apply_palette(np.asarray(image), palette)
            return np.asarray(image.convert("L") if image.mode == "1" else image)
    except (OSError, ValueError, SyntaxError, IndexError) as error:
        raise _refusal(str(error)) from error


def _refusal(reason: str) -> ImageError:
    if "truncated" in reason or "not enough" in reason:
        return _truncated()
    if "Unsupported" in reason:
        return ImageError("unsupported_format", f"The BMP is not accepted: {reason}.")
    return ImageError("unreadable_image", f"The BMP is damaged: {reason}.")


def _apply_palette(indices: Samples, palette: Samples) -> Samples:
    if indices.max() >= len(palette):
        raise ImageError("unreadable_image", "The BMP's palette lacks colors that its picture uses.")
    is_gray = bool((palette == palette[:, :1]).all())
    return looked_up(np.ascontiguousarray(palette[:, 0]) if is_gray else palette, indices)


def _read_profile(stream: BinaryIO, header: Header) -> bytes | None:
    if header.size != V5_HEADER_BYTES or header.rest[16:20] != EMBEDDED_PROFILE:
        return None
    offset, size = struct.unpack_from("<II", header.rest, 72)
    stream.seek(FILE_HEADER_BYTES + offset)
    return stream.read(min(size, MAX_PROFILE_BYTES)) or None


def _dpi(header: Header) -> tuple[float, float] | None:
    across, down = header.per_meter
    return (across * METERS_PER_INCH, down * METERS_PER_INCH) if across > 0 and down > 0 else None


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """An uncompressed BMP. Raises ImageError(too_large_for_format) past 4 GB."""
    page, alpha = pages[0], scan.alpha
    if scan.orientation != UPRIGHT:
        page = ArrayPage(np.ascontiguousarray(upright(whole(page), scan.orientation)))
        alpha = None if alpha is None else upright(alpha, scan.orientation)
    bits = 24 if alpha is None else 32
    stride = (page.width * bits + 31) // 32 * 4
    start = FILE_HEADER_BYTES + V4_HEADER_BYTES
    if start + stride * page.height > MAX_FILE_BYTES:
        raise ImageError("too_large_for_format", "BMP holds at most 4 GB.")
    stream.write(_make_header(page, bits, stride * page.height, scan.metadata.dpi))
    bottom = start + stride * page.height
    for rows in pieces(page, alpha, ROWS_AT_ONCE):
        coded = imagecodecs.bmp_encode(rows)
        bottom -= stride * len(rows)
        stream.seek(bottom)
        stream.write(memoryview(coded)[int.from_bytes(coded[10:14], "little") :])
    return _losses(scan, output)


def _make_header(page: ColorPage, bits: int, coded_bytes: int, dpi: tuple[float, float] | None) -> bytes:
    start = FILE_HEADER_BYTES + V4_HEADER_BYTES
    per_meter = [min(2**31 - 1, round(value / METERS_PER_INCH)) for value in dpi] if dpi else [0, 0]
    compression = BITFIELDS if bits == 32 else UNCOMPRESSED
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if bits == 32 else (0, 0, 0, 0)
    return b"".join((
        struct.pack("<2sIII", b"BM", start + coded_bytes, 0, start),
        struct.pack("<IiiHHII", V4_HEADER_BYTES, page.width, page.height, 1, bits, compression, coded_bytes),
        struct.pack("<iiII", *per_meter, 0, 0),
        struct.pack("<4I4s", *masks, SRGB),
        bytes(48),
    ))  # fmt: skip


def _losses(scan: Scan, output: Output) -> tuple[str, ...]:
    portable = scan.metadata.portable
    lost = (METADATA_LOSS,) if portable.exif or portable.xmp or portable.iptc else ()
    return (*lost, LABEL_LOSS) if output.provenance else lost
