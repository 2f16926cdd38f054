import io
import struct
import tempfile
import tracemalloc
import warnings
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, IptcImagePlugin, PngImagePlugin

from core.errors import ImageError
from core.imaging import codec
from core.imaging.codec import IMAGE_SUFFIXES, ImageLimits, decode, encode, probe, result_format
from core.imaging.kinds import HEADER_BYTES, accepted_format
from core.imaging.metadata import srgb_profile
from core.imaging.output import ArrayPage, Output
from core.imaging.scan import BYTES_PER_PIXEL

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


@pytest.mark.parametrize("file_format", ["GIF", "ICO", "PPM"])
def test_known_kinds_that_are_not_accepted_are_named(color, limits, save, file_format):
    content = save(color[:64, :64], file_format)
    assert refusal(probe, content, limits) == refusal(decode, content, limits) == "unsupported_format"


@pytest.mark.parametrize("head", [
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", b"8BPS\0\x01", b"II*\0\x10\0\0\0CR\x02\0", b"\xff\x0a", b"FUJIFILMCCD-RAW",
])  # fmt: skip
def test_known_kinds_are_told_by_their_first_bytes(head, limits):
    assert refusal(probe, head + bytes(200), limits) == "unsupported_format"


@pytest.mark.parametrize(("pillows_name", "ours"), [
    ("JPEG", "JPEG"), ("PNG", "PNG"), ("TIFF", "TIFF"), ("WEBP", "WebP"), ("JPEG2000", "JPEG 2000"), ("BMP", "BMP"),
    ("AVIF", "AVIF"),
])  # fmt: skip
def test_formats_are_told_by_content(color, save, pillows_name, ours):
    content = save(color[:64, :64], pillows_name)
    assert accepted_format(content[:HEADER_BYTES]) == ours


