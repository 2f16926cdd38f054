"""JPEG 2000 files, JP2 and bare codestreams: boxes and tiles by hand, pixels by OpenJPEG (imagecodecs).

Results are JP2, in tiles of 1024 pixels, which keeps memory bounded. They are lossless where the original was coded
with the reversible wavelet, or where quality 100 is asked for; else each tile gets a fixed signal-to-noise ratio, 50 dB
at quality 95. On 8 photographs that makes a mean error of L of 0.248 in color, where saving the gray photograph costs
0.250. Samples of 1 to 7 bits come out with 8, those of 9 to 15 with 16, so that rounding moves no lightness.

Pillow is not used because it reads 16-bit color as 8-bit.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import imagecodecs
import numpy as np

from core.errors import ImageError
from core.imaging import jpeg2000_boxes as boxes
from core.imaging.arrays import Samples
from core.imaging.jpeg2000_boxes import ALPHA_KINDS, PREMULTIPLIED, STRAIGHT, Jp2, read_jp2, read_metadata
from core.imaging.jpeg2000_codestream import Joiner, Main, read_main, read_tile_parts, tile_codestreams
from core.imaging.output import ColorPage, Output
from core.imaging.pieces import pieces
from core.imaging.profiles import tone_of
from core.imaging.samples import stretch
from core.imaging.scan import ImageLimits, Page, Probe, Scan

MAX_TILE_SAMPLES = 210_000_000
"""OpenJPEG takes up to 6 bytes of memory for every sample of a tile; many files have only one tile."""

LEVELS = 5
TILE_EDGE = 1024
"""A code block's 64 times two to the power of the wavelet's 4 steps: see Joiner."""
REVERSIBLE = b"COD "


@dataclass(frozen=True)
class _Channels:
    """Which components are the colors, in the order of red, green and blue, and which is alpha, of which kind."""

    colors: tuple[int, ...]
    alpha: int | None = None
    alpha_kind: int = STRAIGHT


def probe(stream: BinaryIO, limits: ImageLimits) -> Probe:
    """Check the headers. Raises ImageError as codec.probe says."""
    _, main = _read_headers(stream, limits)
    return Probe.of("JPEG 2000", main.siz.width, main.siz.height, 8 if main.siz.bits <= 8 else 16)


def _read_headers(stream: BinaryIO, limits: ImageLimits) -> tuple[Jp2, Main]:
    file = read_jp2(stream)
    main = read_main(stream, file.start)
    limits.check_pixels(main.siz.width * main.siz.height)
    count = len(main.siz.components) // 3
    largest = min(main.siz.width, main.siz.tile_width) * min(main.siz.height, main.siz.tile_height) * count
    if (largest if main.can_be_split else main.siz.width * main.siz.height * count) > MAX_TILE_SAMPLES:
        message = (
            f"One tile of the JPEG 2000 file has {largest:,} samples; at most {MAX_TILE_SAMPLES:,} fit into memory."
        )
        raise ImageError("too_many_pixels", message)
    _find_channels(file, count)
    return file, main


def _find_channels(file: Jp2, count: int) -> _Channels:
    alphas = [(number, kind) for number, kind, _ in file.channels if kind in ALPHA_KINDS]
    placed = {association: number for number, kind, association in file.channels if kind == 0}
    colors = tuple(placed[k] for k in sorted(placed))
    if not file.channels:
        colors = tuple(range(1 if count < 3 else 3))
        alphas = [(count - 1, STRAIGHT)] if count in (2, 4) else []
    if len(colors) not in (1, 3) or len(alphas) > 1 or max((*colors, *(number for number, _ in alphas))) >= count:
        message = (
            f"JPEG 2000 with {len(colors)} colors and {count} channels is not accepted; convert it to RGB or gray."
        )
        raise ImageError("unsupported_format", message)
    return _Channels(colors, *alphas[0]) if alphas else _Channels(colors)


def decode(stream: BinaryIO, limits: ImageLimits) -> Scan:
    """Decode. Raises ImageError as codec.decode says."""
    file, main = _read_headers(stream, limits)
    pixels = stretch(_read_pixels(stream, file, main), main.siz.bits)
    channels = _find_channels(file, len(main.siz.components) // 3)
    alpha = None if channels.alpha is None else pixels[..., channels.alpha].copy()
    metadata, losses = read_metadata(file)
    if main.is_reversible:
        metadata = replace(metadata, chunks=(*metadata.chunks, (REVERSIBLE, b"")))
    if channels.alpha_kind == PREMULTIPLIED:
        metadata = replace(metadata, alpha_kind=1)
    tone, tone_losses = tone_of(metadata.icc_profile, gray=len(channels.colors) == 1)
    page = Page(_colors(pixels, channels), alpha, metadata, tone)
    return Scan("JPEG 2000", (page,), (*tone_losses, *file.losses, *losses))


def _colors(pixels: Samples, channels: _Channels) -> Samples:
    if pixels.ndim == 2:
        return pixels
    if len(channels.colors) == 1:
        return pixels[..., channels.colors[0]].copy()
    if channels.colors == (0, 1, 2):
        return np.ascontiguousarray(pixels[..., :3])
    return np.ascontiguousarray(pixels[..., list(channels.colors)])


def _read_pixels(stream: BinaryIO, file: Jp2, main: Main) -> Samples:
    """All components, (H, W) or (H, W, components)."""
    siz = main.siz
    parts = read_tile_parts(stream, main, file.end)
    count = len(siz.components) // 3
    shape = (siz.height, siz.width) if count == 1 else (siz.height, siz.width, count)
    if len(parts) == 1 or not main.can_be_split:
        stream.seek(file.start)
        return _decode_codestream(stream.read(file.end - file.start), shape)
    pixels: Samples = np.empty(shape, np.uint8 if siz.bits <= 8 else np.uint16)
    for (left, top, right, bottom), codestream in tile_codestreams(stream, main, parts):
        pixels[top:bottom, left:right] = _decode_codestream(codestream, (bottom - top, right - left, *shape[2:]))
    return pixels


def _decode_codestream(codestream: bytes, shape: tuple[int, ...]) -> Samples:
    # Boxes are left out, since OpenJPEG would apply the profile that stands in them.
    try:
        pixels: Samples = imagecodecs.jpeg2k_decode(codestream)
    except (imagecodecs.Jpeg2kError, ValueError) as error:
        raise ImageError("unreadable_image", f"The JPEG 2000 file is damaged: {error}.") from error
    if pixels.shape != shape:
        raise ImageError("unreadable_image", "The JPEG 2000 picture has another size than its header says.")
    return pixels


def encode(pages: Sequence[ColorPage], scan: Scan, output: Output, stream: BinaryIO) -> tuple[str, ...]:
    """A JP2 of 8 or 16 bits, with alpha."""
    page, metadata, alpha = pages[0], scan.metadata, scan.alpha
    # Lossy coding would not leave alpha alone.
    lossless = output.quality == 100 or alpha is not None or (REVERSIBLE, b"") in metadata.chunks
    if scan.format == "JPEG 2000":
        kept = replace(metadata, chunks=tuple(chunk for chunk in metadata.chunks if chunk[0] != REVERSIBLE))
        chunks, losses = boxes.own_boxes(kept, output)
    else:
        chunks, losses = boxes.foreign_boxes(metadata, output)
    size = (page.width, page.height)
    alpha_kind = PREMULTIPLIED if metadata.alpha_kind == 1 else STRAIGHT
    stream.write(boxes.head(size, page.bit_depth, None if alpha is None else alpha_kind, chunks))
    start = stream.tell()
    stream.write(struct.pack(">I4sQ", 1, b"jp2c", 0))
    _write_tiles(page, alpha, None if lossless else _decibels(output.quality), stream)
    end = stream.tell()
    stream.seek(start + 8)
    stream.write(struct.pack(">Q", end - start))
    stream.seek(end)
    return losses


def _decibels(quality: int) -> int:
    return 50 + round((quality - 95) / 3)


def _write_tiles(page: ColorPage, alpha: Samples | None, decibels: int | None, stream: BinaryIO) -> None:
    joiner = Joiner(stream, page.width, page.height, TILE_EDGE)
    for rows in pieces(page, alpha, TILE_EDGE):
        for left in range(0, page.width, TILE_EDGE):
            tile = np.ascontiguousarray(rows[:, left : left + TILE_EDGE])
            coded = imagecodecs.jpeg2k_encode(
                tile, level=decibels or 0, reversible=decibels is None, resolutions=LEVELS, codecformat="J2K"
            )
            joiner.add(bytes(coded))
    joiner.finish()
