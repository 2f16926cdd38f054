import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import color as reference
from skimage import data

from core.imaging import lab
from core.imaging.merging import (
    Merger,
    gamut_share,
    linear_rgb,
    luminance_bounds,
    nearest_levels,
    srgb_bounds,
)
from core.imaging.upsampling import SmallChroma

PHOTOGRAPHS = [data.astronaut, data.coffee, data.chelsea, data.rocket]
TABLE = reference.rgb2lab(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))[:, 0, 0]


def lightness_of(rgb):
    return reference.rgb2lab(rgb)[..., 0]


def gray_lightness(levels):
    return lightness_of(np.dstack([levels] * 3))


def nearest_by_scikit_image(rgb):
    return np.searchsorted((TABLE[1:] + TABLE[:-1]) / 2, lightness_of(rgb))


def merged(levels, small_ab, bounds=None, lightness=None, band_rows=100):
    """Levels with a small picture's chroma: the pixels, and the error that the merger measured."""
    lightness = lab.lightness_from_gray(levels) if lightness is None else lightness
    small = np.full(small_ab.shape[:2], lightness.mean(), np.float32)
    depth = 8 * levels.dtype.itemsize
    chroma = SmallChroma.of(small, small_ab.astype(np.float32))
    merger = Merger(*levels.shape, chroma, depth, bounds or srgb_bounds())
    bands = [slice(top, top + band_rows) for top in range(0, levels.shape[0], band_rows)]
    pixels = [merger.merge(rows, lightness[rows], levels[rows] if depth == 8 else None) for rows in bands]
    return np.concatenate(pixels), merger.error


def plain(levels, a, b):
    return merged(levels, np.full((4, 4, 2), (a, b), np.float32))[0]


def foreign_chroma(rgb):
    """Chroma of the same photograph, enlarged and turned upside down: it fits neither its lightness nor sRGB."""
    return lab.lab_from_rgb(rgb)[::-4, ::4, 1:] * 1.7


@pytest.mark.parametrize(("kind", "mean", "most"), [(np.uint8, 0.10, 0.30), (np.uint16, 0.001, 0.01)])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_lightness_is_kept_under_any_chroma(photograph, kind, mean, most):
    rgb = photograph()
    levels = nearest_levels(lab.lightness_from_rgb(rgb)).astype(kind) * (1 if kind is np.uint8 else 257)
    result, _ = merged(levels, foreign_chroma(rgb))
    error = np.abs(lightness_of(result) - gray_lightness(levels))
    assert result.dtype == kind
    assert error.mean() <= mean
    assert error.max() <= most


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_the_level_nearest_to_the_results_lightness_is_the_originals_in_every_pixel(photograph):
    rgb = photograph()
    levels = nearest_levels(lab.lightness_from_rgb(rgb))
    result, _ = merged(levels, foreign_chroma(rgb))
    assert np.abs(result.astype(int) - levels[..., None]).max() > 20
    assert (nearest_by_scikit_image(result) == levels).all()
    assert (nearest_levels(lab.lightness_from_rgb(result)) == levels).all()


@pytest.mark.parametrize("seed", range(4))
def test_every_level_comes_back_under_random_chroma(seed):
    chance = np.random.default_rng(seed)
    levels = np.tile(np.arange(256, dtype=np.uint8), (300, 1))
    result, _ = merged(levels, chance.uniform(-120, 120, (64, 64, 2)))
    assert (nearest_by_scikit_image(result) == levels).all()


def gamma_table(gamma):
    """Lightness of 256 levels with a gamma."""
    luminance = (np.arange(256) / 255) ** gamma
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27).astype(np.float32)


def nearest_in(table, lightness):
    return np.searchsorted((table[1:] + table[:-1]) / 2, lightness)


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_levels_of_another_tone_curve_come_back_too(gamma):
    table = gamma_table(gamma)
    levels = np.tile(np.arange(256, dtype=np.uint8), (300, 1))
    wanted = np.random.default_rng(3).uniform(-60, 60, (64, 64, 2))
    result, error = merged(levels, wanted, luminance_bounds(table), table[levels])
    assert (nearest_in(table, lightness_of(result)) == levels).all()
    assert error.other_levels == 0


@pytest.mark.parametrize("gamma", [2.2, 2.6])
def test_shadows_that_8_bits_of_srgb_cannot_tell_apart_are_counted(gamma):
    table = gamma_table(gamma)
    levels = np.tile(np.arange(256, dtype=np.uint8), (300, 1))
    result, error = merged(levels, np.full((8, 8, 2), (30, 40)), luminance_bounds(table), table[levels], band_rows=70)
    others = nearest_in(table, lightness_of(result)) != levels
    assert error.other_levels == np.count_nonzero(others) > 0
    assert levels[others].max() < 10


def test_levels_of_the_same_lightness_count_as_one():
    table = np.maximum(gamma_table(1.8), 8)
    levels = np.tile(np.arange(256, dtype=np.uint8), (40, 1))
    result, error = merged(levels, np.full((8, 8, 2), (10, 5)), luminance_bounds(table), table[levels])
    assert (table[nearest_in(table, lightness_of(result))] == table[levels]).all()
    assert error.other_levels == 0


def test_every_level_lies_within_its_own_bounds():
    luminance = lab.luminance_from_lightness(lab.lightness_table(256))
    lower, upper = srgb_bounds()
    assert (lower < luminance).all()
    assert (luminance < upper).all()
    assert (upper[:-1] < lower[1:]).all()


