import io

from PIL import ImageCms

from core.imaging.metadata import exif_orientation, is_rgb_profile, result_profile, srgb_profile, without_thumbnail


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


def test_only_a_profile_for_rgb_is_kept():
    assert is_rgb_profile(srgb_profile())
    assert not is_rgb_profile(b"RGB ")
    assert result_profile(None) is None
    assert result_profile(b"nonsense") == srgb_profile()


def test_orientation_of_damaged_exif_is_upright():
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*" + (8).to_bytes(4) + b"\0\5", b"xx" * 20):
        assert exif_orientation(block) == 1
        assert without_thumbnail(block)[: len(block)] == block[: len(block)]


def test_orientation_out_of_range_is_upright():
    for value in (0, 9, 300):
        block = b"MM\0*" + (8).to_bytes(4) + b"\0\1" + b"\x01\x12\0\3\0\0\0\1" + value.to_bytes(2) + bytes(6)
        assert exif_orientation(block) == 1
