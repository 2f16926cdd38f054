"""The tags of TIFF pages: which are carried over, and the few that are read."""

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import tifffile

from core.imaging import ifd, iptc
from core.imaging import metadata as meta
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled

BYTE, SHORT, UNDEFINED = 1, 3, 7
BITS_TAG, PHOTOMETRIC_TAG, RGB = 258, 262, 2
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG, LAYERS_TAG, CREDENTIALS_TAG = 700, 33723, 34377, 34675, 37724, 52545
TYPES_OF_BIGTIFF = frozenset({16, 17, 18})

# These tell how the old pixels are laid out: size, coding, strips, tiles, palettes, tables. SubIFDs are told apart.
LAYOUT_TAGS = frozenset(
    {256, 257, BITS_TAG, 259, PHOTOMETRIC_TAG, 266, 273, 277, 278, 279, 284, 288, 289, 292, 293, 317, 320, 322, 323}
    | {324, 325, ifd.SUB_IFDS, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531}
    | {32995, 32996, 32997, 32998}
)
# These tell how levels are to be read, which is not heeded: the result is in sRGB, as its profile tells.
READING_TAGS = {
    290: "GrayResponseUnit",
    291: "GrayResponseCurve",
    301: "TransferFunction",
    318: "WhitePoint",
    319: "PrimaryChromaticities",
    532: "ReferenceBlackWhite",
}
# These describe the old samples, or directories that results do not have.
OUTDATED_TAGS = {
    263: "Threshholding",
    264: "CellWidth",
    265: "CellLength",
    280: "MinSampleValue",
    281: "MaxSampleValue",
    321: "HalftoneHints",
    340: "SMinSampleValue",
    341: "SMaxSampleValue",
    400: "GlobalParametersIFD",
    ifd.INTEROPERABILITY_IFD: "InteroperabilityIFD",
}
DROPPED_TAGS = LAYOUT_TAGS | READING_TAGS.keys() | OUTDATED_TAGS.keys() | {ICC_TAG, LAYERS_TAG, CREDENTIALS_TAG}
LAYERS_LOSS = "Photoshop's layers, which show the old picture"
RESOLUTION_LOSS = "the resolution, which is no number above zero"
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
    resources = values.get(PHOTOSHOP_TAG, b"")
    kept_resources = iptc.without_thumbnails(resources)
    metadata = Metadata(
        orientation=meta.orientation_of(tags, layout),
        icc_profile=values.get(ICC_TAG),
        dpi=meta.dpi_of(tags, layout),
        portable=Portable(
            exif=_exif_of(tags, layout),
            xmp=values.get(XMP_TAG, b""),
            iptc=values.get(IPTC_TAG, b"") or iptc.from_resources(resources),
        ),
        unportable=_unportable(tags, kept_resources),
        tags=tuple(_kept(tags, kept_resources, layout)),
        layout=layout,
        alpha_kind=int(page.extrasamples[0]) if page.extrasamples else 2,
        compression=int(page.compression),
        tile=(page.tilelength, page.tilewidth) if page.is_tiled else None,
    )
    lost = [f"the tag {tag}, which cannot be read" for tag in directory.unreadable if tag not in LAYOUT_TAGS]
    lost.extend([meta.THUMBNAIL_LOSS] if kept_resources != resources else [])
    return metadata, [*lost, *_losses(tags, layout)]


def _kept(tags: Tags, resources: bytes, layout: ifd.Layout) -> Iterator[ifd.Entry]:
    """The tags that stay, with what stays of Photoshop's resources, and EXIF of a picture in sRGB."""
    for entry in tags:
        if entry.tag == PHOTOSHOP_TAG and entry.data != resources:
            if resources:
                yield ifd.Entry(PHOTOSHOP_TAG, BYTE, resources)
        elif entry.tag == ifd.EXIF_IFD:
            yield replace(entry, children=tuple(_in_srgb(child, layout) for child in entry.children))
        elif entry.tag not in DROPPED_TAGS:
            yield entry


def _in_srgb(entry: ifd.Entry, layout: ifd.Layout) -> ifd.Entry:
    if entry.tag != meta.COLOR_SPACE:
        return entry
    return ifd.Entry(meta.COLOR_SPACE, SHORT, struct.pack(layout.order + "H", meta.SRGB))


def _losses(tags: Tags, layout: ifd.Layout) -> Iterator[str]:
    """In words, which of the tags no result has, beyond those of pure layout, and which cannot be used."""
    found = {entry.tag: entry for entry in tags}
    unheeded = [name for tag, name in READING_TAGS.items() if tag in found and not _is_coding(tag, found, layout)]
    if unheeded:
        yield f"the TIFF tags {', '.join(unheeded)}, which tell how levels are to be read (they were not heeded)"
    usual = {263: 1, 280: 0, 281: _largest_level(found, layout)}
    outdated = [
        name
        for tag, name in OUTDATED_TAGS.items()
        if tag in found and (tag not in usual or found[tag].integer(layout.order) != usual[tag])
    ]
    if outdated:
        yield f"the TIFF tags {', '.join(outdated)}, which describe the old picture"
    if LAYERS_TAG in found:
        yield LAYERS_LOSS
    if CREDENTIALS_TAG in found:
        yield meta.CREDENTIALS_LOSS
    if found.keys() & set(meta.RESOLUTIONS) and meta.resolution(tags, layout) is None:
        yield RESOLUTION_LOSS


def _is_coding(tag: int, found: dict[int, ifd.Entry], layout: ifd.Layout) -> bool:
    # Of YCbCr, ReferenceBlackWhite only says how it is coded; decoders see to that.
    is_rgb = PHOTOMETRIC_TAG in found and found[PHOTOMETRIC_TAG].integer(layout.order) == RGB
    return tag == 532 and not is_rgb


def _largest_level(found: dict[int, ifd.Entry], layout: ifd.Layout) -> int:
    bits = found[BITS_TAG].integer(layout.order) if BITS_TAG in found else 1
    return (1 << min(bits, 16)) - 1


def _exif_of(tags: Tags, layout: ifd.Layout) -> bytes:
    kept = [entry for entry in tags if entry.tag in EXIF_TAGS and entry.field_type not in TYPES_OF_BIGTIFF]
    return meta.described_as_srgb(ifd.block(kept, layout.order)) if kept else b""


def _unportable(tags: Tags, resources: bytes) -> tuple[str, ...]:
    known = EXIF_TAGS | DROPPED_TAGS | SUBFILE_TAGS | {XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG}
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
        tags = [entry for entry in entries if entry.tag not in DROPPED_TAGS | {XMP_TAG, IPTC_TAG}]
        losses += tuple(_losses(entries, layout))
    if packet:
        tags.append(ifd.Entry(XMP_TAG, BYTE, packet))
    if metadata.portable.iptc:
        tags.append(ifd.Entry(IPTC_TAG, UNDEFINED, metadata.portable.iptc))
    return tuple(tags), losses
