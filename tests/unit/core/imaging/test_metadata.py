import io

import pytest
from PIL import Image, ImageCms

from core.imaging.metadata import (
    described_as_srgb,
    exif_dpi,
    exif_orientation,
    readable_exif,
    srgb_profile,
    without_thumbnail,
)


def test_the_srgb_profile_is_one_that_littlecms_accepts():
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert profile.profile.xcolor_space.strip() == "RGB"
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_the_srgb_profile_holds_no_time_of_its_making():
    srgb_profile.cache_clear()
    first = srgb_profile()
    srgb_profile.cache_clear()
    assert first == srgb_profile()
    assert first[24:28] == (1999).to_bytes(2) + (10).to_bytes(2)


def test_exif_is_handed_on_without_its_thumbnail_where_it_can_be_read(exif):
    block = exif.removeprefix(b"Exif\0\0")
    assert readable_exif(b"") == (b"", ())
    assert readable_exif(block) == (block, ())
    found, losses = readable_exif(b"II*\0\xff\xff\xff\xff")
    assert found == b""
    assert "EXIF" in losses[0]


@pytest.mark.parametrize(("unit", "expected"), [(2, (300, 150)), (3, (762, 381)), (1, None), (None, (300, 150))])
def test_resolution_is_told_per_inch(unit, expected):
    block = Image.Exif()
    block.update({282: 300.0, 283: 150.0})
    if unit:
        block[296] = unit
    assert exif_dpi(block.tobytes().removeprefix(b"Exif\0\0")) == expected


def test_orientation_of_damaged_exif_is_upright():
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*" + (8).to_bytes(4) + b"\0\5", b"xx" * 20):
        assert exif_orientation(block) == 1
        assert without_thumbnail(block)[: len(block)] == block[: len(block)]


def test_orientation_out_of_range_is_upright():
    for value in (0, 9, 300):
        block = b"MM\0*" + (8).to_bytes(4) + b"\0\1" + b"\x01\x12\0\3\0\0\0\1" + value.to_bytes(2) + bytes(6)
        assert exif_orientation(block) == 1


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("told", [2, 65535])
def test_exif_of_a_result_says_srgb_and_all_else_stays_where_it_is(exif, endian, told):
    block = Image.Exif()
    block.load(exif)
    block.endian = endian
    block.update({258: 8, 262: 1, 277: 1, 0x8769: {0x829A: (1, 250), 0xA001: told, 0xA002: 301}})
    before = block.tobytes().removeprefix(b"Exif\0\0")
    after = described_as_srgb(before)
    seen = Image.Exif()
    seen.load(after)
    assert len(after) == len(before)
    assert seen.get_ifd(0x8769) == {0x829A: (1, 250), 0xA001: 1, 0xA002: 301}
    assert seen.get_ifd(0x8825) == block.get_ifd(0x8825)
    assert (seen[271], seen[274]) == ("Plaubel", 6)
    assert not {258, 262, 277} & dict(seen).keys()
    assert described_as_srgb(after) == after


def test_exif_that_tells_no_color_space_or_cannot_be_read_stays_as_it_is(exif):
    for block in (exif.removeprefix(b"Exif\0\0"), b"", b"II*\0", b"II*\0\xff\xff\xff\xff"):
        assert described_as_srgb(block) == block
