import io
from datetime import UTC, datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest
from PIL import Image

from core.imaging import xmp
from core.imaging.output import Provenance

PROVENANCE = Provenance(
    "Gray2Hue 0.1.0", "2026.1", datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=timezone(timedelta(hours=2)))
)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EVENT = "{http://ns.adobe.com/xap/1.0/sType/ResourceEvent#}"
DC = "{http://purl.org/dc/elements/1.1/}"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
HISTORY = "{http://ns.adobe.com/xap/1.0/mm/}History"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

ATTRIBUTE_FORM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.6-c140">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:CreatorTool="Scanner 3" dc:format="image/tiff"
    Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm">
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">Žižkov, &lt;1926&gt;</rdf:li></rdf:Alt></dc:description>
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li stEvt:action="created" stEvt:when="2019-05-01T10:00:00+02:00" stEvt:softwareAgent="Scanner 3"/>
     <rdf:li stEvt:action="saved" stEvt:when="2019-05-01T10:01:00+02:00" stEvt:changed="/"/>
    </rdf:Seq>
   </xmpMM:History>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
                                                  \n<?xpacket end="w"?>""".encode()

ELEMENT_FORM = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xapmeta xmlns:x='adobe:ns:meta/'>
<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <r:Description r:about='uuid:1' xmlns:d='http://purl.org/dc/elements/1.1/'>
  <d:format>image/jpeg</d:format>
  <d:subject><r:Bag><r:li>harbor</r:li><r:li>ships</r:li></r:Bag></d:subject>
 </r:Description>
 <r:Description r:about='uuid:1' xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'>
  <e:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/print</e:DigitalSourceType>
 </r:Description>
 <r:Description r:about='uuid:1' xmlns:m='http://ns.adobe.com/xap/1.0/mm/'
   xmlns:s='http://ns.adobe.com/xap/1.0/sType/ResourceEvent#'>
  <m:History><r:Seq><r:li r:parseType='Resource'><s:action>created</s:action></r:li></r:Seq></m:History>
 </r:Description>
</r:RDF>
</x:xapmeta>
<?xpacket end='r'?>"""

BARE = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'

BILLION_LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="&c;"/></rdf:RDF>"""

OUTSIDE_FILE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>&f;</rdf:Description></rdf:RDF>"""

UNREADABLE = {
    "nothing": b"",
    "no XML": b"\xff\xd8 not XML",
    "cut off": ATTRIBUTE_FORM[:900],
    "no RDF": b"<x/>",
    "billion laughs": BILLION_LAUGHS,
    "an outside file": OUTSIDE_FILE,
    "a DOCTYPE in UTF-16": OUTSIDE_FILE.decode().encode("utf-16"),
    "half a character of UTF-16": "<x/>".encode("utf-16") + b"\0",
    "too deep": b"<x>" * 5000 + b"</x>" * 5000,
    "too large": BARE + b"<!--" + b" " * xmp.MAX_BYTES + b"-->",
    "Latin-1": ATTRIBUTE_FORM.decode().replace("\ufeff", "").encode("latin-1", "replace").replace(b"?i?", b"\xe9i\xe9"),
}


def tree_of(packet):
    return ElementTree.fromstring(packet)  # noqa: S314 the test's own packets


def source_types(packet):
    tree = tree_of(packet)
    attributes = [element.attrib[SOURCE_TYPE] for element in tree.iter() if SOURCE_TYPE in element.attrib]
    return attributes + [element.text for element in tree.iter(SOURCE_TYPE)]


def actions(packet):
    events = [event for history in tree_of(packet).iter(HISTORY) for event in history.iter(f"{RDF}li")]
    return [event.get(f"{EVENT}action") or event.findtext(f"{EVENT}action") for event in events]


def last_event(packet):
    return list(next(tree_of(packet).iter(HISTORY)).iter(f"{RDF}li"))[-1].attrib


def properties(packet):
    """Every property and its text, in both forms, without the label's two."""
    found = []
    for description in tree_of(packet).iter(f"{RDF}Description"):
        found += description.items()
        found += [(child.tag, " ".join("".join(child.itertext()).split())) for child in description]
    return sorted(item for item in found if item[0] not in (SOURCE_TYPE, HISTORY))


def test_a_picture_without_xmp_gets_a_packet_that_tells_what_was_done():
    packet = xmp.label(b"", PROVENANCE)
    assert source_types(packet) == [COMPOSITE]
    assert actions(packet) == ["edited"]
    event = last_event(packet)
    assert event[f"{EVENT}softwareAgent"] == "Gray2Hue 0.1.0"
    assert event[f"{EVENT}when"] == "2026-03-04T05:06:07+02:00"
    assert "colorized with model 2026.1" in event[f"{EVENT}parameters"]
    assert "colors are a guess" in event[f"{EVENT}parameters"]


