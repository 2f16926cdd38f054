"""What AVIF files carry beside their pixels: read, and written again.

Source: ISO/IEC 23008-12 sections 6.5 (irot, imir) and annex A (EXIF), MIAF, CICP (ITU-T H.273).
"""

import struct
from typing import BinaryIO

from core.errors import ImageError
from core.imaging import metadata as meta
from core.imaging.heif_items import MIME_XMP, Item, Items, Property
from core.imaging.isobmff import has_credentials
from core.imaging.metadata import Metadata, Portable
from core.imaging.output import Output
from core.imaging.portable import exif_block, labelled
from core.imaging.scan import Scan

MAX_ITEM_BYTES = 64 * 2**20
EXIF, MIME = b"Exif", b"mime"
KEPT_PROPERTIES = frozenset({b"pasp", b"clap"})
NCLX, PROFILES = b"nclx", (b"prof", b"rICC")
IDENTITY = 0
# ITU-T H.273, primaries and transfer: BT.709 and sRGB, or 2, which leaves it open.
SRGB_PRIMARIES, SRGB_TRANSFERS = (1, 2), (13, 2)
NCLX_LOSS = "the color space that the file tells by numbers (values were taken as sRGB)"
TRANSFERS_NOT_FOR_SCREENS = {8: "linear light", 16: "PQ (HDR)", 18: "HLG (HDR)"}
IPTC_LOSS = "the IPTC records, for which AVIF has no place"

# Quarter turns against the clock, then the mirror (0 swaps top and bottom, 1 left and right) of each EXIF orientation.
TURNS: dict[int, tuple[int, int | None]] = {
    1: (0, None),
    2: (0, 1),
    3: (2, None),
    4: (0, 0),
    5: (1, 0),
    6: (3, None),
    7: (3, 0),
    8: (1, None),
}


def bit_depth(items: Items, main: Item) -> int:
    """8, 10 or 12, of a picture or of the first cell of a grid. Raises ImageError(unreadable_image)."""
    cells = [items.items[number] for number in main.refers_to(b"dimg") if number in items.items]
    config = main.property(b"av1C") or (cells[0].property(b"av1C") if cells else None)
    if config is None or len(config) < 4:
        raise ImageError("unreadable_image", "The AVIF holds no picture in AV1.")
    return _bits(config)


def _bits(config: bytes) -> int:
    if not config[2] & 0x40:
        return 8
    return 12 if config[2] & 0x20 else 10


def stored_bits(metadata: Metadata) -> int | None:
    """Bits per sample of the original; None where it was no AVIF."""
    config = dict(metadata.chunks).get(b"av1C")
    return None if config is None else _bits(config)


def check_color(main: Item) -> None:
    """Raise ImageError(unsupported_format) for levels that cannot be read as those of a photograph for screens."""
    numbers = main.property(b"colr", NCLX)
    if numbers is not None and len(numbers) >= 10:
        name = TRANSFERS_NOT_FOR_SCREENS.get(struct.unpack_from(">H", numbers, 6)[0])
        if name is not None:
            raise ImageError("unsupported_format", f"AVIF in {name} is not accepted; make it sRGB.")


def is_identity(metadata: Metadata) -> bool:
    """Whether the original keeps R, G and B as they are."""
    numbers = dict(metadata.chunks).get(NCLX, b"")
    return len(numbers) >= 10 and struct.unpack_from(">H", numbers, 8)[0] == IDENTITY


def read_metadata(stream: BinaryIO, items: Items, main: Item) -> tuple[Metadata, tuple[str, ...]]:
    """Gather what a file carries beside its pixels, and in words what of it the result will not have."""
    exif_item = items.about(main.number, EXIF)
    raw_exif = b"" if exif_item is None else items.data(stream, exif_item, MAX_ITEM_BYTES)
    kept_exif, was_cut = meta.kept_exif(raw_exif, _tiff(raw_exif))
    exif, exif_losses = meta.readable_exif(_tiff(raw_exif))
    xmp = next((i for i in items.all_about(main.number, MIME) if i.content_type == MIME_XMP), None)
    profile = next((p[4:] for kind in PROFILES if (p := main.property(b"colr", kind))), None)
    numbers = main.property(b"colr", NCLX)
    chunks = [(EXIF, kept_exif)] if kept_exif else []
    chunks += [p for p in main.properties if p[0] in KEPT_PROPERTIES]
    chunks += [(b"av1C", p) for p in [main.property(b"av1C") or _cell_config(items, main)] if p]
    chunks += [(NCLX, numbers)] if numbers else []
    metadata = Metadata(
        orientation=_orientation(main),
        icc_profile=profile or None,
        dpi=meta.exif_dpi(exif),
        portable=Portable(exif, b"" if xmp is None else items.data(stream, xmp, MAX_ITEM_BYTES)),
        unportable=exif_losses,
        chunks=tuple(chunks),
    )
    losses: tuple[str, ...] = (meta.THUMBNAIL_LOSS,) * was_cut
    losses += (NCLX_LOSS,) * (profile is None and _is_not_srgb(numbers))
    losses += (meta.CREDENTIALS_LOSS,) * has_credentials(stream)
    return metadata, losses + _other_losses(items, main)


