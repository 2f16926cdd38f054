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
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

_KNOWN = (
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)", "HEIC"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftypcrx ", "camera raw (CR3)"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
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
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _KNOWN)


def accepted_format(header: bytes) -> Format | None:
    """The accepted format that a file's first bytes tell of, if any."""
    if header[8:10] == b"CR" and header.startswith(b"II*\0"):
        return None
    return next((name for magic, name in _ACCEPTED if header.startswith(magic)), None)


def known_kind(header: bytes) -> str | None:
    """The name of a kind of image that is known but not accepted, from the first HEADER_BYTES bytes of a file."""
    if header[8:10] == b"CR" and header.startswith(b"II*\0"):
        return "camera raw (CR2)"
    return next((name for pattern, name in _PATTERNS if pattern.match(header)), None)
