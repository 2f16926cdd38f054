import io
import struct
import zlib

import pytest
from PIL import ExifTags, Image

from core.imaging.metadata import THUMBNAIL_LOSS
from core.imaging.png_chunks import CHROMATICITIES_LOSS, GAMMA_LOSS

SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_PRIMARIES = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def with_chunks(content, *chunks):
    """A PNG with further chunks behind its header."""
    coded = b"".join(len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks)
    return content[:33] + coded + content[33:]


def kinds_of(content):
    place, found = 8, []
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        found.append(kind)
        place += 12 + size
    return found


def exif_with(thumbnail):
    """EXIF with orientation 6, and a second directory that points to a JPEG."""
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 274, 3, 1, 6, 0, 26)
    block += struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 56, 514, 4, 1, len(thumbnail), 0)
    return block + thumbnail


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_thumbnail_inside_exif_goes_and_is_told(gray, read, save, write_as, prefix):
    content = with_chunks(save(gray, "PNG"), (b"eXIf", prefix + exif_with(save(gray[:60, :60], "JPEG"))))
    assert opened(content).getexif().get_ifd(ExifTags.IFD.IFD1)
    assert read(content).losses == (THUMBNAIL_LOSS,)
    for file_format in (None, "JPEG"):
        result, losses = write_as(content, file_format)
        assert losses == ()
        assert opened(result).getexif().get_ifd(ExifTags.IFD.IFD1) == {}
        assert opened(result).getexif()[274] == 6


def test_exif_says_srgb_where_it_told_another_color_space(gray, exif, read, save, write_back):
    block = Image.Exif()
    block.load(exif)
    block[0x8769] = {0xA001: 65535}
    content = save(gray, "PNG", exif=block)
    assert opened(write_back(content)).getexif().get_ifd(0x8769) == {0xA001: 1}
    assert read(content).losses == ()


def test_chunks_that_depend_on_the_old_pixels_go_and_are_told(gray, read, save, write_as):
    gone = {
        b"sBIT": b"\6", b"bKGD": b"\0\xc8", b"sCAL": b"\x01" + b"0.001\x000.001",
        b"pCAL": b"x\0" + struct.pack(">iiBB", 0, 255, 0, 2) + b"u\x000\x001",
    }  # fmt: skip
    kept = {b"oFFs": struct.pack(">iiB", 3, 4, 0), b"tIME": struct.pack(">H5B", 2001, 1, 1, 1, 1, 1)}
    content = with_chunks(save(gray, "PNG"), *gone.items(), *kept.items())
    losses = read(content).losses
    assert len(losses) == len(gone)
    for kind in gone:
        assert any(kind.decode() in loss for loss in losses)
    result, _ = write_as(content)
    assert not gone.keys() & set(kinds_of(result))
    assert kept.keys() <= set(kinds_of(result))


@pytest.mark.parametrize("options", [
    {"pixels": "P", "transparency": 3}, {"pixels": "L", "transparency": 3}, {"pixels": "RGBA"}, {"pixels": "1"},
])  # fmt: skip
def test_nothing_is_told_of_palettes_and_transparency(color, read, save, options):
    content = save(Image.fromarray(color).convert(options.pop("pixels")), "PNG", **options)
    assert read(content).losses == ()


@pytest.mark.parametrize(("chunks", "losses"), [
    ([(b"cHRM", SRGB_PRIMARIES)], ()), ([(b"cHRM", P3_PRIMARIES)], (CHROMATICITIES_LOSS,)),
    ([(b"cHRM", P3_PRIMARIES), (b"gAMA", (100_000).to_bytes(4))], (GAMMA_LOSS, CHROMATICITIES_LOSS)),
    ([(b"cHRM", P3_PRIMARIES), (b"sRGB", b"\0")], ()), ([(b"cHRM", b"short")], ()),
])  # fmt: skip
def test_other_primaries_than_those_of_srgb_are_told(color, read, save, chunks, losses):
    assert read(with_chunks(save(color, "PNG"), *chunks)).losses == losses
