"""PNG files: chunks by hand, so that every one that may stay is carried over as it is.

Pixels are read by libpng (imagecodecs) and written band by band. Pillow is not used for them because it reads 16-bit
color as 8-bit.
"""

from collections.abc import Sequence
from typing import BinaryIO

import imagecodecs

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.output import ColorPage, Output
from core.imaging.png_chunks import (
    SIGNATURE,
    chunk_losses,
    foreign_chunks,
    own_chunks,
    profile_chunk,
    read_chunks,
    read_header,
    read_metadata,
    serialize,
    truncated,
)
from core.imaging.png_pixels import header_chunk, pixel_chunks
from core.imaging.profiles import tone_of
from core.imaging.samples import split_alpha
from core.imaging.scan import ImageLimits, Page, Probe, Scan

ANIMATION_LOSS = "the further frames of an animation"


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the header. Raises ImageError as codec.probe says."""
    width, height, bits = read_header(stream)
    limits.check_pixels(width * height)
    return Probe.of("PNG", width, height, 16 if bits == 16 else 8)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    probe(stream, limits)
    chunks = read_chunks(stream)
    metadata = read_metadata(chunks)
    losses = chunk_losses(chunks) + (ANIMATION_LOSS,) * any(kind == b"acTL" for kind, _ in chunks)
    stream.seek(0)
    try:
        samples = imagecodecs.png_decode(stream.read())
    except (imagecodecs.PngError, ValueError) as error:
        raise _refusal(str(error)) from error
    color, alpha = split_alpha(samples)
    tone, tone_losses = tone_of(metadata.icc_profile, gray=color.ndim == 2)
    return Scan("PNG", (Page(color, alpha, metadata, tone),), (*tone_losses, *losses))


def _refusal(reason: str) -> ImageError:
    if "too small" in reason or "Not enough" in reason or "truncated" in reason:
        return truncated()
    return ImageError("unreadable_image", f"The PNG is damaged: {reason}.")


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """A PNG of the same bit depth, with alpha."""
    metadata = scan.metadata
    chunks, losses = own_chunks(metadata, output) if scan.format == "PNG" else foreign_chunks(metadata, output)
    head = [header_chunk(pages[0], has_alpha=scan.alpha is not None), profile_chunk(meta.srgb_profile()), *chunks]
    stream.write(SIGNATURE + serialize(head))
    for chunk in pixel_chunks(pages[0], scan.alpha):
        stream.write(serialize([chunk]))
    stream.write(serialize([(b"IEND", b"")]))
    return losses
