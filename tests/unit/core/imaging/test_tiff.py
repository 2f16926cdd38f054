import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ImageError
from core.imaging.codec import ImageLimits, decode, encode, probe
from core.imaging.metadata import srgb_profile
from core.imaging.output import ArrayPage, Output

LOSSLESS = {
    None: "NONE",
    "lzw": "LZW",
    "zlib": "ADOBE_DEFLATE",
    "deflate": "DEFLATE",
    "packbits": "PACKBITS",
    "zstd": "ZSTD",
}


def reopened(content):
    return tifffile.TiffFile(io.BytesIO(content))


def refusal(content, limits):
    with pytest.raises(ImageError) as caught:
        decode(io.BytesIO(content), limits)
    return caught.value.code


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("compression", "name"), LOSSLESS.items())
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_samples_depth_compression_and_byte_order_are_kept(
    gray, color, read, save_tiff, write_back, kind, compression, name, byteorder
):
    for pixels in (gray, color):
        wide = pixels.astype(kind) * (257 if kind is np.uint16 else 1)
        content = save_tiff(wide, compression=compression, byteorder=byteorder, predictor=compression == "lzw")
        assert (read(content).first.samples == wide).all()
        result = write_back(content)
        expected = wide if wide.ndim == 3 else np.dstack([wide] * 3)
        with reopened(result) as file:
            page = file.pages[0]
            assert (page.photometric.name, page.compression.name, page.dtype) == ("RGB", name, kind)
            assert file.byteorder == byteorder
            assert (page.asarray() == expected).all()
        assert (imagecodecs.tiff_decode(result) == expected).all()


def test_jpeg_stays_jpeg_of_the_quality_asked_for_without_subsampling(color, read, save, write_as):
    content = save(color, "TIFF", compression="jpeg", quality=95)
    scan = read(content)
    result, losses = write_as(content, quality=97)
    with reopened(result) as file:
        page = file.pages[0]
        assert page.compression.name == "JPEG"
        assert page.subsampling == (1, 1)
    assert losses == ()
    assert np.abs(np.asarray(Image.open(io.BytesIO(result))).astype(int) - scan.first.samples).mean() < 2
    assert len(result) > len(write_as(content, quality=50)[0]) * 1.5


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_a_compression_for_black_and_white_becomes_deflate_and_is_told(gray, read, save, write_as, compression):
    content = save(gray > 128, "TIFF", compression=compression)
    result, losses = write_as(content)
    with reopened(result) as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"
    assert any("CCITT" in loss and "Deflate" in loss for loss in losses)
    assert (read(result).first.samples == np.where(gray > 128, 255, 0)[..., None]).all()


def test_transparency_that_jpeg_in_tiff_cannot_hold_goes_into_deflate(color, gray, read, save_tiff, write_as):
    planes = np.stack([*np.moveaxis(color[:, :301], -1, 0), gray])
    options = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"], "compression": "jpeg"}
    content = save_tiff(planes, **options)
    result, losses = write_as(content)
    assert (read(result).alpha == read(content).alpha).all()
    assert any("JPEG" in loss for loss in losses)


@pytest.mark.parametrize("options", [
    {"tile": (64, 48)}, {"tile": (32, 64), "compression": "zlib", "predictor": True},
    {"tile": (16, 16), "compression": "jpeg"}, {"tile": (64, 64), "compression": "lzw"},
])  # fmt: skip
def test_tiles_stay_tiles(color, read, save_tiff, write_back, options):
    if options.get("compression") == "jpeg":
        options = {**options, "subsampling": (1, 1)}
    content = save_tiff(color, photometric="rgb", **options)
    result = write_back(content)
    with reopened(result) as file:
        assert (file.pages[0].tilelength, file.pages[0].tilewidth) == options["tile"]
    tolerance = 2 if "jpeg" in options.values() else 0
    assert np.abs(read(result).first.samples.astype(int) - read(content).first.samples).mean() <= tolerance


def test_bigtiff_stays_bigtiff(gray, save_tiff, write_back):
    tag = (65001, 16, 1, 2**40, True)
    with reopened(write_back(save_tiff(gray, bigtiff=True, extratags=[tag]))) as file:
        assert file.is_bigtiff
        assert file.pages[0].tags[65001].value == 2**40


def test_rows_are_written_while_they_come(read, save_tiff):
    pixels = np.random.default_rng(1).integers(0, 65536, (1500, 1000), np.uint16)
    scan = read(save_tiff(pixels))
    stream = io.BytesIO()
    written = []

    class Page(ArrayPage):
        def bands(self):
            for top in range(0, self.height, 100):
                written.append(stream.seek(0, io.SEEK_END))
                yield self.pixels[top : top + 100]

    encode([Page(np.dstack([pixels] * 3))], scan, Output(), stream)
    assert written == sorted(written)
    assert written[-1] > 0.8 * len(stream.getvalue())
    assert (read(stream.getvalue()).first.samples == pixels[..., None]).all()


