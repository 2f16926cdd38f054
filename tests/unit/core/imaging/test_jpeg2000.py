import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from skimage import data

from core.errors import ImageError
from core.imaging import jpeg2000, lab, xmp
from core.imaging.isobmff import make_box
from core.imaging.jpeg2000_boxes import EXIF_ID, IPTC_ID, XMP_ID
from core.imaging.jpeg2000_codestream import read_main
from core.imaging.metadata import THUMBNAIL_LOSS, Metadata, Portable
from core.imaging.output import ArrayPage, Output
from core.imaging.scan import ImageLimits, Page, Scan

SIGNATURE = b"\xff\x4f\xff\x51"


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def boxes_of(content):
    """Kinds and contents of the outermost boxes, read on their own."""
    found, place = [], 0
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 16 if size == 1 else 8
        size = struct.unpack_from(">Q", content, place + 8)[0] if size == 1 else size or len(content) - place
        found.append((kind, content[place + head : place + size]))
        place += size
    return found


def with_boxes(content, *boxes, header=b""):
    """The same JP2 with further boxes before its codestream, and in its header."""
    parts = []
    for kind, body in boxes_of(content):
        if kind == b"jp2c":
            parts += [make_box(name, data) for name, data in boxes]
        parts.append(make_box(kind, body + (header if kind == b"jp2h" else b"")))
    return b"".join(parts)


def is_reversible(content):
    return read_main(io.BytesIO(content), content.index(SIGNATURE)).is_reversible


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


@pytest.fixture
def decoded(limits):
    return lambda content: jpeg2000.decode(io.BytesIO(content), limits)


@pytest.mark.parametrize("options", [{}, {"tile_size": (100, 77)}, {"no_jp2": True}, {"irreversible": True}])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_samples_are_those_that_pillow_reads(color, gray, decoded, save, mode, options):
    image = Image.fromarray(color[:, :301]).convert(mode)
    if "A" in mode:
        image.putalpha(Image.fromarray(gray))
    content = save(image, "JPEG2000", **options)
    scan = decoded(content)
    expected = np.asarray(opened(content)).reshape(251, 301, -1)
    colors = scan.first.samples.reshape(251, 301, -1)
    assert (scan.format, scan.bit_depth, scan.losses) == ("JPEG 2000", 8, ())
    assert (colors == expected[..., : colors.shape[2]]).all()
    assert colors.shape[2] == (3 if "RGB" in mode else 1)
    assert (scan.alpha is not None) == ("A" in mode)
    if "A" in mode:
        assert (scan.alpha == expected[..., -1]).all()


def test_tiles_that_begin_anywhere_on_the_grid_are_put_where_they_belong(color, decoded, save):
    content = save(color, "JPEG2000", tile_size=(64, 51), offset=(13, 7), tile_offset=(5, 3), num_resolutions=4)
    assert (decoded(content).first.samples == color).all()


@pytest.mark.parametrize("bits", [1, 4, 7, 8, 9, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_any_depth_are_brought_to_the_full_range(decoded, bits, channels):
    top = 2**bits - 1
    shape = (40, 64) if channels == 1 else (40, 64, 3)
    levels = np.random.default_rng(bits).integers(0, top, shape, endpoint=True)
    levels.flat[:2] = 0, top
    coded = levels.astype(np.uint8 if bits <= 8 else np.uint16)
    scan = decoded(imagecodecs.jpeg2k_encode(coded, reversible=True, bitspersample=bits))
    full = 255 if bits <= 8 else 65535
    assert scan.bit_depth == (8 if bits <= 8 else 16)
    assert (scan.first.samples == np.rint(levels * (full / top))).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2500, 3), (1030, 2051), (1024, 1024)])
def test_a_reversible_original_gets_a_lossless_result_of_the_same_depth(size, kind, decoded, write_back):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (*size, 3), kind, endpoint=True)
    result = write_back(imagecodecs.jpeg2k_encode(pixels, reversible=True))
    again = imagecodecs.jpeg2k_decode(result)
    assert again.dtype == kind
    assert (again == pixels).all()
    assert (decoded(result).first.samples == pixels).all()
    assert is_reversible(result)


def test_pillow_reads_large_results_of_many_tiles(write_back):
    pixels = np.tile(data.coffee(), (3, 4, 1))[:1100, :2100]
    assert (np.asarray(opened(write_back(imagecodecs.jpeg2k_encode(pixels.copy(), reversible=True)))) == pixels).all()


