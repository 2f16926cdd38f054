import numpy as np
import pytest
from skimage import color as reference
from skimage import data

from core.imaging import lab

PHOTOGRAPHS = [data.astronaut, data.coffee, data.chelsea, data.rocket]


def gray_lightness(levels):
    top = np.iinfo(levels.dtype).max
    return reference.rgb2lab(np.dstack([levels / top] * 3))[..., 0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_lightness_of_every_gray_level_agrees_with_scikit_image(kind):
    levels = np.arange(np.iinfo(kind).max + 1, dtype=kind)[None]
    assert np.abs(lab.lightness_from_gray(levels) - gray_lightness(levels)).max() < 1e-4


def test_lightness_is_cie_l_and_not_rec_601_luma():
    blue = np.array([[[0, 0, 255]]], np.uint8)
    assert lab.lightness_from_rgb(blue)[0, 0] == pytest.approx(32.30, abs=0.01)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_lightness_and_lab_of_photographs_agree_with_scikit_image(photograph, kind):
    rgb = photograph().astype(kind) * (1 if kind is np.uint8 else 257)
    expected = reference.rgb2lab(rgb)
    assert np.abs(lab.lightness_from_rgb(rgb) - expected[..., 0]).max() < 2e-4
    assert np.abs(lab.lab_from_rgb(rgb) - expected).max() < 0.01


def test_the_darkest_colors_agree_with_scikit_image():
    rgb = np.stack(np.meshgrid(*[np.arange(0, 12, dtype=np.uint8)] * 3), -1).reshape(1, -1, 3)
    assert np.abs(lab.lab_from_rgb(rgb) - reference.rgb2lab(rgb)).max() < 0.01


def test_gray_pixels_in_rgb_have_the_lightness_of_gray_levels_and_no_chroma():
    levels = np.arange(65536, dtype=np.uint16)
    rgb = np.stack([levels] * 3, -1)[None]
    assert np.abs(lab.lightness_from_rgb(rgb)[0] - lab.lightness_from_gray(levels)).max() < 5e-5
    assert np.abs(lab.lab_from_rgb(rgb)[..., 1:]).max() < 1e-3


def test_views_that_are_not_contiguous_are_read_right():
    rgb = data.coffee()
    assert (lab.lab_from_rgb(rgb[::3, ::-2]) == lab.lab_from_rgb(rgb)[::3, ::-2]).all()
    assert (lab.lightness_from_rgb(rgb[::3, ::-2]) == lab.lightness_from_rgb(rgb)[::3, ::-2]).all()


def test_luminance_is_the_inverse_of_lightness():
    levels = np.arange(256, dtype=np.uint8)
    luminance = lab.luminance_from_lightness(lab.lightness_from_gray(levels))
    assert np.abs(luminance - lab.linear_from_srgb(levels / 255)).max() < 1e-5
