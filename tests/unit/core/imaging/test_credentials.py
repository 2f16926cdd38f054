"""Content credentials (C2PA) of originals: they vouch for pixels that a result no longer has."""

import io
import zlib

import pytest

from core.imaging.isobmff import CREDENTIALS_ID, make_box
from core.imaging.metadata import CREDENTIALS_LOSS

MANIFEST = bytes.fromhex("6332706100110010800000aa00389b71")


def store(kind=MANIFEST, label=b"c2pa", size=0):
    """A JUMBF box: its description, and `size` further bytes."""
    return make_box(
        b"jumb", make_box(b"jumd", kind + b"\3" + label + b"\0"), make_box(b"free", b"signed" * (size // 6))
    )


def segments(box, number, part_bytes=65_000):
    """A JUMBF box as JPEG holds it: each segment repeats the head of the box."""
    coded = b""
    for count, start in enumerate(range(8, len(box), part_bytes), 1):
        payload = b"JP" + number.to_bytes(2) + count.to_bytes(4) + box[:8] + box[start : start + part_bytes]
        coded += b"\xff\xeb" + (len(payload) + 2).to_bytes(2) + payload
    return coded


def with_png_chunk(content, kind, data):
    return content[:33] + len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) + content[33:]


def with_riff_chunk(content, kind, data):
    body = content[8:] + kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@pytest.fixture(scope="module")
def signed(color, gray, save, save_tiff, xmp_packet):
    """A file of each format with credentials."""
    box = store(size=100)
    return {
        "JPEG": save(gray, "JPEG", extra=segments(box, 1)),
        "PNG": with_png_chunk(save(gray, "PNG"), b"caBX", box),
        "TIFF": save_tiff(gray, extratags=[(52545, 7, len(box), box, True)]),
        "WebP": with_riff_chunk(save(color, "WEBP", xmp=xmp_packet), b"C2PA", box),
        "AVIF": save(color[:64, :64], "AVIF") + make_box(b"uuid", CREDENTIALS_ID, bytes(4), b"manifest\0", box),
    }


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WebP", "AVIF"])
@pytest.mark.parametrize("wanted", [None, "PNG", "JPEG"])
def test_they_go_and_are_told(signed, read, write_as, file_format, wanted):
    content = signed[file_format]
    assert b"c2pa" in content
    assert read(content).losses == (CREDENTIALS_LOSS,)
    result, losses = write_as(content, wanted)
    assert b"c2pa" not in result
    assert read(result).losses == ()
    assert not any("C2PA" in loss or "APP11" in loss or "52545" in loss for loss in losses)


def test_heic_tells_them_too(color, read):
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is an extra")
    buffer = io.BytesIO()
    pillow_heif.encode("RGB", (64, 64), color[:64, :64].tobytes(), buffer)
    assert read(buffer.getvalue()).losses == ()
    signed = buffer.getvalue() + make_box(b"uuid", CREDENTIALS_ID, store())
    assert read(signed).losses == (CREDENTIALS_LOSS,)


def test_all_segments_of_a_large_manifest_go_and_other_boxes_of_that_kind_stay(gray, read, save, write_as):
    other = segments(store(b"other box of JUMB", b"plate", 140_000), 2)
    content = save(gray, "JPEG", extra=segments(store(size=200_000), 1) + other)
    assert read(content).losses == (CREDENTIALS_LOSS,)
    result, _ = write_as(content)
    assert result.count(b"\xff\xeb") >= 3
    assert other in result
    assert result.count(b"signed" * 1000) == other.count(b"signed" * 1000)
    assert b"c2pa" not in result


def test_a_box_of_another_kind_with_the_same_number_stays(gray, read, save, write_as):
    residue = make_box(b"RESI", b"what another coder left" * 20)
    content = save(gray, "JPEG", extra=segments(store(size=100), 1) + segments(residue, 1))
    assert read(content).losses == (CREDENTIALS_LOSS,)
    assert segments(residue, 1) in write_as(content)[0]


def test_jpeg_2000_loses_them_too(gray, read, save, write_as):
    content = save(gray, "JPEG2000", irreversible=False)
    place = content.index(b"jp2c") - 4
    signed = content[:place] + make_box(b"uuid", CREDENTIALS_ID, store()) + content[place:]
    assert read(signed).losses == (CREDENTIALS_LOSS,)
    assert b"c2pa" not in write_as(signed)[0]


ADDRESS = "https://archive.example/manifests/7.c2pa"


@pytest.mark.parametrize("told", [
    (f'dcterms:provenance="{ADDRESS}"', ""), ("", f"<dcterms:provenance>{ADDRESS}</dcterms:provenance>"),
])  # fmt: skip
def test_the_address_of_credentials_goes_too(gray, save, write_as, provenance, told):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" {told[0]}>{told[1]}'
        "<dcterms:medium>glass plate</dcterms:medium></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
    result, losses = write_as(save(gray, "JPEG", xmp=packet), provenance=provenance)
    assert losses == (CREDENTIALS_LOSS,)
    assert b"archive.example" not in result
    assert b"glass plate" in result


def test_words_about_where_a_picture_was_stay(gray, save, write_as, provenance):
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/">'
        b"<dcterms:provenance>found in a box</dcterms:provenance></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    result, losses = write_as(save(gray, "JPEG", xmp=packet), provenance=provenance)
    assert losses == ()
    assert b"found in a box" in result
