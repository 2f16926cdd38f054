import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import color as reference
from skimage import data

from core.colorizer import Colorizer, network_size
from core.errors import SetupError
from core.imaging.codec import ImageLimits, Page, Scan, decode, encode
from core.imaging.metadata import Metadata
from core.imaging.orientation import stored, upright

MODELS = Path(__file__).parents[3] / "models"
LIMITS = ImageLimits(50_000_000, 2**30)


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer.load(MODELS, "cpu", 256)


@pytest.fixture(scope="module")
def small_colorizer():
    return Colorizer.load(MODELS, "cpu", 64)


def scan_of(*pages, orientation=1):
    metadata = Metadata(orientation=orientation)
    return Scan("TIFF", tuple(Page(np.ascontiguousarray(page), None, metadata) for page in pages))


def desaturated(rgb, kind=np.uint8):
    return np.rint(reference.rgb2gray(rgb) * np.iinfo(kind).max).astype(kind)


def lightness_error(pixels, result):
    pixels = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    return np.abs(reference.rgb2lab(result)[..., 0] - reference.rgb2lab(pixels)[..., 0])


@pytest.mark.parametrize(("kind", "mean", "most"), [(np.uint8, 0.10, 0.30), (np.uint16, 0.001, 0.01)])
@pytest.mark.parametrize("photograph", [data.astronaut, data.coffee, data.chelsea, data.rocket])
def test_photographs_get_color_and_keep_their_lightness(colorizer, photograph, kind, mean, most):
    gray = desaturated(photograph(), kind)
    colorized = colorizer.colorize(scan_of(gray))
    assert colorized.rgb.dtype == kind
    assert colorized.rgb.shape == (*gray.shape, 3)
    error = lightness_error(gray, colorized.rgb)
    assert error.mean() <= mean
    assert error.max() <= most
    chroma = np.hypot(*np.moveaxis(reference.rgb2lab(colorized.rgb)[..., 1:], -1, 0))
    assert chroma.mean() > 4
    assert colorized.mean_chroma == pytest.approx(chroma.mean(), rel=0.25)


def test_skin_and_wood_come_out_warm(colorizer):
    result = reference.rgb2lab(colorizer.colorize(scan_of(desaturated(data.astronaut()))).rgb)
    face = result[80:180, 180:270]
    assert face[..., 1].mean() > 2
    assert face[..., 2].mean() > 4


def test_lightness_of_color_input_is_that_of_its_rgb_values(colorizer):
    rgb = data.coffee()
    result = colorizer.colorize(scan_of(rgb)).rgb
    error = lightness_error(rgb, result)
    assert error.mean() <= 0.10
    assert error.max() <= 0.30


def test_gray_stored_as_rgb_gets_the_colors_of_gray(small_colorizer):
    gray = desaturated(data.coffee())
    as_rgb = small_colorizer.colorize(scan_of(np.dstack([gray] * 3))).rgb
    difference = np.abs(as_rgb.astype(int) - small_colorizer.colorize(scan_of(gray)).rgb)
    assert difference.max() <= 2
    assert (difference == 0).mean() > 0.95


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_network_sees_the_upright_picture(small_colorizer, orientation):
    seen = desaturated(data.coffee())
    expected = small_colorizer.colorize(scan_of(seen)).rgb
    lying = stored(seen, orientation)
    result = small_colorizer.colorize(scan_of(lying, orientation=orientation)).rgb
    assert result.shape[:2] == lying.shape
    assert np.abs(upright(result, orientation).astype(int) - expected).max() <= 2


def test_all_pages_are_colorized(small_colorizer):
    first, second = desaturated(data.coffee()), desaturated(data.chelsea(), np.uint16)
    together = small_colorizer.colorize(scan_of(first, second))
    assert [page.dtype for page in together.pages] == [np.uint8, np.uint16]
    assert (together.pages[1] == small_colorizer.colorize(scan_of(second)).rgb).all()


def test_the_same_photograph_gives_the_same_bytes_alone_and_among_others(colorizer):
    buffer = io.BytesIO()
    Image.fromarray(desaturated(data.chelsea())).save(buffer, "JPEG")
    scan = decode(buffer, LIMITS)
    first = encode(colorizer.colorize(scan).pages, scan)
    plane, other = scan.lightness[:256, :256], np.full((320, 256), 30, np.float32)
    alone = colorizer.predict_ab([plane])[0]
    among = colorizer.predict_ab([other, plane, other])[1]
    assert (alone == among).all()
    assert encode(colorizer.colorize(scan).pages, scan) == first


def test_threads_take_turns(small_colorizer):
    scans = [scan_of(desaturated(p())) for p in (data.astronaut, data.chelsea, data.coffee)]
    expected = [small_colorizer.colorize(scan).rgb for scan in scans]
    orders = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    results = {}

    def work(order):
        results[order] = [small_colorizer.colorize(scans[index]).rgb for index in order]

    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == orders
    for order, pages in results.items():
        assert all((page == expected[index]).all() for index, page in zip(order, pages, strict=True))


def test_black_and_white_stay_pure(small_colorizer):
    levels = np.zeros((90, 120), np.uint8)
    levels[:, 60:] = 255
    assert (small_colorizer.colorize(scan_of(levels)).rgb == levels[..., None]).all()


@given(short=st.integers(1, 12), long=st.sampled_from([1, 2, 33, 1000, 5000]), swap=st.booleans())
@settings(deadline=None, max_examples=8)
def test_any_size_comes_out_in_the_same_size(small_colorizer, short, long, swap):
    size = (long, short) if swap else (short, long)
    levels = np.random.default_rng(short * long).integers(0, 256, size, np.uint8)
    result = small_colorizer.colorize(scan_of(levels)).rgb
    assert result.shape == (*size, 3)
    assert lightness_error(levels, result).max() <= 0.30


@given(height=st.integers(1, 100_000), width=st.integers(1, 100_000), edge=st.integers(64, 1024))
def test_the_network_sees_sizes_it_can_take(height, width, edge):
    rows, columns = network_size(height, width, edge)
    assert rows % 32 == columns % 32 == 0
    assert abs(min(rows, columns) - edge) <= 16
    assert max(rows, columns) <= 4 * edge + 16
    if max(height, width) <= 4 * min(height, width):
        assert rows / columns == pytest.approx(height / width, rel=0.5)


def test_the_version_and_device_are_told(colorizer):
    assert (colorizer.version, colorizer.device) == ("v0", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(SetupError) as caught:
        Colorizer.load(MODELS, "cuda", 256)
    assert caught.value.code == "no_cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_colors_as_the_cpu(colorizer):
    plane = scan_of(desaturated(data.coffee())).lightness[:256, :384]
    on_gpu = Colorizer.load(MODELS, "cuda", 256)
    assert np.abs(on_gpu.predict_ab([plane])[0] - colorizer.predict_ab([plane])[0]).mean() < 0.5


def test_historical_photographs_keep_their_lightness(colorizer):
    if not os.environ.get("GRAY2HUE_PHOTOS"):
        pytest.skip("GRAY2HUE_PHOTOS names no folder of photographs")
    files = sorted(Path(os.environ["GRAY2HUE_PHOTOS"]).glob("historical/*.jpg"))
    assert files
    for path in files:
        with path.open("rb") as stream:
            scan = decode(stream, LIMITS)
        error = lightness_error(scan.first.samples, colorizer.colorize(scan).rgb)
        assert error.mean() <= 0.10
        assert error.max() <= 0.30
