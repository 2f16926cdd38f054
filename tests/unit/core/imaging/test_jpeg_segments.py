import base64
import hashlib
import io
import re
import struct

import pytest
from PIL import ExifTags, Image

from core.imaging.iptc import to_resource
from core.imaging.jpeg_segments import EXTENSION_LOSS
from core.imaging.metadata import THUMBNAIL_LOSS

PHOTOSHOP = b"Photoshop 3.0\0"


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def segment(marker, payload):
    return b"\xff" + bytes((marker,)) + (len(payload) + 2).to_bytes(2) + payload


def resource(kind, data):
    return b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data + bytes(len(data) % 2)


@pytest.fixture(scope="module")
def small(gray, save):
    return save(gray[:60, :80], "JPEG")


@pytest.mark.parametrize("part_bytes", [60_000, 700])
def test_photoshops_previews_go_and_all_else_that_it_wrote_stays(
    gray, small, iptc, read, save, write_as, provenance, part_bytes
):
    preview = struct.pack(">6I2H", 1, 80, 60, 240, 14_400, len(small), 24, 1) + small
    kept = [resource(1005, bytes(16)), to_resource(iptc), resource(1061, b"digest of captions")]
    resources = kept[0] + resource(1036, preview) + kept[1] + resource(1033, preview[:99]) + kept[2]
    parts = [PHOTOSHOP + resources[i : i + part_bytes] for i in range(0, len(resources), part_bytes)]
    content = save(gray, "JPEG", extra=b"".join(segment(0xED, part) for part in parts))
    assert 1036 in opened(content).info["photoshop"]
    assert read(content).losses == (THUMBNAIL_LOSS,)
    result, losses = write_as(content, provenance=provenance)
    assert losses == ()
    assert small not in result
    assert [data for _, data in opened(result).applist if data.startswith(PHOTOSHOP)] == [PHOTOSHOP + b"".join(kept)]
    assert read(result).losses == ()
    assert read(result).metadata.portable.iptc == iptc


def test_photoshops_resources_past_64_kb_are_written_as_they_were(gray, read, save, write_back):
    resources = resource(1060, b"x" * 90_000) + resource(1061, b"digest of captions")
    parts = [PHOTOSHOP + resources[i : i + 65_519] for i in range(0, len(resources), 65_519)]
    content = save(gray, "JPEG", extra=b"".join(segment(0xED, part) for part in parts))
    assert [data for _, data in opened(write_back(content)).applist if data.startswith(PHOTOSHOP)] == parts
    assert read(content).losses == ()


def test_a_preview_that_is_all_that_photoshop_wrote_takes_its_segment_along(gray, small, save, write_back):
    content = save(gray, "JPEG", extra=segment(0xED, PHOTOSHOP + resource(1036, bytes(28) + small)))
    assert "photoshop" not in opened(write_back(content)).info


def test_the_preview_in_jfifs_extension_goes_and_is_told(gray, small, read, save, write_back):
    content = save(gray, "JPEG")
    first = 4 + int.from_bytes(content[4:6])
    content = content[:first] + segment(0xE0, b"JFXX\0\x10" + small) + content[first:]
    assert read(content).losses == (THUMBNAIL_LOSS,)
    assert small not in write_back(content)
    assert b"JFXX" not in write_back(content)
    assert [marker for marker, _ in opened(write_back(content)).applist].count("APP0") == 1


def test_an_empty_comment_stays(gray, save, write_back):
    assert b"\xff\xfe\0\2" in write_back(save(gray, "JPEG", extra=segment(0xFE, b"")))


def test_exif_describes_a_picture_in_srgb(gray, read, save, write_as):
    block = Image.Exif()
    block.update({258: 8, 262: 1, 271: "Plaubel", 277: 1, 0x8769: {0x9003: "1931:01:02 03:04:05", 0xA001: 65535}})
    content = save(gray, "JPEG", exif=block)
    for file_format in (None, "PNG", "WebP"):
        seen = opened(write_as(content, file_format)[0]).getexif()
        assert dict(seen).keys() == {271, ExifTags.IFD.Exif}
        assert seen.get_ifd(ExifTags.IFD.Exif) == {0x9003: "1931:01:02 03:04:05", 0xA001: 1}
    assert read(content).losses == ()


BASIC = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'