def _is_not_srgb(numbers: bytes | None) -> bool:
    if numbers is None or len(numbers) < 8:
        return False
    return not are_srgb(*struct.unpack_from(">HH", numbers, 4))


def are_srgb(primaries: int, transfer: int) -> bool:
    """Whether CICP's numbers of primary colors and transfer are sRGB's, or leave them open."""
    return primaries in SRGB_PRIMARIES and transfer in SRGB_TRANSFERS


def _cell_config(items: Items, main: Item) -> bytes | None:
    cell = next((items.items[number] for number in main.refers_to(b"dimg") if number in items.items), None)
    return None if cell is None else cell.property(b"av1C")


def _other_losses(items: Items, main: Item) -> tuple[str, ...]:
    """Items that are neither the picture's parts nor metadata that stay."""
    parts = {main.number, *main.refers_to(b"dimg")}
    alphas = [i for i in items.items.values() if main.number in i.refers_to(b"auxl")]
    parts.update(number for alpha in alphas for number in (alpha.number, *alpha.refers_to(b"dimg")))
    losses = set()
    for item in items.items.values():
        if item.kind in (b"av01", b"grid", b"iovl") and item.number not in parts:
            losses.add("the further or smaller pictures of the file")
        elif item.kind not in (EXIF, b"av01", b"grid", b"iovl") and item.content_type != MIME_XMP:
            losses.add(f"the item {item.kind!r}")
    return tuple(sorted(losses))


def _tiff(exif: bytes) -> bytes:
    """The block of EXIF that an item holds behind the offset of its TIFF header."""
    if len(exif) < 4:
        return b""
    return exif[4 + int.from_bytes(exif[:4]) :]


def _orientation(main: Item) -> int:
    """EXIF's number for what irot and imir ask for."""
    turn, mirror = main.property(b"irot"), main.property(b"imir")
    turns = turn[0] & 3 if turn else 0
    side = None if not mirror else mirror[0] & 1
    if side == 1 and turns in (1, 2, 3):
        # To swap left and right is to turn by two quarters and to swap top and bottom.
        turns, side = (turns + 2) % 4, 0
    if (turns, side) == (2, 0):
        turns, side = 0, 1
    return next(number for number, turned in TURNS.items() if turned == (turns, side))


def placing_properties(scan: Scan) -> list[Property]:
    """The properties that say how the pixels are to be shown: clap and pasp of the original, irot and imir."""
    kept = [c for c in scan.metadata.chunks if c[0] in KEPT_PROPERTIES] if scan.format == "AVIF" else []
    turns, side = TURNS[scan.orientation]
    if turns:
        kept.append((b"irot", bytes((turns,))))
    if side is not None:
        kept.append((b"imir", bytes((side,))))
    return kept


def describing_items(scan: Scan, output: Output, first: int) -> tuple[list[tuple[Item, bytes]], tuple[str, ...]]:
    """EXIF and XMP of a result as items that are numbered from first on, and in words what is lost."""
    metadata = scan.metadata
    packet, losses = labelled(metadata.portable.xmp, output)
    if scan.format == "AVIF":
        exif = dict(metadata.chunks).get(EXIF, b"")
    else:
        block = exif_block(metadata)
        exif = bytes(4) + block if block else b""
        losses = (*losses, *((IPTC_LOSS,) if metadata.portable.iptc else ()))
    parts = [(kind, name, data) for kind, name, data in ((EXIF, b"", exif), (MIME, MIME_XMP, packet)) if data]
    items = [
        (Item(number, kind, name, references=((b"cdsc", (1,)),)), data)
        for number, (kind, name, data) in enumerate(parts, first)
    ]
    return items, losses
