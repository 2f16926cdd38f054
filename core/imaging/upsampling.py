"""Bringing a small picture's chroma to full size, band by band, and a full-size lightness down to a small one."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.imaging.arrays import Floats
from core.imaging.scan import Page


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    # Catmull-Rom, the cubic convolution kernel with a = -1/2 (Keys 1981).
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0))


def resampling_weights(full: int, small: int, part: slice) -> tuple[slice, Floats]:
    """Weights that resample `small` values to `full` ones, for the full ones in `part`.

    Returns:
        Which of the small values are needed, and weights of shape (values in part, values needed) whose rows sum to 1.
    """
    scale = small / full
    stretch = max(scale, 1.0)
    centers = (np.arange(part.start, part.stop) + 0.5) * scale - 0.5
    first = max(int(np.floor(centers[0] - 2 * stretch)), 0)
    last = min(int(np.ceil(centers[-1] + 2 * stretch)) + 1, small)
    weights = _cubic((np.arange(first, last) - centers[:, None]) / stretch)
    return slice(first, last), (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def widen_ab(ab: Floats, width: int) -> Floats:
    """Chroma (h, w, 2) resampled along its rows to float32 (h, width, 2)."""
    wide = np.empty((ab.shape[0], width, 2), np.float32)
    for left in range(0, width, 256):
        part = slice(left, min(left + 256, width))
        needed, weights = resampling_weights(width, ab.shape[1], part)
        wide[:, part] = np.einsum("xk,ykc->yxc", weights, ab[:, needed], optimize=True)
    return wide


def upsample_ab(ab: Floats, page: Page) -> Iterator[tuple[slice, Floats]]:
    """A page's chroma at full size, from that of a small copy of it, one band of rows after the other.

    Args:
        ab: float32 (h, w, 2), of the page as it is stored.
        page: says the full size.

    Yields:
        The rows of each band, top to bottom, and their chroma, float32 (rows, W, 2).
    """
    wide = widen_ab(ab, page.width)
    for rows in page.bands():
        needed, weights = resampling_weights(page.height, wide.shape[0], rows)
        small = wide[needed]
        yield rows, (weights @ small.reshape(small.shape[0], -1)).reshape(-1, page.width, 2)


def shrink_lightness(page: Page, height: int, width: int) -> Floats:
    """The lightness of a page, averaged down (or interpolated up) to float32 (height, width) in 0..100.

    Rows are narrowed band by band, so that no full-size array of floats is needed.
    """
    narrow = np.concatenate([_resize(page.lightness_rows(band), width=width) for band in page.bands()])
    return np.clip(_resize(narrow, height=height), 0, 100)


def _resize(plane: Floats, *, width: int | None = None, height: int | None = None) -> Floats:
    size = (width or plane.shape[1], height or plane.shape[0])
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
