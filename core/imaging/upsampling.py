"""From full size to the network's and back: lightness averaged down, chroma brought up along the original's edges.

Chroma is interpolated by cubic convolution. What the interpolated small lightness lacks of the full one (edges, detail)
is then added in proportion to how chroma follows lightness around there, a local linear regression as in the guided
filter, weakened where the two hardly correlate: so that colors turn where the original's contours do, and grain in the
original does not become color noise. The constants were fitted on photographs; benchmarks/ has the comparison.

Sources: Keys 1981 (cubic convolution); He, Sun, Tang 2013 (guided filter); Kopf et al. 2007 (joint upsampling).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from PIL import Image

from core.imaging.arrays import Floats
from core.imaging.scan import Page

Indices = NDArray[np.int64]

PRESHARPEN = np.float32(0.06)
LIGHTNESS_VARIANCE_FLOOR = np.float32(6)
LEAST_GAIN, CORRELATED_GAIN = np.float32(0.15), np.float32(0.30)


@dataclass(frozen=True, eq=False)
class SmallChroma:
    """A small picture's chroma, ready to be brought to full size.

    Args:
        planes: float32 (5, h + 4, w + 4), edges repeated twice: lightness, a, b, and how much of a and of b goes with a
            step of full-size lightness.
    """

    planes: Floats

    @classmethod
    def of(cls, lightness: Floats, ab: Floats) -> "SmallChroma":
        """From lightness, float32 (h, w) in 0..100, and chroma, float32 (h, w, 2), of the small picture as stored."""
        planes = np.stack((lightness, ab[..., 0], ab[..., 1]))
        complete = np.concatenate((_sharpened(planes), _slope(planes)))
        return cls(np.pad(complete, ((0, 0), (2, 2), (2, 2)), mode="edge"))

    @property
    def height(self) -> int:
        """Rows of the small picture."""
        return int(self.planes.shape[1]) - 4

    @property
    def width(self) -> int:
        """Pixels per row of the small picture."""
        return int(self.planes.shape[2]) - 4


@dataclass(frozen=True, eq=False)
class Taps:
    """Where along one axis each full-size pixel finds its four neighbors in the padded small picture.

    Args:
        first: int64 (n,), index of the first of the four.
        cubic: float32 (n, 4), their weights, which sum to 1.
        between: float32 (n,) in 0..1, how far it lies from the second to the third.
    """

    first: Indices
    cubic: Floats
    between: Floats

    @classmethod
    def of(cls, full: int, small: int) -> "Taps":
        """For an axis with `full` pixels in the picture and `small` in its small copy."""
        places = (np.arange(full) + 0.5) * (small / full) - 0.5
        floor = np.floor(places)
        distances = np.abs(places[:, None] - (floor[:, None] + np.arange(-1, 3)))
        weights = _cubic(distances)
        first = floor.astype(np.int64) + 1
        return cls(first, weights.astype(np.float32), (places - floor).astype(np.float32))


def _cubic(d: NDArray[np.float64]) -> NDArray[np.float64]:
    # The cubic convolution kernel with a = -1/2 (Keys 1981), of distances 0..2.
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, far)


def _sharpened(planes: Floats) -> Floats:
    """Undo some of what averaging over the area of a small pixel took, along both axes; (c, h, w)."""
    padded = np.pad(planes, ((0, 0), (1, 1), (0, 0)), mode="edge")
    planes = planes + PRESHARPEN * (2 * planes - padded[:, :-2] - padded[:, 2:])
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1)), mode="edge")
    sharpened: Floats = planes + PRESHARPEN * (2 * planes - padded[..., :-2] - padded[..., 2:])
    return sharpened


def _slope(planes: Floats) -> Floats:
    """The regression of a and b on lightness over 3 x 3 pixels, weakened and smoothed: float32 (2, h, w)."""
    height, width = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    slope = np.empty((2, height, width), np.float32)
    _regress(padded, slope)
    padded = np.pad(slope, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smooth: Floats = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / np.float32(9)
    return smooth


@njit(nogil=True, cache=True)
def _regress(padded: Floats, slope: Floats) -> None:
    ninth = np.float32(1 / 9)
    for channel in range(2):
        for y in range(slope.shape[1]):
            for x in range(slope.shape[2]):
                # Differences from the middle, since squares of lightness itself leave float32 too few digits.
                middle, chroma_middle = padded[0, y + 1, x + 1], padded[channel + 1, y + 1, x + 1]
                s_l = s_c = s_ll = s_lc = s_cc = np.float32(0)
                for i in range(3):
                    for j in range(3):
                        light = padded[0, y + i, x + j] - middle
                        chroma = padded[channel + 1, y + i, x + j] - chroma_middle
                        s_l, s_c = s_l + light, s_c + chroma
                        s_ll, s_lc, s_cc = s_ll + light * light, s_lc + light * chroma, s_cc + chroma * chroma
                variance = (s_ll - s_l * s_l * ninth) * ninth
                covariance = (s_lc - s_l * s_c * ninth) * ninth
                chroma_variance = (s_cc - s_c * s_c * ninth) * ninth
                slope[channel, y, x] = _weakened(variance, covariance, chroma_variance)


@njit(nogil=True, cache=True)
def _weakened(variance: Any, covariance: Any, chroma_variance: Any) -> Any:
    correlation2 = covariance * covariance / ((variance + np.float32(1)) * (chroma_variance + np.float32(0.25)))
    correlation2 = min(correlation2, np.float32(1))
    gain = LEAST_GAIN + CORRELATED_GAIN * correlation2 * correlation2
    return gain * covariance / (variance + LIGHTNESS_VARIANCE_FLOOR)


@njit(nogil=True, cache=True)
def small_row(planes: Floats, first: int, cubic: Floats, between: Any, out: Floats) -> None:
    """One full-size row's values at the small picture's columns, float32 (5, w + 4), from its four small rows."""
    for x in range(planes.shape[2]):
        for channel in range(3):
            out[channel, x] = (
                cubic[0] * planes[channel, first, x]
                + cubic[1] * planes[channel, first + 1, x]
                + cubic[2] * planes[channel, first + 2, x]
                + cubic[3] * planes[channel, first + 3, x]
            )
        for channel in range(3, 5):
            upper, lower = planes[channel, first + 1, x], planes[channel, first + 2, x]
            out[channel, x] = upper + between * (lower - upper)


@njit(nogil=True, cache=True)
def chroma_row(
    lightness: Floats, row: Floats, first: Indices, cubic: Floats, between: Floats, a: Floats, b: Floats
) -> None:
    """Chroma of one full-size row, written to a and b, float32 (W,).

    Args:
        lightness: float32 (W,) in 0..100, of the full-size row.
        row: what small_row gave for it.
        first: Taps.first along the row; likewise cubic and between.
        cubic: float32 (W, 4).
        between: float32 (W,).
        a: written to.
        b: written to.
    """
    for x in range(len(lightness)):
        i = first[x]
        w0, w1, w2, w3 = cubic[x, 0], cubic[x, 1], cubic[x, 2], cubic[x, 3]
        expected = w0 * row[0, i] + w1 * row[0, i + 1] + w2 * row[0, i + 2] + w3 * row[0, i + 3]
        detail = lightness[x] - expected
        part = between[x]
        slope_a = row[3, i + 1] + part * (row[3, i + 2] - row[3, i + 1])
        slope_b = row[4, i + 1] + part * (row[4, i + 2] - row[4, i + 1])
        a[x] = w0 * row[1, i] + w1 * row[1, i + 1] + w2 * row[1, i + 2] + w3 * row[1, i + 3] + slope_a * detail
        b[x] = w0 * row[2, i] + w1 * row[2, i + 1] + w2 * row[2, i + 2] + w3 * row[2, i + 3] + slope_b * detail


def upsample_ab(chroma: SmallChroma, lightness: Floats) -> Floats:
    """Chroma at full size, float32 (H, W, 2), along the edges of a full-size lightness, float32 (H, W) in 0..100.

    What merging.merge does row by row, by itself: for looking and for measuring.
    """
    height, width = lightness.shape
    across, down = Taps.of(width, chroma.width), Taps.of(height, chroma.height)
    ab = np.empty((height, width, 2), np.float32)
    taps = (across.first, across.cubic, across.between)
    _upsample(chroma.planes, lightness, taps, (down.first, down.cubic, down.between), ab)
    return ab


@njit(nogil=True, cache=True)
def _upsample(planes: Floats, lightness: Floats, taps: Any, down_taps: Any, ab: Floats) -> None:
    height, width = lightness.shape
    row = np.empty((5, planes.shape[2]), np.float32)
    a, b = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        small_row(planes, down_taps[0][y], down_taps[1][y], down_taps[2][y], row)
        chroma_row(lightness[y], row, taps[0], taps[1], taps[2], a, b)
        ab[y, :, 0], ab[y, :, 1] = a, b


def shrink_lightness(page: Page, height: int, width: int) -> Floats:
    """The lightness of a page, averaged down (or interpolated up) to float32 (height, width) in 0..100.

    Rows are narrowed band by band, so that no full-size array of floats is needed.
    """
    narrow = np.concatenate([_resize_rows(page.lightness_rows(band), width) for band in page.bands()])
    return np.clip(_resize_rows(narrow.T, height).T, 0, 100)


def shrink(plane: Floats, height: int, width: int) -> Floats:
    """A plane, float32 (H, W), with fewer pixels, float32 (height, width): each the mean over its area."""
    return np.ascontiguousarray(_resize_rows(_resize_rows(plane, width).T, height).T)


def _resize_rows(plane: Floats, width: int) -> Floats:
    """Rows of another length, float32 (H, width): the means over each pixel's area, or interpolated where longer."""
    if width > plane.shape[1]:
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize((width, image.height), Image.Resampling.BILINEAR))
    averaged = np.empty((plane.shape[0], width), np.float32)
    _average_rows(np.ascontiguousarray(plane), averaged)
    return averaged


@njit(nogil=True, cache=True)
def _average_rows(plane: Floats, averaged: Floats) -> None:
    width = averaged.shape[1]
    length = plane.shape[1] / width
    for x in range(width):
        start, stop = x * length, min((x + 1) * length, float(plane.shape[1]))
        first, last = int(start), int(np.ceil(stop)) - 1
        # Of the pixels at both ends only a part lies inside; where it is one pixel, both parts are cut from it.
        cut_before, cut_after = np.float32(start - first), np.float32(last + 1 - stop)
        share = np.float32(1 / (stop - start))
        for y in range(plane.shape[0]):
            total = -cut_before * plane[y, first] - cut_after * plane[y, last]
            for i in range(first, last + 1):
                total += plane[y, i]
            averaged[y, x] = total * share
