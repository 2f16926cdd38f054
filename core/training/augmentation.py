"""Making photographs look old, on lightness alone: archives are seldom as clean as what there is to learn from.

All of it is a function of the generator of random numbers that is handed in. Sizes are in pixels of the crop and
strengths in units of CIE L.
"""

import io

import numpy as np
from PIL import Image

from core.imaging import lab
from core.imaging.arrays import Floats
from core.imaging.compiled import compiled
from core.imaging.merging import nearest_levels
from core.training.config import AugmentationConfig

GAMMA = (0.6, 1.6)
BLUR_PX = (0.4, 1.4)
"""Standard deviation of a Gauss."""
GRAIN = (1.0, 7.0)
"""Standard deviation in the midtones; it falls to nothing at black and white, as density does."""
GRAIN_PX = (0.0, 0.7)
"""How far grains run into their neighbors."""
DEEPEST_BLACK, BRIGHTEST_WHITE = (0.0, 28.0), (72.0, 100.0)
MOST_SCRATCHES = 4
MOST_SPECKS = 12
JPEG_QUALITY = (25, 85)

REACH = 3.0
"""A Gauss is cut off at so many standard deviations."""


def age(lightness: Floats, rng: np.random.Generator, config: AugmentationConfig) -> Floats:
    """The lightness of a picture as an old photograph of it might have it.

    Args:
        lightness: float32 (H, W) in 0..100; not changed.
        rng: gives the same result from the same state.
        config: how probable each fault is.

    Returns:
        float32 (H, W) in 0..100; the very same array where there is no fault.
    """
    # In the order in which they come to a photograph: emulsion and lens, the years, the scan.
    steps = (
        (config.gamma, _gamma),
        (config.blur, _blur),
        (config.grain, _grain),
        (config.fade, _fade),
        (config.scratches, _scratch),
        (config.jpeg, _jpeg),
    )
    chances = rng.random(len(steps))
    for chance, (probability, step) in zip(chances, steps, strict=True):
        if chance < probability:
            lightness = np.clip(step(lightness, rng), 0, 100, dtype=np.float32)
    return lightness


def _gamma(lightness: Floats, rng: np.random.Generator) -> Floats:
    exponent = np.exp(rng.uniform(*np.log(GAMMA)))
    changed: Floats = np.power(lightness / np.float32(100), np.float32(exponent)) * np.float32(100)
    return changed


def _blur(lightness: Floats, rng: np.random.Generator) -> Floats:
    return blurred(lightness, rng.uniform(*BLUR_PX))


def _grain(lightness: Floats, rng: np.random.Generator) -> Floats:
    noise = blurred(rng.standard_normal(lightness.shape, np.float32), rng.uniform(*GRAIN_PX))
    noise *= np.float32(rng.uniform(*GRAIN)) / noise.std()
    grainy: Floats = lightness + noise * np.sqrt(lightness * (100 - lightness)) / 50
    return grainy


def _fade(lightness: Floats, rng: np.random.Generator) -> Floats:
    black, white = rng.uniform(*DEEPEST_BLACK), rng.uniform(*BRIGHTEST_WHITE)
    faded: Floats = np.float32(black) + lightness * np.float32((white - black) / 100)
    return faded


def _scratch(lightness: Floats, rng: np.random.Generator) -> Floats:
    """Long, nearly upright or lying lines, and specks of dust."""
    worn = lightness.copy()
    for _ in range(rng.integers(1, MOST_SCRATCHES + 1)):
        lying = rng.random() < 0.3
        _draw_line(worn.T if lying else worn, rng)
    height, width = worn.shape
    for _ in range(rng.integers(0, MOST_SPECKS + 1)):
        top, left, size = rng.integers(height), rng.integers(width), rng.integers(1, 3)
        worn[top : top + size, left : left + size] = rng.choice((8.0, 92.0))
    return worn


def _draw_line(worn: Floats, rng: np.random.Generator) -> None:
    height, width = worn.shape
    start, slant = rng.uniform(0, width), rng.uniform(-0.15, 0.15)
    begin, end = np.sort(rng.integers(0, height + 1, 2))
    rows = np.arange(begin, end)
    columns = np.rint(start + slant * rows).astype(np.intp)
    inside = (columns >= 0) & (columns < width)
    tone, strength = rng.choice((5.0, 95.0)), rng.uniform(0.4, 1.0)
    worn[rows[inside], columns[inside]] *= np.float32(1 - strength)
    worn[rows[inside], columns[inside]] += np.float32(strength * tone)


def _jpeg(lightness: Floats, rng: np.random.Generator) -> Floats:
    buffer = io.BytesIO()
    Image.fromarray(nearest_levels(lightness)).save(buffer, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
    return lab.lightness_from_gray(np.asarray(Image.open(buffer)))


def blurred(plane: Floats, sigma_px: float) -> Floats:
    """A plane, float32 (H, W), blurred by a Gauss of that standard deviation; its edges are repeated outwards."""
    if sigma_px < 0.1:
        return plane
    reach = int(np.ceil(REACH * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    padded = np.pad(plane, reach, mode="edge")
    result = np.empty_like(plane)
    _convolve(padded, kernel, result)
    return result


@compiled
def _convolve(padded: Floats, kernel: Floats, result: Floats) -> None:
    height, width = result.shape
    line = np.empty(padded.shape[1], np.float32)
    for y in range(height):
        line[:] = 0
        for tap in range(len(kernel)):
            for x in range(padded.shape[1]):
                line[x] += kernel[tap] * padded[y + tap, x]
        for x in range(width):
            total = np.float32(0)
            for tap in range(len(kernel)):
                total += kernel[tap] * line[x + tap]
            result[y, x] = total
