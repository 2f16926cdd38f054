"""The small visible mark that results may carry: the word "colorized" on a dark plate, at the bottom right."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.imaging.arrays import Floats, Samples
from core.imaging.orientation import stored
from core.imaging.output import PageOver
from core.imaging.scan import Page

TEXT = "colorized"
# The plate's height is this share of the picture's short side, but at least so many pixels that the word can be read.
SHARE = 0.035
LEAST_PX = 16
# A plate wider or higher than this share of the picture is not drawn: it would be no small mark any more.
MOST = 1 / 3

PLATE_OPACITY = 0.6
LIGHT = 0.95


@dataclass(frozen=True, eq=False)
class Marked(PageOver):
    """A ColorPage with the mark drawn on it; pictures too small for a legible one (about 190 pixels) stay as they are.

    Within the mark the result's lightness is not the original's.

    Args:
        page: the page without mark.
        scan_page: what it was made from; its orientation tells where the bottom right is.
    """

    scan_page: Page

    def bands(self) -> Iterator[Samples]:
        """See ColorPage."""
        plate = plate_on(self.height, self.width, self.scan_page.metadata.orientation)
        top = 0
        for band in self.page.bands():
            yield band if plate is None else plate.draw(band, top)
            top += len(band)


@dataclass(frozen=True, eq=False)
class Plate:
    """The mark, turned and placed as the picture is stored.

    Args:
        top: its first row in the picture.
        left: its first column.
        kept: float32 (h, w, 1) in 0..1, how much of the picture's own pixels remains.
        added: float32 (h, w, 1) in 0..1, what is added to it.
    """

    top: int
    left: int
    kept: Floats
    added: Floats

    @property
    def rows(self) -> slice:
        """The rows of the picture that the mark covers."""
        return slice(self.top, self.top + self.kept.shape[0])

    @property
    def columns(self) -> slice:
        """The columns of the picture that the mark covers."""
        return slice(self.left, self.left + self.kept.shape[1])

    def draw(self, band: Samples, band_top: int) -> Samples:
        """The band of a picture that begins at row band_top, with the part of the mark that lies in it."""
        first, last = max(self.rows.start, band_top), min(self.rows.stop, band_top + len(band))
        if first >= last:
            return band
        mine = slice(first - self.top, last - self.top)
        theirs = slice(first - band_top, last - band_top)
        top = np.float32(np.iinfo(band.dtype).max)
        drawn = band.copy()
        mixed = band[theirs, self.columns] * self.kept[mine] + self.added[mine] * top
        drawn[theirs, self.columns] = np.rint(mixed).astype(band.dtype)
        return drawn


def plate_on(height: int, width: int, orientation: int) -> Plate | None:
    """The mark for a picture of some stored size and EXIF orientation; None where it would be too large for it."""
    plate_px = max(LEAST_PX, round(SHARE * min(height, width)))
    kept, added = (stored(plane, orientation)[..., None] for plane in _render(plate_px))
    rows, columns = kept.shape[:2]
    if rows > MOST * height or columns > MOST * width:
        return None
    margin = plate_px // 2
    # Where the pixel at the bottom right, as it is seen, is stored.
    corner = stored(np.array([[0, 0], [0, 1]], np.uint8), orientation)
    top = height - margin - rows if corner[1].any() else margin
    left = width - margin - columns if corner[:, 1].any() else margin
    return Plate(top, left, kept, added)


@lru_cache(maxsize=16)
def _render(plate_px: int) -> tuple[Floats, Floats]:
    """What a plate of some height keeps and adds, float32 (h, w) each, upright."""
    font = ImageFont.load_default(0.78 * plate_px)
    left, _, right, _ = font.getbbox(TEXT, anchor="lm")
    padding = 0.35 * plate_px
    image = Image.new("L", (round(right - left + 2 * padding), plate_px))
    ImageDraw.Draw(image).text((padding - left, plate_px / 2), TEXT, 255, font, anchor="lm")
    word: Floats = np.asarray(image, np.float32) / np.float32(255)
    kept: Floats = (1 - word) * np.float32(1 - PLATE_OPACITY)
    return kept, word * np.float32(LIGHT)
