"""JPEG files: segments by hand, so that every one that may stay is carried over as it is; pixels by libjpeg-turbo."""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.cmyk import rgb_from_cmyk
from core.imaging.jpeg_pixels import read_samples, write_pixels
from core.imaging.jpeg_segments import (
    APP2,
    MPF,
    cut_thumbnail,
    foreign_segments,
    own_segments,
    profile_segments,
    read_header,
    read_metadata,
    without_credentials,
)
from core.imaging.metadata import Metadata
from core.imaging.output import ColorPage, Output
from core.imaging.profiles import tone_of
from core.imaging.scan import ImageLimits, Page, Probe, Scan

LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
MPO_LOSS = "the further pictures of a multi-picture file"


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the header. Raises ImageError as codec.probe says."""
    header = read_header(stream)
    limits.check_pixels(header.width * header.height)
    if header.precision != 8 or header.frame in LOSSLESS_FRAMES:
        message = f"JPEG with {header.precision} bits per sample or lossless coding is not accepted."
        raise ImageError("unsupported_format", message)
    if header.components not in (1, 3, 4):
        raise ImageError("unsupported_format", f"JPEG with {header.components} color components is not accepted.")
    return Probe.of("JPEG", header.width, header.height, 8)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    probe(stream, limits)
    header = read_header(stream)
    metadata = read_metadata(header)
    page, losses = _page(read_samples(stream, header), metadata)
    if header.payloads(APP2, MPF):
        losses += (MPO_LOSS,)
    if without_credentials(header.segments) != header.segments:
        losses += (meta.CREDENTIALS_LOSS,)
    if any(cut_thumbnail(segment) != segment for segment in header.segments):
        losses += (meta.THUMBNAIL_LOSS,)
    return Scan("JPEG", (page,), losses)


def _page(samples: Samples, metadata: Metadata) -> tuple[Page, tuple[str, ...]]:
    if samples.ndim == 3 and samples.shape[2] == 4:
        # Adobe's programs store inks inverted, and so do all others since.
        rgb, loss = rgb_from_cmyk(samples.astype(np.uint8, copy=False), metadata.icc_profile, inverted=True)
        return Page(rgb, None, metadata), (loss,)
    tone, losses = tone_of(metadata.icc_profile, gray=samples.ndim == 2)
    return Page(samples, None, metadata, tone), losses


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """A JPEG without chroma subsampling."""
    metadata = scan.metadata
    own = scan.format == "JPEG"
    segments, losses = own_segments(metadata, output) if own else foreign_segments(metadata, output)
    place = next((i for i, s in enumerate(segments) if s[0] > APP2), len(segments))
    segments[place:place] = profile_segments(meta.srgb_profile())
    write_pixels(pages[0], output.quality, segments, stream)
    return losses