@pytest.mark.parametrize("alpha", [False, True])
def test_cmyk_becomes_rgb_and_is_told(color, gray, read, save, save_tiff, alpha):
    image = Image.fromarray(color[:, :301]).convert("CMYK")
    content = save(image, "TIFF")
    if alpha:
        pixels = np.dstack([np.asarray(image), gray])
        content = save_tiff(pixels, photometric="separated", extrasamples=["unassalpha"])
    scan = read(content)
    assert (scan.first.samples == np.asarray(image.convert("RGB"))).all()
    assert any("CMYK" in loss for loss in scan.losses)
    assert (scan.alpha == gray).all() if alpha else scan.alpha is None


@pytest.mark.parametrize("compression", ["jpegxl", "jpeg2000", "lzma"])
def test_rare_compressions_are_refused_by_name(color, limits, save_tiff, compression):
    content = save_tiff(color, photometric="rgb", compression=compression)
    with pytest.raises(ImageError, match="compressed with") as caught:
        decode(io.BytesIO(content), limits)
    assert caught.value.code == "unsupported_format"


def test_the_label_takes_the_place_of_the_old_xmp_on_every_page(gray, save, write_as, provenance, xmp_packet):
    block = Image.Exif()
    block.update({700: xmp_packet, 270: "Hof 3"})
    content = save(gray, "TIFF", exif=block, save_all=True, append_images=[Image.fromarray(gray)])
    with reopened(write_as(content, provenance=provenance)[0]) as file:
        packets = [bytes(page.tags[700].value) for page in file.pages]
        assert file.pages[0].tags[270].value == "Hof 3"
    assert all(b"compositeWithTrainedAlgorithmicMedia" in packet for packet in packets)
    assert "Straße, 東京".encode() in packets[0]


@pytest.mark.parametrize("options", [
    {"tile": (64, 48)}, {"bigtiff": True}, {"rowsperstrip": 7, "compression": "lzw"},
    {"tile": (16, 16), "compression": "lzw"},
])  # fmt: skip
def test_layouts_are_read(gray, read, save_tiff, options):
    assert (read(save_tiff(gray, **options)).first.samples == gray).all()


def test_separate_planes_are_read(color, read, save_tiff):
    planes = np.ascontiguousarray(np.moveaxis(color, -1, 0))
    content = save_tiff(planes, photometric="rgb", planarconfig="separate")
    assert (read(content).first.samples == color).all()


def test_jpeg_inside_tiff_is_read_close_to_the_original(color, read, save):
    content = save(color, "TIFF", compression="jpeg", quality=95)
    assert np.abs(read(content).first.samples.astype(int) - color).mean() < 4


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_white_is_zero_is_inverted(gray, read, save_tiff, write_back, kind):
    wide = gray.astype(kind)
    content = save_tiff(np.invert(wide), photometric="miniswhite")
    assert (read(content).first.samples == wide).all()
    assert (read(write_back(content)).first.samples == wide[..., None]).all()


