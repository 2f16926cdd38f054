import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import color as reference
from skimage import data

from core.imaging import lab

PHOTOGRAPHS = [data.astronaut, data.coffee, data.chelsea, data.rocket]


def gray_lightness(levels):
    top = np.iinfo(levels.dtype).max
    return reference.rgb2lab(np.dstack([levels / top] * 3))[..., 0]


def hue_of(ab):
    return np.arctan2(ab[..., 1], ab[..., 0])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_lightness_of_every_gray_level_agrees_with_scikit_image(kind):
    levels = np.arange(np.iinfo(kind).max + 1, dtype=kind)[None]
    assert np.abs(lab.lightness_from_gray(levels) - gray_lightness(levels)).max() < 1e-4


def test_lightness_is_cie_l_and_not_rec_601_luma():
    blue = np.array([[[0, 0, 255]]], np.uint8)
    assert lab.lightness_from_rgb(blue)[0, 0] == pytest.approx(32.30, abs=0.01)


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_lightness_and_lab_of_photographs_agree_with_scikit_image(photograph):
    rgb = photograph()
    expected = reference.rgb2lab(rgb)
    assert np.abs(lab.lightness_from_rgb(rgb) - expected[..., 0]).max() < 2e-4
    assert np.abs(lab.lab_from_rgb(rgb) - expected).max() < 0.02


def test_gray_pixels_in_rgb_have_the_lightness_of_gray_levels_and_no_chroma():
    levels = np.arange(65536, dtype=np.uint16)
    rgb = np.stack([levels] * 3, -1)[None]
    assert np.abs(lab.lightness_from_rgb(rgb)[0] - lab.lightness_from_gray(levels)).max() < 2e-5
    assert np.abs(lab.lab_from_rgb(rgb)[..., 1:]).max() < 1e-3


@pytest.mark.parametrize(("bit_depth", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_merge_gives_back_the_colors_that_a_photograph_had(bit_depth, kind):
    rgb = data.astronaut().astype(kind) * (1 if bit_depth == 8 else 257)
    values = lab.lab_from_rgb(rgb)
    again = lab.merge(values[..., 0], values[..., 1:], bit_depth)
    assert again.dtype == kind
    assert np.abs(again.astype(int) - rgb).max() <= (1 if bit_depth == 8 else 8)


def test_linear_light_agrees_with_scikit_image():
    values = lab.lab_from_rgb(data.chelsea())
    expected = reference.lab2rgb(values)
    linear = lab.linear_from_lab(values[..., 0], values[..., 1], values[..., 2])
    assert np.abs(np.moveaxis(lab.srgb_from_linear(np.clip(linear, 0, 1)), 0, -1) - expected).max() < 1e-3


@pytest.mark.parametrize(("kind", "mean", "most"), [(np.uint8, 0.10, 0.30), (np.uint16, 0.001, 0.01)])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_lightness_is_kept_under_any_chroma(photograph, kind, mean, most):
    values = lab.lab_from_rgb(photograph())
    top = np.iinfo(kind).max
    levels = np.rint(values[..., 0] / 100 * top).astype(kind)
    # Chroma of the same photograph, enlarged and turned upside down, fits neither its lightness nor sRGB.
    ab = np.ascontiguousarray(values[::-1, ..., 1:]) * 1.7
    result = lab.merge(lab.lightness_from_gray(levels), ab, 8 * levels.dtype.itemsize)
    error = np.abs(reference.rgb2lab(result)[..., 0] - gray_lightness(levels))
    assert error.mean() <= mean
    assert error.max() <= most


def test_chroma_out_of_gamut_is_reduced_and_its_hue_kept():
    lightness = np.repeat(np.linspace(20, 95, 40, dtype=np.float32)[:, None], 72, axis=1)
    angle = np.repeat(np.linspace(-np.pi, np.pi, 72, endpoint=False, dtype=np.float32)[None], 40, axis=0)
    wanted = np.dstack([150 * np.cos(angle), 150 * np.sin(angle)]).astype(np.float32)
    result = reference.rgb2lab(lab.merge(lightness, wanted, 16))
    chroma = np.hypot(result[..., 1], result[..., 2])
    turned = np.angle(np.exp(1j * (hue_of(result[..., 1:]) - hue_of(wanted))))
    assert chroma.max() < 150
    assert chroma.min() > 3
    assert np.abs(turned[chroma > 5]).max() < 0.01


def test_reduced_chroma_is_as_large_as_srgb_allows():
    lightness = np.array([53.24], np.float32)
    red = np.array([80.09], np.float32), np.array([67.20], np.float32)
    share = lab.fit_chroma(lightness, red[0] * 2, red[1] * 2)
    assert share[0] == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_black_and_white_stay_pure_whatever_the_chroma(bit_depth):
    angle = np.linspace(0, 2 * np.pi, 100, dtype=np.float32)
    ab = np.dstack([60 * np.cos(angle), 60 * np.sin(angle)]).astype(np.float32)
    top = (1 << bit_depth) - 1
    assert (lab.merge(np.zeros((1, 100), np.float32), ab, bit_depth) == 0).all()
    assert (lab.merge(np.full((1, 100), 100, np.float32), ab, bit_depth) == top).all()


@pytest.mark.parametrize(("bit_depth", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_every_gray_level_survives_a_merge_without_chroma(bit_depth, kind):
    levels = np.arange(1 << bit_depth, dtype=kind)[None]
    result = lab.merge(lab.lightness_from_gray(levels), np.zeros((1, levels.size, 2), np.float32), bit_depth)
    assert (result == levels[..., None]).all()


@given(
    lightness=st.floats(0, 100, width=32),
    a=st.floats(-200, 200, width=32),
    b=st.floats(-200, 200, width=32),
)
@settings(deadline=None)
def test_any_lightness_and_chroma_merge_to_that_lightness(lightness, a, b):
    result = lab.merge(np.array([[lightness]], np.float32), np.array([[[a, b]]], np.float32), 16)
    assert reference.rgb2lab(result)[0, 0, 0] == pytest.approx(lightness, abs=0.01)
