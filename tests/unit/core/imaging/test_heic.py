import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from core.errors import ImageError
from core.imaging import heic, lab
from core.imaging.avif_metadata import NCLX_LOSS
from core.imaging.metadata import Portable, srgb_profile
from core.imaging.orientation import upright
from core.imaging.scan import ImageLimits

pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is an extra")


@pytest.fixture(scope="module")
def make():
    """Write an array by x265."""

    def make(mode, pixels, **options):
        buffer = io.BytesIO()
        pillow_heif.encode(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes(), buffer, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def decoded(limits):
    return lambda content: heic.decode(io.BytesIO(content), limits)


def refusal(call, content, limits):
    with pytest.raises(ImageError) as caught:
        call(io.BytesIO(content), limits)
    return caught.value.code


def oriented(orientation):
    block = Image.Exif()
    block[274] = orientation
    block[271] = "Plaubel"
    return block.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_samples_of_8_bits_are_close_to_what_was_written(color, gray, decoded, make, mode):
    image = Image.fromarray(color[:250, :300]).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(gray[:250, :300]))
    scan = decoded(make(mode, np.asarray(image), quality=95, chroma=444))
    expected = np.asarray(image).reshape(250, 300, -1).astype(int)
    assert (scan.format, scan.bit_depth, scan.losses) == ("HEIC", 8, ())
    assert scan.first.samples.ndim == (2 if mode == "L" else 3)
    assert np.abs(scan.first.samples.reshape(250, 300, -1) - expected[..., : 1 if mode == "L" else 3]).mean() < 2
    assert (scan.alpha is None) if mode != "RGBA" else np.abs(scan.alpha - expected[..., 3]).mean() < 2


@pytest.mark.parametrize("mode", ["L;16", "RGB;16"])
@pytest.mark.parametrize("bits", [10, 12])
def test_10_and_12_bits_become_16(gray, color, decoded, make, limits, mode, bits):
    pixels = (gray if mode == "L;16" else color)[:250, :300].astype(np.uint16) * 257
    content = make(mode, pixels, quality=95, chroma=444, bit_depth=bits)
    scan = decoded(content)
    assert scan.bit_depth == heic.probe(io.BytesIO(content), limits).bit_depth == 16
    assert np.abs(scan.first.samples.astype(int) - pixels).mean() < 2 * 257


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scans_are_upright_whatever_the_file_asks_for(color, decoded, make, limits, orientation):
    content = make("RGB", color[:250], quality=95, chroma=444, exif=oriented(orientation))
    scan = decoded(content)
    found = heic.probe(io.BytesIO(content), limits)
    expected = upright(color[:250], orientation)
    assert scan.orientation == 1
    assert scan.first.samples.shape == expected.shape == (found.height, found.width, 3)
    assert np.abs(scan.first.samples.astype(int) - expected).mean() < 2


def test_results_get_another_format_and_are_seen_the_same_way_up(color, make, write_as):
    content = make("RGB", color[:250], quality=95, chroma=444, exif=oriented(6))
    result = Image.open(io.BytesIO(write_as(content)[0]))
    assert not hasattr(heic, "encode")
    assert result.format == "JPEG"
    assert result.size == (250, 400)
    assert result.getexif()[274] == 1
    assert result.getexif()[271] == "Plaubel"


def test_exif_xmp_and_profile_are_read(color, exif, decoded, make, xmp_packet):
    block = exif.removeprefix(b"Exif\0\0")
    content = make("RGB", color[:250], exif=block, xmp=xmp_packet, icc_profile=srgb_profile(), icc_profile_type="prof")
    metadata = decoded(content).metadata
    assert metadata.portable == Portable(block, xmp_packet)
    assert metadata.icc_profile == srgb_profile()


def test_a_profile_tells_the_tone(color, decoded, make, matrix_profile):
    p3 = ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
    profile = matrix_profile(np.linspace(0, 1, 17) ** 2.2, p3)
    scan = decoded(make("RGB", color[:250], icc_profile=profile, icc_profile_type="prof"))
    assert np.abs(scan.lightness - lab.lightness_from_rgb(scan.first.samples)).max() > 1


def test_levels_for_hdr_screens_are_refused(color, limits, make):
    content = make("RGB", color[:250], color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    assert refusal(heic.decode, content, limits) == "unsupported_format"


@pytest.mark.parametrize(("primaries", "transfer", "losses"), [
    (1, 13, ()), (2, 2, ()), (12, 13, (NCLX_LOSS,)), (9, 1, (NCLX_LOSS,)),
])  # fmt: skip
def test_another_color_space_than_srgb_that_numbers_tell_is_told(color, decoded, make, primaries, transfer, losses):
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    assert decoded(make("RGB", color[:64, :96], **numbers)).losses == losses


def test_a_profile_goes_before_numbers(color, decoded, make):
    profile = {"icc_profile": srgb_profile(), "icc_profile_type": "prof"}
    assert decoded(make("RGB", color[:64, :96], color_primaries=12, **profile)).losses == ()


def test_further_pictures_are_told(color, decoded):
    file = pillow_heif.from_pillow(Image.fromarray(color[:64, :96]))
    file.add_from_pillow(Image.fromarray(color[64:128, :96]))
    buffer = io.BytesIO()
    file.save(buffer)
    assert decoded(buffer.getvalue()).losses == (heic.FURTHER_LOSS,)


def test_pillow_itself_is_left_as_it_is(color, make, tmp_path):
    path = tmp_path / "photo.heic"
    path.write_bytes(make("RGB", color[:64, :96]))
    # In a process of its own, since other libraries that the tests use do change Pillow.
    script = (
        "import io, sys\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from core.imaging import heic\nfrom core.imaging.scan import ImageLimits\n"
        "heic.decode(io.BytesIO(Path(sys.argv[1]).read_bytes()), ImageLimits(10**6, 10**6))\n"
        "Image.init()\nsys.exit('HEIF' in Image.OPEN)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


def test_without_the_package_files_are_refused_by_name(color, limits, make, monkeypatch):
    content = make("RGB", color[:64, :96])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="pillow-heif") as caught:
        heic.probe(io.BytesIO(content), limits)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize("options", [{}, {"tile_size": 128}])
def test_truncated_files_are_refused(color, limits, make, share, options):
    content = make("RGB", color[:250], **options)
    assert refusal(heic.decode, content[: int(len(content) * share)], limits) == "truncated_image"


@pytest.mark.parametrize("kind", ["still", "alpha", "10 bits", "grid"])
def test_damaged_files_never_raise_anything_but_a_coded_refusal(color, decode_damaged, make, kind):
    small = np.ascontiguousarray(color[:64, :96])
    content = {
        "still": lambda: make("RGB", small, exif=oriented(6)),
        "alpha": lambda: make("RGBA", np.dstack([small, small[..., 0]])),
        "10 bits": lambda: make("L;16", small[..., 0].astype(np.uint16) * 257),
        "grid": lambda: make("RGB", small, tile_size=64),
    }[kind]()
    outcomes = decode_damaged(heic.decode, content, head_bytes=400)
    assert outcomes <= {"HEIC", "truncated_image", "unreadable_image", "unsupported_format", "too_many_pixels"}
    assert outcomes & {"unreadable_image", "truncated_image"}


def test_too_many_pixels_are_refused_from_the_header(color, make):
    content = make("RGB", color[:250])
    limits = ImageLimits(250 * 400 - 1, 10**9)
    assert refusal(heic.probe, content, limits) == refusal(heic.decode, content, limits) == "too_many_pixels"