def test_a_lossy_original_gets_a_result_of_the_asked_quality(color, save, write_as):
    content = save(color, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[45])
    results = [write_as(content, quality=quality)[0] for quality in (60, 80, 95)]
    assert not any(map(is_reversible, results))
    assert [len(result) for result in results] == sorted({len(result) for result in results})
    lossless, _ = write_as(content, quality=100)
    assert (np.asarray(opened(lossless)) == np.asarray(opened(content))).all()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_lossy_color_costs_lightness_little_more_than_the_gray_photograph(name, write_as, save):
    color = getattr(data, name)()
    lightness = lab.lightness_from_rgb(color)
    table = lab.lightness_table(256)
    gray = np.searchsorted((table[1:] + table[:-1]) / 2, lightness).astype(np.uint8)
    result, _ = write_as(save(color, "PNG"), "JPEG 2000")
    gray_alone = imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(gray, level=50, reversible=False))
    error = np.abs(lab.lightness_from_rgb(np.asarray(opened(result))) - lightness).mean()
    assert not is_reversible(result)
    assert error <= np.abs(table[gray_alone] - table[gray]).mean() + 0.1


def test_alpha_is_kept_bit_for_bit_also_where_the_original_is_lossy(color, gray, save, decoded, write_back):
    content = save(np.dstack([color[:, :301], gray]), "JPEG2000", irreversible=True, quality_layers=[20])
    result = write_back(content)
    assert opened(result).mode == "RGBA"
    assert (np.asarray(opened(result))[..., 3] == decoded(content).alpha).all()


def test_metadata_boxes_and_resolution_are_kept_byte_for_byte(gray, exif, decoded, save, write_back, xmp_packet, iptc):
    block = exif.removeprefix(b"Exif\0\0")
    kept = [(b"uuid", EXIF_ID + block), (b"uuid", XMP_ID + xmp_packet), (b"uuid", IPTC_ID + iptc)]
    kept += [(b"uuid", bytes(16) + b"geo"), (b"xml ", b"<catalogue/>")]
    resolution = make_box(b"res ", make_box(b"resc", struct.pack(">HHHHbb", 300, 254, 600, 254, 4, 4)))
    content = with_boxes(save(gray, "JPEG2000"), *kept, header=resolution)
    scan = decoded(content)
    result = write_back(content)
    assert sorted(b for b in boxes_of(result) if b[0] in (b"uuid", b"xml ")) == sorted(kept)
    assert resolution in dict(boxes_of(result))[b"jp2h"]
    assert scan.metadata.dpi == pytest.approx((600, 300))
    assert opened(result).info["dpi"] == pytest.approx((600, 300))
    assert scan.orientation == 6
    assert scan.metadata.portable == Portable(block, xmp_packet, iptc)


def test_a_thumbnail_in_exif_is_left_out_and_told(gray, decoded, save, write_back):
    maker = struct.pack("<HHI4s", 271, 2, 4, b"Abc\0")
    linked = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + maker + struct.pack("<IHHHIII", 26, 1, 513, 4, 1, 40, 0)
    content = with_boxes(save(gray, "JPEG2000"), (b"uuid", EXIF_ID + linked))
    assert decoded(content).losses == (THUMBNAIL_LOSS,)
    assert (b"uuid", EXIF_ID + linked[:22] + bytes(4) + linked[26:]) in boxes_of(write_back(content))


def test_exif_says_that_the_result_is_srgb(gray, decoded, save, write_back):
    block = Image.Exif()
    block[0x010F] = "Leica"
    block.get_ifd(0x8769)[0xA001] = 65535
    content = with_boxes(save(gray, "JPEG2000"), (b"uuid", EXIF_ID + block.tobytes().removeprefix(b"Exif\0\0")))
    (told,) = [data for kind, data in boxes_of(write_back(content)) if kind == b"uuid" and data.startswith(EXIF_ID)]
    kept = Image.Exif()
    kept.load(told.removeprefix(EXIF_ID))
    assert (kept[0x010F], kept.get_ifd(0x8769)[0xA001]) == ("Leica", 1)
    assert decoded(content).losses == ()


def test_boxes_that_cannot_stay_are_told(gray, decoded, save):
    content = with_boxes(save(gray, "JPEG2000"), (b"asoc", b"1234"))
    assert decoded(content).losses == ("the box b'asoc'",)


def test_the_label_joins_the_xmp_and_results_say_that_they_are_srgb(gray, save, write_as, xmp_packet, provenance):
    content = with_boxes(save(gray, "JPEG2000"), (b"uuid", XMP_ID + xmp_packet))
    result, losses = write_as(content, provenance=provenance)
    assert [b for b in boxes_of(result) if b[0] == b"uuid"] == [(b"uuid", XMP_ID + xmp.label(xmp_packet, provenance))]
    assert losses == ()
    assert make_box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16)) in dict(boxes_of(result))[b"jp2h"]


