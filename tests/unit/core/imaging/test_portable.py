import io

import pytest
from PIL import Image

from core.imaging.metadata import Metadata, Portable, exif_dpi, exif_orientation
from core.imaging.output import Output
from core.imaging.portable import UNREADABLE_XMP_LOSS, exif_block, labelled


def seen(block):
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + block)
    return tags


@pytest.fixture
def block(exif):
    return exif.removeprefix(b"Exif\0\0")


def test_exif_that_says_all_already_is_handed_on_byte_for_byte(block):
    assert exif_block(Metadata(orientation=6, portable=Portable(block))) == block
    assert exif_block(Metadata()) == b""
    tags = Image.Exif()
    tags.update({274: 6, 282: 600.0, 283: 300.0, 296: 2})
    told = tags.tobytes().removeprefix(b"Exif\0\0")
    assert exif_block(Metadata(orientation=6, dpi=(600.0, 300.0), portable=Portable(told))) == told


def test_orientation_and_resolution_that_exif_lacks_are_added(block):
    result = exif_block(Metadata(orientation=6, dpi=(600.0, 299.72), portable=Portable(block)))
    tags = seen(result)
    assert (tags[274], tags[282], float(tags[283]), tags[296]) == (6, 600, pytest.approx(299.72), 2)
    assert tags[271] == "Plaubel"
    assert tags.get_ifd(0x8769)[0x9003] == "1931:01:02 03:04:05"
    assert tags.get_ifd(0x8825)[2] == (48.0, 8.0, 30.0)


def test_what_was_in_the_block_stays_where_it_was(block):
    result = exif_block(Metadata(orientation=8, portable=Portable(block)))
    assert result[8 : len(block)] == block[8:]
    assert exif_orientation(result) == 8


def test_without_exif_a_block_is_made_for_orientation_and_resolution():
    result = exif_block(Metadata(orientation=3, dpi=(118.11, 118.11)))
    assert exif_orientation(result) == 3
    assert exif_dpi(result) == pytest.approx((118.11, 118.11), abs=0.001)
    with Image.open(io.BytesIO(_jpeg(result))) as image:
        assert image.getexif()[274] == 3


def _jpeg(block):
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", exif=b"Exif\0\0" + block)
    return buffer.getvalue()


def test_xmp_is_labelled_only_where_a_provenance_is_given(xmp_packet, provenance):
    assert labelled(xmp_packet, Output()) == (xmp_packet, ())
    packet, losses = labelled(xmp_packet, Output(provenance=provenance))
    assert b"compositeWithTrainedAlgorithmicMedia" in packet
    assert losses == ()
    assert labelled(b"", Output(provenance=provenance))[1] == ()
    assert labelled(b"nonsense", Output(provenance=provenance))[1] == (UNREADABLE_XMP_LOSS,)
