"""The tags of TIFF pages: which are carried over, and the few that are read."""

import struct
from typing import BinaryIO

import tifffile

from core.imaging import ifd
from core.imaging import metadata as meta
from core.imaging.metadata import Metadata

RATIONAL = 5
ICC_TAG, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION = 34675, 296, 282, 283
RESOLUTION_TAGS = frozenset({RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION})

# These tell how the old pixels are laid out: size, coding, strips, tiles, palettes, transfer curves, tables.
LAYOUT_TAGS = frozenset(
    {256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293}
    | {301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518}
    | {519, 520, 521, 529, 530, 531, 532, 400, 32995, 32996, 32997, 32998, ICC_TAG, ifd.INTEROPERABILITY_IFD}
)


def read_metadata(stream: BinaryIO, page: tifffile.TiffPage) -> tuple[Metadata, list[str]]:
    """What a page carries beside its pixels, and in words what of that the result will lack.

    Raises IfdError when the page's directory cannot be read.
    """
    stream.seek(0)
    layout, _ = ifd.read_layout(stream.read(16))
    directory = ifd.read_ifd(stream, layout, page.offset)
    tags = directory.entries
    profile = next((entry.data for entry in tags if entry.tag == ICC_TAG), None)
    metadata = Metadata(
        orientation=meta.orientation_of(tags, layout),
        icc_profile=profile,
        dpi=_dpi(tags, layout),
        tags=tuple(entry for entry in tags if entry.tag not in LAYOUT_TAGS),
        layout=layout,
        alpha_kind=int(page.extrasamples[0]) if page.extrasamples else 2,
    )
    unreadable = [f"the tag {tag}, which cannot be read" for tag in directory.unreadable if tag not in LAYOUT_TAGS]
    return metadata, [*meta.profile_losses(profile), *unreadable]


def resolution_unit(tags: tuple[ifd.Entry, ...], layout: ifd.Layout) -> int:
    """1 for none, 2 for inches (also when unsaid), 3 for centimeters."""
    unit = next((entry.integer(layout.order) for entry in tags if entry.tag == RESOLUTION_UNIT), 2)
    return unit if unit in (1, 2, 3) else 1


def resolution(tags: tuple[ifd.Entry, ...], layout: ifd.Layout) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Numerator and denominator of the resolution across and down, where both are given."""
    found = {entry.tag: entry for entry in tags if entry.field_type == RATIONAL}
    if X_RESOLUTION not in found or Y_RESOLUTION not in found:
        return None
    across, down = (struct.unpack_from(layout.order + "II", found[tag].data) for tag in (X_RESOLUTION, Y_RESOLUTION))
    return ((across[0], across[1]), (down[0], down[1])) if all((*across, *down)) else None


def _dpi(tags: tuple[ifd.Entry, ...], layout: ifd.Layout) -> tuple[float, float] | None:
    inches = {2: 1.0, 3: 2.54}.get(resolution_unit(tags, layout))
    ratios = resolution(tags, layout)
    if inches is None or ratios is None:
        return None
    (across, across_by), (down, down_by) = ratios
    return across / across_by * inches, down / down_by * inches
