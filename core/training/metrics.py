"""How near a colorized photograph comes to its truth, in the numbers that the field reports.

PSNR, SSIM and CIEDE2000 say how far colors are off and reward gray where the color is uncertain; colorfulness says
whether there is color at all. Only together they tell anything.

Sources: Hasler and Suesstrunk 2003 (colorfulness), Wang et al. 2004 (SSIM), Sharma et al. 2005 (CIEDE2000), Zhang,
Isola and Efros 2016 (AuC).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from skimage.metrics import structural_similarity

from core.imaging.arrays import Floats

Pixels = NDArray[np.uint8]

MOST_PSNR = 100.0
"""In dB, for equal pictures."""

THRESHOLDS = 151
"""AuC: distances 0..150 in the a, b plane."""

BIN_WIDTH = 10
BIN_EDGE = 110
BINS_PER_AXIS = 2 * BIN_EDGE // BIN_WIDTH
BINS = BINS_PER_AXIS**2
LEAST_BIN_PIXELS = 1000
"""AuC: bins of the truth's color with no more pixels in the whole set do not count in the balanced mean."""


def colorfulness(rgb: Pixels) -> float:
    """Colorfulness CF of sRGB pixels, uint8 (H, W, 3); 0 for gray.

    With rg = |R - G| and yb = |0.5 (R + G) - B| in levels of 0..255, CF is the root of std(rg)^2 + std(yb)^2 plus 0.3
    times the root of mean(rg)^2 + mean(yb)^2. Hasler and Suesstrunk take the differences with their signs; the absolute
    ones are what nearly all published colorization numbers use.
    """
    red, green, blue = (rgb[..., channel].astype(np.float32) for channel in range(3))
    rg, yb = np.abs(red - green), np.abs(0.5 * (red + green) - blue)
    spread = np.hypot(rg.std(dtype=np.float64), yb.std(dtype=np.float64))
    return float(spread + 0.3 * np.hypot(rg.mean(dtype=np.float64), yb.mean(dtype=np.float64)))


def psnr(truth: Pixels, result: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all RGB values, uint8 (H, W, 3); at most MOST_PSNR."""
    error = np.square(truth.astype(np.float32) - result).mean(dtype=np.float64)
    return min(MOST_PSNR, float(20 * np.log10(255) - 10 * np.log10(error))) if error else MOST_PSNR


def ssim(truth: Pixels, result: Pixels) -> float:
    """Structural similarity, mean over R, G and B, as its authors compute it: under a Gauss of 1.5 pixels.

    Args:
        truth: uint8 (H, W, 3), 11 pixels or more each way.
        result: likewise.
    """
    gauss = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    mean = structural_similarity(truth, result, channel_axis=2, **gauss)  # type: ignore[no-untyped-call]  # ships no types
    return float(mean)


def de00(truth_lab: Floats, result_lab: Floats) -> float:
    """Mean CIEDE2000 difference between CIELAB pixels, float32 (H, W, 3)."""
    return float(deltaE_ciede2000(truth_lab, result_lab).mean())  # type: ignore[no-untyped-call]  # ships no types


@dataclass(frozen=True, eq=False)
class BinnedAuc:
    """AuC of some pixels, apart by the 10 x 10 bin of the a, b plane in which their true color lies.

    Args:
        pixels: int64 (BINS,), how many.
        total: float64 (BINS,), the sum of their AuC, each 0..1.
    """

    pixels: NDArray[np.int64]
    total: NDArray[np.float64]

    @classmethod
    def summed(cls, parts: Iterable["BinnedAuc"]) -> "BinnedAuc":
        """Of all the pixels of several parts."""
        empty = cls(np.zeros(BINS, np.int64), np.zeros(BINS))
        return reduce(lambda one, other: cls(one.pixels + other.pixels, one.total + other.total), parts, empty)

    @property
    def mean(self) -> float:
        """Over all pixels."""
        return float(self.total.sum() / self.pixels.sum())

    @property
    def balanced(self) -> float:
        """Over the bins with more than LEAST_BIN_PIXELS pixels, each counted the same; NaN without any."""
        counted = self.pixels > LEAST_BIN_PIXELS
        return float((self.total[counted] / self.pixels[counted]).mean()) if counted.any() else float("nan")


def auc(truth_ab: Floats, result_ab: Floats) -> BinnedAuc:
    """The share of thresholds t = 0..150 within which each pixel's (a, b) lies from the truth's, float32 (H, W, 2).

    Averaged over pixels that is the area under the curve of the share of pixels within t.
    """
    distances = np.hypot(*np.moveaxis(result_ab - truth_ab, -1, 0)).ravel()
    shares = np.clip(THRESHOLDS - np.ceil(distances), 0, None) / THRESHOLDS
    places = np.floor((truth_ab.reshape(-1, 2) + BIN_EDGE) / BIN_WIDTH).astype(np.intp).clip(0, BINS_PER_AXIS - 1)
    bins = places[:, 0] * BINS_PER_AXIS + places[:, 1]
    total: NDArray[np.float64] = np.bincount(bins, shares, BINS).astype(np.float64)
    return BinnedAuc(np.bincount(bins, minlength=BINS), total)
