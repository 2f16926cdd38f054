"""The values that imaging hands around: limits, a probe of a file's header, a decoded scan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import ImageError
from core.imaging.arrays import Floats, Samples
from core.imaging.metadata import Metadata
from core.imaging.tone import SRGB, Tone

__all__ = ["Format", "ImageLimits", "Page", "Probe", "Samples", "Scan"]

Format = Literal["JPEG", "PNG", "TIFF", "WebP", "JPEG 2000", "BMP", "AVIF", "HEIC"]

MEDIA_TYPES: dict[Format, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WebP": "image/webp",
    "JPEG 2000": "image/jp2",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
}
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
    "JPEG 2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "BMP": (".bmp", ".dib"),
    "AVIF": (".avif",),
    "HEIC": (".heic", ".heif", ".hif"),
}
BYTES_PER_PIXEL: dict[Format, dict[int, int]] = {
    "JPEG": {8: 12, 16: 18},
    "PNG": {8: 10, 16: 18},
    "TIFF": {8: 13, 16: 19},
    "WebP": {8: 28, 16: 30},
    "JPEG 2000": {8: 24, 16: 32},
    "BMP": {8: 10, 16: 18},
    "AVIF": {8: 35, 16: 57},
    "HEIC": {8: 12, 16: 18},
}
"""What decoding, merging and encoding hold at most at once for a pixel, by file format and bits per sample.

Measured on 12 megapixels of gray, RGB, CMYK, and colors with alpha, whichever takes most.
"""


@dataclass(frozen=True)
class ImageLimits:
    """What a file may claim before it is refused undecoded.

    Args:
        max_pixels: width times height, summed over the pages of one file.
        max_bytes: size of the file.
    """

    max_pixels: int
    max_bytes: int

    def check_pixels(self, pixels: int) -> None:
        """Raise ImageError(too_many_pixels) past the limit, ImageError(unreadable_image) without any pixel."""
        if pixels < 1:
            raise ImageError("unreadable_image", "The image has no pixels.")
        if pixels > self.max_pixels:
            message = f"The image has {pixels:,} pixels; at most {self.max_pixels:,} are accepted."
            raise ImageError("too_many_pixels", message)


@dataclass(frozen=True)
class Probe:
    """What a file's header says, before anything is decoded.

    Args:
        format: the file format, by content.
        media_type: its registered media type.
        suffixes: lowercase file name suffixes that fit, the usual one first.
        width: pixels per stored row of the first page.
        height: stored rows of the first page.
        bit_depth: 8 or 16, of the result's samples, the most of any page (1-bit files come out with 8).
        pages: pictures in the file, 1 for everything but TIFF.
        pixels: of all pages together.
        held_pixels: of the same, each page with at least the pixels of one of its tiles, which are decoded as a whole.
    """

    format: Format
    media_type: str
    suffixes: tuple[str, ...]
    width: int
    height: int
    bit_depth: int
    pages: int
    pixels: int
    held_pixels: int

    @classmethod
    def of(cls, file_format: Format, width: int, height: int, bit_depth: int) -> "Probe":
        """What the header of a file with one picture and no larger tiles tells."""
        return cls.of_pages(file_format, width, height, bit_depth, [width * height], [width * height])

    @classmethod
    def of_pages(
        cls,
        file_format: Format,
        width: int,
        height: int,
        bit_depth: int,
        page_pixels: Sequence[int],
        held_pixels: Sequence[int],
    ) -> "Probe":
        """Fill in what follows from the format and the pages, of which the first has this width and height."""
        media_type, suffixes = MEDIA_TYPES[file_format], SUFFIXES[file_format]
        pages, pixels, held = len(page_pixels), sum(page_pixels), sum(held_pixels)
        return cls(file_format, media_type, suffixes, width, height, bit_depth, pages, pixels, held)


@dataclass(frozen=True, eq=False)
class Page:
    """One picture, with its pixels as they are stored (not turned upright).

    Args:
        samples: uint8 or uint16, (H, W) gray or (H, W, 3) RGB.
        alpha: of the same type, (H, W), or None.
        metadata: what is carried over to the result.
        tone: how the samples are to be read: as sRGB, or as the file's ICC profile says.
    """

    samples: Samples
    alpha: Samples | None
    metadata: Metadata
    tone: Tone = SRGB

    @property
    def height(self) -> int:
        """Stored rows."""
        return int(self.samples.shape[0])

    @property
    def width(self) -> int:
        """Pixels per stored row."""
        return int(self.samples.shape[1])

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return 8 * self.samples.dtype.itemsize

    @property
    def lightness(self) -> Floats:
        """CIE L of every pixel, float32 (H, W) in 0..100, computed at each call."""
        return self.lightness_rows(slice(None))

    def lightness_rows(self, rows: slice) -> Floats:
        """CIE L of some rows, float32 (rows, W) in 0..100."""
        return self.tone.lightness(self.samples[rows])

    def bands(self, pixels: int = 1 << 18) -> Iterator[slice]:
        """Slices of whole rows, top to bottom, of about `pixels` pixels each: what is worked on at once."""
        step = max(1, pixels // self.width)
        for top in range(0, self.height, step):
            yield slice(top, min(top + step, self.height))


@dataclass(frozen=True, eq=False)
class Scan:
    """A decoded file.

    Args:
        format: the file format, by content.
        pages: at least one; more than one only from a TIFF.
        losses: what the file holds and the result will not, in words for a person; usually empty.
    """

    format: Format
    pages: tuple[Page, ...]
    losses: tuple[str, ...] = ()

    @property
    def first(self) -> Page:
        """The first page, which stands for the scan in previews."""
        return self.pages[0]

    @property
    def width(self) -> int:
        """Pixels per stored row of the first page."""
        return self.first.width

    @property
    def height(self) -> int:
        """Stored rows of the first page."""
        return self.first.height

    @property
    def bit_depth(self) -> int:
        """8 or 16, of the first page."""
        return self.first.bit_depth

    @property
    def orientation(self) -> int:
        """EXIF orientation 1..8 of the first page."""
        return self.first.metadata.orientation

    @property
    def lightness(self) -> Floats:
        """CIE L of the first page, float32 (H, W) in 0..100."""
        return self.first.lightness

    @property
    def alpha(self) -> Samples | None:
        """Alpha of the first page, (H, W), or None."""
        return self.first.alpha

    @property
    def metadata(self) -> Metadata:
        """Metadata of the first page."""
        return self.first.metadata
