"""The label in a result's XMP: that a machine colored it, with what, when.

Sources: ISO 16684-1 (XMP packets), Adobe XMP specification part 2 (xmpMM:History, ResourceEvent), IPTC Photo Metadata
Standard (Digital Source Type) and the vocabulary it takes its values from, C2PA 2.1 (dcterms:provenance).
"""

from collections.abc import Iterator

from lxml import etree

from core.imaging.metadata import CREDENTIALS_LOSS, THUMBNAIL_LOSS
from core.imaging.output import Provenance

MAX_BYTES = 8 << 20

IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MEDIA_MANAGEMENT = "http://ns.adobe.com/xap/1.0/mm/"
BASIC = "http://ns.adobe.com/xap/1.0/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
NOTE = "http://ns.adobe.com/xmp/note/"
TERMS = "http://purl.org/dc/terms/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

SOURCE_TYPE = f"{{{IPTC_EXTENSION}}}DigitalSourceType"
PARTLY_BY_A_TRAINED_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
HISTORY = f"{{{MEDIA_MANAGEMENT}}}History"
THUMBNAILS = f"{{{BASIC}}}Thumbnails"
CREDENTIALS = f"{{{TERMS}}}provenance"
EXTENSION = f"{{{NOTE}}}HasExtendedXMP"

BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
END = b'\n<?xpacket end="w"?>'
EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()


class _UnreadableError(Exception):
    """A packet that is no XMP, or that is not safe to read."""


def is_readable(packet: bytes) -> bool:
    """Whether label can add to a packet; one that it cannot read is replaced. No packet at all counts as unreadable."""
    try:
        _parse(packet)
    except _UnreadableError:
        return False
    return True