def packet(inner, attributes=""):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {BASIC} {NOTE} {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def thumbnails(content):
    """The property that holds a small JPEG."""
    image = base64.b64encode(content).decode()
    return (
        '<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image '
        f'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/">{image}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>'
    )


def extended(extension):
    """A packet that points to an extension, and its segments."""
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    head = b"http://ns.adobe.com/xmp/extension/\0" + name.encode()
    starts = range(0, len(extension), 60_000)
    parts = [head + struct.pack(">II", len(extension), i) + extension[i : i + 60_000] for i in starts]
    main = packet("<xmp:Label>box 7</xmp:Label>", f'xmpNote:HasExtendedXMP="{name}"')
    return main, b"".join(segment(0xE1, part) for part in parts)


def extension_of(content):
    """The extension that a JPEG's packet points to, put together by what its segments tell."""
    name = re.search(rb'HasExtendedXMP="([0-9A-F]{32})"', opened(content).info["xmp"])[1]
    head = b"http://ns.adobe.com/xmp/extension/\0" + name
    parts = [data[len(head) :] for kind, data in opened(content).applist if kind == "APP1" and data.startswith(head)]
    whole = b"".join(part[8:] for part in sorted(parts, key=lambda part: part[4:8]))
    assert all(int.from_bytes(part[:4]) == len(whole) for part in parts)
    assert hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode() == name
    return whole


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WebP"])
def test_the_small_pictures_in_xmp_go_and_are_told(gray, small, save, write_as, provenance, file_format):
    original = save(gray, "JPEG", xmp=packet("<xmp:Label>box 7</xmp:Label>" + thumbnails(small)))
    content, _ = write_as(original, file_format)
    assert b"Thumbnails" in content
    result, losses = write_as(content, provenance=provenance)
    assert losses == (THUMBNAIL_LOSS,)
    assert b"Thumbnails" not in result
    assert b"xmpGImg" not in result
    assert b"box 7" in result


@pytest.mark.parametrize("further", ["", "<xmp:Nickname>" + "a long story " * 9000 + "</xmp:Nickname>"])
def test_the_small_pictures_in_an_extension_of_xmp_go_and_the_rest_of_it_stays(
    gray, small, save, write_as, provenance, further
):
    main, extension = extended(packet(further + thumbnails(small * 40)))
    content = save(gray, "JPEG", xmp=main, extra=extension)
    result, losses = write_as(content, provenance=provenance)
    assert losses == (THUMBNAIL_LOSS,)
    assert b"Thumbnails" not in extension_of(result)
    assert extension_of(result).startswith(b"<x:xmpmeta")
    assert (b"a long story " * 9000 in extension_of(result)) == bool(further)
    assert b"box 7" in opened(result).info["xmp"]
    assert b"DigitalSourceType" in opened(result).info["xmp"]


def test_an_extension_of_xmp_without_small_pictures_stays_as_it_is(gray, save, write_as, provenance):
    main, extension = extended(packet("<xmp:Nickname>" + "a long story " * 9000 + "</xmp:Nickname>"))
    result, losses = write_as(save(gray, "JPEG", xmp=main, extra=extension), provenance=provenance)
    assert losses == ()
    assert extension in result


@pytest.mark.parametrize("letters", [64_700, 64_800, 64_840, 64_870, 64_900])
def test_a_packet_that_nearly_fills_its_segment_and_an_extension_that_is_cut_fit(
    gray, small, save, write_as, provenance, letters
):
    _, segments = extended(packet(thumbnails(small)))
    name = segments[4 + 35 : 4 + 35 + 32].decode()
    main = packet("", f'xmpNote:HasExtendedXMP="{name}"')
    label = b"<xmp:Label>" + b"x" * (letters - len(main)) + b"</xmp:Label>"
    main = main.replace(b"></rdf:Description>", b">" + label + b"</rdf:Description>")
    result, losses = write_as(save(gray, "JPEG", xmp=main, extra=segments), provenance=provenance)
    assert THUMBNAIL_LOSS in losses
    assert b"x" * (letters - 2000) in result
    assert b"Thumbnails" not in result


def test_small_pictures_in_an_extension_that_nothing_points_to_or_that_cannot_be_read_go_with_it(
    gray, small, save, write_as, provenance
):
    main, named = extended(packet("<xmp:Nickname>" + "a long story " * 9000 + "</xmp:Nickname>"))
    _, orphan = extended(packet(thumbnails(small)))
    _, broken = extended(packet(thumbnails(small))[:-5])
    result, losses = write_as(save(gray, "JPEG", xmp=main, extra=orphan + named + broken), provenance=provenance)
    assert losses == (EXTENSION_LOSS,)
    assert b"Thumbnails" not in result
    assert b"a long story " * 9000 in extension_of(result)


@pytest.mark.parametrize("file_format", ["PNG", "WebP", "TIFF"])
def test_other_formats_do_not_point_to_an_extension_that_they_lack(gray, save, write_as, provenance, file_format):
    main, extension = extended(packet("<xmp:Nickname>" + "a long story " * 9000 + "</xmp:Nickname>"))
    result, losses = write_as(save(gray, "JPEG", xmp=main, extra=extension), file_format, provenance=provenance)
    assert EXTENSION_LOSS in losses
    assert b"box 7" in result
    assert b"HasExtendedXMP" not in result
