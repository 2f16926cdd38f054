import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from skimage import data

from core.errors import ImageError
from core.imaging import lab, webp, xmp
from core.imaging.metadata import THUMBNAIL_LOSS, Metadata, Portable, srgb_profile
from core.imaging.output import ArrayPage, Output
from core.imaging.scan import ImageLimits, Page, Scan


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def chunks_of(content):
    """Kinds and data of all chunks, read on their own."""
    found, place = [], 12
    while place < len(content):
        kind, size = struct.unpack_from("<4sI", content, place)
        found.append((kind, content[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    return found


def with_chunk(content, kind, data):
    """The same extended WebP with one more chunk at its end."""
    added = struct.pack("<4sI", kind, len(data)) + data + bytes(len(data) % 2)
    return content[:4] + struct.pack("<I", len(content) - 8 + len(added)) + content[8:] + added


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


def color_mean_error(content, lightness):
    return np.abs(lab.lightness_from_rgb(np.asarray(opened(content).convert("RGB"))) - lightness).mean()


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_samples_are_those_that_pillow_reads(color, gray, limits, save, options, mode):
    image = Image.fromarray(color[:, :301]).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(gray))
    content = save(image, "WEBP", **options)
    scan = webp.decode(io.BytesIO(content), limits)
    expected = np.asarray(opened(content))
    assert (scan.format, scan.bit_depth, scan.losses) == ("WebP", 8, ())
    assert (scan.first.samples == expected[..., :3]).all()
    assert (scan.alpha is None) if mode != "RGBA" else (scan.alpha == gray).all()


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"MM\0*" + bytes(8)}])
def test_probe_tells_the_size_from_every_kind_of_header(color, limits, save, options):
    found = webp.probe(io.BytesIO(save(color, "WEBP", **options)), limits)
    assert (found.format, found.width, found.height, found.bit_depth) == ("WebP", 400, 251, 8)


def test_a_lossless_original_gets_a_lossless_result(color, save, write_back):
    result = write_back(save(color, "WEBP", lossless=True))
    assert (np.asarray(opened(result)) == color).all()
    assert b"VP8L" in dict(chunks_of(result))


def test_a_lossless_result_keeps_colors_under_transparent_pixels(color, save, write_back):
    rgba = np.dstack([color, np.zeros(color.shape[:2], np.uint8)])
    rgba[:10, :, 3] = 255
    result = write_back(save(rgba, "WEBP", lossless=True, exact=True))
    assert (np.asarray(opened(result)) == rgba).all()


def test_alpha_of_a_lossy_original_is_kept_bit_for_bit(color, gray, save, write_back):
    rgba = np.dstack([color[:, :301], gray])
    result = np.asarray(opened(write_back(save(rgba, "WEBP", quality=90))))
    assert (result[..., 3] == gray).all()


def test_a_lossy_original_gets_a_lossy_result_of_the_asked_quality(color, save, write_as):
    content = save(color, "WEBP", quality=90)
    sizes = [len(write_as(content, quality=quality)[0]) for quality in (60, 80, 95)]
    assert sizes == sorted(set(sizes))
    lossless, _ = write_as(content, quality=100)
    assert (np.asarray(opened(lossless)) == np.asarray(opened(content))).all()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_color_costs_lightness_little_more_than_saving_the_gray_photograph(name, limits, write_as, save):
    color = getattr(data, name)()
    table = lab.lightness_table(256)
    gray = np.searchsorted((table[1:] + table[:-1]) / 2, lab.lightness_from_rgb(color)).astype(np.uint8)
    lightness = lab.lightness_from_rgb(color)
    result, _ = write_as(save(color, "PNG"), "WebP")
    gray_alone = imagecodecs.webp_encode(np.dstack([gray] * 3), level=95, lossless=False)
    assert color_mean_error(result, lightness) <= color_mean_error(gray_alone, table[gray]) + 0.1


def test_exif_xmp_and_unknown_chunks_are_kept_byte_for_byte(color, exif, limits, save, write_back, xmp_packet):
    content = with_chunk(save(color, "WEBP", exif=exif.removeprefix(b"Exif\0\0"), xmp=xmp_packet), b"aRCH", b"\1\2\3")
    before, after = dict(chunks_of(content)), dict(chunks_of(write_back(content)))
    assert {kind: before[kind] for kind in (b"EXIF", b"XMP ", b"aRCH")} == {
        kind: after[kind] for kind in (b"EXIF", b"XMP ", b"aRCH")
    }
    scan = webp.decode(io.BytesIO(content), limits)
    assert scan.orientation == 6
    assert scan.metadata.portable.xmp == xmp_packet
    assert opened(write_back(content)).getexif()[271] == "Plaubel"


def test_every_result_is_tagged_as_srgb_and_a_profile_tells_the_tone(color, limits, save, write_back, matrix_profile):
    p3 = matrix_profile(
        np.linspace(0, 1, 17) ** 2.2, ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
    )
    content = save(color, "WEBP", lossless=True, icc_profile=p3)
    scan = webp.decode(io.BytesIO(content), limits)
    assert scan.metadata.icc_profile == p3
    assert np.abs(scan.lightness - lab.lightness_from_rgb(color)).max() > 1
    assert opened(write_back(content)).info["icc_profile"] == srgb_profile()
    assert opened(write_back(save(color, "WEBP"))).info["icc_profile"] == srgb_profile()


