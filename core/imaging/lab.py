"""CIELAB under D65 (2 degree observer) and sRGB: fused loops over tables, compiled by numba, in float32.

A gray level's a and b are exactly zero here: the white point is the sum of the matrix's rows, which differs from the
usual rounded (0.95047, 1, 1.08883) by less than 1e-4. Curves are read from tables with linear interpolation; how far
that lies from scikit-image is tested.

Sources: IEC 61966-2-1 (sRGB curve), Poynton's Color FAQ (matrix, the one scikit-image uses), CIE 15 (L, a, b).
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.arrays import Floats, Samples
from core.imaging.compiled import compiled

_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = _XYZ.sum(axis=1)
# X/Xn, Y/Yn, Z/Zn from linear R, G, B and back, so that white is (1, 1, 1) on both sides.
RELATIVE_XYZ_FROM_RGB: Floats = (_XYZ / _WHITE[:, None]).astype(np.float32)
RGB_FROM_RELATIVE_XYZ: Floats = (np.linalg.inv(_XYZ) * _WHITE).astype(np.float32)

EPSILON = 0.008856
KAPPA = 7.787
F_STEPS = 1 << 12
LIGHTNESS_STEPS = 1 << 16
SRGB_STEPS = 1 << 15
NEAREST_STEPS = 1 << 14
AT_ONCE = 512


def linear_from_srgb(values: NDArray[Any]) -> NDArray[np.float64]:
    """Linear light from sRGB values, both 0..1, any shape."""
    values = np.asarray(values, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: NDArray[Any]) -> NDArray[np.float64]:
    """sRGB values from linear light, both 0..1, any shape."""
    linear = np.asarray(linear, np.float64)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def luminance_from_lightness(lightness: NDArray[Any]) -> NDArray[np.float64]:
    """Relative luminance Y/Yn, 0..1, of CIE L, 0..100, any shape."""
    f = (np.asarray(lightness, np.float64) + 16) / 116
    return np.where(f > 6 / 29, f**3, (f - 16 / 116) / KAPPA)


def _f(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    # CIE's f, whose straight part keeps the slope finite in the shadows.
    return np.where(relative > EPSILON, np.cbrt(relative), KAPPA * relative + 16 / 116)


@cache
def linear_table(levels: int) -> Floats:
    """Linear light, float32 (levels,), of every sRGB level, 256 or 65536 of them."""
    return linear_from_srgb(np.arange(levels) / (levels - 1)).astype(np.float32)


@cache
def lightness_table(levels: int) -> Floats:
    """CIE L, float32 (levels,) in 0..100, of every gray sRGB level, 256 or 65536 of them."""
    luminance = linear_from_srgb(np.arange(levels) / (levels - 1))
    table: Floats = np.clip(116 * _f(luminance) - 16, 0, 100).astype(np.float32)
    return table


@cache
def f_table() -> Floats:
    """CIE's f at equal steps of 0..1; the last value stands twice, so that 1 has a neighbor too."""
    return _closed(_f(np.linspace(0, 1, F_STEPS + 1)))


@cache
def lightness_of_luminance_table() -> Floats:
    """CIE L at equal steps of relative luminance 0..1; the last value stands twice."""
    return _closed(np.clip(116 * _f(np.linspace(0, 1, LIGHTNESS_STEPS + 1)) - 16, 0, 100))


@cache
def srgb_table() -> Floats:
    """16-bit sRGB levels, not rounded, at equal steps of linear light 0..1; the last value stands twice."""
    return _closed(srgb_from_linear(np.linspace(0, 1, SRGB_STEPS + 1)) * 65535)


@cache
def nearest_srgb_table() -> Samples:
    """The nearest 8-bit sRGB level, uint8, at equal steps of linear light 0..1; off by a tenth of a level at most."""
    return np.rint(srgb_from_linear(np.linspace(0, 1, NEAREST_STEPS + 1)) * 255).astype(np.uint8)


def _closed(values: NDArray[np.float64]) -> Floats:
    return np.append(values, values[-1]).astype(np.float32)


