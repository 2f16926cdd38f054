import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.imaging.metadata import srgb_profile


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


def test_a_profile_for_rgb_stays_and_a_gray_one_becomes_srgb(color, gray, read, save, write_back):
    gray_profile = srgb_profile()[:16] + b"GRAY" + srgb_profile()[20:]
    assert opened(write_back(save(color, "PNG", icc_profile=srgb_profile()))).info["icc_profile"] == srgb_profile()
    content = save(gray, "PNG", icc_profile=gray_profile)
    assert opened(write_back(content)).info["icc_profile"] == srgb_profile()
    assert any("ICC" in loss for loss in read(content).losses)


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
