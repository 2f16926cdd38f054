"""The tags of TIFF pages: which are carried over, and the few that are read."""

import io
from typing import BinaryIO

import tifffile

from core.imaging import ifd, iptc
from core.imaging import metadata as meta
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled

BYTE, UNDEFINED = 1, 7
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG = 700, 33723, 34377, 34675
TYPES_OF_BIGTIFF = frozenset({16, 17, 18})

# These tell how the old pixels are laid out: size, coding, strips, tiles, palettes, transfer curves, tables.
LAYOUT_TAGS = frozenset(
    {256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293}
    | {301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518}
    | {519, 520, 521, 529, 530, 531, 532, 400, 32995, 32996, 32997, 32998, ICC_TAG, ifd.INTEROPERABILITY_IFD}
)
# Those that programs look for in the EXIF of other formats: document name, description, maker, model, orientation,
# resolution, page name, software, date, artist, host computer, copyright, EXIF, GPS, rating, Windows' titles.
EXIF_TAGS = frozenset(
    {269, 270, 271, 272, ifd.ORIENTATION, 282, 283, 285, 296, 305, 306, 315, 316, 33432, ifd.EXIF_IFD, ifd.GPS_IFD}
    | {18246, 18249, 40091, 40092, 40093, 40094, 40095}
)
SUBFILE_TAGS = frozenset({254, 255})

Tags = tuple[ifd.Entry, ...]


def read_metadata(stream: BinaryIO, page: tifffile.TiffPage) -> tuple[Metadata, list[str]]:
    """What a page carries beside its pixels, and in words what of that the result will lack.

    Raises IfdError when the page's directory cannot be read.
    """
    stream.seek(0)
    layout, _ = ifd.read_layout(stream.read(16))
    directory = ifd.read_ifd(stream, layout, page.offset)
    tags = directory.entries
    values = {entry.tag: entry.data for entry in tags}
    metadata = Metadata(
        orientation=meta.orientation_of(tags, layout),
        icc_profile=values.get(ICC_TAG),
        dpi=meta.dpi_of(tags, layout),
        portable=Portable(
            exif=_exif_of(tags, layout),
            xmp=values.get(XMP_TAG, b""),
            iptc=values.get(IPTC_TAG, b"") or iptc.from_resources(values.get(PHOTOSHOP_TAG, b"")),
        ),
        unportable=_unportable(tags, values.get(PHOTOSHOP_TAG, b"")),
        tags=tuple(entry for entry in tags if entry.tag not in LAYOUT_TAGS),
        layout=layout,
        alpha_kind=int(page.extrasamples[0]) if page.extrasamples else 2,
        compression=int(page.compression),
        tile=(page.tilelength, page.tilewidth) if page.is_tiled else None,
    )
    lost = [f"the tag {tag}, which cannot be read" for tag in directory.unreadable if tag not in LAYOUT_TAGS]
    return metadata, lost


def _exif_of(tags: Tags, layout: ifd.Layout) -> bytes:
    kept = [entry for entry in tags if entry.tag in EXIF_TAGS and entry.field_type not in TYPES_OF_BIGTIFF]
    return ifd.block(kept, layout.order) if kept else b""


def _unportable(tags: Tags, resources: bytes) -> tuple[str, ...]:
    known = EXIF_TAGS | LAYOUT_TAGS | SUBFILE_TAGS | {XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG}
    others = [str(entry.tag) for entry in tags if entry.tag not in known]
    lost = ("the TIFF tags " + ", ".join(others),) if others else ()
    return lost + (iptc.OTHER_RESOURCES_LOSS,) * iptc.has_other_resources(resources)


def own_tags(metadata: Metadata, output: Output) -> tuple[Tags, tuple[str, ...]]:
    """The tags of a result's page of a TIFF, in its byte order: the original's, with the label in their XMP."""
    if output.provenance is None:
        return metadata.tags, ()
    packet, losses = labelled(metadata.portable.xmp, output)
    kind = next((entry.field_type for entry in metadata.tags if entry.tag == XMP_TAG), BYTE)
    others = tuple(entry for entry in metadata.tags if entry.tag != XMP_TAG)
    return (*others, ifd.Entry(XMP_TAG, kind if kind in (BYTE, UNDEFINED) else BYTE, packet)), losses


def foreign_tags(metadata: Metadata, output: Output) -> tuple[Tags, tuple[str, ...]]:
    """The tags of a result of another format, from what its metadata have in common with TIFF's.

    Their values are in the byte order of portable.exif.
    """
    packet, losses = labelled(metadata.portable.xmp, output)
    exif = exif_block(metadata)
    tags: list[ifd.Entry] = []
    if exif:
        layout, offset = ifd.read_layout(exif[:16])
        entries = ifd.read_ifd(io.BytesIO(exif), layout, offset).entries
        tags = [entry for entry in entries if entry.tag not in LAYOUT_TAGS | {XMP_TAG, IPTC_TAG}]
    if packet:
        tags.append(ifd.Entry(XMP_TAG, BYTE, packet))
    if metadata.portable.iptc:
        tags.append(ifd.Entry(IPTC_TAG, UNDEFINED, metadata.portable.iptc))
    return tuple(tags), losses
