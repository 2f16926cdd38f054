"""Photographs, encoders, profiles and limits for the tests of imaging."""

import io
import os
import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from core.errors import ImageError
from core.imaging.codec import ImageLimits, Scan, decode, encode
from core.imaging.output import ArrayPage, Output, Provenance


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
def rgb_pages():
    """The pages of a scan as RGB, ready to be encoded."""

    def rgb_pages(scan):
        return [ArrayPage(p.samples if p.samples.ndim == 3 else np.dstack([p.samples] * 3)) for p in scan.pages]

    return rgb_pages


@pytest.fixture(scope="session")
def write_as(read, rgb_pages):
    """Decode bytes and encode the same pixels again as RGB; gives the bytes and what was lost."""

    def write_as(content, file_format=None, **options):
        scan = read(content)
        stream = io.BytesIO()
        losses = encode(rgb_pages(scan), scan, Output(file_format, **options), stream)
        return stream.getvalue(), losses

    return write_as


@pytest.fixture(scope="session")
def write_back(write_as):
    """Decode bytes and encode the same pixels again as RGB, in the same format and without a label."""

    def write_back(content):
        return write_as(content)[0]

    return write_back


@pytest.fixture(scope="session")
def provenance():
    """What a label tells."""
    return Provenance("Gray2Hue 0.1.0", "seed-1", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture(scope="session")
def iptc():
    """IPTC-IIM records: the coding of texts, and a caption."""
    return b"\x1c\x01\x5a\0\x03\x1b%G" + b"\x1c\x02\x78\0\x06Hof \xc2\xb3"


@pytest.fixture(scope="session")
def xmp_packet():
    """XMP with a title."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:source>Straße, 東京</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.fixture(scope="session")
def build_profile():
    """Put an ICC profile of version 2 together by hand."""

    def build_profile(space, tags, device=b"mntr", pcs=b"XYZ ", name="Test profile"):
        text = name.encode() + b"\0"
        description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
        white = b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249)
        all_tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": white, **tags}
        table, data = struct.pack(">I", len(all_tags)), b""
        start = 128 + 4 + 12 * len(all_tags)
        for kind, value in all_tags.items():
            table += struct.pack(">4sII", kind, start + len(data), len(value))
            data += value + bytes(-len(value) % 4)
        head = struct.pack(">I4sI4s4s4s", start + len(data), b"test", 0x02100000, device, space, pcs)
        head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
        return head.ljust(128, b"\0") + table + data

    return build_profile


def _fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


@pytest.fixture(scope="session")
def curve():
    """An ICC curve of equally spaced values 0..1."""

    def curve(values):
        return (
            b"curv"
            + bytes(4)
            + struct.pack(f">I{len(values)}H", len(values), *np.rint(np.multiply(values, 65535)).astype(int))
        )

    return curve


@pytest.fixture(scope="session")
def matrix_profile(build_profile, curve):
    """An RGB profile of three curves and colorants, as XYZ under D50."""

    def matrix_profile(values, colorants, name="Test profile"):
        tags = {kind + b"TRC": curve(values) for kind in (b"r", b"g", b"b")}
        tags |= {
            k + b"XYZ": b"XYZ " + bytes(4) + _fixed(*c) for k, c in zip((b"r", b"g", b"b"), colorants, strict=True)
        }
        return build_profile(b"RGB ", tags, name=name)

    return matrix_profile


@pytest.fixture(scope="session")
def table_profile(build_profile):
    """A profile that is a table of CIELAB colors, one for each corner of RGB's or CMYK's cube."""

    def table_profile(space, lab_of_corner):
        channels = 3 if space == b"RGB " else 4
        corners = np.stack(np.meshgrid(*[[0, 1]] * channels, indexing="ij"), -1).reshape(-1, channels)
        encoded = [
            (round(lightness * 652.8), round((a + 128) * 256), round((b + 128) * 256))
            for lightness, a, b in (lab_of_corner(*corner) for corner in corners)
        ]
        lut = b"mft2" + bytes(4) + bytes((channels, 3, 2, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
        lut += struct.pack(">HH", 2, 2) + struct.pack(">2H", 0, 65535) * channels
        lut += b"".join(struct.pack(">3H", *color) for color in encoded) + struct.pack(">2H", 0, 65535) * 3
        return build_profile(space, {b"A2B0": lut}, device=b"scnr" if channels == 3 else b"prtr", pcs=b"Lab ")

    return table_profile


@pytest.fixture(scope="session")
def photos():
    """The folder of further photographs."""
    folder = os.environ.get("GRAY2HUE_PHOTOS")
    if not folder:
        pytest.skip("GRAY2HUE_PHOTOS names no folder of photographs")
    return Path(folder)


@pytest.fixture(scope="session")
def decode_damaged(limits):
    """Damage a file 400 times, half of it within head_bytes where given, and decode it: the formats and codes met."""

    def decode_damaged(decode_file, content, head_bytes=None):
        chance = np.random.default_rng(7)
        outcomes = set()
        for _ in range(400):
            damaged = bytearray(content)
            for _ in range(int(chance.choice((1, 3, 30)))):
                whole = head_bytes is None or chance.random() < 0.5
                damaged[chance.integers(len(damaged) if whole else head_bytes)] = chance.integers(256)
            try:
                outcomes.add(decode_file(io.BytesIO(bytes(damaged)), limits).format)
            except ImageError as error:
                outcomes.add(error.code)
        return outcomes

    return decode_damaged
