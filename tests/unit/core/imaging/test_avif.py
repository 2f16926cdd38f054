import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from core.errors import ImageError
from core.imaging import avif, avif_pictures, lab, xmp
from core.imaging.avif_metadata import IPTC_LOSS
from core.imaging.heif_items import read_bytes
from core.imaging.metadata import THUMBNAIL_LOSS, Metadata, Portable, srgb_profile
from core.imaging.output import ArrayPage, Output
from core.imaging.scan import ImageLimits, Page, Scan


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def seen(content):
    """The pixels as Pillow shows them: turned."""
    return np.asarray(ImageOps.exif_transpose(opened(content)))


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


def oriented(orientation):
    block = Image.Exif()
    block[274] = orientation
    block[271] = "Plaubel"
    return block.tobytes()


@pytest.fixture
def decoded(limits):
    return lambda content: avif.decode(io.BytesIO(content), limits)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_samples_of_8_bits_are_those_that_pillow_reads(color, gray, decoded, save, mode, subsampling):
    image = Image.fromarray(color[:, :301]).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(gray))
    content = save(image, "AVIF", **({"subsampling": subsampling} if mode != "L" else {}))
    scan = decoded(content)
    expected = np.asarray(opened(content)).reshape(251, 301, -1)
    colors = scan.first.samples.reshape(251, 301, -1)
    assert (scan.format, scan.bit_depth, scan.losses) == ("AVIF", 8, ())
    assert colors.shape[2] == (1 if mode == "L" else 3)
    assert (colors == expected[..., : colors.shape[2]]).all()
    assert (scan.alpha is None) if mode != "RGBA" else (scan.alpha == expected[..., 3]).all()


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_10_and_12_bits_become_16_and_come_back(decoded, write_back, bits, channels):
    top = 2**bits - 1
    shape = (64, 80) if channels == 1 else (64, 80, channels)
    levels = np.random.default_rng(bits).integers(0, top, shape, np.uint16, endpoint=True)
    content = imagecodecs.avif_encode(levels, level=100, bitspersample=bits)
    scan = decoded(content)
    assert scan.bit_depth == 16
    assert (scan.first.samples == np.rint((levels if channels < 4 else levels[..., :3]) * (65535 / top))).all()
    if channels > 1:
        again = imagecodecs.avif_decode(write_back(content))
        assert (again == levels).all()
        assert read_bytes(write_back(content))[1].primary_item().property(b"pixi")[4:] == bytes((3, bits, bits, bits))


def test_a_lossless_original_in_rgb_gets_a_lossless_result(color, write_back):
    content = imagecodecs.avif_encode(color, level=100)
    assert (imagecodecs.avif_decode(write_back(content)) == color).all()


def test_a_lossy_original_gets_a_result_of_the_asked_quality_and_full_chroma(color, save, write_as):
    content = save(color, "AVIF", quality=80)
    results = [write_as(content, quality=quality)[0] for quality in (60, 80, 95)]
    assert [len(result) for result in results] == sorted({len(result) for result in results})
    for result in results:
        config = read_bytes(result)[1].primary_item().property(b"av1C")
        assert not config[2] & 0x0C
    assert (np.asarray(opened(write_as(content, quality=100)[0])) == np.asarray(opened(content))).all()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_color_costs_lightness_little_more_than_saving_the_gray_photograph(name, write_as, save):
    color = getattr(data, name)()
    lightness = lab.lightness_from_rgb(color)
    table = lab.lightness_table(256)
    gray = np.searchsorted((table[1:] + table[:-1]) / 2, lightness).astype(np.uint8)
    result, _ = write_as(save(color, "PNG"), "AVIF")
    coded = imagecodecs.avif_encode(
        np.dstack([gray] * 3), level=95, speed=avif_pictures.SPEED, pixelformat="444", matrix=6
    )
    gray_alone = lab.lightness_from_rgb(imagecodecs.avif_decode(coded))
    error = np.abs(lab.lightness_from_rgb(np.asarray(opened(result))) - lightness).mean()
    assert error <= np.abs(gray_alone - table[gray]).mean() + 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_results_are_seen_the_same_way_up(color, decoded, save, write_as, orientation):
    content = save(color, "AVIF", exif=oriented(orientation))
    result, _ = write_as(content, quality=100)
    assert decoded(content).orientation == orientation
    assert decoded(result).orientation == orientation
    assert (seen(result) == seen(content)).all()
    assert (seen(write_as(save(color, "PNG", exif=oriented(orientation)), "AVIF", quality=100)[0]) == seen(
        save(color, "PNG", exif=oriented(orientation))
    )).all()  # fmt: skip