def test_bare_codestreams_become_jp2_which_holds_the_label(gray, decoded, save, write_as, provenance):
    result, _ = write_as(save(gray, "JPEG2000", no_jp2=True), provenance=provenance)
    assert result.startswith(b"\0\0\0\x0cjP  ")
    assert (decoded(result).first.samples == gray[..., None]).all()
    assert xmp.is_readable(decoded(result).metadata.portable.xmp)


def test_a_profile_tells_the_tone_and_is_not_applied_to_the_samples(gray, decoded, save, build_profile, curve):
    linear = build_profile(b"GRAY", {b"kTRC": curve([0, 1])})
    content = save(gray, "JPEG2000")
    color = make_box(b"colr", struct.pack(">BBBI", 1, 0, 0, 17))
    assert color in content
    header = dict(boxes_of(content))[b"jp2h"].replace(color, make_box(b"colr", b"\2\0\0" + linear))
    scan = decoded(b"".join(make_box(k, header if k == b"jp2h" else body) for k, body in boxes_of(content)))
    assert (scan.first.samples == gray).all()
    assert scan.metadata.icc_profile == linear
    assert scan.lightness[gray == 128].mean() == pytest.approx(76.2, abs=0.2)


@pytest.mark.parametrize("space", [12, 14, 18])
def test_color_spaces_that_are_none_of_ours_are_refused(color, limits, save, space):
    content = save(color, "JPEG2000")
    changed = content.replace(struct.pack(">BBBI", 1, 0, 0, 16), struct.pack(">BBBI", 1, 0, 0, space))
    assert changed != content
    assert refusal(jpeg2000.probe, changed, limits) == "unsupported_format"


def test_signed_samples_are_refused(limits, gray):
    content = imagecodecs.jpeg2k_encode(gray.astype(np.int16) - 100, reversible=True)
    assert refusal(jpeg2000.decode, content, limits) == "unsupported_format"


def test_results_of_other_formats_carry_what_jp2_can_hold(color, exif, decoded, write_as, save_tiff, xmp_packet, iptc):
    block = exif.removeprefix(b"Exif\0\0")
    metadata = Metadata(orientation=6, dpi=(300.0, 72.5), portable=Portable(block, xmp_packet, iptc))
    stream = io.BytesIO()
    losses = jpeg2000.encode([ArrayPage(color)], Scan("TIFF", (Page(color, None, metadata),)), Output(), stream)
    again = decoded(stream.getvalue()).metadata
    assert losses == ()
    assert again.dpi == pytest.approx((300, 72.5), rel=1e-4)
    assert (again.orientation, again.portable.xmp, again.portable.iptc) == (6, xmp_packet, iptc)


def test_16_bit_tiffs_stay_16_bit(decoded, save_tiff, write_as):
    pixels = np.random.default_rng(2).integers(0, 65536, (31, 47, 3), np.uint16)
    result, _ = write_as(save_tiff(pixels, photometric="rgb"), "JPEG 2000", quality=100)
    assert (decoded(result).first.samples == pixels).all()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize("options", [{}, {"tile_size": (64, 64)}, {"no_jp2": True}, {"irreversible": True}])
def test_truncated_files_are_refused(color, limits, save, share, options):
    content = save(color, "JPEG2000", **options)
    assert refusal(jpeg2000.decode, content[: int(len(content) * share)], limits) == "truncated_image"
    assert refusal(jpeg2000.decode, content[:-2], limits) == "truncated_image"


@pytest.mark.parametrize("kind", ["one tile", "many tiles", "codestream"])
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, save, kind):
    options = {"one tile": {}, "many tiles": {"tile_size": (32, 32)}, "codestream": {"no_jp2": True}}[kind]
    content = save(np.ascontiguousarray(color[:64, :96]), "JPEG2000", **options)
    outcomes = decode_damaged(jpeg2000.decode, content, head_bytes=250)
    assert outcomes <= {"JPEG 2000", "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert outcomes & {"unreadable_image", "truncated_image"}


def test_too_many_pixels_are_refused_from_the_header(gray, save):
    content = save(gray, "JPEG2000")
    limits = ImageLimits(251 * 301 - 1, 10**9)
    assert refusal(jpeg2000.probe, content, limits) == refusal(jpeg2000.decode, content, limits) == "too_many_pixels"


def test_a_tile_that_takes_too_much_memory_is_refused_where_small_tiles_are_not(color, limits, save, monkeypatch):
    monkeypatch.setattr(jpeg2000, "MAX_TILE_SAMPLES", color.size - 1)
    assert refusal(jpeg2000.probe, save(color, "JPEG2000"), limits) == "too_many_pixels"
    assert jpeg2000.probe(io.BytesIO(save(color, "JPEG2000", tile_size=(256, 256))), limits).width == 400


def test_the_same_pixels_encode_to_the_same_bytes(color, save, write_back):
    content = save(color, "JPEG2000", irreversible=True)
    assert write_back(content) == write_back(content)
