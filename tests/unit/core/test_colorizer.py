import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import color as reference
from skimage import data

from core.colorizer import Colorizer, network_size
from core.errors import CheckpointError
from core.imaging.codec import ImageLimits, Page, Scan, decode, encode
from core.imaging.merging import nearest_levels
from core.imaging.metadata import Metadata
from core.imaging.orientation import stored, upright
from core.imaging.output import Output, whole
from core.imaging.profiles import tone_of

LIMITS = ImageLimits(50_000_000, 2**30)


@pytest.fixture(scope="module")
def colorizer(runtime):
    return Colorizer(runtime, "v0", 256)


@pytest.fixture(scope="module")
def small_colorizer(runtime):
    return Colorizer(runtime, "v0", 64)


def colors(colorizer, scan, **options):
    """The first page of a scan's result, as a whole."""
    return whole(colorizer.colorize(scan, **options).pages[0])


def encoded(colorizer, scan):
    buffer = io.BytesIO()
    encode(colorizer.colorize(scan).pages, scan, Output(), buffer)
    return buffer.getvalue()


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
    result = whole(colorized.pages[0])
    assert result.dtype == kind
    assert result.shape == (*gray.shape, 3)
    error = lightness_error(gray, result)
    assert error.mean() <= mean
    assert error.max() <= most
    assert colorized.lightness_error.mean == pytest.approx(error.mean(), abs=1e-3)
    assert colorized.lightness_error.largest == pytest.approx(error.max(), abs=5e-3)
    chroma = np.hypot(*np.moveaxis(reference.rgb2lab(result)[..., 1:], -1, 0))
    assert chroma.mean() > 4
    assert colorized.mean_chroma == pytest.approx(chroma.mean(), rel=0.25)


@pytest.mark.parametrize("photograph", [data.astronaut, data.coffee, data.chelsea, data.rocket])
def test_an_archivist_gets_every_level_of_the_scan_back(colorizer, photograph):
    gray = desaturated(photograph())
    table = reference.rgb2lab(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))[:, 0, 0]
    lightness = reference.rgb2lab(colors(colorizer, scan_of(gray)))[..., 0]
    assert (np.searchsorted((table[1:] + table[:-1]) / 2, lightness) == gray).all()


def test_skin_and_wood_come_out_warm(colorizer):
    result = reference.rgb2lab(colors(colorizer, scan_of(desaturated(data.astronaut()))))
    face = result[80:180, 180:270]
    assert face[..., 1].mean() > 2
    assert face[..., 2].mean() > 4


def test_lightness_of_color_input_is_that_of_its_rgb_values(colorizer):
    rgb = data.coffee()
    result = colors(colorizer, scan_of(rgb))
    error = lightness_error(rgb, result)
    assert error.mean() <= 0.10
    assert error.max() <= 0.30


@pytest.mark.parametrize("toning", [((0.95, 25), (0.85, 15), (0.68, 5)), ((0.8, 0), (0.95, 5), (1, 0))])
def test_a_toned_scan_keeps_the_gray_level_of_every_pixel(small_colorizer, toning):
    gray = desaturated(data.coffee())
    toned = np.dstack([np.clip(gray * share + added, 0, 255).astype(np.uint8) for share, added in toning])
    colorized = small_colorizer.colorize(scan_of(toned))
    result = scan_of(whole(colorized.pages[0]))
    assert (nearest_levels(result.lightness) == nearest_levels(scan_of(toned).lightness)).all()
    assert lightness_error(toned, result.first.samples).max() <= 0.30
    assert colorized.losses == ()


def test_shadows_that_srgb_cannot_tell_apart_are_a_loss(small_colorizer):
    tone, _ = tone_of(bytes(imagecodecs.cms_profile("gray", gamma=2.2)), gray=True)
    # Of the levels next to black, too, some cannot be told; how many depends on the colors there.
    levels = desaturated(data.coffee()).clip(16)
    levels[:2, :550] = 1
    pages = [Page(samples, None, Metadata(), tone) for samples in (levels, levels.clip(16))]
    colorized = small_colorizer.colorize(Scan("TIFF", tuple(pages)))
    assert colorized.losses == ()
    for page in colorized.pages:
        whole(page)
    assert colorized.losses == ("the gray level of 1,100 pixels, which 8 bits of sRGB cannot tell from another",)


def test_gray_stored_as_rgb_gets_the_colors_of_gray(small_colorizer):
    gray = desaturated(data.coffee())
    as_rgb = colors(small_colorizer, scan_of(np.dstack([gray] * 3)))
    difference = np.abs(as_rgb.astype(int) - colors(small_colorizer, scan_of(gray)))
    assert difference.max() <= 2
    assert (difference == 0).mean() > 0.95
    assert (nearest_levels(scan_of(as_rgb).lightness) == gray).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_network_sees_the_upright_picture(small_colorizer, orientation):
    seen = desaturated(data.coffee())
    expected = colors(small_colorizer, scan_of(seen))
    lying = stored(seen, orientation)
    result = colors(small_colorizer, scan_of(lying, orientation=orientation))
    assert result.shape[:2] == lying.shape
    assert np.abs(upright(result, orientation).astype(int) - expected).max() <= 2