def _levels(samples: Samples) -> int:
    return 1 << (8 * samples.dtype.itemsize)


def lightness_from_gray(gray: Samples) -> Floats:
    """CIE L, float32 in 0..100, of gray sRGB levels: uint8 or uint16, any shape."""
    return look_up(lightness_table(_levels(gray)), gray)


def look_up(table: Floats, levels: Samples) -> Floats:
    """A table's value, float32, at each level: uint8 or uint16, any shape, none past the table's end."""
    values = np.empty(levels.shape, np.float32)
    _look_up(table, np.ascontiguousarray(levels).reshape(-1), values.reshape(-1))
    return values


def lightness_from_rgb(rgb: Samples) -> Floats:
    """CIE L, float32 (...) in 0..100, of sRGB pixels: uint8 or uint16 (..., 3)."""
    lightness = np.empty(rgb.shape[:-1], np.float32)
    pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
    _lightness_of_pixels(pixels, linear_table(_levels(rgb)), lightness_of_luminance_table(), lightness.reshape(-1))
    return lightness


def lab_from_rgb(rgb: Samples) -> Floats:
    """CIELAB, float32 (..., 3), of sRGB pixels: uint8 or uint16 (..., 3)."""
    lab = np.empty(rgb.shape, np.float32)
    pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
    _lab_of_pixels(pixels, linear_table(_levels(rgb)), f_table(), lab.reshape(-1, 3))
    return lab


@compiled
def _look_up(table: Floats, levels: Samples, values: Floats) -> None:
    for i in range(len(levels)):
        values[i] = table[levels[i]]


@compiled
def interpolated(table: Floats, value: Any) -> Any:
    """A table's value, float32, at a place 0..1 of its steps; places outside are brought to the ends."""
    place = min(max(value, np.float32(0)), np.float32(1)) * np.float32(len(table) - 2)
    index = np.int32(place)
    return table[index] + (place - np.float32(index)) * (table[index + 1] - table[index])


@compiled
def _lightness_of_pixels(pixels: Samples, linear: Floats, lightness: Floats, out: Floats) -> None:
    white_r, white_g, white_b = RELATIVE_XYZ_FROM_RGB[1]
    for i in range(len(pixels)):
        luminance = linear[pixels[i, 0]] * white_r + linear[pixels[i, 1]] * white_g + linear[pixels[i, 2]] * white_b
        out[i] = interpolated(lightness, luminance)


@compiled
def _lab_of_pixels(pixels: Samples, linear: Floats, f: Floats, out: Floats) -> None:
    # A few pixels at a time go through several loops: those that only calculate are vectorized, those that read from
    # tables are not.
    values, places = np.empty((3, AT_ONCE), np.float32), np.empty((3, AT_ONCE), np.int32)
    red, green, blue = np.empty(AT_ONCE, np.float32), np.empty(AT_ONCE, np.float32), np.empty(AT_ONCE, np.float32)
    steps = np.float32(len(f) - 2)
    for start in range(0, len(pixels), AT_ONCE):
        some, lab = pixels[start : start + AT_ONCE], out[start : start + AT_ONCE]
        for i in range(len(some)):
            red[i], green[i], blue[i] = linear[some[i, 0]], linear[some[i, 1]], linear[some[i, 2]]
        for row in range(3):
            m0, m1, m2 = RELATIVE_XYZ_FROM_RGB[row]
            for i in range(len(some)):
                relative = m0 * red[i] + m1 * green[i] + m2 * blue[i]
                place = min(max(relative, np.float32(0)), np.float32(1)) * steps
                places[row, i] = np.int32(place)
                values[row, i] = place - np.float32(places[row, i])
            for i in range(len(some)):
                index = places[row, i]
                values[row, i] = f[index] + values[row, i] * (f[index + 1] - f[index])
        for i in range(len(some)):
            fx, fy, fz = values[0, i], values[1, i], values[2, i]
            lab[i, 0] = np.float32(116) * fy - np.float32(16)
            lab[i, 1] = np.float32(500) * (fx - fy)
            lab[i, 2] = np.float32(200) * (fy - fz)
