"""Lightness and chroma to pixels, the lightness kept: fused loops over rows, compiled by numba.

A color that sRGB cannot hold at its lightness has its chroma reduced at constant lightness and hue; nothing is clipped.
Rounding to 8 bits moves lightness by up to 0.25. Where that would take it out of the interval that belongs to the
original's gray level, one channel is moved by one step, so that the level nearest in lightness to the result is the
original's, in every pixel.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.upsampling import SmallChroma, Taps, chroma_row, small_row

# What float32 rounding alone puts outside of 0..1; far below half a step of 16 bits after the sRGB curve.
BELOW_ZERO = np.float32(-1e-7)
ABOVE_ONE = np.float32(1 + 1e-6)
BISECTIONS = 10
# Of a level's interval, so that whoever computes lightness with other rounding still finds it inside.
MARGIN = 0.02
MOST_STEPS = 3
GUESSES = 1024

Bounds = tuple[Floats, Floats]
Indices = NDArray[np.int32]


@dataclass
class LightnessError:
    """How far the lightness of pixels lies from what it should be; |dL| of CIE L in 0..100, summed up band by band."""

    pixels: int = 0
    total: float = 0.0
    largest: float = 0.0

    @property
    def mean(self) -> float:
        """Mean |dL|, 0 before the first pixel."""
        return self.total / self.pixels if self.pixels else 0.0


def luminance_bounds(lightness_table: Floats) -> Bounds:
    """Between which luminances, 0..1, lies what is nearest in lightness to each gray level.

    Args:
        lightness_table: float32 (levels,), not falling.

    Returns:
        The lower and the upper bounds, float32 (levels,) each, a little inside of the midpoints between the levels.
    """
    table = lightness_table.astype(np.float64)
    middles = lab.luminance_from_lightness((table[1:] + table[:-1]) / 2)
    lower, upper = np.concatenate(([-1.0], middles)), np.concatenate((middles, [2.0]))
    inset = MARGIN * np.minimum(upper - lower, 1)
    return (lower + inset).astype(np.float32), (upper - inset).astype(np.float32)


@cache
def srgb_bounds() -> Bounds:
    """luminance_bounds of the 256 gray sRGB levels."""
    return luminance_bounds(lab.lightness_table(256))


@cache
def _middles() -> Floats:
    table = lab.lightness_table(256)
    return (table[1:] + table[:-1]) / np.float32(2)


@cache
def _first_guesses() -> NDArray[np.uint8]:
    """The nearest gray sRGB level at GUESSES equal steps of lightness 0..100."""
    return np.searchsorted(_middles(), np.linspace(0, 100, GUESSES)).astype(np.uint8)


def nearest_levels(lightness: Floats) -> NDArray[np.uint8]:
    """For each lightness, float32 (H, W) in 0..100, the gray sRGB level, uint8, that is nearest to it in lightness."""
    levels = np.empty(lightness.shape, np.uint8)
    _find_nearest(lightness, _first_guesses(), _middles(), levels)
    return levels


@njit(nogil=True, cache=True)
def _find_nearest(lightness: Floats, guesses: NDArray[np.uint8], middles: Floats, levels: NDArray[np.uint8]) -> None:
    scale = np.float32((len(guesses) - 1) / 100)
    for y in range(lightness.shape[0]):
        for x in range(lightness.shape[1]):
            wanted = lightness[y, x]
            level = np.int32(guesses[np.int32(wanted * scale)])
            while level < len(middles) and wanted > middles[level]:
                level += 1
            while level > 0 and wanted <= middles[level - 1]:
                level -= 1
            levels[y, x] = level


class Merger:
    """Merges a picture band by band.

    Args:
        height: rows of the picture.
        width: pixels per row.
        chroma: of its small copy, both as they are stored.
        bit_depth: 8 or 16.
        bounds: luminance_bounds of the original's levels; used for 8 bits.
    """

    def __init__(self, height: int, width: int, chroma: SmallChroma, bit_depth: int, bounds: Bounds) -> None:
        self.error = LightnessError()
        self._planes = chroma.planes
        self._across, self._down = Taps.of(width, chroma.width), Taps.of(height, chroma.height)
        self._bit_depth = bit_depth
        self._bounds = bounds

    def merge(self, rows: slice, lightness: Floats, levels: NDArray[np.uint8] | None) -> Samples:
        """sRGB pixels of some rows, uint8 or uint16 (rows, W, 3).

        Args:
            rows: which of the picture.
            lightness: float32 (rows, W) in 0..100.
            levels: uint8 (rows, W), the gray level of each pixel, an index of bounds; None for 16 bits.
        """
        deep = self._bit_depth == 16
        pixels: Samples = np.empty((*lightness.shape, 3), np.uint16 if deep else np.uint8)
        across, down = self._across, self._down
        taps = (across.first, across.cubic, across.between)
        down_taps = (down.first[rows], down.cubic[rows], down.between[rows])
        depth = self._bit_depth
        curves = (lab.nearest_srgb_table(), lab.srgb_table())
        tables = (*curves, lab.linear_table(1 << depth), lab.lightness_of_luminance_table(depth))
        chosen = np.empty((0, 0), np.uint8) if levels is None else levels
        total, largest = _merge_rows(self._planes, lightness, taps, down_taps, tables, chosen, self._bounds, pixels)
        self.error.pixels += lightness.size
        self.error.total += total
        self.error.largest = max(self.error.largest, largest)
        return pixels


@njit(nogil=True, cache=True)
def _merge_rows(
    planes: Floats,
    lightness: Floats,
    taps: Any,
    down_taps: Any,
    tables: Any,
    levels: NDArray[np.uint8],
    bounds: Bounds,
    pixels: Samples,
) -> tuple[float, Any]:
    height, width = lightness.shape
    row = np.empty((5, planes.shape[2]), np.float32)
    a, b = np.empty(width, np.float32), np.empty(width, np.float32)
    linear, outside = np.empty((3, width), np.float32), np.empty(width, np.int32)
    luminance = np.empty(width, np.float32)
    total, largest = 0.0, np.float32(0)
    for y in range(height):
        small_row(planes, down_taps[0][y], down_taps[1][y], down_taps[2][y], row)
        chroma_row(lightness[y], row, taps[0], taps[1], taps[2], a, b)
        _linear_row(lightness[y], a, b, linear)
        count = _find_outside(linear, outside)
        if count:
            _fit(lightness[y], a, b, linear, outside[:count])
        if levels.size:
            _quantize_row_8(linear, tables[0], pixels[y])
        else:
            _quantize_row_16(linear, tables[1], pixels[y])
        _luminance_row(pixels[y], tables[2], luminance)
        if levels.size:
            _settle_row(lightness[y], levels[y], tables[2], bounds, luminance, pixels[y])
        row_total, row_largest = _measure_row(lightness[y], luminance, tables[3])
        total += row_total
        largest = max(largest, row_largest)
    return total, largest


@njit(nogil=True, cache=True)
def _inverse_f(f: Any) -> Any:
    return f * f * f if f > np.float32(6 / 29) else (f - np.float32(16 / 116)) * np.float32(1 / 7.787)


@njit(nogil=True, cache=True)
def linear_rgb(lightness: Any, a: Any, b: Any) -> Any:
    """Linear R, G, B, float32, of one CIELAB color; outside of 0..1 where sRGB cannot hold it."""
    m = lab.RGB_FROM_RELATIVE_XYZ
    fy = (lightness + np.float32(16)) * np.float32(1 / 116)
    x, y, z = _inverse_f(fy + a * np.float32(1 / 500)), _inverse_f(fy), _inverse_f(fy - b * np.float32(1 / 200))
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@njit(nogil=True, cache=True)
def _linear_row(lightness: Floats, a: Floats, b: Floats, linear: Floats) -> None:
    for x in range(len(lightness)):
        linear[0, x], linear[1, x], linear[2, x] = linear_rgb(lightness[x], a[x], b[x])


@njit(nogil=True, cache=True)
def _inside(red: Any, green: Any, blue: Any) -> Any:
    return min(red, green, blue) >= BELOW_ZERO and max(red, green, blue) <= ABOVE_ONE


@njit(nogil=True, cache=True)
def _find_outside(linear: Floats, outside: Indices) -> int:
    count = 0
    for x in range(linear.shape[1]):
        outside[count] = x
        count += not _inside(linear[0, x], linear[1, x], linear[2, x])
    return count


@njit(nogil=True, cache=True)
def _fit(lightness: Floats, a: Floats, b: Floats, linear: Floats, outside: Indices) -> None:
    """Reduce the chroma of some pixels to what sRGB can hold at their lightness and hue."""
    light, some_a, some_b = lightness[outside], a[outside], b[outside]
    share = gamut_share(light, some_a, some_b)
    for i in range(len(outside)):
        red, green, blue = linear_rgb(light[i], some_a[i] * share[i], some_b[i] * share[i])
        linear[0, outside[i]], linear[1, outside[i]], linear[2, outside[i]] = red, green, blue


@njit(nogil=True, cache=True)
def gamut_share(lightness: Floats, a: Floats, b: Floats) -> Floats:
    """The largest share of each color's chroma that sRGB can hold at its lightness and hue.

    Found by bisection, all colors at once, to 1/1024 from below.

    Args:
        lightness: float32 (n,) in 0..100.
        a: float32 (n,).
        b: float32 (n,).

    Returns:
        float32 (n,) in 0..1.
    """
    share, step = np.zeros_like(lightness), np.float32(1)
    for _ in range(BISECTIONS):
        step *= np.float32(0.5)
        for i in range(len(share)):
            tried = share[i] + step
            red, green, blue = linear_rgb(lightness[i], a[i] * tried, b[i] * tried)
            share[i] = tried if _inside(red, green, blue) else share[i]
    return share


@njit(nogil=True, cache=True)
def _quantize_row_8(linear: Floats, nearest: Samples, pixels: Samples) -> None:
    steps, half = np.float32(len(nearest) - 1), np.float32(0.5)
    for channel in range(3):
        for x in range(linear.shape[1]):
            place = min(max(linear[channel, x], np.float32(0)), np.float32(1)) * steps
            pixels[x, channel] = nearest[np.int32(place + half)]


@njit(nogil=True, cache=True)
def _quantize_row_16(linear: Floats, srgb: Floats, pixels: Samples) -> None:
    for channel in range(3):
        for x in range(linear.shape[1]):
            pixels[x, channel] = np.int32(lab.interpolated(srgb, linear[channel, x]) + np.float32(0.5))


@njit(nogil=True, cache=True)
def _luminance_row(pixels: Samples, linear: Floats, luminance: Floats) -> None:
    m = lab.RELATIVE_XYZ_FROM_RGB
    for x in range(len(luminance)):
        red, green, blue = linear[pixels[x, 0]], linear[pixels[x, 1]], linear[pixels[x, 2]]
        luminance[x] = m[1, 0] * red + m[1, 1] * green + m[1, 2] * blue


@njit(nogil=True, cache=True)
def _settle_row(
    lightness: Floats,
    levels: NDArray[np.uint8],
    linear: Floats,
    bounds: Bounds,
    luminance: Floats,
    pixels: Samples,
) -> None:
    for x in range(len(levels)):
        lower, upper = bounds[0][levels[x]], bounds[1][levels[x]]
        if luminance[x] < lower or luminance[x] > upper:
            aim = min(max(_inverse_f((lightness[x] + np.float32(16)) * np.float32(1 / 116)), lower), upper)
            luminance[x] = _settle(luminance[x], lower, upper, aim, linear, pixels[x])


@njit(nogil=True, cache=True)
def _settle(luminance: Any, lower: Any, upper: Any, aim: Any, linear: Floats, pixel: Samples) -> Any:
    """Move channels by one step, each time that which brings luminance nearest to its aim, until it is in bounds."""
    for _ in range(MOST_STEPS):
        step = 1 if luminance < lower else -1
        best, best_change = -1, np.float32(0)
        for channel in range(3):
            level = int(pixel[channel]) + step
            if 0 <= level <= 255:
                change = lab.RELATIVE_XYZ_FROM_RGB[1, channel] * (linear[level] - linear[pixel[channel]])
                if abs(luminance + change - aim) < abs(luminance + best_change - aim):
                    best, best_change = channel, change
        if best < 0:
            break
        pixel[best] = int(pixel[best]) + step
        luminance += best_change
        if lower <= luminance <= upper:
            break
    return luminance


@njit(nogil=True, cache=True)
def _measure_row(lightness: Floats, luminance: Floats, lightness_of: Floats) -> Any:
    total, largest = np.float32(0), np.float32(0)
    for x in range(len(lightness)):
        error = abs(lab.interpolated(lightness_of, luminance[x]) - lightness[x])
        total += error
        largest = max(largest, error)
    return total, largest