@pytest.mark.parametrize("shape", [(300, 260), (300, 600), (700, 600), (129, 900)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_large_results_are_grids_that_pillow_puts_together(shape, with_alpha, decoded, monkeypatch):
    monkeypatch.setattr(avif_pictures, "MAX_WHOLE_PIXELS", 256 * 256)
    monkeypatch.setattr(avif_pictures, "CELL_EDGE", 256)
    pixels = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    alpha = np.random.default_rng(4).integers(0, 256, shape, np.uint8) if with_alpha else None
    stream = io.BytesIO()
    page = Page(pixels[..., 0], alpha, Metadata(orientation=6))
    avif.encode([ArrayPage(pixels)], Scan("PNG", (page,)), Output(quality=100), stream)
    _, items = read_bytes(stream.getvalue())
    assert items.primary_item().kind == b"grid"
    expected = pixels if alpha is None else np.dstack([pixels, alpha])
    assert (np.asarray(opened(stream.getvalue())) == expected).all()
    scan = decoded(stream.getvalue())
    assert (scan.first.samples == pixels).all()
    assert (scan.alpha is None) if alpha is None else (scan.alpha == alpha).all()
    assert (scan.orientation, scan.losses) == (6, ())


def test_exif_and_xmp_are_kept_byte_for_byte(color, exif, decoded, save, write_back, xmp_packet):
    block = exif.removeprefix(b"Exif\0\0")
    content = save(color, "AVIF", exif=block, xmp=xmp_packet)

    def payloads(data):
        stream, items = read_bytes(data)
        return {item.kind: items.data(stream, item, 10**6) for item in items.items.values() if item.kind != b"av01"}

    assert payloads(write_back(content)) == payloads(content)
    assert decoded(content).metadata.portable.xmp == xmp_packet
    assert opened(write_back(content)).getexif()[271] == "Plaubel"


def test_a_thumbnail_in_exif_is_left_out_and_told(color, decoded, save, write_back):
    maker = struct.pack("<HHI4s", 271, 2, 4, b"Abc\0")
    linked = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + maker + struct.pack("<IHHHIII", 26, 1, 513, 4, 1, 40, 0)
    content = save(color, "AVIF", exif=linked)
    assert decoded(content).losses == (THUMBNAIL_LOSS,)
    assert linked[:22] + bytes(4) + linked[26:] in write_back(content)


def test_the_label_joins_the_xmp_and_results_say_that_they_are_srgb(color, save, write_as, xmp_packet, provenance):
    result, losses = write_as(save(color, "AVIF", xmp=xmp_packet), provenance=provenance)
    assert opened(result).info["xmp"] == xmp.label(xmp_packet, provenance)
    assert losses == ()
    assert opened(result).info["icc_profile"] == srgb_profile()
    assert read_bytes(result)[1].primary_item().property(b"colr", b"nclx")[:8] == b"nclx" + struct.pack(">HH", 1, 13)


def test_a_profile_tells_the_tone(color, decoded, save, matrix_profile):
    p3 = ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
    profile = matrix_profile(np.linspace(0, 1, 17) ** 2.2, p3)
    scan = decoded(save(color, "AVIF", icc_profile=profile))
    assert scan.metadata.icc_profile == profile
    assert np.abs(scan.lightness - lab.lightness_from_rgb(scan.first.samples)).max() > 1


def test_levels_for_hdr_screens_are_refused(color, limits):
    content = imagecodecs.avif_encode(color, level=90, primaries=9, transfer=16, matrix=6)
    assert refusal(avif.probe, content, limits) == refusal(avif.decode, content, limits) == "unsupported_format"


def test_results_of_other_formats_carry_what_avif_can_hold(color, decoded, exif, xmp_packet, iptc):
    metadata = Metadata(dpi=(300.0, 300.0), portable=Portable(exif.removeprefix(b"Exif\0\0"), xmp_packet, iptc))
    stream = io.BytesIO()
    losses = avif.encode([ArrayPage(color)], Scan("TIFF", (Page(color, None, metadata),)), Output(), stream)
    again = decoded(stream.getvalue()).metadata
    assert losses == (IPTC_LOSS,)
    assert again.dpi == pytest.approx((300, 300))
    assert (again.orientation, again.portable.xmp) == (1, xmp_packet)


def test_that_16_bits_become_12_is_told(save_tiff, write_as):
    pixels = np.random.default_rng(2).integers(0, 65536, (31, 47, 3), np.uint16)
    result, losses = write_as(save_tiff(pixels, photometric="rgb"), "AVIF", quality=100)
    assert losses == (avif.BITS_LOSS,)
    assert (imagecodecs.avif_decode(result) == np.rint(pixels * (4095 / 65535))).all()


def test_of_a_sequence_the_still_picture_is_taken_and_the_loss_is_told(color, decoded):
    content = bytes(imagecodecs.avif_encode(np.stack([color, color[::-1]]), level=100))
    scan = decoded(content)
    assert content[8:12] == b"avis"
    assert (scan.first.samples == color).all()
    assert scan.losses == (avif.SEQUENCE_LOSS,)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_truncated_files_are_refused(color, limits, save, share, mode):
    content = save(Image.fromarray(color).convert(mode), "AVIF")
    assert refusal(avif.decode, content[: int(len(content) * share)], limits) == "truncated_image"


@pytest.mark.parametrize("kind", ["still", "alpha", "12 bits", "sequence"])
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, save, kind, exif):
    small = np.ascontiguousarray(color[:64, :96])
    content = {
        "still": lambda: save(small, "AVIF"),
        "alpha": lambda: save(np.dstack([small, small[..., 0]]), "AVIF", exif=exif),
        "12 bits": lambda: bytes(imagecodecs.avif_encode(small.astype(np.uint16) * 16, level=90, bitspersample=12)),
        "sequence": lambda: bytes(imagecodecs.avif_encode(np.stack([small, small[::-1]]), level=90)),
    }[kind]()
    outcomes = decode_damaged(avif.decode, content, head_bytes=400)
    assert outcomes <= {"AVIF", "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert outcomes & {"unreadable_image", "truncated_image"}


def test_too_many_pixels_are_refused_from_the_header(gray, save):
    content = save(gray, "AVIF")
    limits = ImageLimits(251 * 301 - 1, 10**9)
    assert refusal(avif.probe, content, limits) == refusal(avif.decode, content, limits) == "too_many_pixels"


def test_a_page_past_what_avif_holds_is_refused_and_not_shrunk():
    pixels = np.zeros((1, avif.MAX_EDGE_PX + 1, 3), np.uint8)
    with pytest.raises(ImageError) as caught:
        avif.encode([ArrayPage(pixels)], Scan("PNG", (Page(pixels, None, Metadata()),)), Output("AVIF"), io.BytesIO())
    assert caught.value.code == "too_large_for_format"


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 3)])
def test_results_of_any_size_are_read(size, decoded, write_as, save):
    pixels = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    result, _ = write_as(save(pixels, "PNG"), "AVIF", quality=100)
    assert (decoded(result).first.samples == pixels).all()


def test_the_same_pixels_encode_to_the_same_bytes(color, save, write_back):
    content = save(color, "AVIF", quality=80)
    assert write_back(content) == write_back(content)
