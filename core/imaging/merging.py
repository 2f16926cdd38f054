"""Lightness and chroma to pixels, the lightness kept: fused loops over rows, compiled by numba.

A color that sRGB cannot hold at its lightness has its chroma reduced at constant lightness and hue; nothing is clipped.
Rounding to 8 bits moves lightness by up to 0.25. Where that would take it out of the interval that belongs to the
original's gray level, channels are moved by a step, where need be by a few, so that the level nearest in lightness to
the result is the original's. Where 8 bits of sRGB have no such color, as for some shadows of other tone curves, the
pixel is counted.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging import lab
from core.imaging.arrays import Floats, Samples
from core.imaging.compiled import compiled
from core.imaging.upsampling import SmallChroma, Taps, chroma_row, widen_rows

# What float32 rounding alone puts outside of 0..1; far below half a step of 16 bits after the sRGB curve.
BELOW_ZERO = np.float32(-1e-7)
ABOVE_ONE = np.float32(1 + 1e-6)
BISECTIONS = 10
# Of a level's interval, so that whoever computes lightness with other rounding still finds it inside.
MARGIN = 0.02
# How far channels may be moved: first each by a step, then, where that leads nowhere near, red and blue by more: their
# steps change lightness less than those of green.
REACHES = (1, 8)
# Of a level's interval: what a step of a channel may cost at least in lightness to be worth its change of color, and
# how far from the aim is not near.
STEP_COST = np.float32(0.03)
NEAR = np.float32(0.5)
# Of a level's interval: more than any color inside of it may cost.
OUTSIDE_COST = np.float32(2)
GUESSES = 1024

Bounds = tuple[Floats, Floats]
Indices = NDArray[np.int32]


@dataclass
class LightnessError:
    """How far the lightness of pixels lies from what it should be; |dL| of CIE L in 0..100, summed up band by band.

    Args:
        pixels: that were measured.
        total: sum of their |dL|.
        largest: of their |dL|.
        other_levels: how many of them, of 8 bits, are nearest in lightness to another gray level than the original's.
    """

    pixels: int = 0
    total: float = 0.0
    largest: float = 0.0
    other_levels: int = 0

    @property
    def mean(self) -> float:
        """Mean |dL|, 0 before the first pixel."""
        return self.total / self.pixels if self.pixels else 0.0


def luminance_bounds(lightness_table: Floats) -> Bounds:
    """Between which luminances, 0..1, lies what is nearest in lightness to each gray level.

    Args:
        lightness_table: float32 (levels,), not falling, the last above the first.

    Returns:
        The lower and the upper bounds, float32 (levels,) each, a little inside of the midpoints between the levels.
        Levels of the same lightness are one.
    """
    table, places = np.unique(lightness_table.astype(np.float64), return_inverse=True)
    middles = lab.luminance_from_lightness((table[1:] + table[:-1]) / 2)
    # The first and the last level lie in the middle of theirs.
    ends = 2 * lab.luminance_from_lightness(table[[0, -1]]) - middles[[0, -1]]
    lower, upper = np.append(ends[0], middles), np.append(middles, ends[1])
    inset = MARGIN * (upper - lower)
    return (lower + inset).astype(np.float32)[places], (upper - inset).astype(np.float32)[places]


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


@compiled
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
        tables = (lab.nearest_srgb_table(), lab.srgb_table(), lab.linear_table(1 << self._bit_depth))
        chosen = np.empty((0, 0), np.uint8) if levels is None else levels
        across, down = self._across.arrays, self._down.part(rows).arrays
        total, largest, others = _merge_rows(
            self._planes, lightness, across, down, tables, chosen, self._bounds, pixels
        )
        self.error.pixels += lightness.size
        self.error.total += total
        self.error.largest = max(self.error.largest, largest)
        self.error.other_levels += others
        return pixels


@compiled
def _merge_rows(
    planes: Floats,
    lightness: Floats,
    across: Any,
    down: Any,
    tables: Any,
    levels: NDArray[np.uint8],
    bounds: Bounds,
    pixels: Samples,
) -> tuple[float, Any, int]:
    first, cubic, between = down
    nearest, srgb, linear_of = tables
    height, width = lightness.shape
    wide, held = np.empty((4, 5, width), np.float32), np.full(4, -1)
    expected, luminance = np.empty(width, np.float32), np.empty(width, np.float32)
    a, b = np.empty(width, np.float32), np.empty(width, np.float32)
    linear, places = np.empty((3, width), np.float32), np.empty((3, width), np.int32)
    outside = np.empty(width, np.int32)
    total, largest = np.zeros(width, np.float32), np.zeros(width, np.float32)
    others = 0
    for y in range(height):
        widen_rows(planes, first[y], across, wide, held)
        chroma_row(lightness[y], wide, first[y], cubic[:, y], between[y], expected, a, b)
        _linear_row(lightness[y], a, b, linear)
        # Most rows have none, and to ask whether there is any takes a fraction of finding them.
        if _any_outside(linear):
            _fit(lightness[y], a, b, linear, _find_outside(linear, outside))
        if levels.size:
            _quantize_row_8(linear, nearest, linear_of, places, pixels[y], luminance)
            others += _settle_row(lightness[y], levels[y], linear_of, bounds, luminance, pixels[y])
        else:
            _quantize_row_16(linear, srgb, linear_of, pixels[y], luminance)
        _measure_row(lightness[y], luminance, total, largest)
    return total.sum(), largest.max(), others


@compiled
def _inverse_f(f: Any) -> Any:
    return f * f * f if f > np.float32(6 / 29) else (f - np.float32(16 / 116)) * np.float32(1 / 7.787)


@compiled
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


@compiled
def _linear_row(lightness: Floats, a: Floats, b: Floats, linear: Floats) -> None:
    for x in range(len(lightness)):
        linear[0, x], linear[1, x], linear[2, x] = linear_rgb(lightness[x], a[x], b[x])


@compiled
def _inside(red: Any, green: Any, blue: Any) -> Any:
    # Both are asked for always, without a branch, so that loops are vectorized.
    return (min(red, green, blue) >= BELOW_ZERO) & (max(red, green, blue) <= ABOVE_ONE)


@compiled
def _any_outside(linear: Floats) -> Any:
    count = np.int32(0)
    for x in range(linear.shape[1]):
        count += np.int32(not _inside(linear[0, x], linear[1, x], linear[2, x]))
    return count > 0


@compiled
def _find_outside(linear: Floats, outside: Indices) -> Indices:
    count = 0
    for x in range(linear.shape[1]):
        outside[count] = x
        count += not _inside(linear[0, x], linear[1, x], linear[2, x])
    return outside[:count]


@compiled
def _fit(lightness: Floats, a: Floats, b: Floats, linear: Floats, outside: Indices) -> None:
    """Reduce the chroma of some pixels to what sRGB can hold at their lightness and hue."""
    light, some_a, some_b = lightness[outside], a[outside], b[outside]
    share = gamut_share(light, some_a, some_b)
    for i in range(len(outside)):
        red, green, blue = linear_rgb(light[i], some_a[i] * share[i], some_b[i] * share[i])
        linear[0, outside[i]], linear[1, outside[i]], linear[2, outside[i]] = red, green, blue


@compiled
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


@compiled
def _quantize_row_8(
    linear: Floats, nearest: Samples, linear_of: Floats, places: Indices, pixels: Samples, luminance: Floats
) -> None:
    steps, half = np.float32(len(nearest) - 1), np.float32(0.5)
    # In two loops, of which the first is vectorized; reading from tables is not.
    for channel in range(3):
        for x in range(linear.shape[1]):
            value = min(max(linear[channel, x], np.float32(0)), np.float32(1))
            places[channel, x] = np.int32(value * steps + half)
    for x in range(linear.shape[1]):
        red, green, blue = nearest[places[0, x]], nearest[places[1, x]], nearest[places[2, x]]
        pixels[x, 0], pixels[x, 1], pixels[x, 2] = red, green, blue
        luminance[x] = _luminance(linear_of[red], linear_of[green], linear_of[blue])


@compiled
def _quantize_row_16(linear: Floats, srgb: Floats, linear_of: Floats, pixels: Samples, luminance: Floats) -> None:
    for channel in range(3):
        for x in range(linear.shape[1]):
            pixels[x, channel] = np.int32(lab.interpolated(srgb, linear[channel, x]) + np.float32(0.5))
    for x in range(linear.shape[1]):
        luminance[x] = _luminance(linear_of[pixels[x, 0]], linear_of[pixels[x, 1]], linear_of[pixels[x, 2]])


@compiled
def _luminance(red: Any, green: Any, blue: Any) -> Any:
    """Relative luminance Y/Yn, 0..1, of linear red, green, blue."""
    weights = lab.RELATIVE_XYZ_FROM_RGB[1]
    return weights[0] * red + weights[1] * green + weights[2] * blue


@compiled
def _settle_row(
    lightness: Floats,
    levels: NDArray[np.uint8],
    linear: Floats,
    bounds: Bounds,
    luminance: Floats,
    pixels: Samples,
) -> int:
    """Bring into their bounds the pixels that rounding took out of them; how many of them stay outside."""
    others = 0
    for x in range(len(levels)):
        lower, upper = bounds[0][levels[x]], bounds[1][levels[x]]
        if luminance[x] < lower or luminance[x] > upper:
            aim = min(max(_inverse_f((lightness[x] + np.float32(16)) * np.float32(1 / 116)), lower), upper)
            luminance[x] = _settle(lower, upper, aim, linear, pixels[x])
            inset = np.float32(MARGIN / (1 - 2 * MARGIN)) * (upper - lower)
            others += luminance[x] < lower - inset or luminance[x] > upper + inset
    return others


@compiled
def _settle(lower: Any, upper: Any, aim: Any, linear: Floats, pixel: Samples) -> Any:
    """Move a pixel to the color near it that is in bounds, nearest to its aim by few steps; its luminance.

    Gray stays gray where the next level is in bounds.
    """
    if pixel[0] == pixel[1] == pixel[2]:
        for level in range(max(int(pixel[0]) - 1, 0), min(int(pixel[0]) + 1, 255) + 1):
            if lower <= linear[level] <= upper:
                pixel[:] = level
                return linear[level]
    interval = upper - lower
    for reach in REACHES:
        red, green, blue, luminance = _nearest_color(lower, upper, aim, linear, pixel, reach)
        if abs(luminance - aim) <= NEAR * interval:
            break
    pixel[0], pixel[1], pixel[2] = red, green, blue
    return luminance


@compiled
def _nearest_color(lower: Any, upper: Any, aim: Any, linear: Floats, pixel: Samples, reach: int) -> Any:
    """Red, green, blue and luminance of the best color up to `reach` levels away in red and blue, and one in green."""
    interval = upper - lower
    red, green, blue = int(pixel[0]), int(pixel[1]), int(pixel[2])
    best, best_cost = (red, green, blue, np.float32(0)), np.float32(np.inf)
    for g in range(max(green - 1, 0), min(green + 1, 255) + 1):
        for r in range(max(red - reach, 0), min(red + reach, 255) + 1):
            for b in range(max(blue - reach, 0), min(blue + reach, 255) + 1):
                luminance = _luminance(linear[r], linear[g], linear[b])
                steps = np.float32(abs(r - red) + abs(g - green) + abs(b - blue))
                cost = abs(luminance - aim) + steps * STEP_COST * interval
                if luminance < lower or luminance > upper:
                    cost += OUTSIDE_COST * interval
                if cost < best_cost:
                    best, best_cost = (r, g, b, luminance), cost
    return best


@compiled
def _measure_row(lightness: Floats, luminance: Floats, total: Floats, largest: Floats) -> None:
    """Add each pixel's |dL| to the total of its column, and keep the largest of its column.

    The cube root is a step of Halley's method from the lightness that is wanted, which leaves 0.001 of a |dL| of 1.
    """
    for x in range(len(lightness)):
        f = (lightness[x] + np.float32(16)) * np.float32(1 / 116)
        guess = max(f, np.float32(6 / 29))
        cube = guess * guess * guess
        root = (guess - f) + guess * (luminance[x] - cube) / (np.float32(2) * cube + luminance[x])
        straight = np.float32(lab.KAPPA) * luminance[x] + np.float32(16 / 116) - f
        error = np.float32(116) * abs(root if luminance[x] > np.float32(lab.EPSILON) else straight)
        total[x] += error
        largest[x] = max(largest[x], error)
