import hashlib
import io

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from skimage import color as reference

from core.errors import ImageError
from core.imaging.codec import decode, probe
from core.imaging.jpeg_pixels import write_pixels
from core.imaging.metadata import srgb_profile
from core.imaging.output import ArrayPage

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


@pytest.mark.parametrize("quality", [60, 95])
def test_results_have_the_quality_asked_for(color, save, write_as, quality):
    content = save(color, "JPEG", quality=90)
    result, _ = write_as(content, quality=quality)
    expected = opened(save(np.asarray(opened(content)), "JPEG", quality=quality, subsampling=0))
    assert opened(result).quantization == expected.quantization
    assert (np.asarray(opened(result)) == np.asarray(expected)).all()


@pytest.mark.parametrize(("height", "width"), [(2700, 1900), (1, 5), (65_500, 70), (70, 65_500)])
def test_pictures_strung_together_from_bands_are_those_coded_in_one_piece(color, height, width):
    pixels = np.resize(color, (height, width, 3))
    stream = io.BytesIO()
    write_pixels(ArrayPage(pixels), 90, [], stream)
    whole = imagecodecs.jpeg8_encode(pixels, level=90, subsampling="444")
    assert (np.asarray(opened(stream.getvalue())) == imagecodecs.jpeg8_decode(whole)).all()


def test_a_picture_that_is_too_large_for_a_jpeg_is_refused():
    with pytest.raises(ImageError) as caught:
        write_pixels(ArrayPage(np.zeros((1, 65_501, 3), np.uint8)), 90, [], io.BytesIO())
    assert caught.value.code == "too_large_for_format"


def test_every_result_is_tagged_as_srgb(color, save, write_back):
    for profile in (SRGB, LAB, None):
        assert opened(write_back(save(color, "JPEG", icc_profile=profile))).info["icc_profile"] == srgb_profile()


def test_a_large_profile_is_joined(color, read, save):
    profile = SRGB + bytes(200_000)
    assert read(save(color, "JPEG", icc_profile=profile)).metadata.icc_profile == profile


def test_the_label_takes_the_place_of_the_old_xmp_and_all_else_stays(
    gray, exif, save, write_as, provenance, xmp_packet
):
    content = save(gray, "JPEG", exif=exif, xmp=xmp_packet, comment=b"box 12")
    plain, labelled = (opened(write_as(content, provenance=label)[0]) for label in (None, provenance))
    assert plain.info["xmp"] == xmp_packet
    assert "Straße, 東京".encode() in labelled.info["xmp"]
    assert [marker for marker, _ in labelled.applist] == [marker for marker, _ in plain.applist]
    assert labelled.info["exif"] == plain.info["exif"]


def test_xmp_past_64_kb_is_kept_in_an_extension(gray, read, save, write_as, provenance, xmp_packet):
    large = xmp_packet.replace(b"<dc:source>", b"<dc:source>" + b"long " * 20_000)
    block = Image.Exif()
    block[700] = large
    result, losses = write_as(save(gray, "TIFF", exif=block), "JPEG", provenance=provenance)
    assert losses == ()
    image = opened(result)
    name = image.info["xmp"].partition(b'HasExtendedXMP="')[2][:32]
    parts = [
        data[75:] for kind, data in image.applist if data.startswith(b"http://ns.adobe.com/xmp/extension/\0" + name)
    ]
    whole = b"".join(parts)
    assert hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode() == name
    assert whole.startswith(b"<x:xmpmeta")
    assert b"long " * 20_000 in whole
    assert b"compositeWithTrainedAlgorithmicMedia" in image.info["xmp"]
    again, losses = write_as(result, provenance=provenance)
    assert losses == ()
    assert whole == b"".join(d[75:] for _, d in opened(again).applist if d.startswith(b"http://ns.adobe.com/xmp/ext"))
    assert any("64 KB" in loss for loss in write_as(result, "PNG")[1])


def test_exif_past_64_kb_is_told_and_the_orientation_kept(gray, save, write_as):
    block = Image.Exif()
    block.update({270: "long " * 20_000, 274: 6})
    result, losses = write_as(save(gray, "TIFF", exif=block), "JPEG")
    assert any("EXIF" in loss and "64 KB" in loss for loss in losses)
    assert opened(result).getexif()[274] == 6


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


@pytest.mark.parametrize("transform", ["CMYK", "YCCK"])
def test_cmyk_without_a_profile_is_what_pillow_makes_of_it(color, read, write_back, transform):
    inks = ~np.asarray(Image.fromarray(color).convert("CMYK"))
    content = bytes(imagecodecs.jpeg8_encode(inks, level=95, colorspace="CMYK", outcolorspace=transform))
    scan = read(content)
    assert (scan.first.samples == np.asarray(opened(content).convert("RGB"))).all()
    assert any("CMYK" in loss for loss in scan.losses)
    result = opened(write_back(content))
    assert result.mode == "RGB"
    assert result.info["icc_profile"] == srgb_profile()


def test_cmyk_with_a_profile_goes_through_it(color, read, save, table_profile):
    def lab_of(c, m, y, k):
        rgb = [0.1 + 0.85 * (1 - ink) * (1 - 0.9 * k) for ink in (c, m, y)]
        return tuple(reference.rgb2lab(np.array(rgb)[None, None])[0, 0])

    profile = table_profile(b"CMYK", lab_of)
    content = save(Image.fromarray(color).convert("CMYK"), "JPEG", quality=95, icc_profile=profile)
    scan = read(content)
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(p)) for p in (profile, SRGB)]
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    expected = ImageCms.profileToProfile(opened(content), *profiles, renderingIntent=1, outputMode="RGB", flags=flags)
    assert np.abs(scan.first.samples.astype(int) - np.asarray(expected)).max() <= 1
    assert np.abs(scan.first.samples.astype(int) - np.asarray(opened(content).convert("RGB"))).max() > 5
    assert any("'Test profile'" in loss for loss in scan.losses)


def test_rgb_stored_as_rgb_is_read_as_pillow_reads_it(color, read, save):
    content = save(color, "JPEG", keep_rgb=True, quality=95)
    assert (read(content).first.samples == np.asarray(opened(content))).all()


@pytest.mark.parametrize("options", [{"bitspersample": 12}, {"lossless": True}])
def test_12_bits_and_lossless_coding_are_refused(gray, limits, options):
    pixels = gray.astype(np.uint16) if "bitspersample" in options else gray
    content = bytes(imagecodecs.jpeg8_encode(pixels, **options))
    for call in (probe, decode):
        with pytest.raises(ImageError) as caught:
            call(io.BytesIO(content), limits)
        assert caught.value.code == "unsupported_format"


def test_a_file_without_its_last_byte_is_refused_but_not_one_with_some_too_many(color, limits, read, save):
    for options in ({}, {"progressive": True}):
        content = save(color, "JPEG", **options)
        with pytest.raises(ImageError) as caught:
            decode(io.BytesIO(content[:-1]), limits)
        assert caught.value.code == "truncated_image"
        assert read(content + bytes(9)).first.samples.shape == color.shape


def test_a_jpeg_without_a_picture_is_refused(gray, limits, save):
    content = save(gray, "JPEG")
    with pytest.raises(ImageError) as caught:
        probe(io.BytesIO(content[:40]), limits)
    assert caught.value.code == "truncated_image"
