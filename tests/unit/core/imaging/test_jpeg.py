import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from skimage import color as reference

from core.errors import ImageError
from core.imaging.codec import decode, probe
from core.imaging.metadata import srgb_profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_gray_and_color_samples_are_those_pillow_reads(gray, color, read, save):
    for pixels in (gray, color):
        content = save(pixels, "JPEG", quality=90)
        assert (read(content).first.samples == np.asarray(opened(content))).all()


def test_result_is_rgb_without_subsampling_and_close_to_what_was_encoded(color, save, write_back):
    content = save(color, "JPEG")
    result = opened(write_back(content))
    before, after = (reference.rgb2lab(np.asarray(image)) for image in (opened(content), result))
    assert [layer[1:3] for layer in result.layer] == [(1, 1)] * 3
    assert np.abs(before - after).mean() < 1.5


def test_exif_xmp_iptc_comment_and_resolution_are_kept(gray, exif, save, write_back):
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02x\0\x03abc"
    segment = b"\xff\xed" + (len(iptc) + 2).to_bytes(2) + iptc
    content = save(gray, "JPEG", exif=exif, dpi=(600, 300), xmp=b"<x:xmpmeta/>", comment=b"box 12", extra=segment)
    before, after = opened(content), opened(write_back(content))
    assert after.mode == "RGB"
    assert after.info["exif"] == before.info["exif"]
    assert after.info["xmp"] == b"<x:xmpmeta/>"
    assert after.info["comment"] == b"box 12"
    assert after.info["dpi"] == (600, 300)
    assert after.info["photoshop"][1028] == before.info["photoshop"][1028]


def test_stored_pixels_are_not_turned_and_the_orientation_is_told(gray, exif, read, save, write_back):
    content = save(gray, "JPEG", exif=exif)
    scan = read(content)
    assert scan.orientation == 6
    assert (scan.width, scan.height) == (301, 251)
    result = opened(write_back(content))
    assert result.size == (301, 251)
    assert result.getexif()[274] == 6


def test_resolution_is_told(gray, read, save):
    assert read(save(gray, "JPEG", dpi=(600, 300))).metadata.dpi == (600, 300)
    assert read(save(gray, "JPEG")).metadata.dpi is None


def test_a_profile_for_rgb_stays_and_any_other_becomes_srgb(color, read, save, write_back):
    kept = save(color, "JPEG", icc_profile=SRGB)
    replaced = save(color, "JPEG", icc_profile=LAB)
    assert opened(write_back(kept)).info["icc_profile"] == SRGB
    assert read(kept).losses == ()
    assert opened(write_back(replaced)).info["icc_profile"] == srgb_profile()
    assert any("ICC" in loss for loss in read(replaced).losses)
    assert "icc_profile" not in opened(write_back(save(color, "JPEG"))).info


def test_a_large_profile_is_joined_and_split_again(color, save, write_back):
    profile = SRGB[:128] + bytes(200_000)
    assert opened(write_back(save(color, "JPEG", icc_profile=profile))).info["icc_profile"] == profile


def test_the_gray_thumbnail_inside_exif_goes_and_the_loss_is_told(gray, read, save, write_back):
    small = save(gray[:60, :60], "JPEG")
    block = bytearray(b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\x1a\0\0\0")
    block += b"\x02\0" + b"\x01\x02\x04\0\x01\0\0\0\x38\0\0\0" + b"\x02\x02\x04\0\x01\0\0\0"
    block += len(small).to_bytes(4, "little") + bytes(4)
    content = save(gray, "JPEG", exif=b"Exif\0\0" + bytes(block) + small)
    assert opened(content).getexif().get_ifd(ExifTags.IFD.IFD1)
    result = opened(write_back(content))
    assert result.getexif().get_ifd(ExifTags.IFD.IFD1) == {}
    assert result.getexif()[274] == 6
    assert any("preview" in loss for loss in read(content).losses)


def test_a_multi_picture_file_counts_as_jpeg_and_its_loss_is_told(color, limits, read, save, write_back):
    content = save(color, "MPO", save_all=True, append_images=[Image.fromarray(color[::2, ::2])])
    assert probe(io.BytesIO(content), limits).format == "JPEG"
    scan = read(content)
    assert scan.first.samples.shape == color.shape
    assert any("multi-picture" in loss for loss in scan.losses)
    assert opened(write_back(content)).format == "JPEG"


def test_cmyk_is_refused_clearly(color, limits, save):
    content = save(Image.fromarray(color).convert("CMYK"), "JPEG")
    for call in (probe, decode):
        with pytest.raises(ImageError, match="CMYK") as caught:
            call(io.BytesIO(content), limits)
        assert caught.value.code == "unsupported_format"


def test_a_jpeg_without_a_picture_is_refused(gray, limits, save):
    content = save(gray, "JPEG")
    with pytest.raises(ImageError) as caught:
        probe(io.BytesIO(content[:40]), limits)
    assert caught.value.code == "truncated_image"
