import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.errors import ImageError
from core.imaging.codec import decode, encode
from core.imaging.metadata import srgb_profile
from core.imaging.output import ArrayPage, Output


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_samples_of_every_mode_are_those_pillow_reads(color, read, save, mode):
    content = save(Image.fromarray(color).convert(mode), "PNG")
    scan = read(content)
    expected = np.asarray(opened(content).convert("RGB"))
    assert scan.bit_depth == 8
    assert scan.alpha is None
    assert (np.broadcast_to(scan.first.samples.reshape(*expected.shape[:2], -1), expected.shape) == expected).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_stay_16_bits_with_and_without_alpha(channels, read, write_back):
    pixels = np.random.default_rng(channels).integers(0, 65536, (31, 47, channels), np.uint16)
    scan = read(imagecodecs.png_encode(pixels[..., 0] if channels == 1 else pixels))
    result = imagecodecs.png_decode(write_back(imagecodecs.png_encode(pixels.squeeze())))
    assert scan.bit_depth == 16
    assert result.dtype == np.uint16
    assert (result[..., :3] == pixels[..., : 3 if channels > 2 else 1]).all()
    if channels in (2, 4):
        assert (result[..., 3] == pixels[..., -1]).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept(color, gray, save, write_back, mode):
    image = Image.fromarray(color[:, :301]).convert(mode)
    image.putalpha(Image.fromarray(gray))
    result = opened(write_back(save(image, "PNG")))
    assert result.mode == "RGBA"
    assert (np.asarray(result)[..., 3] == gray).all()


def test_a_transparent_level_becomes_alpha(gray, save, write_back):
    result = np.asarray(opened(write_back(save(gray, "PNG", transparency=int(gray[0, 0])))))
    assert (result[..., 3] == np.where(gray == gray[0, 0], 0, 255)).all()


def test_texts_exif_and_resolution_are_kept(gray, exif, read, save, write_back):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Hof 3")
    texts.add_itxt("Beschreibung", "Straße, 東京", zip=True)
    content = save(gray, "PNG", pnginfo=texts, exif=exif, dpi=(600, 600))
    result = opened(write_back(content))
    assert result.text == {"Title": "Hof 3", "Beschreibung": "Straße, 東京"}
    assert result.info["exif"] == opened(content).info["exif"]
    assert result.info["dpi"] == pytest.approx((600, 600), abs=0.02)
    assert read(content).metadata.dpi == pytest.approx((600, 600), abs=0.02)
    assert read(content).orientation == 6


def test_chunks_that_describe_the_old_pixels_are_left_out(color, save, write_back):
    content = save(Image.fromarray(color).convert("P"), "PNG", bits=4)
    kinds = [chunk for chunk in (b"PLTE", b"tRNS", b"sBIT", b"bKGD") if chunk in write_back(content)[:200]]
    assert kinds == []


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gray_of_few_bits_fills_8(read, bits):
    levels = 1 << bits
    rows = [bytes([0]) + bytes(np.packbits(_bits_of(np.arange(levels), bits)))] * 2
    header = struct.pack(">IIBBBBB", levels, 2, bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"".join(rows)))
    expected = np.rint(np.arange(levels) * (255 / (levels - 1)))
    assert (read(content + _chunk(b"IEND", b"")).first.samples == expected).all()


def _bits_of(values, bits):
    return (values[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).ravel()


def test_a_palette_with_transparent_colors_becomes_colors_and_alpha(color, save, write_back):
    image = Image.fromarray(color).quantize(32)
    transparency = bytes(range(0, 256, 8))
    result = np.asarray(opened(write_back(save(image, "PNG", transparency=transparency))))
    indices = np.asarray(image)
    assert (result[..., 3] == np.frombuffer(transparency, np.uint8)[indices]).all()
    assert (result[..., :3] == np.asarray(image.convert("RGB"))).all()


def test_every_result_is_tagged_as_srgb_and_by_nothing_else(color, save, write_back):
    plain = save(color, "PNG")
    for chunk in (b"", _chunk(b"gAMA", (55556).to_bytes(4)), _chunk(b"sRGB", b"\0"), _chunk(b"cHRM", bytes(32))):
        result = write_back(plain[:33] + chunk + plain[33:])
        assert opened(result).info["icc_profile"] == srgb_profile()
        assert not any(kind in result[:3000] for kind in (b"gAMA", b"sRGB\0", b"cHRM"))


def test_another_gamma_than_that_of_srgb_is_told(gray, read, save):
    plain = save(gray, "PNG")
    for gamma, told in ((45455, False), (55556, True), (100_000, True)):
        content = plain[:33] + _chunk(b"gAMA", gamma.to_bytes(4)) + plain[33:]
        assert any("gamma" in loss for loss in read(content).losses) is told


@pytest.mark.parametrize("zipped", [False, True])
def test_the_label_takes_the_place_of_the_old_xmp_and_other_texts_stay(
    gray, save, write_as, provenance, xmp_packet, zipped
):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp_packet.decode(), zip=zipped)
    texts.add_itxt("Title", "Hof 3", zip=True)
    result, losses = write_as(save(gray, "PNG", pnginfo=texts), provenance=provenance)
    assert losses == ()
    assert result.count(b"XML:com.adobe.xmp") == 1
    seen = opened(result)
    assert seen.text["Title"] == "Hof 3"
    assert "Straße, 東京" in seen.text["XML:com.adobe.xmp"]
    assert "compositeWithTrainedAlgorithmicMedia" in seen.text["XML:com.adobe.xmp"]


