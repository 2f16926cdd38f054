import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
import zstandard
from PIL import Image

from core.archives import archive_kind, walk
from core.errors import ArchiveError


def a_zip(content=b"a"):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.jpg", content)
    return archive.getvalue()


def a_tar():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.addfile(tarfile.TarInfo("a.jpg"))
    return archive.getvalue()


def a_picture(form):
    picture = io.BytesIO()
    Image.new("L", (64, 64), 77).save(picture, form)
    return picture.getvalue()


@pytest.mark.parametrize("name", ["photos.zip", "photos", "photos.jpg", "photos.tar"])
def test_a_zip_is_known_by_its_content(name):
    assert archive_kind(io.BytesIO(a_zip()), name) == "zip"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["photos.tar", "photos", "photos.zip"])
def test_a_tar_is_known_by_its_content_however_packed(pack, name):
    assert archive_kind(io.BytesIO(pack(a_tar())), name) == "tar"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_a_picture_is_no_archive_even_with_a_zip_at_its_end(form):
    assert archive_kind(io.BytesIO(a_picture(form)), "a.jpg") is None
    assert archive_kind(io.BytesIO(a_picture(form) + a_zip()), "a.jpg") is None


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_packed_picture_is_no_archive(pack):
    assert archive_kind(io.BytesIO(pack(a_picture("TIFF"))), "a.tif.gz") is None


@pytest.mark.parametrize("content", [b"", b"PK", b"text" * 1000, bytes(5000), b"\x1f\x8b" + bytes(99), b"BZh9" * 200])
def test_anything_else_is_no_archive(content):
    assert archive_kind(io.BytesIO(content), "a.bin") is None


def test_zeros_are_an_empty_tar_only_by_name():
    assert archive_kind(io.BytesIO(bytes(10_240)), "photos.TAR") == "tar"
    assert archive_kind(io.BytesIO(gzip.compress(bytes(10_240))), "photos.tgz") == "tar"
    assert archive_kind(io.BytesIO(bytes(10_240)), "photos.bin") is None


@pytest.mark.parametrize(
    "content", [a_zip(), a_tar(), gzip.compress(a_tar()), b"text"], ids=["zip", "tar", "gz", "none"]
)
def test_the_stream_is_rewound(content):
    stream = io.BytesIO(content)
    stream.seek(3)
    archive_kind(stream, "a")
    assert stream.tell() == 0


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a.7z", "unsupported_archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a.zip", "unsupported_archive"),
        (b"Rar!\x1a\x07\x00" + bytes(100), "a.rar", "unsupported_archive"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(100), "a.rar", "unsupported_archive"),
        (b"text" * 1000, "a.txt", "unsupported_archive"),
        (b"", "a.zip", "broken_archive"),
        (b"text" * 1000, "a.zip", "broken_archive"),
        (b"\x1f\x8bxxxx", "a.tar.gz", "broken_archive"),
        (a_zip(bytes(1000))[:500], "a.zip", "broken_archive"),
        (a_tar()[:700], "a.tar", "broken_archive"),
    ],
)
def test_what_cannot_be_walked_says_why(limits, content, name, code):
    with pytest.raises(ArchiveError) as caught:
        list(walk(io.BytesIO(content), name, limits))
    assert caught.value.code == code