@pytest.mark.parametrize(("head", "ours"), [
    (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"), (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
    (b"\0\0\0\x18ftypavis\0\0\0\0avisavif", "AVIF"), (b"MM\0+\0\x08", "TIFF"),
    (b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic", None),
])  # fmt: skip
def test_formats_are_told_by_brands_and_by_rare_beginnings(head, ours):
    assert accepted_format(head + bytes(100)) == ours


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
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, save, file_format):
    content = save(color[:64, :96], file_format, **({"compression": "tiff_lzw"} if file_format == "TIFF" else {}))
    outcomes = decode_damaged(decode, content)
    assert outcomes <= {file_format, "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert "unreadable_image" in outcomes or "truncated_image" in outcomes


def test_encode_refuses_pages_of_another_size_or_depth(gray, read, save):
    scan = read(save(gray, "PNG"))
    page = ArrayPage(np.dstack([gray] * 3))
    short, deep = ArrayPage(page.pixels[:-1]), ArrayPage(page.pixels.astype(np.uint16))
    for pages in ([short], [deep], [page, page], []):
        with pytest.raises(ValueError, match="the scan needs"):
            encode(pages, scan, Output(), io.BytesIO())


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_the_same_pixels_encode_to_the_same_bytes(color, save, write_as, exif, provenance, file_format, target):
    content = save(color, file_format, exif=exif if file_format != "TIFF" else Image.Exif(), icc_profile=bytes(200))
    first, again = (write_as(content, target, provenance=provenance) for _ in range(2))
    assert first == again


def test_the_format_of_results_is_the_originals_unless_another_is_asked_for():
    assert result_format("PNG", None) == "PNG"
    assert result_format("PNG", "TIFF") == "TIFF"
    assert result_format("TIFF", "JPEG") == "JPEG"
    assert result_format("TIFF", "JPEG", pages=2) == "TIFF"
    assert result_format("HEIC", None) == "JPEG"


def test_a_format_that_is_not_written_here_is_told(gray, read, rgb_pages, save):
    scan = replace(read(save(gray, "PNG")), format="HEIC")
    stream = io.BytesIO()
    assert any("HEIC" in loss and "JPEG" in loss for loss in encode(rgb_pages(scan), scan, Output(), stream))
    assert read(stream.getvalue()).format == "JPEG"


def test_several_pages_stay_a_tiff_whatever_is_asked_for(gray, read, save, write_as):
    content = save(gray, "TIFF", save_all=True, append_images=[Image.fromarray(gray)])
    result, losses = write_as(content, "JPEG")
    assert read(result).format == "TIFF"
    assert len(read(result).pages) == 2
    assert any("JPEG" in loss and "several pages" in loss for loss in losses)


def test_16_bits_are_rounded_to_the_nearest_of_8_where_the_format_holds_no_more(read, rgb_pages, save_tiff):
    ramp = np.arange(0, 65536, 3, dtype=np.uint16)[: 16 * 1365].reshape(16, 1365)
    scan = read(save_tiff(ramp))
    stream = io.BytesIO()
    losses = encode(rgb_pages(scan), scan, Output("WebP", quality=100), stream)
    assert (read(stream.getvalue()).first.samples == np.rint(ramp / 257)[..., None]).all()
    assert any("16 bits" in loss for loss in losses)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_transparency_that_jpeg_cannot_hold_is_told(color, gray, read, save, write_as, file_format):
    image = Image.fromarray(color[:, :301])
    image.putalpha(Image.fromarray(gray))
    result, losses = write_as(save(image, file_format), "JPEG")
    assert any("transparency" in loss for loss in losses)
    assert np.abs(read(result).first.samples.astype(int) - color[:, :301]).mean() < 4
    for kept in ("PNG", "TIFF"):
        result, losses = write_as(save(image, file_format), kept)
        assert losses == ()
        assert (read(result).alpha == gray).all()


@pytest.fixture
def documented(gray, exif, iptc, xmp_packet, save):
    """The same photograph in each format, with EXIF (orientation 6), IPTC, XMP and 600 by 300 dots per inch."""

    def documented(file_format):
        if file_format == "JPEG":
            resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
            resource += bytes(len(resource) % 2)
            segment = b"\xff\xed" + (len(resource) + 2).to_bytes(2) + resource
            return save(gray, "JPEG", exif=exif, dpi=(600, 300), xmp=xmp_packet, extra=segment)
        if file_format == "PNG":
            texts = PngImagePlugin.PngInfo()
            texts.add_itxt("XML:com.adobe.xmp", xmp_packet.decode(), zip=True)
            profile = f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n"
            texts.add_text("Raw profile type iptc", profile, zip=True)
            return save(gray, "PNG", exif=exif, dpi=(600, 300), pnginfo=texts)
        block = Image.Exif()
        block.load(exif)
        tags = {700: xmp_packet, 33723: iptc}
        block.update(tags)
        return save(gray, "TIFF", exif=block, dpi=(600, 300))

    return documented


def seen_by_pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        # Before its pixels are loaded, since Pillow then turns a TIFF upright and forgets its orientation.
        block = image.getexif()
        xmp = image.info.get("xmp") or b""
        records = IptcImagePlugin.getiptcinfo(image) if image.format != "PNG" else iptc_of_png(image)
        return {
            "maker": block.get(271),
            "orientation": block.get(274),
            "taken": block.get_ifd(0x8769).get(0x9003),
            "place": block.get_ifd(0x8825).get(2),
            "dpi": tuple(round(float(value)) for value in image.info["dpi"]),
            "xmp": "Straße, 東京" in (xmp.decode() if isinstance(xmp, bytes) else xmp),
            "caption": records.get((2, 120)),
        }


def iptc_of_png(image):
    data = bytes.fromhex("".join(image.text["Raw profile type iptc"].split()[2:]))
    start = data.index(b"\x1c\x02\x78")
    size = int.from_bytes(data[start + 3 : start + 5])
    return {(2, 120): data[start + 5 : start + 5 + size]}


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_metadata_survive_from_any_format_to_any_other(
    documented, read, write_as, provenance, source, target, labelled
):
    result, losses = write_as(documented(source), target, provenance=provenance if labelled else None)
    assert losses == ()
    assert seen_by_pillow(result) == {
        "maker": "Plaubel",
        "orientation": 6,
        "taken": "1931:01:02 03:04:05",
        "place": (48.0, 8.0, 30.0),
        "dpi": (600, 300),
        "xmp": True,
        "caption": "Hof ³".encode(),
    }
    assert (read(result).width, read(result).height) == (301, 251)


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_result_is_labelled_and_tagged_as_srgb(gray, save, write_as, provenance, source, target):
    result, _ = write_as(save(gray, source), target, provenance=provenance)
    with Image.open(io.BytesIO(result)) as image:
        image.load()
        xmp = image.info["xmp"]
        assert image.info["icc_profile"] == srgb_profile()
    assert b"compositeWithTrainedAlgorithmicMedia" in xmp
    assert b"Gray2Hue 0.1.0" in xmp


@pytest.mark.parametrize("source", FORMATS)
def test_xmp_that_cannot_be_read_is_replaced_and_told(gray, save, write_as, provenance, source):
    block = Image.Exif()
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "no XMP")
    options = {"JPEG": {"xmp": b"no XMP"}, "PNG": {"pnginfo": texts}, "TIFF": {"exif": block}}
    block[700] = b"no XMP"
    for target in FORMATS:
        result, losses = write_as(save(gray, source, **options[source]), target, provenance=provenance)
        assert any("XMP" in loss for loss in losses)
        assert b"no XMP" not in result


def test_what_other_formats_cannot_hold_is_told(gray, save, write_as):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Hof 3")
    assert write_as(save(gray, "PNG", pnginfo=texts), "TIFF")[1] == ("the text 'Title'",)
    assert write_as(save(gray, "JPEG", comment=b"box 12"), "PNG")[1] == ("the comment",)
    block = Image.Exif()
    block[65001] = "shelf 4"
    assert write_as(save(gray, "TIFF", exif=block), "JPEG")[1] == ("the TIFF tags 65001",)
    for content in (save(gray, "PNG", pnginfo=texts), save(gray, "JPEG", comment=b"x"), save(gray, "TIFF", exif=block)):
        assert write_as(content)[1] == ()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_profile_is_converted_and_told(gray, read, save, write_as, file_format):
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    scan = read(save(gray, file_format, icc_profile=profile))
    assert any("gray built-in" in loss for loss in scan.losses)
    decoded = scan.first.samples / 255
    expected = 116 * np.cbrt(np.maximum(decoded, 0.009)) - 16
    assert np.abs(scan.lightness - expected)[decoded > 0.009].max() < 0.02
    assert read(save(gray, file_format)).losses == ()


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


@pytest.mark.parametrize("spooled_bytes", [1, 10**9])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WebP", "JPEG 2000", "BMP", "AVIF"])
def test_results_may_be_written_to_temporary_files(gray, color, read, save, file_format, spooled_bytes):
    scan = read(save(gray, "TIFF"))
    page = ArrayPage(np.ascontiguousarray(color[:, :301]))
    expected = io.BytesIO()
    encode([page], scan, Output(format=file_format), expected)
    with tempfile.SpooledTemporaryFile(spooled_bytes) as stream:
        encode([page], scan, Output(format=file_format), stream)
        stream.seek(0)
        assert stream.read() == expected.getvalue()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("file_format", ["TIFF", "PNG"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_memory_stays_within_what_is_reckoned(save_tiff, write_back, kind, file_format, planarconfig):
    pixels = np.random.default_rng(2).integers(0, np.iinfo(kind).max, (1400, 1500, 4), kind)
    if file_format == "PNG":
        content = bytes(imagecodecs.png_encode(pixels, level=1))
    else:
        stored = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if planarconfig == "separate" else pixels
        content = save_tiff(
            stored, compression="lzw", photometric="rgb", planarconfig=planarconfig, extrasamples=["unassalpha"],
            rowsperstrip=64,
        )  # fmt: skip

    class Page(ArrayPage):
        def bands(self):
            for top in range(0, self.height, 175):
                yield self.pixels[top : top + 175]

    write_back(bytes(imagecodecs.png_encode(pixels[:9])))  # Compiles what is compiled only once.
    del pixels
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(content)
        content = b""
        tracemalloc.start()
        try:
            scan = decode(source, ImageLimits(10**8, 10**9))
            encode([Page(scan.first.samples)], scan, Output(), target)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak / (1400 * 1500) < BYTES_PER_PIXEL[file_format][8 * np.dtype(kind).itemsize]
