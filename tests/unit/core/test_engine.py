import io
import struct
import threading
from datetime import UTC, datetime

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data
from skimage.color import rgb2gray

from core.colorizer import Colorizer
from core.engine import Engine, MemoryGate, Processed, Skipped, memory_needed
from core.errors import ImageError
from core.imaging.codec import ImageLimits, probe
from core.imaging.metadata import THUMBNAIL_LOSS
from core.options import JobOptions

LIMITS = ImageLimits(50_000_000, 2**30)
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def colorizer(runtime):
    return Colorizer(runtime, "v0", 64)


@pytest.fixture
def process(colorizer):
    """Run the engine on bytes: the outcome, and the result's bytes."""

    def process(content, moment=MOMENT, preview_edge_px=None, limits=LIMITS, **options):
        engine = Engine(limits, MemoryGate(2**30), "Gray2Hue 1", preview_edge_px)
        target = io.BytesIO()
        outcome = engine.process(colorizer, io.BytesIO(content), target, JobOptions(**options), moment)
        return outcome, target.getvalue()

    return process


def saved(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def saved_pages(*pages):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages:
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", contiguous=False)
    return buffer.getvalue()


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.fixture(scope="module")
def gray():
    return np.rint(rgb2gray(data.coffee()) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def text():
    return np.where(data.page() > 120, 255, 0).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)


def test_a_gray_photograph_comes_out_in_color_with_figures_and_label(process, gray):
    outcome, result = process(saved(gray))
    assert isinstance(outcome, Processed)
    assert (outcome.format, outcome.media_type, outcome.warning) == ("PNG", "image/png", "")
    assert opened(result).mode == "RGB"
    assert np.ptp(np.asarray(opened(result)).astype(int), axis=2).mean() > 2
    assert 0 < outcome.lightness_error.mean <= 0.10
    assert outcome.lightness_error.largest <= 0.30
    assert outcome.lightness_error.pixels == gray.size
    for word in (b"compositeWithTrainedAlgorithmicMedia", b"Gray2Hue 1", b"v0", b"2026-03-01T12:00:00"):
        assert word in result


def test_the_same_photograph_and_moment_give_the_same_bytes(process, gray):
    assert process(saved(gray))[1] == process(saved(gray))[1]


def test_a_photograph_in_color_is_skipped_unless_asked_for(process):
    content = saved(data.astronaut())
    outcome, result = process(content)
    assert isinstance(outcome, Skipped)
    assert (outcome.code, result) == ("already_color", b"")
    outcome, result = process(content, color_input="colorize")
    assert isinstance(outcome, Processed)
    assert opened(result).size == (512, 512)


def test_a_toned_photograph_counts_as_gray(process, gray):
    sepia = np.stack([gray * 1.0, gray * 0.9, gray * 0.72], -1).round().astype(np.uint8)
    assert isinstance(process(saved(sepia))[0], Processed)


def test_line_art_is_skipped(process, text):
    for content in (saved(text), saved_pages(text, text)):
        outcome, _ = process(content)
        assert isinstance(outcome, Skipped)
        assert outcome.code == "no_tones"


def test_a_page_that_needs_no_color_stays_as_it_is_beside_one_that_does(process, gray, text):
    outcome, result = process(saved_pages(gray, data.astronaut(), text))
    assert isinstance(outcome, Processed)
    with tifffile.TiffFile(io.BytesIO(result)) as file:
        pages = [page.asarray() for page in file.pages]
    assert np.ptp(pages[0].astype(int), axis=2).mean() > 2
    assert (pages[1] == data.astronaut()).all()
    assert (pages[2] == text[..., None]).all()
    assert [loss for loss in outcome.losses if "page 2" in loss and "already_color" in loss]
    assert [loss for loss in outcome.losses if "page 3" in loss and "no_tones" in loss]
    assert outcome.lightness_error.pixels == gray.size


def test_a_page_that_stays_as_it_is_gets_neither_label_nor_mark(process, gray, text):
    _, result = process(saved_pages(gray, data.astronaut(), text, gray), mark=True, preview_edge_px=120)
    with tifffile.TiffFile(io.BytesIO(result)) as file:
        labelled = [b"DigitalSourceType" in bytes(getattr(page.tags.get(700), "value", b"")) for page in file.pages]
        pages = [page.asarray() for page in file.pages]
    assert labelled == [True, False, False, True]
    assert (pages[1] == data.astronaut()).all()
    assert (pages[2] == text[..., None]).all()


def test_levels_that_cannot_come_back_are_told(process, gray):
    profile = bytes(imagecodecs.cms_profile("gray", gamma=2.2))
    levels = gray.clip(16)
    levels[:2, :100] = 1
    processed, _ = process(saved(levels, icc_profile=profile))
    assert "the gray level of 200 pixels, which 8 bits of sRGB cannot tell from another" in processed.losses


def test_what_is_lost_in_two_places_is_told_once(process, gray):
    small = saved(gray[:60, :80], "JPEG")
    photoshop = b"Photoshop 3.0\x008BIM" + struct.pack(">HHI", 1036, 0, len(small)) + small + bytes(len(small) % 2)
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:Thumbnails><rdf:Alt/>'
        "</xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    segment = b"\xff\xed" + (len(photoshop) + 2).to_bytes(2) + photoshop
    processed, _ = process(saved(gray, "JPEG", xmp=xmp.encode(), extra=segment))
    assert processed.losses == (THUMBNAIL_LOSS,)


def test_fog_is_done_with_a_warning(process):
    mist = np.linspace(196, 204, 400)[None].repeat(300, axis=0) + np.random.default_rng(1).normal(0, 1.2, (300, 400))
    outcome, _ = process(saved(mist.round().astype(np.uint8)), saturation=1.0)
    assert isinstance(outcome, Processed)
    assert outcome.warning == ("little_color" if outcome.mean_chroma < 3 else "")


def test_gray_that_was_asked_for_carries_no_warning(process, gray):
    outcome, result = process(saved(gray), saturation=0)
    assert outcome.warning == ""
    assert (np.asarray(opened(result)) == gray[..., None]).all()


def test_the_mark_is_seen_and_only_where_it_is(process, gray):
    plain, marked = (np.asarray(opened(process(saved(gray), mark=wanted)[1])).astype(int) for wanted in (False, True))
    rows, columns = np.nonzero(np.abs(plain - marked).max(axis=2) > 0)
    assert rows.size > 500
    assert rows.min() > 300
    assert columns.min() > 350


def test_format_and_quality_are_as_asked_for(process, gray):
    outcome, high = process(saved(gray), output_format="jpeg", quality=95)
    assert (outcome.media_type, opened(high).format) == ("image/jpeg", "JPEG")
    assert len(process(saved(gray), output_format="jpeg", quality=60)[1]) < len(high) / 2


def test_small_copies_of_original_and_result_come_upright(process, gray):
    turned = Image.Exif()
    turned[0x0112] = 6
    content = saved(gray, "JPEG", exif=turned)
    outcome, _ = process(content, preview_edge_px=120)
    assert outcome.original.size == outcome.result.size == (80, 120)
    assert outcome.original.mode == "L"
    assert np.ptp(np.asarray(outcome.result).astype(int), axis=2).mean() > 2


def test_what_cannot_be_read_is_refused_and_writes_nothing(process, gray):
    for content, code in [(b"no image", "unsupported_format"), (saved(gray)[:5000], "truncated_image")]:
        with pytest.raises(ImageError) as caught:
            process(content)
        assert caught.value.code == code


def test_memory_is_reckoned_for_all_pages(gray):
    found = probe(io.BytesIO(saved_pages(gray, gray[:100])), LIMITS)
    assert found.pixels == found.held_pixels == 600 * 500
    assert memory_needed(found, "TIFF") == 13 * 600 * 500


def test_memory_is_reckoned_for_the_page_with_most_bits(gray):
    found = probe(io.BytesIO(saved_pages(gray, gray.astype(np.uint16) * 257)), LIMITS)
    assert memory_needed(found, "TIFF") == 19 * 2 * 600 * 400


def test_memory_is_reckoned_for_the_format_that_takes_more(gray):
    found = probe(io.BytesIO(saved(gray)), LIMITS)
    assert memory_needed(found, "AVIF") > memory_needed(found, "WebP") > memory_needed(found, "PNG")
    assert memory_needed(probe(io.BytesIO(saved(gray, "WEBP")), LIMITS), "JPEG") == memory_needed(found, "WebP")


def test_memory_is_reckoned_for_tiles_that_are_larger_than_their_picture(gray):
    content = io.BytesIO()
    tifffile.imwrite(content, gray[:100, :100], tile=(2048, 1024), compression="zlib", metadata=None)
    found = probe(content, LIMITS)
    assert (found.pixels, found.held_pixels) == (100 * 100, 2048 * 1024)
    assert memory_needed(found, "TIFF") == 13 * 2048 * 1024


class TestMemoryGate:
    @pytest.fixture
    def entered(self):
        return []

    @pytest.fixture
    def visit(self, entered):
        """Start a thread that holds memory until its event is set."""
        threads = []

        def visit(gate, size_bytes, name):
            leave = threading.Event()

            def run():
                with gate.hold(size_bytes):
                    entered.append(name)
                    leave.wait(30)

            thread = threading.Thread(target=run)
            thread.start()
            threads.append((thread, leave))
            return leave

        yield visit
        for thread, leave in threads:
            leave.set()
            thread.join()

    def test_lets_in_what_fits_and_makes_the_rest_wait(self, visit, entered, wait_until):
        gate = MemoryGate(100)
        first = visit(gate, 60, "first")
        wait_until(lambda: entered == ["first"])
        visit(gate, 60, "second")
        visit(gate, 10, "third")
        wait_until(lambda: len(gate._waiting) == 2)
        assert entered == ["first"]
        first.set()
        wait_until(lambda: sorted(entered[1:]) == ["second", "third"])

    def test_what_is_larger_than_all_goes_alone(self, visit, entered, wait_until):
        gate = MemoryGate(100)
        large = visit(gate, 5000, "large")
        wait_until(lambda: entered == ["large"])
        visit(gate, 1, "small")
        wait_until(lambda: len(gate._waiting) == 1)
        large.set()
        wait_until(lambda: entered == ["large", "small"])

    def test_gives_back_what_a_failure_held(self):
        gate = MemoryGate(10)
        with pytest.raises(ValueError, match="broken"), gate.hold(10):
            raise ValueError("broken")
        with gate.hold(10):
            pass
