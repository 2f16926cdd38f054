"""Telling whether the original's lightness can be had back, on real files and against scikit-image."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import color, data

from core.errors import InputError
from core.imaging import codec
from core.imaging.comparing import compare, is_lossless
from core.imaging.scan import ImageLimits

LIMITS = ImageLimits(max_pixels=10**8, max_bytes=10**9)
CAMERA = data.camera()[100:340, 60:400]


def scan(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return codec.decode(buffer, LIMITS)


def tiff(*pages, **options):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages:
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", **options)
    return codec.decode(buffer, LIMITS)


def as_rgb(gray):
    return np.repeat(gray[..., None], 3, axis=2)


def tinted(gray, step=1):
    """The same picture with its blue channel raised, which hardly changes its lightness."""
    pixels = as_rgb(gray).astype(int)
    pixels[..., 2] += step
    return np.clip(pixels, 0, 255).astype(np.uint8)


def test_gray_levels_as_equal_channels_come_back_exactly():
    (page,) = compare(scan(CAMERA), scan(as_rgb(CAMERA)))
    assert (page.mean, page.largest) == pytest.approx((0, 0), abs=1e-4)
    assert page.other_levels == 0
    assert page.is_kept
    assert (page.width, page.height, page.bit_depth, page.pixels) == (340, 240, 8, CAMERA.size)


def test_a_tint_that_stays_nearest_to_the_original_level_comes_back_too():
    result = tinted(CAMERA)
    (page,) = compare(scan(CAMERA), scan(result))
    difference = np.abs(color.rgb2lab(result)[..., 0] - color.rgb2lab(as_rgb(CAMERA))[..., 0])
    assert page.mean == pytest.approx(difference.mean(), abs=1e-3)
    assert page.largest == pytest.approx(difference.max(), abs=2e-3)
    assert page.largest > 0.01
    assert page.is_kept


def test_a_level_that_does_not_come_back_is_counted():
    result = as_rgb(CAMERA)
    result[10:12, 20:23] += 1
    (page,) = compare(scan(CAMERA), scan(result))
    assert (page.other_levels, page.is_kept) == (6, False)


def test_a_strong_tint_is_counted_as_scikit_image_counts_it():
    result = tinted(CAMERA, 40)
    (page,) = compare(scan(CAMERA), scan(result))
    levels = color.rgb2lab(as_rgb(np.arange(256, dtype=np.uint8)[None]))[0, :, 0]
    nearest = np.abs(color.rgb2lab(result)[..., 0][..., None] - levels).argmin(axis=-1)
    assert page.other_levels == pytest.approx(np.count_nonzero(nearest != CAMERA), abs=5)
    assert page.other_levels > 1000


def test_an_original_in_equal_channels_is_compared_by_the_levels_nearest_to_its_lightness():
    sepia = np.clip(CAMERA[..., None] * np.array([1.0, 0.9, 0.75]), 0, 255).astype(np.uint8)
    (page,) = compare(scan(sepia), scan(sepia))
    assert page.is_kept
    darker = np.maximum(sepia, 3) - 3
    (page,) = compare(scan(sepia), scan(darker))
    assert page.other_levels > sepia[..., 0].size * 0.9


def test_sixteen_bits_are_held_to_a_thousandth_of_lightness():
    deep = CAMERA.astype(np.uint16) * 250
    close, far = as_rgb(deep), as_rgb(deep + 40)
    close[..., 2] += 1
    (page,) = compare(tiff(deep), tiff(close))
    assert (page.bit_depth, page.other_levels, page.is_kept) == (16, None, True)
    (page,) = compare(tiff(deep), tiff(far))
    assert page.mean > 0.001
    assert not page.is_kept


def test_every_page_is_compared():
    wrong = as_rgb(CAMERA)
    wrong[0, 0] += 9
    kept = [page.is_kept for page in compare(tiff(CAMERA, CAMERA), tiff(as_rgb(CAMERA), wrong))]
    assert kept == [True, False]


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (lambda: scan(as_rgb(CAMERA[1:])), "size_differs"),
        (lambda: tiff(as_rgb(CAMERA.astype(np.uint16) * 257)), "depth_differs"),
        (lambda: tiff(CAMERA, CAMERA), "pages_differ"),
    ],
)
def test_what_cannot_be_compared_is_refused(result, code):
    with pytest.raises(InputError) as refusal:
        compare(scan(CAMERA), result())
    assert refusal.value.code == code


def decoded(content):
    return codec.decode(io.BytesIO(content), LIMITS)


@pytest.mark.parametrize(
    ("make", "lossless"),
    [
        (lambda: scan(as_rgb(CAMERA)), True),
        (lambda: scan(as_rgb(CAMERA), "BMP"), True),
        (lambda: scan(as_rgb(CAMERA), "JPEG", quality=95), False),
        (lambda: tiff(as_rgb(CAMERA)), True),
        (lambda: tiff(as_rgb(CAMERA), compression="zlib"), True),
        (lambda: tiff(as_rgb(CAMERA), compression="jpeg"), False),
        (lambda: scan(as_rgb(CAMERA), "WEBP", lossless=True), True),
        (lambda: scan(as_rgb(CAMERA), "WEBP", quality=95), False),
        (lambda: decoded(imagecodecs.jpeg2k_encode(as_rgb(CAMERA), reversible=True)), True),
        (lambda: decoded(imagecodecs.jpeg2k_encode(as_rgb(CAMERA), level=40, reversible=False)), False),
        (lambda: scan(as_rgb(CAMERA), "AVIF", quality=90), False),
    ],
)
def test_lossless_coding_is_told_from_lossy(make, lossless):
    assert is_lossless(make()) is lossless
