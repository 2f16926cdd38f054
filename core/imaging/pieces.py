"""Cutting the rows of a result into the pieces that a file format writes."""

from collections.abc import Iterator

import numpy as np

from core.imaging.arrays import Samples
from core.imaging.output import ColorPage


def pieces(page: ColorPage, alpha: Samples | None, rows: int) -> Iterator[Samples]:
    """The rows of a page from top to bottom, `rows` at a time; the last piece may have fewer.

    Args:
        page: read once.
        alpha: of the same type, (H, W), to follow the colors; None for none.
        rows: at least 1.

    Returns:
        uint8 or uint16 (rows, W, 3), or (rows, W, 4) with alpha, in one piece of memory. To be used before the next is
        asked for, since some are parts of the page's own bands.
    """
    top = filled = 0
    piece: Samples | None = None
    for band in page.bands():
        start = 0
        while start < len(band):
            wanted = min(rows, page.height - top)
            if piece is None and alpha is None and len(band) - start >= wanted:
                yield np.ascontiguousarray(band[start : start + wanted])
                start, top = start + wanted, top + wanted
                continue
            piece = _empty(page, alpha, wanted) if piece is None else piece
            taken = min(wanted - filled, len(band) - start)
            piece[filled : filled + taken, :, :3] = band[start : start + taken]
            start, filled = start + taken, filled + taken
            if filled == wanted:
                if alpha is not None:
                    piece[..., 3] = alpha[top : top + wanted]
                yield piece
                top, filled, piece = top + wanted, 0, None


def _empty(page: ColorPage, alpha: Samples | None, rows: int) -> Samples:
    shape = (rows, page.width, 3 if alpha is None else 4)
    return np.empty(shape, np.uint8 if page.bit_depth == 8 else np.uint16)
