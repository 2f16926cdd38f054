"""Small upright JPEGs for web pages; browsers cannot show TIFF or 16 bits."""

import io
from collections.abc import Iterable, Iterator

from PIL import Image

from core.imaging.arrays import Samples
from core.imaging.output import ColorPage
from core.imaging.samples import to_8_bit
from core.imaging.scan import Page

QUALITY = 85
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Reduction:
    """A picture's small copy, gathered from its rows as they come by; never enlarged.

    Args:
        height: rows of the picture as it is stored.
        width: pixels per row.
        edge_px: longest edge of the copy, in pixels.
    """

    def __init__(self, height: int, width: int, edge_px: int) -> None:
        share = min(1.0, edge_px / max(height, width))
        self._size = (max(1, round(width * share)), max(1, round(height * share)))
        self._parts: list[Image.Image] = []

    def add(self, band: Samples) -> None:
        """Take the next rows: uint8 or uint16 (rows, W) or (rows, W, 3), sRGB. They are narrowed at once."""
        image = Image.fromarray(to_8_bit(band))
        self._parts.append(_resized(image, (self._size[0], image.height)))

    def image(self, orientation: int = 1) -> Image.Image:
        """The upright copy of all rows, stored with EXIF orientation 1..8."""
        whole = Image.new(self._parts[0].mode, (self._size[0], sum(part.height for part in self._parts)))
        top = 0
        for part in self._parts:
            whole.paste(part, (0, top))
            top += part.height
        small = _resized(whole, self._size)
        return small.transpose(_TURNS[orientation]) if orientation in _TURNS else small


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


class ReducedPage:
    """A ColorPage that keeps a small copy of what is read from it.

    Args:
        page: what is read.
        edge_px: longest edge of the copy, in pixels.
    """

    def __init__(self, page: ColorPage, edge_px: int) -> None:
        self.height, self.width, self.bit_depth = page.height, page.width, page.bit_depth
        self.reduction = Reduction(page.height, page.width, edge_px)
        self._page = page

    def bands(self) -> Iterator[Samples]:
        """See ColorPage."""
        for band in self._page.bands():
            self.reduction.add(band)
            yield band


def reduce_original(page: Page, edge_px: int) -> Image.Image:
    """A small upright copy of an original, in sRGB, its longest edge at most edge_px."""
    reduction = Reduction(page.height, page.width, edge_px)
    for rows in page.bands():
        reduction.add(page.tone.srgb(page.samples[rows]))
    return reduction.image(page.metadata.orientation)


def jpegs(image: Image.Image, edges_px: Iterable[int]) -> list[bytes]:
    """The image as sRGB JPEGs, one for each longest edge in pixels, the largest first; never enlarged."""
    written = []
    for edge_px in edges_px:
        share = min(1.0, edge_px / max(image.size))
        image = _resized(image, (max(1, round(image.width * share)), max(1, round(image.height * share))))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        written.append(buffer.getvalue())
    return written
