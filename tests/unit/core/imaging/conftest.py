"""Photographs, encoders and limits for the tests of imaging."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from core.imaging.codec import ImageLimits, Scan, decode, encode


@pytest.fixture(scope="session")
def limits():
    return ImageLimits(max_pixels=50_000_000, max_bytes=2**30)


@pytest.fixture(scope="session")
def color():
    """A color photograph with an odd size, uint8 (251, 400, 3)."""
    return np.ascontiguousarray(data.coffee()[:251, :400])


@pytest.fixture(scope="session")
def gray():
    """A gray photograph with an odd size, uint8 (251, 301)."""
    return np.ascontiguousarray(data.camera()[100:351, 100:401])


@pytest.fixture(scope="session")
def exif():
    """A real EXIF block: orientation 6, and directories of exposure and place."""
    block = Image.Exif()
    block[271] = "Plaubel"
    block[274] = 6
    block[0x8769] = {0x9003: "1931:01:02 03:04:05", 0x829A: (1, 250)}
    block[0x8825] = {1: "N", 2: (48.0, 8.0, 30.0)}
    return block.tobytes()


@pytest.fixture(scope="session")
def save():
    """Write an array by Pillow."""

    def save(pixels, file_format, **options):
        buffer = io.BytesIO()
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return save


@pytest.fixture(scope="session")
def save_tiff():
    """Write an array by tifffile."""

    def save_tiff(pixels, **options):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, metadata=None, **options)
        return buffer.getvalue()

    return save_tiff


@pytest.fixture(scope="session")
def read(limits):
    """Decode bytes."""

    def read(content) -> Scan:
        return decode(io.BytesIO(content), limits)

    return read


@pytest.fixture(scope="session")
def write_back(read):
    """Decode bytes and encode the same pixels again as RGB."""

    def write_back(content):
        scan = read(content)
        pages = [p.samples if p.samples.ndim == 3 else np.dstack([p.samples] * 3) for p in scan.pages]
        return encode(pages, scan)

    return write_back


@pytest.fixture(scope="session")
def photos():
    """The folder of further photographs."""
    folder = os.environ.get("GRAY2HUE_PHOTOS")
    if not folder:
        pytest.skip("GRAY2HUE_PHOTOS names no folder of photographs")
    return Path(folder)
