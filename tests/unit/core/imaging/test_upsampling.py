import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from core.imaging import lab
from core.imaging.metadata import Metadata
from core.imaging.scan import Page
from core.imaging.upsampling import SmallChroma, shrink, shrink_lightness, upsample_ab


def resized(plane, height, width, method):
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), method))


def averaged(values, height, width):
    return np.dstack([resized(values[..., i], height, width, Image.Resampling.BOX) for i in range(values.shape[2])])


def bilinear(ab, height, width):
    return np.dstack([resized(ab[..., i], height, width, Image.Resampling.BILINEAR) for i in (0, 1)])


def restored(values, edge_px):
    """The error of chroma that was shrunk and restored, and of bilinear interpolation, over the strongest edges."""
    lightness, ab = np.ascontiguousarray(values[..., 0]), values[..., 1:]
    height, width = lightness.shape
    scale = edge_px / min(height, width)
    small = averaged(values, round(height * scale), round(width * scale))
    guided = upsample_ab(SmallChroma.of(small[..., 0], small[..., 1:]), lightness)
    strength = np.hypot(*np.gradient(lightness))
    edges = strength >= np.quantile(strength, 0.9)
    blurred = bilinear(small[..., 1:], height, width)
    return [np.hypot(*np.moveaxis(result - ab, -1, 0))[edges].mean() for result in (guided, blurred)]


@pytest.mark.parametrize("edge_px", [64, 128])
@pytest.mark.parametrize("photograph", [data.astronaut, data.coffee, data.chelsea])
def test_color_bleeds_less_over_contours_than_by_bilinear_interpolation(photograph, edge_px):
    guided, blurred = restored(lab.lab_from_rgb(photograph()), edge_px)
    assert guided < 0.95 * blurred


def test_color_turns_where_the_contour_is():
    values = np.zeros((240, 240, 3), np.float32)
    values[..., 0], values[:, 107:, 0] = 30, 70
    values[..., 1], values[:, 107:, 1] = 40, -40
    guided, blurred = restored(values, 24)
    assert guided < 0.75 * blurred


def test_a_sharper_guide_changes_nothing_where_color_does_not_follow_lightness(gray):
    lightness = lab.lightness_from_gray(gray)
    flat = np.full((25, 30, 2), (12, -7), np.float32)
    small = resized(lightness, 25, 30, Image.Resampling.BOX)
    assert np.abs(upsample_ab(SmallChroma.of(small, flat), lightness) - np.float32((12, -7))).max() < 1e-3


@given(height=st.integers(1, 40), width=st.integers(1, 40), swap=st.booleans(), long=st.integers(1, 5000))
@settings(deadline=None, max_examples=40)
def test_a_constant_chroma_stays_constant_at_any_size(height, width, swap, long):
    size = (long, width) if swap else (height, long)
    lightness = np.random.default_rng(long).uniform(0, 100, size).astype(np.float32)
    chroma = SmallChroma.of(np.full((32, 64), 50, np.float32), np.full((32, 64, 2), (12.5, -40), np.float32))
    result = upsample_ab(chroma, lightness)
    assert result.shape == (*size, 2)
    assert np.abs(result - np.float32((12.5, -40))).max() < 1e-3


def test_smooth_chroma_agrees_with_pillows_bicubic_filter():
    ys, xs = np.mgrid[0:40, 0:60].astype(np.float32)
    ab = np.dstack((20 * np.sin(xs / 12), 15 * np.cos(ys / 9))).astype(np.float32)
    chroma = SmallChroma.of(np.full((40, 60), 50, np.float32), ab)
    result = upsample_ab(chroma, np.full((400, 600), 50, np.float32))
    for channel in (0, 1):
        expected = resized(ab[..., channel], 400, 600, Image.Resampling.BICUBIC)
        assert np.abs(result[..., channel] - expected)[20:-20, 20:-20].max() < 0.15


def test_shrinking_averages_so_that_no_detail_turns_into_false_tones():
    checkers = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    small = shrink_lightness(Page(checkers, None, Metadata()), 64, 64)
    assert np.abs(small - 50).max() < 1


def test_shrinking_by_bands_agrees_with_shrinking_at_once():
    levels = np.tile(data.camera(), (3, 2))
    page = Page(levels, None, Metadata())
    assert len(list(page.bands())) > 1
    # 1536 x 1024 levels: 6 x 4 of them make one, so that the mean is plain.
    means = lab.lightness_from_gray(levels).reshape(256, 6, 256, 4).mean(axis=(1, 3))
    assert np.abs(shrink_lightness(page, 256, 256) - means).max() < 1e-3


@pytest.mark.parametrize("size", [(160, 224), (167, 129), (1023, 64), (1536, 64)])
def test_areas_that_two_bands_share_are_averaged_like_any_other(size):
    levels = np.tile(data.camera(), (3, 2))
    means = shrink(lab.lightness_from_gray(levels), *size)
    assert np.abs(shrink_lightness(Page(levels, None, Metadata()), *size) - means).max() < 1e-3


@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_shrinking_to_any_size_takes_the_mean_over_each_area(height, width, seed):
    levels = np.random.default_rng(seed).integers(0, 256, (90, 90), np.uint8)
    lightness = lab.lightness_from_gray(levels).astype(np.float64)
    # Each level enlarged so that every area consists of whole pixels.
    fine = np.repeat(np.repeat(lightness, height, axis=0), width, axis=1)
    means = fine.reshape(height, 90, width, 90).mean(axis=(1, 3))
    assert np.abs(shrink_lightness(Page(levels, None, Metadata()), height, width) - means).max() < 2e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (3, 40), (300, 20)])
def test_tiny_pictures_are_enlarged_for_the_network(size):
    page = Page(np.full(size, 119, np.uint8), None, Metadata())
    small = shrink_lightness(page, 64, 96)
    assert small.shape == (64, 96)
    assert np.abs(small - 50.0).max() < 0.5
