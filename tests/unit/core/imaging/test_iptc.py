import io

from PIL import Image, IptcImagePlugin

from core.imaging.iptc import from_resources, has_other_resources, to_resource, without_thumbnails

THUMBNAIL = b"8BIM\x04\x0c\x04name\0\0\0\0\x05small\0"


def test_records_are_found_among_other_resources(iptc):
    resources = THUMBNAIL + to_resource(iptc) + THUMBNAIL
    assert from_resources(resources) == iptc
    assert has_other_resources(resources)
    assert not has_other_resources(to_resource(iptc))


def test_a_resource_is_read_by_pillow(iptc):
    payload = b"Photoshop 3.0\0" + to_resource(iptc)
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", extra=b"\xff\xed" + (len(payload) + 2).to_bytes(2) + payload)
    with Image.open(buffer) as image:
        assert IptcImagePlugin.getiptcinfo(image)[(2, 120)] == "Hof ³".encode()


def test_damaged_resources_hold_nothing(iptc):
    whole = to_resource(iptc)
    for size in range(len(whole) - 1):
        assert from_resources(whole[:size]) in (b"", iptc)
    assert from_resources(b"") == from_resources(b"nonsense") == from_resources(whole[:-4]) == b""


def test_thumbnails_alone_are_left_out(iptc):
    records = to_resource(iptc)
    older = THUMBNAIL.replace(b"\x04\x0c", b"\x04\x09")
    assert without_thumbnails(THUMBNAIL + records + older + b"rest") == records + b"rest"
    for resources in (records, b"", b"nonsense", THUMBNAIL[:-2]):
        assert without_thumbnails(resources) == resources