def without_old_picture(packet: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A packet without what shows or vouches for the old picture, and in words what that is.

    That are small copies, and the address of content credentials that lie elsewhere. A packet that has none of them,
    or cannot be read, stays as it is.
    """
    try:
        root, rdf = _parse(packet)
    except _UnreadableError:
        return packet, ()
    losses = (THUMBNAIL_LOSS,) * _remove(rdf, THUMBNAILS)
    losses += (CREDENTIALS_LOSS,) * _remove(rdf, CREDENTIALS, "http")
    return (_serialized(root), losses) if losses else (packet, ())


def extension_name(packet: bytes) -> str:
    """The name of the extension that a packet points to; "" for none, or where the packet cannot be read."""
    try:
        _, rdf = _parse(packet)
    except _UnreadableError:
        return ""
    told = [value for description in _descriptions(rdf) for value in _values(description, EXTENSION)]
    return told[0].strip() if told else ""


def with_extension(packet: bytes, name: str) -> bytes:
    """A packet that points to another extension, of which JPEG has one where a packet is too large; "" for none.

    One that points to none already, or cannot be read, stays as it is.
    """
    try:
        root, rdf = _parse(packet)
    except _UnreadableError:
        return packet
    if not _remove(rdf, EXTENSION) and not name:
        return packet
    if name:
        about = _first_description(rdf).get(_rdf("about"), "")
        etree.SubElement(rdf, _rdf("Description"), {_rdf("about"): about, EXTENSION: name}, nsmap={"xmpNote": NOTE})
    return _serialized(root)


def unwrapped(packet: bytes) -> bytes:
    """A packet that was written here, without its wrapper, which JPEG's extensions do not have."""
    return packet.removeprefix(BEGIN).removesuffix(END)


def label(packet: bytes, provenance: Provenance) -> bytes:
    """A packet with all that was in it, an IPTC Digital Source Type, and one more event in its history.

    The same input gives the same bytes. The packet's wrapper is written anew, without the padding that it may have had.

    Args:
        packet: XMP in UTF-8 or UTF-16; b"" for none. An unreadable one is replaced.
        provenance: what the label tells.

    Returns:
        XMP in UTF-8.
    """
    try:
        root, rdf = _parse(packet)
    except _UnreadableError:
        root, rdf = _parse(EMPTY)
    _set_source_type(rdf)
    _add_event(_events(rdf), provenance)
    return _serialized(root)


def _serialized(root: etree._Element) -> bytes:
    return BEGIN + etree.tostring(root, encoding="utf-8", xml_declaration=False, with_tail=False) + END


def _parse(packet: bytes) -> tuple[etree._Element, etree._Element]:
    """The outermost element, and rdf:RDF, which may be the same."""
    text = _utf8(packet)
    # Entities can only come from a DOCTYPE, and XMP has none: so neither expansion nor outside files are ever met.
    if len(text) > MAX_BYTES or b"<!DOCTYPE" in text:
        raise _UnreadableError
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise _UnreadableError from error
    rdf = root if root.tag == _rdf("RDF") else root.find(_rdf("RDF"))
    if rdf is None:
        raise _UnreadableError
    return root, rdf


def _utf8(packet: bytes) -> bytes:
    """The packet's text in UTF-8, without the zeros that some programs pad it with."""
    for encoding, opening in (("utf-16-le", b"<\0"), ("utf-16-be", b"\0<")):
        mark = "\ufeff".encode(encoding)
        if packet.removeprefix(mark).startswith(opening):
            try:
                packet = packet.removeprefix(mark).decode(encoding).encode()
            except UnicodeError as error:
                raise _UnreadableError from error
    return packet.strip(b"\0 \t\r\n")


def _rdf(name: str) -> str:
    return f"{{{RDF}}}{name}"


def _descriptions(rdf: etree._Element) -> Iterator[etree._Element]:
    return rdf.iterchildren(_rdf("Description"))


def _first_description(rdf: etree._Element) -> etree._Element:
    found = next(_descriptions(rdf), None)
    return etree.SubElement(rdf, _rdf("Description"), {_rdf("about"): ""}) if found is None else found


def _values(description: etree._Element, name: str) -> list[str]:
    """A property's values, in both forms that it may have."""
    elements = [element.text or "" for element in description.findall(name)]
    return [str(description.attrib[name]), *elements] if name in description.attrib else elements


def _remove(rdf: etree._Element, name: str, beginning: str = "") -> bool:
    """Take a property out, in both forms, where its value begins with some letters; whether there was any."""
    found = False
    for description in _descriptions(rdf):
        if name in description.attrib and str(description.attrib[name]).startswith(beginning):
            del description.attrib[name]
            found = True
        for element in description.findall(name):
            if (element.text or "").strip().startswith(beginning):
                description.remove(element)
                found = True
    return found


def _set_source_type(rdf: etree._Element) -> None:
    _remove(rdf, SOURCE_TYPE)
    source_type = etree.SubElement(_first_description(rdf), SOURCE_TYPE, nsmap={"Iptc4xmpExt": IPTC_EXTENSION})
    source_type.text = PARTLY_BY_A_TRAINED_MODEL


def _events(rdf: etree._Element) -> etree._Element:
    """The array of the history's events; made where there is none."""
    histories = (history for description in _descriptions(rdf) for history in description.iterchildren(HISTORY))
    history = next(histories, None)
    if history is None:
        history = etree.SubElement(_first_description(rdf), HISTORY, nsmap={"xmpMM": MEDIA_MANAGEMENT})
    array = next(history.iterchildren(_rdf("Seq"), _rdf("Bag"), _rdf("Alt")), None)
    if array is not None:
        return array
    # A history that is no array means nothing, and may not hold one beside it.
    history.clear()
    return etree.SubElement(history, _rdf("Seq"))


def _add_event(events: etree._Element, provenance: Provenance) -> None:
    note = f"colorized with model {provenance.model_version}; colors are a guess, lightness is the original's"
    fields = {
        "action": "edited",
        "softwareAgent": provenance.software,
        "when": provenance.colorized_at.isoformat(timespec="seconds"),
        "parameters": note,
    }
    attributes = {f"{{{EVENT}}}{name}": value for name, value in fields.items()}
    etree.SubElement(events, _rdf("li"), attributes, nsmap={"stEvt": EVENT})
