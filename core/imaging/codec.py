"""Photographs from bytes and back: what every caller uses, whatever the file format."""

import io
from collections.abc import Sequence
from typing import BinaryIO, Protocol

from PIL import Image

from core.errors import ImageError
from core.imaging import jpeg, png, tiff
from core.imaging.arrays import Samples
from core.imaging.kinds import HEADER_BYTES, IMAGE_SUFFIXES, accepted_format, known_kind
from core.imaging.scan import Format, ImageLimits, Page, Probe, Scan

__all__ = ["IMAGE_SUFFIXES", "Format", "ImageLimits", "Page", "Probe", "Scan", "decode", "encode", "probe"]

# Our own limit is checked from the header before Pillow sees a file; its warning past 89 megapixels would be noise.
Image.MAX_IMAGE_PIXELS = None


class _FormatModule(Protocol):
    """What the module of a file format offers."""

    def probe(self, stream: BinaryIO, limits: ImageLimits) -> Probe: ...

    def decode(self, stream: BinaryIO, limits: ImageLimits) -> Scan: ...

    def encode(self, pages: Sequence[Samples], scan: Scan) -> bytes: ...


_MODULES: dict[Format, _FormatModule] = {"JPEG": jpeg, "PNG": png, "TIFF": tiff}


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe | None:
    """Read a file's header only.

    Args:
        stream: seekable; read from its beginning and left there.
        limits: what is refused undecoded.

    Returns:
        What the header says, or None when the bytes are no image of any known kind.

    Raises:
        ImageError: empty_file, file_too_large, unsupported_format (a kind of image that is known but not accepted),
            too_many_pixels, truncated_image, unreadable_image.
    """
    try:
        file_format = _recognize(stream, limits)
        return None if file_format is None else _MODULES[file_format].probe(stream, limits)
    finally:
        stream.seek(0)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode a file in full, its pixels as they are stored.

    Args:
        stream: seekable; read from its beginning and left there.
        limits: checked from the header, before any pixel is decoded.

    Raises:
        ImageError: as probe does, and unsupported_format for bytes that are no image.
    """
    try:
        file_format = _recognize(stream, limits)
        if file_format is None:
            raise ImageError("unsupported_format", "The file is no image of a known kind.")
        return _MODULES[file_format].decode(stream, limits)
    except OSError as error:
        raise _damage(error) from error
    finally:
        stream.seek(0)


def _damage(error: OSError) -> ImageError:
    if "truncated" in str(error) or "Truncated" in str(error):
        return ImageError("truncated_image", "The file ends before its picture does.")
    return ImageError("unreadable_image", f"The image is damaged: {str(error)[:200]}.")


def _recognize(stream: BinaryIO, limits: ImageLimits) -> Format | None:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if size == 0:
        raise ImageError("empty_file", "The file is empty.")
    if size > limits.max_bytes:
        message = f"The file has {size:,} bytes; at most {limits.max_bytes:,} are accepted."
        raise ImageError("file_too_large", message)
    header = stream.read(HEADER_BYTES)
    accepted = accepted_format(header)
    kind = known_kind(header)
    if accepted is None and kind is not None:
        raise ImageError("unsupported_format", f"The file is a {kind} image, which is not accepted yet.")
    return accepted


def encode(pages: Sequence[Samples], scan: Scan) -> bytes:
    """Encode results in the original's format, with its bit depth, alpha, stored orientation and metadata.

    JPEG is written with quality 95 and 4:4:4, TIFF with deflate. An ICC profile stays if it describes RGB; any other
    is replaced by sRGB.

    Args:
        pages: for each of the scan's pages, uint8 or uint16 (H, W, 3) of the same size and depth.
        scan: what decode gave.

    Raises:
        ValueError: when pages and scan do not belong together.
    """
    expected = [((page.height, page.width, 3), page.samples.dtype) for page in scan.pages]
    given = [(pixels.shape, pixels.dtype) for pixels in pages]
    if given != expected:
        raise ValueError(f"the scan needs {expected[:3]}, but was given {given[:3]}")
    return _MODULES[scan.format].encode(pages, scan)