def assert_near_and_nearest(result, lightness, error, most):
    assert (nearest_levels(lab.lightness_from_rgb(result)) == nearest_levels(lightness)).all()
    assert error.other_levels == 0
    difference = np.abs(lightness_of(result) - lightness)
    assert difference.mean() <= 0.10
    assert difference.max() <= most


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_lightness_between_the_gray_levels_is_nearest_to_the_same_level_afterwards(photograph):
    rgb = photograph()
    lightness = lab.lightness_from_rgb(rgb)
    result, error = merged(nearest_levels(lightness), foreign_chroma(rgb), lightness=lightness)
    assert_near_and_nearest(result, lightness, error, 0.30)


@pytest.mark.parametrize("seed", range(4))
def test_any_lightness_between_the_gray_levels_keeps_its_level_under_random_chroma(seed):
    chance = np.random.default_rng(seed)
    lightness = chance.uniform(0, 100, (300, 400)).astype(np.float32)
    result, error = merged(nearest_levels(lightness), chance.uniform(-120, 120, (64, 64, 2)), lightness=lightness)
    # Of the purest greens, every channel's steps are either much larger than what is missing, or much smaller.
    assert_near_and_nearest(result, lightness, error, 0.36)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_measured_error_is_scikit_images(kind):
    rgb = data.astronaut()
    levels = nearest_levels(lab.lightness_from_rgb(rgb)).astype(kind) * (1 if kind is np.uint8 else 257)
    result, error = merged(levels, foreign_chroma(rgb))
    expected = np.abs(lightness_of(result) - gray_lightness(levels))
    assert error.pixels == levels.size
    assert error.mean == pytest.approx(expected.mean(), abs=2e-4)
    assert error.largest == pytest.approx(expected.max(), abs=2e-3)


def test_bands_make_no_difference():
    rgb = data.coffee()
    levels = nearest_levels(lab.lightness_from_rgb(rgb))
    assert (merged(levels, foreign_chroma(rgb), band_rows=7)[0] == merged(levels, foreign_chroma(rgb))[0]).all()


def test_chroma_that_fits_is_what_was_asked_for():
    for level, a, b in [(120, 20, 30), (160, -25, 20), (90, 15, -35)]:
        result = reference.rgb2lab(plain(np.full((4, 4), level * 257, np.uint16), a, b))
        assert np.abs(result[..., 1] - a).max() < 0.02
        assert np.abs(result[..., 2] - b).max() < 0.02


def test_chroma_out_of_gamut_is_reduced_and_its_hue_kept():
    for degrees in range(0, 360, 15):
        wanted = 150 * np.cos(np.radians(degrees)), 150 * np.sin(np.radians(degrees))
        levels = np.linspace(12000, 60000, 40, dtype=np.uint16)[:, None].repeat(4, axis=1)
        result = reference.rgb2lab(plain(levels, *wanted))
        hue = np.degrees(np.arctan2(result[..., 2], result[..., 1]))
        turned = (hue - degrees + 180) % 360 - 180
        assert np.hypot(result[..., 1], result[..., 2]).min() > 3
        assert np.hypot(result[..., 1], result[..., 2]).max() < 150
        assert np.abs(turned).max() < 1


def test_reduced_chroma_is_as_large_as_srgb_allows():
    red = np.array([53.24], np.float32), np.array([80.09], np.float32), np.array([67.20], np.float32)
    assert gamut_share(red[0], red[1] * 2, red[2] * 2)[0] == pytest.approx(0.5, abs=0.005)


def test_linear_light_agrees_with_scikit_image():
    values = lab.lab_from_rgb(data.chelsea()[::40, ::40])
    expected = reference.lab2rgb(values)
    for pixel, rgb in zip(values.reshape(-1, 3), expected.reshape(-1, 3), strict=True):
        linear = np.clip(linear_rgb(*map(np.float32, pixel)), 0, 1)
        assert np.abs(lab.srgb_from_linear(linear) - rgb).max() < 1e-3


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_black_and_white_stay_pure_whatever_the_chroma(kind):
    top = np.iinfo(kind).max
    for level in (0, top):
        for degrees in range(0, 360, 30):
            wanted = 60 * np.cos(np.radians(degrees)), 60 * np.sin(np.radians(degrees))
            assert (plain(np.full((3, 5), level, kind), *wanted) == level).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_gray_level_survives_a_merge_without_chroma(kind):
    levels = np.arange(np.iinfo(kind).max + 1, dtype=kind)[None]
    assert (plain(levels, 0, 0) == levels[..., None]).all()


@given(level=st.integers(0, 65535), a=st.floats(-200, 200, width=32), b=st.floats(-200, 200, width=32))
@settings(deadline=None)
def test_any_lightness_and_chroma_merge_to_that_lightness(level, a, b):
    levels = np.full((2, 2), level, np.uint16)
    assert np.abs(lightness_of(plain(levels, a, b)) - gray_lightness(levels)).max() < 0.01


def test_nearest_levels_agree_with_a_search_in_scikit_images_table():
    lightness = np.random.default_rng(5).uniform(0, 100, (200, 300)).astype(np.float32)
    assert (nearest_levels(lightness) == np.abs(lightness[..., None] - TABLE).argmin(-1)).mean() > 0.9999
    levels = np.arange(256, dtype=np.uint8)[None]
    assert (nearest_levels(lab.lightness_from_gray(levels)) == levels).all()