def test_all_pages_are_colorized_but_those_that_are_to_be_kept(small_colorizer):
    first, second, third = desaturated(data.coffee()), desaturated(data.chelsea(), np.uint16), data.rocket()
    together = small_colorizer.colorize(scan_of(first, second, third), wanted=[True, True, False])
    pages = [whole(page) for page in together.pages]
    assert [page.dtype for page in pages] == [np.uint8, np.uint16, np.uint8]
    assert (pages[1] == colors(small_colorizer, scan_of(second))).all()
    assert (pages[2] == third).all()
    assert together.lightness_error.pixels == first.size + second.size


def test_saturation_scales_the_colors_and_zero_gives_gray(small_colorizer):
    gray = desaturated(data.coffee())
    chroma = {}
    for saturation in (0.0, 0.5, 1.0, 2.0):
        result = colors(small_colorizer, scan_of(gray), saturation=saturation)
        chroma[saturation] = np.hypot(*np.moveaxis(reference.rgb2lab(result)[..., 1:], -1, 0)).mean()
        assert (nearest_levels(scan_of(result).lightness) == gray).all()
    assert chroma[0.0] < 0.01
    assert chroma[0.5] == pytest.approx(chroma[1.0] / 2, rel=0.1)
    assert chroma[1.0] < chroma[2.0]


def test_the_network_may_be_asked_to_see_another_size(small_colorizer, colorizer):
    scan = scan_of(desaturated(data.coffee()))
    assert (colors(small_colorizer, scan, network_edge_px=256) == colors(colorizer, scan)).all()


def test_the_same_photograph_gives_the_same_bytes_alone_and_among_others(colorizer):
    buffer = io.BytesIO()
    Image.fromarray(desaturated(data.chelsea())).save(buffer, "JPEG")
    scan = decode(buffer, LIMITS)
    alone = encoded(colorizer, scan)
    others = [scan_of(desaturated(data.coffee())), scan_of(desaturated(data.astronaut())[:200])]
    with ThreadPoolExecutor(4) as pool:
        neighbors = [pool.submit(colors, colorizer, other) for other in others * 3]
        among = list(pool.map(lambda _: encoded(colorizer, scan), range(4)))
    assert all(neighbor.done() for neighbor in neighbors)
    assert set(among) == {alone}


def test_black_and_white_stay_pure(small_colorizer):
    levels = np.zeros((90, 120), np.uint8)
    levels[:, 60:] = 255
    assert (colors(small_colorizer, scan_of(levels)) == levels[..., None]).all()


def test_a_model_that_gives_no_numbers_is_an_error_and_never_a_gray_result():
    class Broken:
        name, concurrency = "broken", 1

        def predict(self, lightness):
            return np.full((*lightness.shape, 2), np.nan, np.float32)

        def close(self):
            pass

    with pytest.raises(CheckpointError) as caught:
        Colorizer(Broken(), "v-broken", 64).colorize(scan_of(desaturated(data.coffee())))
    assert caught.value.code == "bad_prediction"


@given(short=st.integers(1, 12), long=st.sampled_from([1, 2, 33, 1000, 5000]), swap=st.booleans())
@settings(deadline=None, max_examples=8)
def test_any_size_comes_out_in_the_same_size(small_colorizer, short, long, swap):
    size = (long, short) if swap else (short, long)
    levels = np.random.default_rng(short * long).integers(0, 256, size, np.uint8)
    result = colors(small_colorizer, scan_of(levels))
    assert result.shape == (*size, 3)
    assert lightness_error(levels, result).max() <= 0.30
    assert (nearest_levels(scan_of(result).lightness) == levels).all()


@given(height=st.integers(1, 100_000), width=st.integers(1, 100_000), edge=st.integers(64, 512))
def test_the_network_sees_sizes_it_can_take(height, width, edge):
    rows, columns = network_size(height, width, edge)
    assert rows % 32 == columns % 32 == 0
    assert abs(min(rows, columns) - edge) <= 16
    assert max(rows, columns) <= 4 * edge + 16
    assert rows * columns <= 1.1 * 512 * 1024
    if max(height, width) <= min(4, 2**19 / edge**2) * min(height, width):
        assert rows / columns == pytest.approx(height / width, rel=0.5)


def test_historical_photographs_keep_their_lightness(colorizer):
    if not os.environ.get("GRAY2HUE_PHOTOS"):
        pytest.skip("GRAY2HUE_PHOTOS names no folder of photographs")
    files = sorted(Path(os.environ["GRAY2HUE_PHOTOS"]).glob("historical/*.jpg"))
    assert files
    for path in files:
        with path.open("rb") as stream:
            scan = decode(stream, LIMITS)
        result = colors(colorizer, scan)
        error = lightness_error(scan.first.samples, result)
        assert error.mean() <= 0.10
        assert error.max() <= 0.30
        if scan.first.samples.ndim == 2:
            assert (nearest_levels(scan_of(result).lightness) == scan.first.samples).all()
