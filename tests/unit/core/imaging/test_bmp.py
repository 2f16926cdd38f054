import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from core.errors import ImageError
from core.imaging import bmp
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import ArrayPage, Output
from core.imaging.scan import ImageLimits, Page, Scan


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def make_bmp(width, height, bits, pixels, *, compression=0, palette=b"", masks=b"", size=40):
    """A BMP with a header of any kind; pixels are its rows as they are stored."""
    rest = masks if size == 40 else masks.ljust(size - 40, b"\0")
    start = 14 + size + (len(masks) if size == 40 else 0) + len(palette)
    head = struct.pack("<2sIII", b"BM", start + len(pixels), 0, start)
    head += struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return head + rest + palette + pixels


def run_lengths(rows):
    """8-bit rows in RLE8, the bottom one first."""
    coded = b""
    for row in rows[::-1]:
        place = 0
        while place < len(row):
            run = 1
            while run < 255 and place + run < len(row) and row[place + run] == row[place]:
                run += 1
            coded += bytes((run, row[place]))
            place += run
        coded += b"\0\0"
    return coded + b"\0\1"


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


@pytest.fixture
def decoded(limits):
    return lambda content: bmp.decode(io.BytesIO(content), limits)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGB of 16 colors"])
def test_samples_are_those_that_pillow_reads(color, decoded, save, mode):
    image = Image.fromarray(color)
    image = image.quantize(16) if "16" in mode else image.convert(mode)
    content = save(image, "BMP")
    scan = decoded(content)
    expected = np.asarray(opened(content).convert("RGB"))
    assert (scan.format, scan.bit_depth, scan.alpha, scan.losses) == ("BMP", 8, None, ())
    assert (np.broadcast_to(scan.first.samples.reshape(251, 400, -1), expected.shape) == expected).all()
    assert scan.first.samples.ndim == (2 if mode in ("1", "L") else 3)


@pytest.mark.parametrize("levels", [2, 16])
def test_a_palette_of_grays_in_any_order_gives_gray(decoded, levels):
    bits = {2: 1, 16: 4}[levels]
    grays = np.linspace(250, 3, levels).astype(np.uint8)
    palette = b"".join(bytes((g, g, g, 0)) for g in grays)
    indices = np.random.default_rng(0).integers(0, levels, (5, 32), np.uint8)
    planes = np.unpackbits(indices[..., None], axis=2)[..., -bits:].reshape(5, -1)
    content = make_bmp(32, 5, bits, np.packbits(planes[::-1], axis=1).tobytes(), palette=palette)
    assert (decoded(content).first.samples == grays[indices]).all()


@pytest.mark.parametrize("green_bits", [5, 6])
def test_16_bits_per_pixel_are_read(color, decoded, green_bits):
    small = color[:8, :6].astype(np.uint16)
    r, g, b = small[..., 0] >> 3, small[..., 1] >> (8 - green_bits), small[..., 2] >> 3
    values = (r << (5 + green_bits) | g << 5 | b).astype("<u2")
    masks = struct.pack("<III", 0x1F << (5 + green_bits), ((1 << green_bits) - 1) << 5, 0x1F)
    content = make_bmp(6, 8, 16, values[::-1].tobytes(), compression=3, masks=masks)
    assert np.abs(decoded(content).first.samples.astype(int) - small).max() < 8


def test_alpha_is_read_where_the_header_has_a_mask_for_it(color, gray, decoded):
    rgba = np.dstack([color[:, :301], gray])
    scan = decoded(imagecodecs.bmp_encode(rgba))
    assert (scan.first.samples == rgba[..., :3]).all()
    assert (scan.alpha == gray).all()


def test_the_fourth_byte_is_no_alpha_without_a_mask(color, decoded):
    pixels = np.dstack([color[:9, :7, ::-1], np.full((9, 7), 3, np.uint8)])
    scan = decoded(make_bmp(7, 9, 32, pixels[::-1].tobytes()))
    assert scan.alpha is None
    assert (scan.first.samples == color[:9, :7]).all()


def test_top_down_rows_are_read(color, decoded):
    pixels = np.ascontiguousarray(color[:9, :8, ::-1])
    assert (decoded(make_bmp(8, -9, 24, pixels.tobytes())).first.samples == color[:9, :8]).all()


