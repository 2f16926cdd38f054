"""What a result is to be like: its format, its quality, and what it says about itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from core.imaging.arrays import Samples
from core.imaging.scan import Format


@dataclass(frozen=True)
class Provenance:
    """What a result tells about how it came to be, in its XMP.

    Args:
        software: the program and its version, e.g. "Gray2Hue 0.1.0".
        model_version: of the weights.
        colorized_at: timezone-aware.
    """

    software: str
    model_version: str
    colorized_at: datetime


@dataclass(frozen=True)
class Output:
    """How results are written.

    Args:
        format: None for that of the scan.
        quality: 1..100, of lossy coding; formats that are lossless for this scan do not use it.
        provenance: None writes no label, which only tests want.
        kept_pages: numbers, from 0, of the pages that are left as they are, which get no label.
    """

    format: Format | None = None
    quality: int = 95
    provenance: Provenance | None = None
    kept_pages: frozenset[int] = frozenset()

    def for_page(self, number: int) -> "Output":
        """How the page of a number, from 0, is written."""
        return replace(self, provenance=None) if number in self.kept_pages else self


class ColorPage(Protocol):
    """One page of a result, whose rows are computed while they are asked for."""

    @property
    def height(self) -> int:
        """Stored rows."""

    @property
    def width(self) -> int:
        """Pixels per stored row."""

    @property
    def bit_depth(self) -> int:
        """8 or 16."""

    def bands(self) -> Iterator[Samples]:
        """The page's rows from top to bottom, some at a time: uint8 or uint16 (rows, W, 3) sRGB. To be read once."""


@dataclass(frozen=True, eq=False)
class PageOver:
    """A part of a ColorPage that changes the rows of another one as they come by.

    Args:
        page: the other one, of the same size and, unless the class says so, the same depth.
    """

    page: ColorPage

    @property
    def height(self) -> int:
        """Stored rows."""
        return self.page.height

    @property
    def width(self) -> int:
        """Pixels per stored row."""
        return self.page.width

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return self.page.bit_depth


@dataclass(frozen=True, eq=False)
class ArrayPage:
    """A ColorPage that is there as a whole: uint8 or uint16 (H, W, 3)."""

    pixels: Samples

    @property
    def height(self) -> int:
        """Stored rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Pixels per stored row."""
        return int(self.pixels.shape[1])

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    def bands(self) -> Iterator[Samples]:
        """See ColorPage."""
        yield self.pixels


def whole(page: ColorPage) -> Samples:
    """All rows of a page, uint8 or uint16 (H, W, 3)."""
    if isinstance(page, ArrayPage):
        return page.pixels
    pixels: Samples = np.empty((page.height, page.width, 3), np.uint8 if page.bit_depth == 8 else np.uint16)
    top = 0
    for band in page.bands():
        pixels[top : top + len(band)] = band
        top += len(band)
    return pixels
