import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin, TiffTags

from core.imaging.iptc import to_resource
from core.imaging.metadata import THUMBNAIL_LOSS
from core.imaging.tiff_tags import LAYERS_LOSS, RESOLUTION_LOSS

CENTIMETERS = 3
CURVE = np.rint(65535 * np.linspace(0, 1, 256) ** 3).astype(np.uint16)


def tags_of(content):
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}


@pytest.fixture
def save_with(gray, save):
    """Write a gray TIFF by Pillow with some tags, each of a type of its own: (number, type, value)."""

    def save_with(*tags):
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        for number, field_type, value in tags:
            directory.tagtype[number] = field_type
            directory[number] = value
        return save(gray, "TIFF", tiffinfo=directory)

    return save_with


@pytest.mark.parametrize(("kind", "value", "expected"), [
    ("SHORT", 300, (300, 1)), ("LONG", 70_000, (70_000, 1)), ("RATIONAL", (1181, 10), (1181, 10)),
    ("SRATIONAL", (1181, 10), (1181, 10)), ("FLOAT", 300.0, (300, 1)), ("DOUBLE", 118.11, (11_811, 100)),
])  # fmt: skip
def test_a_resolution_of_any_type_is_kept(gray, read, save_tiff, write_as, kind, value, expected):
    buffer = io.BytesIO(save_tiff(gray, resolution=(1, 1), resolutionunit=CENTIMETERS))
    with tifffile.TiffFile(buffer, mode="r+b", name="scan.tif") as file:
        for tag in (282, 283):
            file.pages[0].tags[tag].overwrite(value, dtype=tifffile.DATATYPE[kind])
    result, losses = write_as(buffer.getvalue())
    written = tags_of(result)
    assert (written[282], written[283], written[296]) == (expected, expected, CENTIMETERS)
    per_inch = expected[0] / expected[1] * 2.54
    assert read(buffer.getvalue()).metadata.dpi == pytest.approx((per_inch, per_inch))
    assert (read(buffer.getvalue()).losses, losses) == ((), ())


@pytest.mark.parametrize("tag", [282, 283])
def test_a_resolution_of_one_side_holds_for_both(read, save_with, write_as, tag):
    content = save_with((tag, TiffTags.RATIONAL, 300.0), (296, TiffTags.SHORT, CENTIMETERS))
    written = tags_of(write_as(content)[0])
    assert (written[282], written[283], written[296]) == ((300, 1), (300, 1), CENTIMETERS)
    assert read(content).metadata.dpi == (762, 762)


@pytest.mark.parametrize(("field_type", "value"), [
    (TiffTags.RATIONAL, 0), (TiffTags.FLOAT, float("nan")), (TiffTags.DOUBLE, 1e300), (TiffTags.SIGNED_RATIONAL, -3.0),
    (TiffTags.ASCII, "300"),
])  # fmt: skip
def test_a_resolution_that_is_none_gives_none_and_is_told(read, save_with, write_as, field_type, value):
    content = save_with((282, field_type, value), (283, field_type, value), (296, TiffTags.SHORT, 2))
    assert read(content).losses == (RESOLUTION_LOSS,)
    assert tags_of(write_as(content)[0])[296] == 1


def test_no_resolution_gives_none_and_nothing_is_told(gray, read, save, write_as):
    content = save(gray, "TIFF")
    assert 282 not in tags_of(content)
    assert tags_of(write_as(content)[0])[296] == 1
    assert read(content).losses == ()


def test_tags_that_tell_how_levels_are_to_be_read_are_told_as_lost(gray, read, save_tiff, write_as):
    tags = [
        (290, 3, 1, 3, True), (291, 3, 256, CURVE.tobytes(), True), (301, 3, 256, CURVE.tobytes(), True),
        (318, 5, 2, (3127, 10_000, 3290, 10_000), True), (319, 5, 6, (16, 25, 1, 3, 3, 10, 6, 10, 1, 7, 1, 17), True),
    ]  # fmt: skip
    content = save_tiff(gray, extratags=tags)
    (loss,) = read(content).losses
    for name in ("GrayResponseUnit", "GrayResponseCurve", "TransferFunction", "WhitePoint", "PrimaryChromaticities"):
        assert name in loss
    result, losses = write_as(content)
    assert not tags_of(result).keys() & {290, 291, 301, 318, 319}
    assert losses == ()
    assert not any("TransferFunction" in loss or "301" in loss for loss in write_as(content, "PNG")[1])


def test_tags_that_describe_the_old_samples_are_told_unless_they_say_what_is_usual(gray, read, save_tiff):
    content = save_tiff(gray, extratags=[(280, 3, 1, 16, True), (281, 3, 1, 235, True), (321, 3, 2, (10, 200), True)])
    (loss,) = read(content).losses
    for name in ("MinSampleValue", "MaxSampleValue", "HalftoneHints"):
        assert name in loss
    usual = save_tiff(gray, extratags=[(263, 3, 1, 1, True), (280, 3, 1, 0, True), (281, 3, 1, 255, True)])
    assert read(usual).losses == ()


def test_how_ycbcr_is_coded_is_no_loss_but_the_range_of_rgb_is(color, read, save_tiff):
    reference = (16, 1, 235, 1) * 3
    plain = save_tiff(color, photometric="rgb", extratags=[(532, 5, 6, reference, True)])
    coded = save_tiff(color, photometric="rgb", compression="jpeg")
    assert 532 in tags_of(coded)
    assert any("ReferenceBlackWhite" in loss for loss in read(plain).losses)
    assert read(coded).losses == ()


def test_photoshops_previews_and_layers_go_and_are_told(gray, iptc, read, save, save_tiff, write_as):
    small = save(gray[:60, :80], "JPEG")
    preview = struct.pack(">6I2H", 1, 80, 60, 240, 14_400, len(small), 24, 1) + small
    captions = to_resource(iptc)
    resources = captions
    for kind in (1033, 1036):
        resources += b"8BIM" + struct.pack(">HHI", kind, 0, len(preview)) + preview + bytes(len(preview) % 2)
    layers = b"Adobe Photoshop Document Data Block\x008BIM"
    tags = [(34377, 1, len(resources), resources, True), (37724, 7, len(layers), layers, True)]
    content = save_tiff(gray, extratags=tags)
    result, losses = write_as(content)
    assert set(read(content).losses) == {THUMBNAIL_LOSS, LAYERS_LOSS}
    assert losses == ()
    assert small not in result
    assert layers not in result
    assert bytes(tags_of(result)[34377]) == captions
    assert read(result).losses == ()
    assert write_as(content, "PNG")[1] == ()


def test_exif_says_srgb_where_it_told_another_color_space(gray, save, write_as):
    block = Image.Exif()
    block[0x8769] = {0xA001: 65535, 0x829A: (1, 250)}
    # Pillow writes the inner directories of EXIF into a TIFF only where it has read them.
    loaded = Image.Exif()
    loaded.load(block.tobytes())
    content = save(gray, "TIFF", exif=loaded)
    for file_format in (None, "PNG", "JPEG"):
        with Image.open(io.BytesIO(write_as(content, file_format)[0])) as result:
            assert result.getexif().get_ifd(0x8769) == {0xA001: 1, 0x829A: (1, 250)}


def test_curves_that_the_exif_of_another_format_tells_are_told_as_lost(gray, save, write_as):
    block = Image.Exif()
    block.update({271: "Plaubel", 318: (0.3127, 0.329)})
    result, losses = write_as(save(gray, "JPEG", exif=block), "TIFF")
    assert 318 not in tags_of(result)
    assert any("WhitePoint" in loss for loss in losses)
