import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ImageError
from core.imaging.codec import ImageLimits, decode, probe
from core.imaging.metadata import srgb_profile

LOSSLESS = [None, "lzw", "zlib", "packbits", "lzma", "zstd"]


def reopened(content):
    return tifffile.TiffFile(io.BytesIO(content))


def refusal(content, limits):
    with pytest.raises(ImageError) as caught:
        decode(io.BytesIO(content), limits)
    return caught.value.code


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_samples_survive_exactly(gray, color, read, save_tiff, write_back, kind, compression, byteorder):
    for pixels in (gray, color):
        wide = pixels.astype(kind) * (257 if kind is np.uint16 else 1)
        content = save_tiff(wide, compression=compression, byteorder=byteorder, predictor=compression == "lzw")
        assert (read(content).first.samples == wide).all()
        with reopened(write_back(content)) as result:
            page = result.pages[0]
            assert (page.photometric.name, page.compression.name) == ("RGB", "ADOBE_DEFLATE")
            assert page.dtype == kind
            assert result.byteorder == byteorder
            assert (page.asarray() == (wide if wide.ndim == 3 else wide[..., None])).all()


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


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colors_than_gray_and_rgb_are_refused(color, limits, save, mode):
    assert refusal(save(Image.fromarray(color).convert(mode), "TIFF"), limits) == "unsupported_format"


def test_camera_raw_files_are_refused_rather_than_their_thumbnail_colorized(gray, limits):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(gray[::4, ::4], subifds=1, subfiletype=1, metadata=None)
        writer.write(gray, metadata=None)
    assert refusal(buffer.getvalue(), limits) == "unsupported_format"
