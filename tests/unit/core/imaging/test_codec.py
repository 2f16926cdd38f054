import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import ImageError
from core.imaging import codec
from core.imaging.codec import IMAGE_SUFFIXES, ImageLimits, decode, encode, probe

FORMATS = ["JPEG", "PNG", "TIFF"]


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


@pytest.mark.parametrize(("file_format", "media_type", "suffix"), [
    ("JPEG", "image/jpeg", ".jpg"), ("PNG", "image/png", ".png"), ("TIFF", "image/tiff", ".tif"),
])  # fmt: skip
def test_probe_tells_format_size_and_depth(gray, limits, save, file_format, media_type, suffix):
    found = probe(io.BytesIO(save(gray, file_format)), limits)
    assert (found.format, found.media_type, found.suffixes[0]) == (file_format, media_type, suffix)
    assert (found.width, found.height, found.bit_depth, found.pages) == (301, 251, 8, 1)
    assert suffix in IMAGE_SUFFIXES


def test_probe_goes_by_content_and_leaves_the_stream_at_its_beginning(gray, limits, save):
    stream = io.BytesIO(save(gray, "PNG"))
    stream.seek(77)
    assert probe(stream, limits).format == "PNG"
    assert stream.tell() == 0


@pytest.mark.parametrize("content", [
    b"Dear Sir,\n", b"%PDF-1.7 ", b"BM is how this letter begins", b"\0" * 200, b"PK\x03\x04 zip", b"I", b"MM",
])  # fmt: skip
def test_bytes_that_are_no_image_are_told_apart_from_bad_images(content, limits):
    assert probe(io.BytesIO(content), limits) is None
    assert refusal(decode, content, limits) == "unsupported_format"


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "BMP", "JPEG2000", "AVIF", "ICO", "PPM"])
def test_known_kinds_that_are_not_accepted_are_named(color, limits, save, file_format):
    content = save(color[:64, :64], file_format)
    assert refusal(probe, content, limits) == refusal(decode, content, limits) == "unsupported_format"


@pytest.mark.parametrize("head", [
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"8BPS\0\x01", b"II*\0\x10\0\0\0CR\x02\0", b"\xff\x0a", b"FUJIFILMCCD-RAW",
])  # fmt: skip
def test_known_kinds_are_told_by_their_first_bytes(head, limits):
    assert refusal(probe, head + bytes(200), limits) == "unsupported_format"


def test_an_empty_file_is_refused(limits):
    assert refusal(probe, b"", limits) == "empty_file"


def test_a_file_past_the_limit_of_bytes_is_refused(gray, save):
    content = save(gray, "PNG")
    assert refusal(probe, content, ImageLimits(10**6, len(content) - 1)) == "file_too_large"
    assert probe(io.BytesIO(content), ImageLimits(10**6, len(content))) is not None


@pytest.mark.parametrize("file_format", FORMATS)
def test_too_many_pixels_are_refused_from_the_header(gray, save, file_format):
    content = save(gray, file_format)
    limits = ImageLimits(251 * 301 - 1, 10**9)
    assert refusal(probe, content, limits) == refusal(decode, content, limits) == "too_many_pixels"


def test_pictures_past_pillows_own_limit_decode_without_a_warning(save, limits):
    content = save(Image.new("L", (9000, 10_000), 90), "JPEG", quality=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan = decode(io.BytesIO(content), ImageLimits(100_000_000, 10**9))
    assert scan.first.samples.shape == (10_000, 9000)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
def test_truncated_files_are_refused(color, gray, limits, save, file_format, share):
    for pixels in (color, gray):
        content = save(pixels, file_format)
        assert refusal(decode, content[: int(len(content) * share)], limits) == "truncated_image"


def test_a_truncated_progressive_jpeg_is_refused(color, limits, save):
    content = save(color, "JPEG", progressive=True)
    assert refusal(decode, content[: len(content) * 3 // 4], limits) == "truncated_image"


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, limits, save, file_format):
    content = save(color[:64, :96], file_format, **({"compression": "tiff_lzw"} if file_format == "TIFF" else {}))
    chance = np.random.default_rng(7)
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(int(chance.choice((1, 3, 30)))):
            damaged[chance.integers(len(damaged))] = chance.integers(256)
        try:
            outcomes.add(decode(io.BytesIO(bytes(damaged)), limits).format)
        except ImageError as error:
            outcomes.add(error.code)
    assert outcomes <= {file_format, "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert "unreadable_image" in outcomes or "truncated_image" in outcomes


def test_encode_refuses_pages_of_another_size_or_depth(gray, read, save):
    scan = read(save(gray, "PNG"))
    pixels = np.dstack([gray] * 3)
    for pages in ([pixels[:-1]], [pixels.astype(np.uint16)], [pixels, pixels], [], pixels):
        with pytest.raises(ValueError, match="the scan needs"):
            encode(pages, scan)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_pixels_encode_to_the_same_bytes(color, read, save, write_back, exif, file_format):
    content = save(color, file_format, exif=exif if file_format != "TIFF" else Image.Exif(), icc_profile=bytes(200))
    assert write_back(content) == write_back(content)


@given(height=st.integers(1, 40), width=st.integers(1, 40), long=st.sampled_from([1, 5000]), data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_size_survives_decoding_and_encoding(height, width, long, data, read, write_back, save, save_tiff):
    size = data.draw(st.sampled_from([(height, width), (height, long), (long, width)]))
    file_format = data.draw(st.sampled_from(FORMATS))
    kind = data.draw(st.sampled_from([np.uint8, np.uint16] if file_format != "JPEG" else [np.uint8]))
    top = np.iinfo(kind).max
    pixels = np.random.default_rng(height * 41 + width).integers(0, top, size, kind, endpoint=True)
    content = save_tiff(pixels) if file_format == "TIFF" else save(pixels, file_format)
    again = read(write_back(content))
    assert again.first.samples.shape == (*size, 3)
    assert again.bit_depth == 8 * pixels.dtype.itemsize
    if file_format != "JPEG":
        assert (again.first.samples == pixels[..., None]).all()


def test_every_photograph_of_the_folder_decodes_and_encodes(photos, write_back, read):
    files = sorted(photos.glob("historical/*.jpg")) + sorted(photos.glob("large/*.jpg"))[:4]
    assert files
    for path in files:
        again = read(write_back(path.read_bytes()))
        with Image.open(path) as original:
            assert (again.width, again.height) == original.size


def test_codec_offers_what_callers_need():
    assert all(hasattr(codec, name) for name in codec.__all__)
