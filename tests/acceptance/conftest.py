"""An archive with everything awkward in it, and what has to become of each file."""

import io
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data
from skimage.color import rgb2gray


@dataclass(frozen=True)
class Awkward:
    """Contents by path, and the state and code that each has to end in."""

    contents: dict[str, bytes]
    expected: dict[str, tuple[str, str]]


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def saved_tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def good_files() -> dict[str, bytes]:
    """Photographs of every accepted kind."""
    color = data.astronaut()[::2, ::2]
    gray = (rgb2gray(data.coffee())[:300, :450] * 255).round().astype(np.uint8)
    deep = (rgb2gray(data.rocket())[::2, ::2] * 65535).round().astype(np.uint16)
    picture, gray_picture = Image.fromarray(color), Image.fromarray(gray)
    alpha = Image.fromarray(np.dstack([gray[:256, :256], np.tile(np.arange(256, dtype=np.uint8), (256, 1))]))
    rotated = Image.Exif()
    rotated[0x0112] = 6
    return {
        "gray.jpg": saved(gray_picture, "JPEG", quality=92),
        "rgb.jpeg": saved(picture.convert("L").convert("RGB"), "JPEG"),
        "gray8.png": saved(gray_picture, "PNG"),
        "gray16.png": saved(Image.fromarray(deep), "PNG"),
        "alpha.png": saved(alpha, "PNG"),
        "gray8.tif": saved_tiff(gray, photometric="minisblack"),
        "gray16.tiff": saved_tiff(deep, photometric="minisblack", compression="lzw"),
        "rgb16.tif": saved_tiff(np.repeat(deep[..., None], 3, axis=2), photometric="rgb", compression="zlib"),
        "rotated.jpg": saved(gray_picture, "JPEG", exif=rotated),
        "a/a.tif": saved_tiff(gray, photometric="minisblack"),
        "a/a.png": saved(gray_picture, "PNG"),
        "case/Photo.jpg": saved(gray_picture, "JPEG"),
        "case/photo.JPG": saved(picture.convert("L"), "JPEG"),
        f"form/{unicodedata.normalize('NFC', 'é')}.jpg": saved(gray_picture, "JPEG"),
        f"form/{unicodedata.normalize('NFD', 'é')}.jpg": saved(picture.convert("L"), "JPEG"),
        "scripts/写真/фото/صورة/תמונה 1.jpg": saved(gray_picture, "JPEG"),
        "deep/" + "/".join("abcdefghij") + "/photo.jpg": saved(gray_picture, "JPEG"),
        "really_a_png.jpg": saved(gray_picture, "PNG"),
        "gray.webp": saved(gray_picture, "WEBP", quality=90),
        "gray.jp2": saved(gray_picture, "JPEG2000"),
        "gray.bmp": saved(gray_picture, "BMP"),
        "gray.avif": saved(gray_picture, "AVIF", quality=90),
        "cmyk.jpg": saved(picture.convert("L").convert("RGB").convert("CMYK"), "JPEG"),
    }


def bad_files(good: dict[str, bytes]) -> dict[str, tuple[bytes, str, str]]:
    """Contents, state and code of what must not come out."""
    jpeg, png = good["gray.jpg"], good["gray8.png"]
    corrupt = bytearray(png)
    corrupt[len(corrupt) // 2 : len(corrupt) // 2 + 64] = bytes(64)
    gif = saved(Image.new("L", (8, 8)), "GIF")
    color = saved(Image.fromarray(data.astronaut()), "JPEG")
    text = saved(Image.fromarray((data.page() > 120).repeat(2, axis=0).repeat(2, axis=1)), "TIFF", compression="group4")
    return {
        "color.jpg": (color, "skipped", "already_color"),
        "text.tif": (text, "skipped", "no_tones"),
        "1x1.png": (saved(Image.new("L", (1, 1), 77), "PNG"), "skipped", "no_tones"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "failed", "truncated_image"),
        "truncated.png": (png[: len(png) // 2], "failed", "truncated_image"),
        "truncated.tif": (good["gray8.tif"][:20_000], "failed", "truncated_image"),
        "corrupt.png": (bytes(corrupt), "failed", "unreadable_image"),
        "empty.jpg": (b"", "failed", "empty_file"),
        "text.jpg": (b"this is no photograph", "failed", "unreadable_image"),
        "animation.gif": (gif, "failed", "unsupported_format"),
        "notes.txt": (b"box 7, 1923", "skipped", "not_an_image"),
        "Thumbs.db": (b"\xd0\xcf\x11\xe0", "skipped", "system_file"),
        "__MACOSX/._gray.jpg": (b"\0\5\x16\7", "skipped", "system_file"),
    }


@pytest.fixture(scope="session")
def awkward(make_zip: Callable[[dict[str, bytes]], bytes]) -> Awkward:
    good = good_files()
    bad = bad_files(good)
    bad["nested.zip"] = (make_zip({"x.jpg": good["gray.jpg"]}), "failed", "nested_archive")
    contents = good | {path: content for path, (content, _, _) in bad.items()}
    expected = dict.fromkeys(good, ("done", "")) | {path: (state, code) for path, (_, state, code) in bad.items()}
    return Awkward(contents, expected)
