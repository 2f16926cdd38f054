import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from core.imaging import lab
from core.imaging.metadata import Metadata
from core.imaging.scan import Page
from core.imaging.upsampling import shrink_lightness, upsample_ab


def page_of(height, width):
    return Page(np.zeros((height, width), np.uint8), None, Metadata())


def upsampled(ab, page):
    return np.concatenate([band for _, band in upsample_ab(ab, page)])


def enlarged_by_pillow(plane, height, width):
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def ab():
    return lab.lab_from_rgb(data.coffee()[::4, ::4])[..., 1:]


@pytest.mark.parametrize(("height", "width"), [(1000, 1501), (400, 600), (57, 83), (100, 150)])
def test_upsampling_agrees_with_pillows_bicubic_filter(ab, height, width):
    result = upsampled(ab, page_of(height, width))
    for channel in (0, 1):
        expected = enlarged_by_pillow(np.ascontiguousarray(ab[..., channel]), height, width)
        assert np.abs(result[..., channel] - expected).max() < 0.02


def test_bands_join_without_a_seam(ab):
    page = page_of(1200, 900)
    bands = list(upsample_ab(ab, page))
    assert len(bands) > 2
    assert [rows.start for rows, _ in bands[1:]] == [rows.stop for rows, _ in bands[:-1]]
    whole = upsampled(ab, page)
    seams = np.array([rows.stop for rows, _ in bands[:-1]])
    steps = np.abs(np.diff(whole, axis=0)).mean(axis=(1, 2))
    assert steps[seams - 1].max() <= np.quantile(steps, 0.999) * 1.05


@given(height=st.integers(1, 40), width=st.integers(1, 40), swap=st.booleans(), long=st.integers(1, 5000))
@settings(deadline=None, max_examples=40)
def test_a_constant_chroma_stays_constant_at_any_size(height, width, swap, long):
    size = (long, width) if swap else (height, long)
    result = upsampled(np.full((32, 64, 2), (12.5, -40), np.float32), page_of(*size))
    assert result.shape == (*size, 2)
    assert np.abs(result - np.float32((12.5, -40))).max() < 1e-3


def test_shrinking_averages_so_that_no_detail_turns_into_false_tones():
    checkers = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    small = shrink_lightness(Page(checkers, None, Metadata()), 64, 64)
    assert np.abs(small - 50).max() < 1


def test_shrinking_by_bands_agrees_with_shrinking_at_once():
    levels = np.tile(data.camera(), (3, 2))
    page = Page(levels, None, Metadata())
    assert len(list(page.bands())) > 1
    whole = Image.fromarray(lab.lightness_from_gray(levels)).resize((256, 288), Image.Resampling.BILINEAR)
    assert np.abs(shrink_lightness(page, 288, 256) - np.asarray(whole)).max() < 1e-3