def test_xmp_that_inflates_without_end_is_cut(gray, read, save):
    content = save(gray, "PNG")
    bomb = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(200_000_000))
    assert len(read(content[:33] + _chunk(b"iTXt", bomb) + content[33:]).metadata.portable.xmp) <= 16 * 2**20


def test_a_chunk_of_absurd_size_is_refused(gray, limits, save):
    content = save(gray, "PNG")
    huge = _chunk(b"prVt", bytes(65 * 2**20))
    with pytest.raises(ImageError) as caught:
        decode(io.BytesIO(content[:33] + huge + content[33:]), limits)
    assert caught.value.code == "unreadable_image"


def test_a_profile_that_inflates_without_end_is_cut(gray, read, save):
    content = save(gray, "PNG")
    bomb = b"x\0\0" + zlib.compress(bytes(200_000_000))
    chunk = len(bomb).to_bytes(4) + b"iCCP" + bomb + zlib.crc32(b"iCCP" + bomb).to_bytes(4)
    assert len(read(content[:33] + chunk + content[33:]).metadata.icc_profile) <= 16 * 2**20


def test_an_animation_keeps_its_first_frame_and_its_loss_is_told(color, read, save):
    content = save(color, "PNG", save_all=True, append_images=[Image.fromarray(color[::-1].copy())])
    scan = read(content)
    assert (scan.first.samples == color).all()
    assert any("animation" in loss for loss in scan.losses)


def test_interlaced_files_are_read(read):
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)
    passes = zlib.compress(b"\0\x0a" + b"\0\x14" + b"\0\x1e\x28")
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", passes) + _chunk(b"IEND", b"")
    assert read(content).first.samples.tolist() == [[10, 20], [30, 40]]


def _chunk(kind, data):
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (701, 1203)])
def test_bands_join_to_the_pixels_that_other_programs_read(read, save_tiff, kind, has_alpha, size):
    pixels = np.random.default_rng(7).integers(0, np.iinfo(kind).max, (*size, 4), kind, endpoint=True)
    options = {"extrasamples": ["unassalpha"]} if has_alpha else {}
    pixels = pixels if has_alpha else pixels[..., :3]
    scan = read(save_tiff(np.ascontiguousarray(pixels), photometric="rgb", planarconfig="contig", **options))
    stream = io.BytesIO()
    encode([ArrayPage(scan.first.samples)], scan, Output("PNG"), stream)
    assert (imagecodecs.png_decode(stream.getvalue()) == pixels).all()
    shallow = np.asarray(opened(stream.getvalue()))
    assert shallow.shape == pixels.shape
    assert (shallow == (pixels if kind is np.uint8 else pixels >> 8)).all()


def test_rows_are_written_while_they_come(read, save):
    pixels = np.random.default_rng(1).integers(0, 256, (3000, 1000), np.uint8)
    scan = read(save(pixels, "PNG"))
    stream = io.BytesIO()
    written = []

    class Page(ArrayPage):
        def bands(self):
            for top in range(0, self.height, 100):
                written.append(stream.tell())
                yield self.pixels[top : top + 100]

    encode([Page(np.dstack([pixels] * 3))], scan, Output(), stream)
    assert written[-1] > 0.8 * len(stream.getvalue())
    assert (read(stream.getvalue()).first.samples == pixels[..., None]).all()
