import io

import imagecodecs
import pytest
from PIL import Image

from core.imaging.avif_metadata import NCLX_LOSS
from core.imaging.metadata import srgb_profile


@pytest.mark.parametrize(("primaries", "transfer", "losses"), [
    (1, 13, ()), (2, 2, ()), (12, 13, (NCLX_LOSS,)), (9, 1, (NCLX_LOSS,)), (1, 4, (NCLX_LOSS,)),
])  # fmt: skip
def test_another_color_space_than_srgb_that_numbers_tell_is_told(color, read, primaries, transfer, losses):
    content = imagecodecs.avif_encode(color[:64, :64], level=90, primaries=primaries, transfer=transfer, matrix=6)
    assert read(bytes(content)).losses == losses


def test_a_profile_goes_before_numbers(color, read, save):
    content = save(color[:64, :64], "AVIF", icc_profile=srgb_profile())
    numbers = content.index(b"nclx") + 4
    content = content[:numbers] + (12).to_bytes(2) + content[numbers + 2 :]
    assert read(content).losses == ()


def test_exif_says_srgb_where_it_told_another_color_space(color, read, save, write_back):
    block = Image.Exif()
    block.update({271: "Plaubel", 0x8769: {0xA001: 65535}})
    content = save(color[:64, :64], "AVIF", exif=block)
    with Image.open(io.BytesIO(write_back(content))) as result:
        assert result.getexif().get_ifd(0x8769) == {0xA001: 1}
        assert result.getexif()[271] == "Plaubel"
    assert read(content).losses == ()