@pytest.mark.parametrize("compression", [None, "group3", "group4", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
def test_one_bit_becomes_black_and_white_of_8_bits(gray, limits, read, save, compression):
    content = save(gray > 128, "TIFF", compression=compression)
    assert probe(io.BytesIO(content), limits).bit_depth == 8
    assert (read(content).first.samples == np.where(gray > 128, 255, 0)).all()


def test_palettes_are_applied(color, read, save):
    image = Image.fromarray(color).quantize(64)
    assert (read(save(image, "TIFF")).first.samples == np.asarray(image.convert("RGB"))).all()


def test_old_palettes_of_8_bits_are_told_from_those_of_16(color, read, save):
    image = Image.fromarray(color).quantize(64)
    content = save(image, "TIFF")
    with reopened(content) as file:
        tag = file.pages[0].tags[320]
        old = np.array(tag.value, "<u2") >> 8
        place = tag.valueoffset
    content = content[:place] + old.tobytes() + content[place + old.nbytes :]
    assert (read(content).first.samples == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_and_its_kind_are_kept(color, gray, read, save_tiff, write_back, kind):
    pixels = np.dstack([color[:, :301], gray]).astype(kind)
    content = save_tiff(pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert (read(content).alpha == gray).all()
    with reopened(write_back(content)) as result:
        assert (result.pages[0].asarray() == pixels).all()
        assert int(result.pages[0].extrasamples[0]) == 1


def test_all_pages_are_read_and_written(gray, color, read, save, write_back):
    further = [Image.fromarray(color), Image.fromarray(gray > 99)]
    content = save(gray, "TIFF", save_all=True, append_images=further)
    scan = read(content)
    assert [page.samples.shape for page in scan.pages] == [gray.shape, color.shape, gray.shape]
    again = read(write_back(content))
    assert (again.pages[1].samples == color).all()
    assert len(again.pages) == 3


def test_a_cut_off_page_is_not_left_out_silently(gray, limits, save):
    content = save(gray, "TIFF", save_all=True, append_images=[Image.fromarray(gray)] * 2)
    with reopened(content) as whole:
        cut = whole.pages[2].offset
    assert refusal(content[:cut], limits) == "truncated_image"


def test_pixels_are_counted_over_all_pages(gray, save):
    content = save(gray, "TIFF", save_all=True, append_images=[Image.fromarray(gray)])
    assert refusal(content, ImageLimits(gray.size * 2 - 1, 10**9)) == "too_many_pixels"


@pytest.mark.parametrize("big", [False, True])
def test_exif_gps_text_tags_and_resolution_are_kept(gray, exif, read, save, write_back, big):
    block = Image.Exif()
    block.load(exif)
    block.update({270: "Hof 3", 33432: "(c)", 700: b"<x:xmpmeta/>"})
    content = save(gray, "TIFF", exif=block, dpi=(600, 300), big_tiff=big)
    with Image.open(io.BytesIO(write_back(content))) as result:
        tags = result.getexif()
        assert tags.get_ifd(0x8769) == {0x9003: "1931:01:02 03:04:05", 0x829A: (1, 250)}
        assert tags.get_ifd(0x8825) == {1: "N", 2: (48.0, 8.0, 30.0)}
        assert (tags[270], tags[271], tags[274], tags[33432]) == ("Hof 3", "Plaubel", 6, "(c)")
        assert result.info["dpi"] == (600, 300)
        assert result.info["xmp"] == b"<x:xmpmeta/>"
    assert read(content).orientation == 6
    assert read(content).metadata.dpi == (600, 300)


def test_a_tag_in_utf8_is_kept_byte_for_byte(gray, save_tiff, write_back):
    text = "Straße, 東京".encode()
    content = save_tiff(gray, extratags=[(315, 2, len(text), text, True)])
    assert text in write_back(content)


def test_a_tag_whose_value_is_missing_is_told(gray, read, save):
    content = save(gray, "TIFF", compression="tiff_lzw", dpi=(300, 300))
    with reopened(content) as file:
        place = file.pages[0].tags[282].offset
    damaged = content[: place + 8] + (2**31).to_bytes(4, "little") + content[place + 12 :]
    assert any("282" in loss for loss in read(damaged).losses)


def test_a_profile_that_is_not_for_rgb_becomes_srgb(gray, read, save, write_back):
    content = save(gray, "TIFF", icc_profile=srgb_profile()[:16] + b"GRAY" + srgb_profile()[20:])
    with reopened(write_back(content)) as result:
        assert result.pages[0].iccprofile == srgb_profile()
    assert any("ICC" in loss for loss in read(content).losses)


def test_missing_strips_are_not_filled_with_zeros(gray, limits, save_tiff):
    content = save_tiff(gray, rowsperstrip=50)
    with reopened(content) as file:
        counts = file.pages[0].tags[279]
        place = counts.valueoffset
    emptied = (
        content[:place] + bytes(2 if counts.dtype == 3 else 4) + content[place + (2 if counts.dtype == 3 else 4) :]
    )
    assert refusal(emptied, limits) == "truncated_image"


def test_lzw_that_crashes_imagecodecs_own_decoder_is_refused(gray, limits, save_tiff):
    content = bytearray(save_tiff(gray, compression="lzw"))
    with reopened(bytes(content)) as file:
        start = file.pages[0].dataoffsets[0]
    # Found by damaging files at random: imagecodecs.lzw_decode ends the process with SIGSEGV on these first bytes.
    content[start : start + 4] = bytes.fromhex("80592050")
    assert refusal(bytes(content), limits) == "unreadable_image"


def with_less_data(content, share):
    """The same TIFF, whose last strip or tile ends earlier, with what follows it left where it is."""
    with reopened(content) as file:
        page = file.pages[0]
        start, size = page.dataoffsets[-1], page.databytecounts[-1]
        tag, number = page.tags["StripByteCounts" if not page.is_tiled else "TileByteCounts"], len(page.dataoffsets)
    kept, width = int(size * share), 2 if tag.dtype == 3 else 4
    place = tag.valueoffset + (number - 1) * width
    content = content[:place] + kept.to_bytes(width, "little") + content[place + width :]
    return content[: start + kept] + bytes(size - kept) + content[start + size :]


@pytest.mark.parametrize("options", [
    {}, {"photometric": "rgb"}, {"tile": (64, 64)}, {"rowsperstrip": 16}, {"subsampling": (2, 2), "photometric": "rgb"},
])  # fmt: skip
@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_a_jpeg_inside_tiff_that_is_cut_off_is_refused(gray, color, limits, read, save_tiff, options, share):
    pixels = color if "photometric" in options else gray
    content = save_tiff(pixels, compression="jpeg", **options)
    assert read(content).first.samples.shape == pixels.shape
    assert refusal(with_less_data(content, share), limits) == "truncated_image"


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_black_and_white_that_is_cut_off_is_refused(gray, limits, read, save, compression, share):
    content = save(Image.fromarray(gray).convert("1"), "TIFF", compression=compression, tiffinfo={278: 251})
    assert refusal(with_less_data(content, share), limits) == "truncated_image"


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("picture", ["photograph", "white", "black"])
@pytest.mark.parametrize("fill_order", [1, 2])
def test_black_and_white_that_is_whole_is_not_taken_for_cut_off(gray, read, save, compression, picture, fill_order):
    pixels = {"photograph": gray > 128, "white": gray >= 0, "black": gray < 0}[picture]
    content = save(pixels, "TIFF", compression=compression, tiffinfo={278: 100, 266: fill_order})
    assert (read(content).first.samples == np.where(pixels, 255, 0)).all()


def test_t6_without_its_end_mark_is_whole_if_all_rows_are_there(gray, read, save):
    content = save(gray > 128, "TIFF", compression="group4", tiffinfo={278: 251})
    with reopened(content) as file:
        size = file.pages[0].databytecounts[0]
    assert (read(with_less_data(content, (size - 2.5) / size)).first.samples == np.where(gray > 128, 255, 0)).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("options", [
    {"rowsperstrip": 7}, {"rowsperstrip": 1}, {"tile": (32, 48)}, {"rowsperstrip": 600}, {"rowsperstrip": 601},
])  # fmt: skip
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_lzw_of_any_layout_is_read_with_alpha(read, save_tiff, kind, planarconfig, options, byteorder):
    pixels = np.random.default_rng(5).integers(0, np.iinfo(kind).max, (601, 437, 4), kind, endpoint=True)
    stored = pixels if planarconfig == "contig" else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    content = save_tiff(
        stored, photometric="rgb", planarconfig=planarconfig, extrasamples=["unassalpha"], compression="lzw",
        predictor=True, byteorder=byteorder, **options,
    )  # fmt: skip
    page = read(content).first
    assert (page.samples == pixels[..., :3]).all()
    assert (page.alpha == pixels[..., 3]).all()


def test_tiles_far_larger_than_the_picture_become_strips(gray, read, save_tiff, write_back):
    result = write_back(save_tiff(gray, tile=(2048, 2064), compression="zlib"))
    with reopened(result) as file:
        assert not file.pages[0].is_tiled
    assert (read(result).first.samples == gray[..., None]).all()
    with reopened(write_back(save_tiff(gray, tile=(2048, 2048), compression="zlib"))) as file:
        assert file.pages[0].is_tiled


def test_sub_pictures_are_told_as_lost(gray, read):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(gray, subifds=1, metadata=None)
        writer.write(gray[::2, ::2], metadata=None)
    assert any("SubIFDs" in loss for loss in read(buffer.getvalue()).losses)


@pytest.mark.parametrize(
    "pixels", [np.zeros((9, 9), np.float32), np.zeros((9, 9), np.int16), np.zeros((9, 9), np.uint32)]
)
def test_other_numbers_than_unsigned_ones_up_to_16_bits_are_refused(pixels, limits, save_tiff):
    assert refusal(save_tiff(pixels), limits) == "unsupported_format"


@pytest.mark.parametrize("mode", ["LAB", "YCbCr"])
def test_other_colors_than_gray_rgb_and_cmyk_are_refused(color, limits, save, mode):
    image = Image.new("LAB", (9, 9)) if mode == "LAB" else Image.fromarray(color).convert(mode)
    assert refusal(save(image, "TIFF"), limits) == "unsupported_format"


def test_camera_raw_files_are_refused_rather_than_their_thumbnail_colorized(gray, limits):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(gray[::4, ::4], subifds=1, subfiletype=1, metadata=None)
        writer.write(gray, metadata=None)
    assert refusal(buffer.getvalue(), limits) == "unsupported_format"
