"""Which photographs are worth training on, and which of them are the same."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.imaging import lab
from core.imaging.arrays import Floats
from core.imaging.assessment import LEAST_CHROMA, assess
from core.imaging.metadata import Metadata
from core.imaging.scan import Page
from core.imaging.upsampling import shrink
from core.training.metrics import colorfulness
from core.training.resampling import shrunk

SMALLEST_EDGE_PX = 96
"""A shorter side shows too little of a scene, at any of the sizes that are trained at."""

JUDGED_EDGE_PX = 128
"""Short side at which the kind is told: four times as fast as at 256, and of 700 photographs in color 10 dull ones
more are taken for toned."""

LEAST_COLORFULNESS = 10.0
"""Duller photographs teach that gray is right. Of 700 in color 1 % lie below, and half of them below 34."""

STRONG_CHROMA = 35.0
MOST_STRONG_SPREAD = 5.0
"""Sunsets, meadows and flowers are of one hue too, but of stronger color (mean chroma) than toned prints. Where it is
that strong, only this little spread of color at the same lightness is taken for toning: 75 photographs printed in the
blue of a deep cyanotype have 3.9 at most, and 95 % of those in orange less than 5."""

HASH_ROWS, HASH_COLUMNS = 8, 9
NEAR_BITS = 2
"""Of 200 photographs at half their size, with another gamma or as JPEG of quality 40, 97 % or more lie within. Among
17,200 different ones, 9 of 148 million pairs do."""


@dataclass(frozen=True)
class Judgment:
    """What is against a photograph.

    Args:
        code: dull, gray, toned or too_small; empty where nothing is.
        fingerprint: 16 hexadecimal digits that hardly change when the picture is resized or saved again.
        colorfulness: as metrics.colorfulness says.
    """

    code: str
    fingerprint: str
    colorfulness: float


def judge(rgb: NDArray[np.uint8]) -> Judgment:
    """Judge a photograph, uint8 (H, W, 3) in sRGB."""
    fingerprint, colors = fingerprint_of(rgb), colorfulness(rgb)
    return Judgment(_fault(rgb, colors), fingerprint, colors)


def _fault(rgb: NDArray[np.uint8], colors: float) -> str:
    if min(rgb.shape[:2]) < SMALLEST_EDGE_PX:
        return "too_small"
    assessment = assess(Page(shrunk(rgb, JUDGED_EDGE_PX), None, Metadata()))
    is_strong = assessment.chroma >= STRONG_CHROMA and assessment.spread > MOST_STRONG_SPREAD
    if assessment.kind != "color" and not is_strong:
        return "toned" if assessment.chroma > LEAST_CHROMA else "gray"
    return "dull" if colors < LEAST_COLORFULNESS else ""


def fingerprint_of(rgb: NDArray[np.uint8]) -> str:
    """The difference hash of a picture's lightness: whether it grows from each of 8 x 9 cells to the next in its row.

    A mirrored picture has another one.
    """
    cells: Floats = shrink(lab.lightness_from_rgb(shrunk(rgb, JUDGED_EDGE_PX)), HASH_ROWS, HASH_COLUMNS)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()


class Duplicates:
    """Finds photographs that are nearly the same as an earlier one of a set, by their fingerprints.

    Args:
        near_bits: fingerprints that differ in no more bits than that are taken for the same photograph.
    """

    def __init__(self, near_bits: int = NEAR_BITS) -> None:
        self._near_bits = near_bits
        self._known = np.empty(1024, np.uint64)
        self._count = 0

    def has(self, fingerprint: str) -> bool:
        """Whether a photograph like it was added before."""
        distances = np.bitwise_count(self._known[: self._count] ^ np.uint64(int(fingerprint, 16)))
        return bool((distances <= self._near_bits).any())

    def add(self, fingerprint: str) -> None:
        """Make a photograph one of the set."""
        if self._count == len(self._known):
            self._known = np.concatenate((self._known, np.empty_like(self._known)))
        self._known[self._count] = int(fingerprint, 16)
        self._count += 1