@pytest.mark.parametrize("packet", [b"", ATTRIBUTE_FORM, ELEMENT_FORM, BARE])
def test_a_packet_has_the_wrapper_that_scanning_programs_look_for(packet):
    labeled = xmp.label(packet, PROVENANCE)
    assert labeled.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode())
    assert labeled.endswith(b'<?xpacket end="w"?>')
    assert labeled.count(b"<?xpacket") == 2


@pytest.mark.parametrize(
    ("packet", "before"), [(ATTRIBUTE_FORM, ["created", "saved"]), (ELEMENT_FORM, ["created"]), (BARE, [])]
)
def test_the_source_type_is_replaced_and_the_history_goes_on(packet, before):
    labeled = xmp.label(packet, PROVENANCE)
    assert source_types(labeled) == [COMPOSITE]
    assert actions(labeled) == [*before, "edited"]


@pytest.mark.parametrize("packet", [ATTRIBUTE_FORM, ELEMENT_FORM])
def test_everything_else_stays(packet):
    assert len(properties(packet)) >= 4
    assert properties(xmp.label(packet, PROVENANCE)) == properties(packet)


def test_prefixes_stay():
    labeled = xmp.label(ELEMENT_FORM, PROVENANCE)
    for kept in (
        b"<d:format>image/jpeg</d:format>",
        b"<r:li>harbor</r:li>",
        b"xmlns:m='http://ns.adobe.com/xap/1.0/mm/'",
    ):
        assert kept.replace(b"'", b'"') in labeled
    assert b"x:xapmeta" in labeled


def test_labeling_twice_adds_an_event_but_no_second_source_type():
    again = xmp.label(xmp.label(ATTRIBUTE_FORM, PROVENANCE), PROVENANCE)
    assert source_types(again) == [COMPOSITE]
    assert actions(again) == ["created", "saved", "edited", "edited"]


@pytest.mark.parametrize("packet", [b"", ATTRIBUTE_FORM, ELEMENT_FORM])
def test_the_same_input_gives_the_same_bytes(packet):
    assert xmp.label(packet, PROVENANCE) == xmp.label(packet, PROVENANCE)


def test_names_in_any_script_and_with_xml_signs_are_told_as_they_are():
    packet = xmp.label(b"", Provenance("Gray2Hue", '<"żółw" & 日本>', datetime(2026, 1, 1, tzinfo=UTC)))
    assert '<"żółw" & 日本>' in last_event(packet)[f"{EVENT}parameters"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_packet_in_utf_16_is_converted(encoding):
    packet = ATTRIBUTE_FORM.decode().encode(encoding)
    assert xmp.is_readable(packet)
    assert xmp.label(packet, PROVENANCE) == xmp.label(ATTRIBUTE_FORM, PROVENANCE)


def test_zeros_and_blanks_around_a_packet_do_no_harm():
    assert xmp.label(b"\n" + ATTRIBUTE_FORM + b"\0\0\n", PROVENANCE) == xmp.label(ATTRIBUTE_FORM, PROVENANCE)


@pytest.mark.parametrize("packet", [ATTRIBUTE_FORM, ELEMENT_FORM, BARE, b"\xef\xbb\xbf" + ATTRIBUTE_FORM])
def test_ordinary_packets_are_readable(packet):
    assert xmp.is_readable(packet)


@pytest.mark.parametrize("packet", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_packet_is_told_apart_and_replaced(packet):
    assert not xmp.is_readable(packet)
    assert xmp.label(packet, PROVENANCE) == xmp.label(b"", PROVENANCE)


def test_a_history_that_is_no_array_becomes_one():
    packet = ELEMENT_FORM.replace(
        b"<r:Seq><r:li r:parseType='Resource'><s:action>created</s:action></r:li></r:Seq>", b"old"
    )
    assert actions(xmp.label(packet, PROVENANCE)) == ["edited"]


@pytest.mark.parametrize("packet", [b"", ATTRIBUTE_FORM, ELEMENT_FORM.replace(b"x:xapmeta", b"x:xmpmeta")])
def test_pillow_reads_the_label_out_of_a_file(packet):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", xmp=xmp.label(packet, PROVENANCE))
    found = str(Image.open(file).getxmp())
    assert COMPOSITE in found
    assert "colorized with model 2026.1" in found
