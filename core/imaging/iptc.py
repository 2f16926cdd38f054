"""IPTC-IIM records and the Photoshop resources in which most formats hold them.

Source: Adobe Photoshop File Formats Specification (image resource blocks), IPTC-NAA Information Interchange Model 4.2.
"""

import struct
from collections.abc import Iterator

SIGNATURE = b"8BIM"
IPTC = 0x0404
THUMBNAILS = frozenset({1033, 1036})
RECORD_MARK = b"\x1c"
OTHER_RESOURCES_LOSS = "Photoshop's resources other than IPTC"


def from_resources(resources: bytes) -> bytes:
    """The IPTC-IIM records among Photoshop resources ("8BIM..."); b"" where there are none or they are damaged."""
    return next((data for kind, data, _ in _resources(resources) if kind == IPTC), b"")


def has_other_resources(resources: bytes) -> bool:
    """Whether there is anything else among Photoshop resources."""
    return any(kind != IPTC for kind, _, _ in _resources(resources))


def without_thumbnails(resources: bytes) -> bytes:
    """The same Photoshop resources without the small copies of the picture; what cannot be read stays as it is."""
    found = [(kind, whole) for kind, _, whole in _resources(resources)]
    rest = resources[sum(len(whole) for _, whole in found) :]
    return b"".join(whole for kind, whole in found if kind not in THUMBNAILS) + rest


def _resources(resources: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, data, and the bytes from signature to padding of all resources that are whole."""
    offset = 0
    while resources[offset : offset + 4] == SIGNATURE:
        name_bytes = resources[offset + 6 : offset + 7]
        name_end = offset + 7 + (name_bytes[0] if name_bytes else 0)
        start = name_end + (name_end - offset) % 2
        if start + 4 > len(resources):
            return
        kind = struct.unpack_from(">H", resources, offset + 4)[0]
        size = struct.unpack_from(">I", resources, start)[0]
        data = resources[start + 4 : start + 4 + size]
        if len(data) < size:
            return
        end = start + 4 + size + size % 2
        yield kind, data, resources[offset:end]
        offset = end


def to_resource(records: bytes) -> bytes:
    """The one Photoshop resource that holds IPTC-IIM records."""
    head = SIGNATURE + struct.pack(">H", IPTC) + bytes(2) + struct.pack(">I", len(records))
    return head + records + b"\0" * (len(records) % 2)
