"""Turning arrays between how they are stored and how they are seen (EXIF orientation, TIFF 6.0 tag 274)."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Stored pixels, (H, W) or (H, W, C), as they are seen: turned by EXIF orientation 1..8; a view where possible."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def stored(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """The inverse of upright."""
    return upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))
