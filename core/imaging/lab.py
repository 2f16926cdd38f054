"""CIELAB under D65 (2 degree observer) and sRGB, vectorized, in float32.

A gray level's a and b are exactly zero here: the white point is the sum of the matrix's rows, which differs from the
usual rounded (0.95047, 1, 1.08883) by less than 1e-4.

Sources: IEC 61966-2-1 (sRGB curve), Poynton's Color FAQ (matrix, the one scikit-image uses), CIE 15 (L, a, b).
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.arrays import Floats, Samples

_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = _XYZ.sum(axis=1)
XYZ_FROM_RGB: Floats = _XYZ.astype(np.float32)
# X/Xn, Y/Yn, Z/Zn from linear R, G, B and back, so that white is (1, 1, 1) on both sides.
RELATIVE_XYZ_FROM_RGB: Floats = (_XYZ / _WHITE[:, None]).astype(np.float32)
RGB_FROM_RELATIVE_XYZ: Floats = (np.linalg.inv(_XYZ) * _WHITE).astype(np.float32)

EPSILON = 0.008856
KAPPA = 7.787
F_OF_EPSILON = 6 / 29

# What float32 rounding alone puts outside of 0..1; far below half a step of 16 bits after the sRGB curve.
BELOW_ZERO = np.float32(-1e-7)
ABOVE_ONE = np.float32(1 + 1e-6)
BISECTIONS = 12


def linear_from_srgb(values: NDArray[Any]) -> NDArray[np.float64]:
    """Linear light from sRGB values, both 0..1, any shape."""
    values = np.asarray(values, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: Floats) -> Floats:
    """sRGB values from linear light, both 0..1, any shape."""
    curve = 1.055 * np.power(np.maximum(linear, 0), 1 / 2.4, dtype=np.float32) - 0.055
    values: Floats = np.where(linear <= 0.0031308, linear * 12.92, curve)
    return values


@cache
def _linear_table(levels: int) -> Floats:
    return linear_from_srgb(np.arange(levels) / (levels - 1)).astype(np.float32)


@cache
def _lightness_table(levels: int) -> Floats:
    luminance = linear_from_srgb(np.arange(levels) / (levels - 1))
    table: Floats = np.clip(116 * _f(luminance) - 16, 0, 100).astype(np.float32)
    return table


def _levels(samples: Samples) -> int:
    return 1 << (8 * samples.dtype.itemsize)


def lightness_from_gray(gray: Samples) -> Floats:
    """CIE L, float32 in 0..100, of gray sRGB levels: uint8 or uint16, any shape."""
    return _lightness_table(_levels(gray))[gray]


def lightness_from_rgb(rgb: Samples) -> Floats:
    """CIE L, float32 (...) in 0..100, of sRGB pixels: uint8 or uint16 (..., 3)."""
    linear = _linear_table(_levels(rgb))
    luminance = linear[rgb[..., 0]] * XYZ_FROM_RGB[1, 0]
    luminance += linear[rgb[..., 1]] * XYZ_FROM_RGB[1, 1]
    luminance += linear[rgb[..., 2]] * XYZ_FROM_RGB[1, 2]
    lightness: Floats = np.clip(116 * _f(luminance) - 16, 0, 100).astype(np.float32, copy=False)
    return lightness


def lab_from_rgb(rgb: Samples) -> Floats:
    """CIELAB, float32 (..., 3), of sRGB pixels: uint8 or uint16 (..., 3)."""
    f = _f(_linear_table(_levels(rgb))[rgb] @ RELATIVE_XYZ_FROM_RGB.T)
    lightness = 116 * f[..., 1] - 16
    return np.stack((lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])), -1, dtype=np.float32)


def _f(relative: NDArray[Any]) -> NDArray[Any]:
    # CIE's f, whose straight part keeps the slope finite in the shadows; the float type is kept.
    return np.where(relative > EPSILON, np.cbrt(relative), KAPPA * relative + 16 / 116)


def _inverse_f(f: NDArray[Any]) -> NDArray[Any]:
    return np.where(f > F_OF_EPSILON, f * f * f, (f - 16 / 116) / KAPPA)


def linear_from_lab(lightness: Floats, a: Floats, b: Floats) -> Floats:
    """Linear R, G, B, float32 (3, ...), of CIELAB values; outside of 0..1 where sRGB cannot hold the color."""
    fy = (lightness + 16) / 116
    x, y, z = _inverse_f(fy + a / 500), _inverse_f(fy), _inverse_f(fy - b / 200)
    linear: Floats = np.stack([row[0] * x + row[1] * y + row[2] * z for row in RGB_FROM_RELATIVE_XYZ])
    return linear


def _inside(linear: Floats) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (linear.min(axis=0) >= BELOW_ZERO) & (linear.max(axis=0) <= ABOVE_ONE)
    return inside


def fit_chroma(lightness: Floats, a: Floats, b: Floats) -> Floats:
    """The largest share of chroma, float32 (N,) in 0..1, that sRGB can hold at the same lightness and hue.

    Found by bisection, to 1/4096 from below.

    Args:
        lightness: float32 (N,) in 0..100.
        a: float32 (N,).
        b: float32 (N,).
    """
    share = np.zeros_like(lightness)
    step = np.float32(1)
    for _ in range(BISECTIONS):
        step = np.float32(step / 2)
        tried: Floats = share + step
        share = np.where(_inside(linear_from_lab(lightness, a * tried, b * tried)), tried, share)
    return share


def quantize(linear: Floats, bit_depth: int) -> Samples:
    """The nearest sRGB levels, uint8 or uint16 of the same shape, of linear light in 0..1."""
    top = (1 << bit_depth) - 1
    levels: Floats = np.clip(srgb_from_linear(linear) * top + 0.5, 0, top)
    return levels.astype(np.uint8) if bit_depth == 8 else levels.astype(np.uint16)


def merge(lightness: Floats, ab: Floats, bit_depth: int) -> Samples:
    """sRGB pixels of a lightness and a chroma, the lightness kept.

    Where sRGB cannot hold the color, chroma is reduced at constant lightness and hue; nothing is clipped.

    Args:
        lightness: float32 (H, W) in 0..100.
        ab: float32 (H, W, 2), CIELAB a and b.
        bit_depth: 8 or 16.

    Returns:
        uint8 or uint16 (H, W, 3). Working memory is about 100 bytes per pixel: hand in bands of rows.
    """
    a, b = ab[..., 0], ab[..., 1]
    linear = linear_from_lab(lightness, a, b)
    outside = ~_inside(linear)
    if outside.any():
        kept, some_a, some_b = lightness[outside], a[outside], b[outside]
        share = fit_chroma(kept, some_a, some_b)
        linear[:, outside] = linear_from_lab(kept, some_a * share, some_b * share)
    return np.ascontiguousarray(np.moveaxis(quantize(linear, bit_depth), 0, -1))
