"""Coding a page as the pictures of an AVIF file: one, or a grid of cells, each coded by libavif (imagecodecs)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import imagecodecs
import numpy as np

from core.imaging import metadata as meta
from core.imaging.arrays import Samples
from core.imaging.heif_items import Item, Property, Reference, read_bytes
from core.imaging.output import ColorPage
from core.imaging.pieces import pieces
from core.imaging.samples import squeeze

MAX_WHOLE_PIXELS = 4096 * 4096
CELL_EDGE = 2048
SPEED = 10
LOSSLESS = 100
BT709, SRGB_CURVE, IDENTITY, BT601 = 1, 13, 0, 6
FULL_RANGE = 0x80
OF_PIXELS = (b"ispe", b"pixi", b"av1C")
ESSENTIAL = frozenset({b"av1C", b"irot", b"imir", b"clap"})
TRANSFORMS = frozenset({b"irot", b"imir", b"clap", b"pasp"})
ALPHA_PROPERTY = (b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")


@dataclass(frozen=True)
class Coding:
    """How pixels are coded.

    Args:
        bits: 8, 10 or 12.
        quality: 0..100; 100 is lossless.
    """

    bits: int
    quality: int

    @property
    def matrix(self) -> int:
        """CICP's number of the matrix that makes Y, Cb and Cr of R, G and B."""
        return IDENTITY if self.quality == LOSSLESS else BT601


@dataclass(frozen=True)
class _Picture:
    """A coded picture: its properties and its data."""

    properties: tuple[Property, ...]
    data: bytes


def color_properties(coding: Coding) -> list[Property]:
    """That the pixels are sRGB, as an ICC profile and as CICP's numbers."""
    numbers = struct.pack(">4sHHHB", b"nclx", BT709, SRGB_CURVE, coding.matrix, FULL_RANGE)
    return [(b"colr", b"prof" + meta.srgb_profile()), (b"colr", numbers)]


def picture_items(
    page: ColorPage, alpha: Samples | None, coding: Coding, shared: Sequence[Property]
) -> list[tuple[Item, bytes]]:
    """The items of a page and its alpha, numbered from 1 on, the page first.

    Args:
        page: 8 bits per sample where coding has 8, else 16.
        alpha: of the same type, (H, W), or None; always coded without loss.
        coding: how.
        shared: properties of the page beside those that follow from its pixels.
    """
    colors: list[_Picture] = []
    alphas: list[_Picture] = []
    for cell in _cells(page, alpha):
        colors.append(_code(cell[..., :3], coding))
        if alpha is not None:
            alphas.append(_code(cell[..., 3], Coding(coding.bits, LOSSLESS)))
    of_alpha = (ALPHA_PROPERTY, *(p for p in shared if p[0] in TRANSFORMS))
    size = (page.width, page.height)
    layers = [_Layer(size, colors, tuple(shared), ())]
    if alphas:
        layers.append(_Layer(size, alphas, of_alpha, ((b"auxl", (1,)),)))
    items: list[tuple[Item, bytes]] = []
    cells: list[tuple[Item, bytes]] = []
    for number, layer in enumerate(layers, 1):
        items.append(layer.item(number, len(layers) + len(cells) + 1))
        cells.extend(layer.cells(len(layers) + len(cells) + 1))
    return items + cells


def _cells(page: ColorPage, alpha: Samples | None) -> Iterator[Samples]:
    """The cells of a page from left to right and from top to bottom, all of the same size, with alpha as a channel."""
    if page.width * page.height <= MAX_WHOLE_PIXELS:
        yield from pieces(page, alpha, page.height)
        return
    width = min(CELL_EDGE, page.width)
    for rows in pieces(page, alpha, min(CELL_EDGE, page.height)):
        missing = min(CELL_EDGE, page.height) - len(rows)
        for left in range(0, page.width, width):
            cell = rows[:, left : left + width]
            yield np.pad(cell, ((0, missing), (0, width - cell.shape[1]), (0, 0)), "edge")


def _code(pixels: Samples, coding: Coding) -> _Picture:
    content = imagecodecs.avif_encode(
        np.ascontiguousarray(pixels if coding.bits == 8 else squeeze(pixels, coding.bits)),
        level=coding.quality,
        speed=SPEED,
        bitspersample=coding.bits,
        pixelformat="444",
        primaries=BT709,
        transfer=SRGB_CURVE,
        matrix=coding.matrix if pixels.ndim == 3 else BT601,
    )
    stream, items = read_bytes(bytes(content))
    item = items.primary_item()
    properties = tuple(p for p in item.properties if p[0] in OF_PIXELS)
    return _Picture(properties, items.data(stream, item, len(content)))


@dataclass(frozen=True)
class _Layer:
    """The colors of a page, or its alpha.

    Args:
        size: width and height of the page.
        pictures: its cells; or the one that is all of it.
        extra: properties beside those of the pixels.
        references: to other items.
    """

    size: tuple[int, int]
    pictures: list[_Picture]
    extra: tuple[Property, ...]
    references: tuple[Reference, ...]

    def item(self, number: int, first_cell: int) -> tuple[Item, bytes]:
        """The item that stands for the layer; first_cell is the number of its first cell, if it has any."""
        if len(self.pictures) == 1:
            picture = self.pictures[0]
            return _item(number, b"av01", (*picture.properties, *self.extra), self.references), picture.data
        cell_width, cell_height = struct.unpack_from(">II", dict(self.pictures[0].properties)[b"ispe"], 4)
        columns, rows = -(-self.size[0] // cell_width), -(-self.size[1] // cell_height)
        size = (b"ispe", struct.pack(">III", 0, *self.size))
        pixel = (b"pixi", dict(self.pictures[0].properties)[b"pixi"])
        made_of = (b"dimg", tuple(range(first_cell, first_cell + len(self.pictures))))
        data = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *self.size)
        return _item(number, b"grid", (size, pixel, *self.extra), (made_of, *self.references)), data

    def cells(self, first: int) -> list[tuple[Item, bytes]]:
        """The items of the cells, if there are several, numbered from first on."""
        if len(self.pictures) == 1:
            return []
        extra = tuple(p for p in self.extra if p[0] not in TRANSFORMS)
        return [
            (_item(number, b"av01", (*picture.properties, *extra), (), is_hidden=True), picture.data)
            for number, picture in enumerate(self.pictures, first)
        ]


def _item(
    number: int,
    kind: bytes,
    properties: tuple[Property, ...],
    references: tuple[Reference, ...],
    is_hidden: bool = False,
) -> Item:
    essential = frozenset(i for i, (name, _) in enumerate(properties) if name in ESSENTIAL)
    return Item(number, kind, properties=properties, essential=essential, references=references, is_hidden=is_hidden)