def test_run_lengths_are_read(gray, decoded):
    rows = (gray // 32 * 32)[:40, :50]
    palette = b"".join(bytes((g, g, g, 0)) for g in range(256))
    content = make_bmp(50, 40, 8, run_lengths(rows), compression=1, palette=palette)
    assert (decoded(content).first.samples == rows).all()


def test_old_headers_are_read(color, decoded):
    rows = np.ascontiguousarray(color[:9:, :8, ::-1])[::-1].tobytes()
    content = struct.pack("<2sIIIIHHHH", b"BM", 26 + len(rows), 0, 26, 12, 8, 9, 1, 24) + rows
    assert (decoded(content).first.samples == color[:9, :8]).all()


def test_an_embedded_profile_tells_the_tone(gray, decoded, matrix_profile):
    p3 = ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
    profile = matrix_profile([0, 1], p3)
    rows = np.dstack([gray[:4, :4]] * 3)
    body = bytearray(make_bmp(4, 4, 24, rows[::-1].tobytes(), size=124))
    struct.pack_into("<4s", body, 14 + 56, b"DEBM")
    struct.pack_into("<II", body, 14 + 112, len(body) - 14, len(profile))
    assert decoded(bytes(body) + profile).metadata.icc_profile == profile


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (600, 3), (2, 1030)])
def test_results_are_lossless_and_tagged_as_srgb(size, write_back):
    pixels = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    result = write_back(imagecodecs.bmp_encode(pixels))
    assert (np.asarray(opened(result)) == pixels).all()
    assert (imagecodecs.bmp_decode(result) == pixels).all()
    assert result[14 + 56 : 14 + 60] == b"BGRs"
    assert len(result) == int.from_bytes(result[2:6], "little")


def test_results_have_alpha(color, gray):
    page = Page(gray, gray, Metadata())
    stream = io.BytesIO()
    bmp.encode([ArrayPage(np.ascontiguousarray(color[:, :301]))], Scan("BMP", (page,)), Output(), stream)
    result = opened(stream.getvalue())
    assert result.mode == "RGBA"
    assert (np.asarray(result) == np.dstack([color[:, :301], gray])).all()


def test_the_resolution_is_kept(gray, save, write_back):
    assert opened(write_back(save(gray, "BMP", dpi=(600, 300)))).info["dpi"] == pytest.approx((600, 300), abs=0.02)


def test_that_there_is_no_place_for_the_label_is_told(gray, save, write_as, provenance):
    _, losses = write_as(save(gray, "BMP"), provenance=provenance)
    assert losses == (bmp.LABEL_LOSS,)


def test_pictures_of_other_formats_are_turned_upright_and_what_is_lost_is_told(color, exif, save):
    jpeg = save(color, "JPEG", exif=exif)
    metadata = Metadata(orientation=6, portable=Portable(exif.removeprefix(b"Exif\0\0")))
    stream = io.BytesIO()
    losses = bmp.encode([ArrayPage(color)], Scan("JPEG", (Page(color, None, metadata),)), Output(), stream)
    assert losses == (bmp.METADATA_LOSS,)
    assert opened(stream.getvalue()).size == ImageOps.exif_transpose(opened(jpeg)).size
    assert (np.asarray(opened(stream.getvalue())) == np.rot90(color, -1)).all()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_truncated_files_are_refused(color, limits, save, share, mode):
    content = save(Image.fromarray(color).convert(mode), "BMP")
    assert refusal(bmp.decode, content[: int(len(content) * share)], limits) == "truncated_image"


@pytest.mark.parametrize("share", [0.6, 0.9, 0.995])
def test_truncated_run_lengths_are_refused(gray, limits, share):
    palette = b"".join(bytes((g, g, g, 0)) for g in range(256))
    content = make_bmp(301, 251, 8, run_lengths(gray), compression=1, palette=palette)
    assert refusal(bmp.decode, content[: int(len(content) * share)], limits) == "truncated_image"


@pytest.mark.parametrize("kind", ["RGB", "palette", "alpha", "run lengths"])
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, save, kind):
    small = np.ascontiguousarray(color[:64, :96])
    content = {
        "RGB": lambda: save(small, "BMP"),
        "palette": lambda: save(Image.fromarray(small).quantize(16), "BMP"),
        "alpha": lambda: bytes(imagecodecs.bmp_encode(np.dstack([small, small[..., 0]]))),
        "run lengths": lambda: make_bmp(96, 64, 8, run_lengths(small[..., 0]), compression=1, palette=bytes(1024)),
    }[kind]()
    outcomes = decode_damaged(bmp.decode, content, head_bytes=60)
    assert outcomes <= {"BMP", "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert outcomes & {"unreadable_image", "truncated_image"}


def test_too_many_pixels_are_refused_from_the_header(gray, save):
    content = save(gray, "BMP")
    limits = ImageLimits(251 * 301 - 1, 10**9)
    assert refusal(bmp.probe, content, limits) == refusal(bmp.decode, content, limits) == "too_many_pixels"


def test_the_same_pixels_encode_to_the_same_bytes(color, save, write_back):
    content = save(color, "BMP")
    assert write_back(content) == write_back(content)
