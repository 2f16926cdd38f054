"""Telling kinds of files apart by their first bytes."""

import re

from core.imaging.scan import Format

_SUFFIXES = (
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .tif .tiff .webp .bmp .dib .gif .heic .heif .hif .avif .jp2 .j2k .jpf .jpx"
    " .jxl .jxr .wdp .psd .psb .tga .pcx .pgm .ppm .pbm .pnm .pam .exr .hdr .ico .dcm .djvu .raw .dng .cr2 .cr3 .crw"
    " .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .fff .iiq .mrw .rwl .erf .kdc .dcr"
)
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""Lowercase suffixes by which a file claims to be a photograph, accepted or not."""

HEADER_BYTES = 160

_ACCEPTED: tuple[tuple[bytes, Format], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
)

_KNOWN = (
    (rb"GIF8[79]a", "GIF"),
    (rb"....ftypcrx ", "camera raw (CR3)"),
    (rb"....ftyp(mif1|msf1|miaf)", "HEIF"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"8BPS", "Photoshop"),
    (rb"P[1-7]\s+(#|\d|WIDTH)", "Netpbm"),
    (rb"IIR[OS]|IIU\0|FUJIFILMCCD-RAW|\0MRM|FOVb|II\x1a\0\0\0HEAPCCDR", "camera raw"),
    (rb"II\xbc", "JPEG XR"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?RADIANCE|#\?RGBE", "Radiance HDR"),
    (rb"\0\0\x01\0[\x01-\x20]\0", "icon"),
    (rb".{128}DICM", "DICOM"),
    (rb"AT&TFORM", "DjVu"),
)
_BRANDS: tuple[tuple[Format, frozenset[bytes]], ...] = (
    ("AVIF", frozenset({b"avif", b"avis"})),
    ("HEIC", frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})),
)
_ACCEPTED_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _ACCEPTED)
_KNOWN_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _KNOWN)


def accepted_format(header: bytes) -> Format | None:
    """The accepted format that a file's first HEADER_BYTES bytes tell of, if any."""
    if _is_cr2(header):
        return None
    found = next((name for pattern, name in _ACCEPTED_PATTERNS if pattern.match(header)), None)
    return found or _heif_format(header)


def _is_cr2(header: bytes) -> bool:
    return header[8:10] == b"CR" and header.startswith(b"II*\0")


def _heif_format(header: bytes) -> Format | None:
    """AVIF or HEIC by the brands of an ISO base media file, the main one before those that it is compatible with."""
    if header[4:8] != b"ftyp":
        return None
    box = header[8 : int.from_bytes(header[:4])]
    brands = [box[:4], *(box[i : i + 4] for i in range(8, len(box), 4))]
    return next((name for brand in brands for name, known in _BRANDS if brand in known), None)


def known_kind(header: bytes) -> str | None:
    """The name of a kind of image that is known but not accepted, from the first HEADER_BYTES bytes of a file."""
    if _is_cr2(header):
        return "camera raw (CR2)"
    return next((name for pattern, name in _KNOWN_PATTERNS if pattern.match(header)), None)
