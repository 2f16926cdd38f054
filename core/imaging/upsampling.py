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
from numpy.typing import NDArray
from PIL import Image

from core.imaging.arrays import Floats
from core.imaging.compiled import compiled
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
        return cls(_padded(complete, 2, 2))

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
        cubic: float32 (4, n), their weights, which sum to 1.
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
        distances = np.abs(places - (floor + np.arange(-1, 3)[:, None]))
        weights = _cubic(distances)
        first = floor.astype(np.int64) + 1
        return cls(first, weights.astype(np.float32), (places - floor).astype(np.float32))

    @property
    def arrays(self) -> tuple[Indices, Floats, Floats]:
        """first, cubic and between, as compiled code takes them."""
        return self.first, self.cubic, self.between

    def part(self, rows: slice) -> "Taps":
        """Of some of the pixels."""
        return Taps(self.first[rows], np.ascontiguousarray(self.cubic[:, rows]), self.between[rows])


def _cubic(d: NDArray[np.float64]) -> NDArray[np.float64]:
    # The cubic convolution kernel with a = -1/2 (Keys 1981), of distances 0..2.
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, far)


def _padded(planes: Floats, rows: int, columns: int) -> Floats:
    """Planes, float32 (c, h, w), with their edges repeated: (c, h + 2 rows, w + 2 columns)."""
    channels, height, width = planes.shape
    padded = np.empty((channels, height + 2 * rows, width + 2 * columns), np.float32)
    _pad(planes, rows, columns, padded)
    return padded


@compiled
def _pad(planes: Floats, rows: int, columns: int, padded: Floats) -> None:
    channels, height, width = planes.shape
    for channel in range(channels):
        for y in range(height + 2 * rows):
            row, wide = planes[channel, min(max(y - rows, 0), height - 1)], padded[channel, y]
            wide[:columns], wide[width + columns :] = row[0], row[-1]
            wide[columns : width + columns] = row


def _sharpened(planes: Floats) -> Floats:
    """Undo some of what averaging over the area of a small pixel took, along both axes; (c, h, w)."""
    padded = _padded(planes, 1, 0)
    planes = planes + PRESHARPEN * (2 * planes - padded[:, :-2] - padded[:, 2:])
    padded = _padded(planes, 0, 1)
    sharpened: Floats = planes + PRESHARPEN * (2 * planes - padded[..., :-2] - padded[..., 2:])
    return sharpened


def _slope(planes: Floats) -> Floats:
    """The regression of a and b on lightness over 3 x 3 pixels, weakened and smoothed: float32 (2, h, w)."""
    height, width = planes.shape[1:]
    padded = _padded(planes, 1, 1)
    slope = np.empty((2, height, width), np.float32)
    _regress(padded, slope)
    padded = _padded(slope, 1, 1)
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smooth: Floats = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / np.float32(9)
    return smooth


@compiled
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


@compiled
def _weakened(variance: Any, covariance: Any, chroma_variance: Any) -> Any:
    correlation2 = covariance * covariance / ((variance + np.float32(1)) * (chroma_variance + np.float32(0.25)))
    correlation2 = min(correlation2, np.float32(1))
    gain = LEAST_GAIN + CORRELATED_GAIN * correlation2 * correlation2
    return gain * covariance / (variance + LIGHTNESS_VARIANCE_FLOOR)


@compiled
def widen_rows(planes: Floats, top: int, across: Any, wide: Floats, held: Indices) -> None:
    """Bring four rows of the small picture to full width, those that are not there yet.

    Full-size rows that follow each other mostly need the same four, so that this is rarely done, and what is left to do
    for each of them are sums of whole rows.

    Args:
        planes: SmallChroma.planes.
        top: the first of the four.
        across: first, cubic and between of the Taps along a row.
        wide: float32 (4, 5, W), written to; the row of number n is wide[n % 4].
        held: int64 (4,), numbers of the rows that are there; changed with them.
    """
    first, cubic, between = across
    for number in range(top, top + 4):
        row = wide[number % 4]
        if held[number % 4] == number:
            continue
        held[number % 4] = number
        for channel in range(3):
            plane = planes[channel, number]
            for x in range(len(first)):
                i = first[x]
                row[channel, x] = (
                    cubic[0, x] * plane[i]
                    + cubic[1, x] * plane[i + 1]
                    + cubic[2, x] * plane[i + 2]
                    + cubic[3, x] * plane[i + 3]
                )
        for channel in range(3, 5):
            plane = planes[channel, number]
            for x in range(len(first)):
                left = plane[first[x] + 1]
                row[channel, x] = left + between[x] * (plane[first[x] + 2] - left)


