"""Telling whether the original's lightness can be had back from a result."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION

from core.errors import InputError
from core.imaging import jpeg2000, webp
from core.imaging.arrays import Floats, Samples
from core.imaging.scan import Page, Scan
from core.imaging.tone import SRGB

DEEP_MEAN_LIMIT = 0.001
"""What mean |dL| a lossless result of 16 bits may have."""
LOSSLESS_TIFF = frozenset(
    {
        COMPRESSION.NONE,
        COMPRESSION.LZW,
        COMPRESSION.ADOBE_DEFLATE,
        COMPRESSION.DEFLATE,
        COMPRESSION.PACKBITS,
        COMPRESSION.LZMA,
        COMPRESSION.ZSTD,
    }
)


@dataclass(frozen=True)
class PageComparison:
    """How the lightness of a result's page lies to that of its original.

    Args:
        width: pixels per row.
        height: rows.
        bit_depth: 8 or 16.
        mean: mean |dL|, CIE L in 0..100.
        largest: the largest |dL|.
        other_levels: at how many pixels the gray level that is nearest in lightness to the result is another one than
            the original's; None for 16 bits.
    """

    width: int
    height: int
    bit_depth: int
    mean: float
    largest: float
    other_levels: int | None

    @property
    def pixels(self) -> int:
        """All of the page."""
        return self.width * self.height

    @property
    def is_kept(self) -> bool:
        """Whether the original's levels can be had back: of 8 bits all exactly, of 16 bits within a thousandth of L."""
        return self.mean <= DEEP_MEAN_LIMIT if self.other_levels is None else self.other_levels == 0


def compare(original: Scan, result: Scan) -> list[PageComparison]:
    """Compare page by page, each as it is stored.

    Raises:
        InputError: pages_differ, size_differs, depth_differs, where there is nothing to compare pixel by pixel.
    """
    if len(original.pages) != len(result.pages):
        numbers = f"{len(original.pages)} and {len(result.pages)}"
        raise InputError("pages_differ", f"Original and result have different numbers of pages: {numbers}.")
    for number, (before, after) in enumerate(zip(original.pages, result.pages, strict=True), 1):
        _check_alike(number, before, after)
    return [compare_page(before, after) for before, after in zip(original.pages, result.pages, strict=True)]


def _check_alike(number: int, before: Page, after: Page) -> None:
    sizes = [f"{page.width} x {page.height}" for page in (before, after)]
    if sizes[0] != sizes[1]:
        raise InputError(
            "size_differs", f"Page {number} has {sizes[0]} pixels in the original, {sizes[1]} in the result."
        )
    if before.bit_depth != after.bit_depth:
        depths = f"{before.bit_depth} bits in the original, {after.bit_depth} in the result"
        raise InputError("depth_differs", f"Page {number} has {depths}: its levels cannot be compared.")


def compare_page(before: Page, after: Page) -> PageComparison:
    """Compare two pages of the same size and depth, band by band."""
    is_gray, is_deep = before.samples.ndim == 2, before.bit_depth == 16
    table = (before.tone if is_gray else SRGB).lightness_table(8)
    total, largest, others = 0.0, 0.0, 0
    for rows in before.bands():
        wanted, found = before.lightness_rows(rows), after.lightness_rows(rows)
        difference = np.abs(found - wanted)
        total += float(difference.sum(dtype=np.float64))
        largest = max(largest, float(difference.max()))
        if not is_deep:
            levels: Samples | NDArray[np.intp] = before.samples[rows] if is_gray else nearest(table, wanted)
            # Levels that a profile gives the same lightness are one level to the eye, and to this comparison.
            others += int(np.count_nonzero(table[nearest(table, found)] != table[levels]))
    mean = total / (before.width * before.height)
    return PageComparison(before.width, before.height, before.bit_depth, mean, largest, None if is_deep else others)


def nearest(table: Floats, lightness: Floats) -> NDArray[np.intp]:
    """The levels, indices of table, whose lightness is nearest; table is float32 (levels,) and does not fall."""
    return np.searchsorted((table[1:] + table[:-1]) / np.float32(2), lightness)


def is_lossless(scan: Scan) -> bool:
    """Whether the file's coding keeps every sample, as far as the file tells; False where it does not."""
    if scan.format == "TIFF":
        return all(page.metadata.compression in LOSSLESS_TIFF for page in scan.pages)
    if scan.format == "WebP":
        return any(kind == webp.LOSSLESS for kind, _ in scan.metadata.chunks)
    if scan.format == "JPEG 2000":
        return any(kind == jpeg2000.REVERSIBLE for kind, _ in scan.metadata.chunks)
    return scan.format in ("PNG", "BMP")