def test_the_label_joins_the_xmp_and_nothing_else_changes(color, save, write_as, xmp_packet, provenance):
    content = save(color, "WEBP", xmp=xmp_packet)
    result, losses = write_as(content, provenance=provenance)
    assert dict(chunks_of(result))[b"XMP "] == xmp.label(xmp_packet, provenance)
    assert losses == ()
    unlabelled, _ = write_as(content)
    assert [c for c in chunks_of(result) if c[0] != b"XMP "] == [c for c in chunks_of(unlabelled) if c[0] != b"XMP "]


def test_results_of_other_formats_carry_what_webp_can_hold(color, exif, save, write_as, xmp_packet, iptc):
    content = save(color, "PNG", exif=exif, dpi=(300, 300))
    result, losses = write_as(content, "WebP")
    again = opened(result)
    assert again.getexif()[274] == 6
    assert again.getexif()[282] == pytest.approx(300, abs=0.1)
    assert losses == ()
    page = Page(color, None, Metadata(portable=Portable(xmp=xmp_packet, iptc=iptc)))
    stream = io.BytesIO()
    losses = webp.encode([ArrayPage(color)], Scan("TIFF", (page,)), Output(), stream)
    assert opened(stream.getvalue()).info["xmp"] == xmp_packet
    assert losses == (webp.IPTC_LOSS,)


def test_a_thumbnail_in_exif_is_left_out_and_told(color, limits, save, write_back):
    maker = struct.pack("<HHI4s", 271, 2, 4, b"Abc\0")
    thumbnail = struct.pack("<HHHII", 1, 513, 4, 1, 40)
    linked = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + maker + struct.pack("<I", 26) + thumbnail + bytes(8)
    content = save(color, "WEBP", exif=linked)
    assert dict(chunks_of(content))[b"EXIF"] == linked
    assert webp.decode(io.BytesIO(content), limits).losses == (THUMBNAIL_LOSS,)
    kept = dict(chunks_of(write_back(content)))[b"EXIF"]
    assert kept == linked[:22] + bytes(4) + linked[26:]


def test_exif_says_that_the_result_is_srgb(color, limits, save, write_back):
    block = Image.Exif()
    block[0x010F] = "Leica"
    block.get_ifd(0x8769)[0xA001] = 65535
    content = save(color, "WEBP", exif=block)
    kept = opened(write_back(content)).getexif()
    assert (kept[0x010F], kept.get_ifd(0x8769)[0xA001]) == ("Leica", 1)
    assert webp.decode(io.BytesIO(content), limits).losses == ()


def test_of_an_animation_the_first_frame_is_taken_and_the_loss_is_told(color, limits, save):
    frames = [Image.fromarray(color), Image.fromarray(color[::-1].copy())]
    content = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    scan = webp.decode(io.BytesIO(content), limits)
    assert (scan.first.samples == color).all()
    assert scan.losses == (webp.ANIMATION_LOSS,)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "xmp": b"<x/>"}])
def test_truncated_files_are_refused(color, limits, save, share, options):
    content = save(color, "WEBP", **options)
    assert refusal(webp.decode, content[: int(len(content) * share)], limits) == "truncated_image"


@pytest.mark.parametrize("kind", ["still", "alpha", "animation"])
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, save, kind):
    small = np.ascontiguousarray(color[:64, :96])
    content = {
        "still": lambda: save(small, "WEBP", lossless=True),
        "alpha": lambda: save(np.dstack([small, small[..., 0]]), "WEBP", quality=80, exif=b"MM\0*" + bytes(8)),
        "animation": lambda: save(
            Image.fromarray(small), "WEBP", save_all=True, append_images=[Image.fromarray(small[::-1].copy())]
        ),
    }[kind]()
    outcomes = decode_damaged(webp.decode, content)
    assert outcomes <= {"WebP", "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert outcomes & {"unreadable_image", "truncated_image"}


def test_too_many_pixels_are_refused_from_the_header(gray, save):
    content = save(gray, "WEBP")
    limits = ImageLimits(251 * 301 - 1, 10**9)
    assert refusal(webp.probe, content, limits) == refusal(webp.decode, content, limits) == "too_many_pixels"


def test_a_page_past_what_webp_holds_is_refused_and_not_shrunk():
    pixels = np.zeros((2, webp.MAX_EDGE_PX + 1, 3), np.uint8)
    scan = Scan("PNG", (Page(pixels[..., 0], None, Metadata()),))
    with pytest.raises(ImageError) as caught:
        webp.encode([ArrayPage(pixels)], scan, Output("WebP"), io.BytesIO())
    assert caught.value.code == "too_large_for_format"
    stream = io.BytesIO()
    webp.encode([ArrayPage(pixels[:, 1:])], Scan("PNG", (Page(pixels[:, 1:, 0], None, Metadata()),)), Output(), stream)
    assert opened(stream.getvalue()).size == (webp.MAX_EDGE_PX, 2)


def test_a_lossless_original_past_the_memory_limit_is_written_lossy_and_told(color, save, write_as, monkeypatch):
    monkeypatch.setattr(webp, "MAX_LOSSLESS_PIXELS", color.shape[0] * color.shape[1] - 1)
    result, losses = write_as(save(color, "WEBP", lossless=True))
    assert losses == (webp.LOSSLESS_LOSS,)
    assert b"VP8 " in dict(chunks_of(result))


def test_the_same_pixels_encode_to_the_same_bytes(color, save, write_back):
    content = save(
        color, "WEBP", quality=80, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    assert write_back(content) == write_back(content)


def test_a_result_is_seen_the_same_way_up(color, exif, save, write_back):
    content = save(color, "WEBP", lossless=True, exif=exif)
    before, after = (ImageOps.exif_transpose(opened(c)) for c in (content, write_back(content)))
    assert (np.asarray(before) == np.asarray(after)).all()