@compiled
def chroma_row(
    lightness: Floats, wide: Floats, top: int, cubic: Floats, between: Any, expected: Floats, a: Floats, b: Floats
) -> None:
    """Chroma of one full-size row, written to a and b, float32 (W,).

    Args:
        lightness: float32 (W,) in 0..100, of the full-size row.
        wide: what widen_rows gave for it.
        top: number of the first of its four small rows.
        cubic: float32 (4,), their weights.
        between: float32, how far it lies from the second to the third.
        expected: float32 (W,), overwritten with the lightness that the small picture has there.
        a: written to.
        b: written to.
    """
    upper, lower = wide[(top + 1) % 4], wide[(top + 2) % 4]
    _sum_rows(wide, 0, top, cubic, expected)
    _sum_rows(wide, 1, top, cubic, a)
    _add_detail(lightness, expected, upper[3], lower[3], between, a)
    _sum_rows(wide, 2, top, cubic, b)
    _add_detail(lightness, expected, upper[4], lower[4], between, b)


@compiled
def _sum_rows(wide: Floats, channel: int, top: int, cubic: Floats, out: Floats) -> None:
    row_0, row_1 = wide[top % 4, channel], wide[(top + 1) % 4, channel]
    row_2, row_3 = wide[(top + 2) % 4, channel], wide[(top + 3) % 4, channel]
    w0, w1, w2, w3 = cubic[0], cubic[1], cubic[2], cubic[3]
    for x in range(len(out)):
        out[x] = w0 * row_0[x] + w1 * row_1[x] + w2 * row_2[x] + w3 * row_3[x]


@compiled
def _add_detail(lightness: Floats, expected: Floats, upper: Floats, lower: Floats, between: Any, out: Floats) -> None:
    for x in range(len(out)):
        out[x] += (upper[x] + between * (lower[x] - upper[x])) * (lightness[x] - expected[x])


def upsample_ab(chroma: SmallChroma, lightness: Floats) -> Floats:
    """Chroma at full size, float32 (H, W, 2), along the edges of a full-size lightness, float32 (H, W) in 0..100.

    What merging.merge does row by row, by itself: for looking and for measuring.
    """
    height, width = lightness.shape
    across, down = Taps.of(width, chroma.width), Taps.of(height, chroma.height)
    ab = np.empty((height, width, 2), np.float32)
    _upsample(chroma.planes, lightness, across.arrays, down.arrays, ab)
    return ab


@compiled
def _upsample(planes: Floats, lightness: Floats, across: Any, down: Any, ab: Floats) -> None:
    first, cubic, between = down
    wide, held = np.empty((4, 5, lightness.shape[1]), np.float32), np.full(4, -1)
    a, b, expected = np.empty_like(lightness[0]), np.empty_like(lightness[0]), np.empty_like(lightness[0])
    for y in range(len(lightness)):
        widen_rows(planes, first[y], across, wide, held)
        chroma_row(lightness[y], wide, first[y], cubic[:, y], between[y], expected, a, b)
        ab[y, :, 0], ab[y, :, 1] = a, b


def shrink_lightness(page: Page, height: int, width: int) -> Floats:
    """The lightness of a page, averaged down (or interpolated up) to float32 (height, width) in 0..100.

    Done band by band, so that a picture of many rows needs no full-size array of floats.
    """
    bands = ((rows.start, page.lightness_rows(rows)) for rows in page.bands())
    if page.height > height:
        flat = np.zeros((height, page.width), np.float32)
        for top, lightness in bands:
            _add_rows(lightness, top, page.height, flat)
        return np.clip(_resize_rows(flat, width), 0, 100)
    narrow = np.concatenate([_resize_rows(lightness, width) for _, lightness in bands])
    return np.clip(_resize_rows(narrow.T, height).T, 0, 100)


@compiled
def _add_rows(band: Floats, top: int, height: int, averaged: Floats) -> None:
    """Add to each averaged row, the mean over its area of a picture's rows, what some of these contribute.

    Args:
        band: float32 (rows, W), some rows of the picture.
        top: the number of the first of them.
        height: rows of the picture.
        averaged: float32 (h, W), h at most height; added to.
    """
    length = height / len(averaged)
    for y in range(int(top / length), min(int((top + len(band)) / length) + 1, len(averaged))):
        start, stop = y * length, (y + 1) * length
        for row in range(max(int(start), top), min(int(np.ceil(stop)), top + len(band))):
            share = np.float32((min(row + 1, stop) - max(row, start)) / length)
            light, sums = band[row - top], averaged[y]
            for x in range(len(sums)):
                sums[x] += share * light[x]


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


@compiled
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
