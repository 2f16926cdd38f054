"""Photographs from bytes and back: what every caller uses, whatever the file format."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image

from core.errors import ImageError
from core.imaging import avif, bmp, heic, jpeg, jpeg2000, png, tiff, webp
from core.imaging.arrays import Samples
from core.imaging.kinds import HEADER_BYTES, IMAGE_SUFFIXES, accepted_format, known_kind
from core.imaging.output import ColorPage, Output, PageOver
from core.imaging.samples import to_8_bit
from core.imaging.scan import Format, ImageLimits, Page, Probe, Scan
from core.imaging.transparency import MULTIPLIED, DividedPage
from core.options import OutputFormat

__all__ = [
    "IMAGE_SUFFIXES", "WANTED", "Format", "ImageLimits", "Page", "Probe", "Scan", "decode", "encode", "probe",
    "result_format",
]  # fmt: skip

# Our own limit is checked from the header before Pillow sees a file; its warning past 89 megapixels would be noise.
Image.MAX_IMAGE_PIXELS = None

WANTED: dict[OutputFormat, Format | None] = {
    "same": None,
    "jpeg": "JPEG",
    "png": "PNG",
    "tiff": "TIFF",
    "webp": "WebP",
    "jpeg2000": "JPEG 2000",
    "avif": "AVIF",
}
"""The format that a job's option output_format asks for; None for the original's."""
_EIGHT_BITS_ONLY: frozenset[Format] = frozenset({"JPEG", "WebP", "BMP"})
_WITHOUT_ALPHA: frozenset[Format] = frozenset({"JPEG"})
_STRAIGHT_ALPHA: frozenset[Format] = frozenset({"PNG", "WebP", "BMP", "AVIF"})
_OF_SEVERAL_PAGES: frozenset[Format] = frozenset({"TIFF"})


class _Reader(Protocol):
    """What the module of a file format offers."""

    def probe(self, stream: BinaryIO, limits: ImageLimits) -> Probe: ...

    def decode(self, stream: BinaryIO, limits: ImageLimits) -> Scan: ...


class _Writer(Protocol):
    """What the module of a file format offers where results can have that format."""

    def encode(self, pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]: ...


_WRITERS: dict[Format, _Writer] = {
    "JPEG": jpeg,
    "PNG": png,
    "TIFF": tiff,
    "WebP": webp,
    "JPEG 2000": jpeg2000,
    "BMP": bmp,
    "AVIF": avif,
}
_READERS: dict[Format, _Reader] = {
    "JPEG": jpeg,
    "PNG": png,
    "TIFF": tiff,
    "WebP": webp,
    "JPEG 2000": jpeg2000,
    "BMP": bmp,
    "AVIF": avif,
    "HEIC": heic,
}


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
        return None if file_format is None else _READERS[file_format].probe(stream, limits)
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
        return _READERS[file_format].decode(stream, limits)
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


def result_format(original: Format, wanted: Format | None, pages: int = 1) -> Format:
    """The format that a result gets.

    Args:
        original: the scan's format.
        wanted: the format asked for; None for the original's. One that is only read here (HEIC) becomes JPEG.
        pages: pictures in the scan; several stay together in a TIFF, whatever is asked for.
    """
    if pages > 1 and original in _OF_SEVERAL_PAGES:
        return original
    target = wanted or original
    return target if target in _WRITERS else "JPEG"


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """Write results in the format that result_format tells, tagged as sRGB, with the scan's alpha and metadata.

    Args:
        pages: for each of the scan's pages one of the same size and depth.
        scan: what decode gave.
        output: format, quality and label.
        stream: empty, seekable and readable; a file for large scans, since rows are written as they come.

    Returns:
        What the result lacks of the scan, in words for a person, beyond scan.losses.

    Raises:
        ValueError: when pages and scan do not belong together.
    """
    expected = [(page.height, page.width, page.bit_depth) for page in scan.pages]
    given = [(page.height, page.width, page.bit_depth) for page in pages]
    if given != expected:
        raise ValueError(f"the scan needs {expected[:3]}, but was given {given[:3]}")
    target = result_format(scan.format, output.format, len(pages))
    losses = list(_format_losses(output.format or scan.format, target, len(pages)))
    if target != scan.format:
        losses.extend(loss for page in scan.pages for loss in page.metadata.unportable)
    pages, scan, fitting_losses = _fit(pages, scan, target)
    losses.extend(fitting_losses)
    losses.extend(_WRITERS[target].encode(pages, scan, output, stream))
    return tuple(dict.fromkeys(losses))


def _fit(pages: Sequence[ColorPage], scan: Scan, target: Format) -> tuple[Sequence[ColorPage], Scan, tuple[str, ...]]:
    """Pages and scan with colors, alpha and depth as the format holds them, and what that loses."""
    losses: tuple[str, ...] = ()
    alpha = scan.alpha if target in _STRAIGHT_ALPHA else None
    if alpha is not None and _is_multiplied(scan.first, alpha):
        pages = [DividedPage(pages[0], alpha)]
        losses += (f"colors multiplied by alpha, which {target} cannot hold (they were divided by it, and rounded)",)
    if target in _EIGHT_BITS_ONLY and scan.bit_depth == 16:
        pages = [_EightBitPage(page) for page in pages]
        scan = _with_alphas(scan, [None if page.alpha is None else to_8_bit(page.alpha) for page in scan.pages])
        losses += (f"the finer half of 16 bits, since {target} holds 8",)
    if target in _WITHOUT_ALPHA and scan.alpha is not None:
        scan = _with_alphas(scan, [None] * len(scan.pages))
        losses += (f"transparency, which {target} cannot hold",)
    return pages, scan, losses


def _is_multiplied(page: Page, alpha: Samples) -> bool:
    """Whether a page's colors are multiplied by an alpha that is anywhere less than full."""
    return page.metadata.alpha_kind == MULTIPLIED and int(alpha.min()) < np.iinfo(alpha.dtype).max


def _with_alphas(scan: Scan, alphas: Sequence[Samples | None]) -> Scan:
    pages = (replace(page, alpha=alpha) for page, alpha in zip(scan.pages, alphas, strict=True))
    return replace(scan, pages=tuple(pages))


def _format_losses(wanted: Format, target: Format, pages: int) -> tuple[str, ...]:
    if wanted == target:
        return ()
    reason = "which cannot hold several pages" if pages > 1 else "which is not written here"
    return (f"the format {wanted}, {reason} (the result is a {target})",)


@dataclass(frozen=True, eq=False)
class _EightBitPage(PageOver):
    """A page of 16 bits, rounded to 8."""

    @property
    def bit_depth(self) -> int:
        return 8

    def bands(self) -> Iterator[Samples]:
        for band in self.page.bands():
            yield to_8_bit(band)
