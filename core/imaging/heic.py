"""HEIC files, read by libheif (pillow-heif). There is no encoder here: results get another format.

pillow-heif is kept well, and its own code is under the BSD license; but its wheels hold x265, which is under GPL 2, so
it is an extra that a person chooses to install, and nothing is ever coded with it. Without it, HEIC is not accepted.
Its plugin for Pillow is not registered: that would change what Pillow does everywhere.

The pixels come turned as irot and imir ask for, so every scan is upright; what EXIF says of orientation is to be
ignored in HEIC, and is put right in results.

Source: ISO/IEC 23008-12 (HEIF), MIAF.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.avif_metadata import NCLX_LOSS, TRANSFERS_NOT_FOR_SCREENS, are_srgb
from core.imaging.heif_items import read_items
from core.imaging.isobmff import has_credentials
from core.imaging.metadata import Metadata, Portable
from core.imaging.profiles import tone_of
from core.imaging.samples import split_alpha, stretch
from core.imaging.scan import ImageLimits, Page, Probe, Scan

if TYPE_CHECKING:
    from pillow_heif import HeifFile

FURTHER_LOSS = "the further pictures of the file"
AUXILIARY_LOSS = "the pictures beside the main one (depth, gain map)"


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the items. Raises ImageError as codec.probe says."""
    with _opened(stream, limits) as file:
        width, height = file.size
        return Probe.of("HEIC", width, height, 8 if _bits(file) == 8 else 16)


@contextmanager
def _opened(stream: BinaryIO, limits: ImageLimits) -> Iterator["HeifFile"]:
    """A file whose pixels are not decoded yet; libheif's failures come out as ImageError."""
    try:
        import pillow_heif
    except ImportError as error:
        message = "HEIC is not accepted here: it needs the package pillow-heif, which is not installed."
        raise ImageError("unsupported_format", message) from error
    read_items(stream).check_extents(stream)
    stream.seek(0)
    try:
        file = pillow_heif.open_heif(stream, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        width, height = file.size
        limits.check_pixels(width * height)
        yield file
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as error:
        raise _refusal(str(error).strip()) from error


def _refusal(reason: str) -> ImageError:
    if "end of file" in reason:
        return ImageError("truncated_image", "The HEIC ends before its picture does.")
    return ImageError("unreadable_image", f"The HEIC is damaged: {reason[:200]}.")


def _bits(file: "HeifFile") -> int:
    """Significant bits of each sample, which follow the mode: "RGB", "RGBA;10", "L;12"."""
    return int(file.mode.partition(";")[2] or 8)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode the main picture. Raises ImageError as codec.decode says."""
    with _opened(stream, limits) as file:
        _check_color(file)
        width, height = file.size
        pixels = np.asarray(file)
        if pixels.shape[:2] != (height, width):
            raise ImageError("unreadable_image", "The HEIC's picture has another size than its header says.")
        samples, alpha = split_alpha(stretch(pixels, _bits(file)))
        metadata = _read_metadata(file)
        losses = _losses(file)
    losses += (meta.CREDENTIALS_LOSS,) * has_credentials(stream)
    tone, tone_losses = tone_of(metadata.icc_profile, gray=samples.ndim == 2)
    return Scan("HEIC", (Page(samples, alpha, metadata, tone),), (*tone_losses, *losses))


def _check_color(file: "HeifFile") -> None:
    numbers = file.info.get("nclx_profile") or {}
    name = TRANSFERS_NOT_FOR_SCREENS.get(numbers.get("transfer_characteristics", 0))
    if name is not None:
        raise ImageError("unsupported_format", f"HEIC in {name} is not accepted; make it sRGB.")


def _read_metadata(file: "HeifFile") -> Metadata:
    exif, exif_losses = meta.readable_exif(meta.bare_exif(file.info.get("exif") or b""))
    return Metadata(
        icc_profile=file.info.get("icc_profile") or None,
        dpi=meta.exif_dpi(exif),
        portable=Portable(exif, (file.info.get("xmp") or b"").rstrip(b"\0")),
        unportable=exif_losses,
        alpha_kind=1 if file.premultiplied_alpha else 2,
    )


def _losses(file: "HeifFile") -> tuple[str, ...]:
    numbers = file.info.get("nclx_profile") or {}
    told = numbers.get("color_primaries", 2), numbers.get("transfer_characteristics", 2)
    beside = [kind for kind in file.info.get("aux", {}) if "alpha" not in kind]
    losses = {
        FURTHER_LOSS: len(file) > 1,
        NCLX_LOSS: not file.info.get("icc_profile") and not are_srgb(*told),
        AUXILIARY_LOSS: bool(beside or file.info.get("depth_images")),
    }
    return tuple(loss for loss, is_lost in losses.items() if is_lost)
