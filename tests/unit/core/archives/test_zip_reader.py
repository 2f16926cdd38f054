import dataclasses
import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest

from core.archives import walk
from core.errors import ArchiveError, MemberError

NOISE = os.urandom(300_000)
needs_zip = pytest.mark.skipif(shutil.which("zip") is None, reason="the zip program is not installed")


def zip_of(*files, method=zipfile.ZIP_DEFLATED):
    """Return a ZIP of (name or ZipInfo, bytes) pairs."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        for name, content in files:
            writer.writestr(name, content)
    return archive.getvalue()


def info(name, mode=0o100644, system=3):
    """Return a ZipInfo with a Unix mode, made by the given system."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = system
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2], ids=str)
def test_every_member_comes_out_in_order_whatever_packed_it(outcomes, method):
    files = [("b/noise.tif", NOISE), ("a/empty.jpg", b""), ("c/flat.png", b"gray" * 20_000)]
    assert outcomes(zip_of(*files, method=method)) == files


def test_an_entry_packed_with_lzma_is_refused_and_its_neighbor_comes_out(outcomes):
    packed = info("a.tif")
    packed.compress_type = zipfile.ZIP_LZMA
    assert outcomes(zip_of((packed, NOISE), ("b.tif", b"b"))) == [("a.tif", "unsupported_compression"), ("b.tif", b"b")]


def test_a_zip_written_to_a_pipe_comes_out(outcomes):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError("a pipe has no position")

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("a.tif", NOISE)
        writer.writestr("b.tif", b"b")
    assert outcomes(pipe.getvalue()) == [("a.tif", NOISE), ("b.tif", b"b")]


def test_zip64_sizes_are_read(outcomes):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer, writer.open("a.tif", "w", force_zip64=True) as entry:
        entry.write(NOISE)
    assert outcomes(archive.getvalue()) == [("a.tif", NOISE)]


def test_more_entries_than_a_plain_zip_can_count_are_walked(limits):
    archive = zip_of(*((f"{number}.jpg", b"") for number in range(66_000)))
    wide = dataclasses.replace(limits, max_entries=66_000)
    paths = [member.path for member in walk(io.BytesIO(archive), "a.zip", wide)]
    assert paths == [f"{number}.jpg" for number in range(66_000)]


@needs_zip
def test_what_the_zip_program_packs_comes_out(outcomes, tmp_path):
    (tmp_path / "Fotos" / "Übung").mkdir(parents=True)
    (tmp_path / "Fotos" / "写真.jpg").write_bytes(NOISE)
    (tmp_path / "Fotos" / "Übung" / "ß.tif").write_bytes(b"tiff")
    (tmp_path / "link.jpg").symlink_to("Fotos/写真.jpg")
    subprocess.run(["zip", "-q", "-r", "-y", "out.zip", "Fotos", "link.jpg"], cwd=tmp_path, check=True)
    found = dict(outcomes((tmp_path / "out.zip").read_bytes()))
    assert found == {"Fotos/写真.jpg": NOISE, "Fotos/Übung/ß.tif": b"tiff", "link.jpg": "link"}


@needs_zip
def test_an_encrypted_entry_is_refused_and_its_neighbor_comes_out(outcomes, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(NOISE)
    (tmp_path / "open.jpg").write_bytes(b"open")
    subprocess.run(["zip", "-q", "-P", "word", "out.zip", "secret.jpg"], cwd=tmp_path, check=True)
    subprocess.run(["zip", "-q", "out.zip", "open.jpg"], cwd=tmp_path, check=True)
    assert outcomes((tmp_path / "out.zip").read_bytes()) == [("secret.jpg", "encrypted"), ("open.jpg", b"open")]


@pytest.mark.parametrize(
    ("mode", "code"),
    [(0o120777, "link"), (0o020644, "device"), (0o060644, "device"), (0o010644, "device"), (0o140644, "device")],
    ids=["symlink", "character device", "block device", "FIFO", "socket"],
)
def test_what_is_no_file_is_refused_and_its_neighbors_come_out(outcomes, mode, code):
    archive = zip_of(("a.jpg", b"a"), (info("b.jpg", mode), b"/etc/passwd"), ("c.jpg", b"c"))
    assert outcomes(archive) == [("a.jpg", b"a"), ("b.jpg", code), ("c.jpg", b"c")]


def test_a_path_that_climbs_out_is_refused_and_its_neighbors_come_out(outcomes):
    archive = zip_of(
        ("a.jpg", b"a"), ("../../b.jpg", b"b"), ("/c.jpg", b"c"), ("d/" * 8 + "d.jpg", b"d"), ("e.jpg", b"e")
    )
    assert [outcome for _, outcome in outcomes(archive)] == [
        b"a",
        "path_escapes",
        "path_escapes",
        "path_too_deep",
        b"e",
    ]


def test_folders_are_no_members(outcomes):
    dos_folder = info("dos", mode=0, system=0)
    dos_folder.external_attr = 0x10
    archive = zip_of(("a/", b""), (info("b", 0o040755), b""), (dos_folder, b""), ("a/c.jpg", b"c"))
    assert outcomes(archive) == [("a/c.jpg", b"c")]


def test_a_folder_that_holds_data_is_not_passed_over_in_silence(outcomes):
    assert outcomes(zip_of(("a.jpg/", b"data"))) == [("a.jpg", "device")]


def test_backslashes_are_separators_where_windows_made_the_zip(outcomes):
    archive = zip_of((info("Fotos\\1920\\a.jpg", system=0), b"a"), (info("..\\b.jpg", system=10), b"b"))
    assert outcomes(archive) == [("Fotos/1920/a.jpg", b"a"), ("__/b.jpg", "path_escapes")]


def test_a_backslash_is_kept_where_another_system_made_the_zip(outcomes):
    assert outcomes(zip_of((info("a\\b.jpg"), b"a"))) == [("a\\b.jpg", b"a")]


@pytest.mark.parametrize(
    "name", ["Ä.jpg", "A\u0308.jpg", "写真/一枚.tif", "фото.png", "صورة.jpg", "📷.jpg", "a'b;c.jpg"]
)
def test_names_in_any_script_and_unicode_form_survive(outcomes, name):
    assert outcomes(zip_of((name, b"x"))) == [(name, b"x")]


def raw_name(name: bytes, extra: bytes = b"") -> bytes:
    """Return a ZIP of one entry "x" with these bytes as its name and no UTF-8 flag."""
    entry = zipfile.ZipInfo("N" * len(name))
    entry.extra = extra
    return zip_of((entry, b"x")).replace(b"N" * len(name), name)


def test_an_unmarked_name_is_taken_for_utf8_where_it_can_be(outcomes):
    assert outcomes(raw_name("写真.jpg".encode())) == [("写真.jpg", b"x")]


def test_any_other_unmarked_name_is_read_by_the_standards_code_page(outcomes):
    assert outcomes(raw_name("Übung ½.jpg".encode("cp437"))) == [("Übung ½.jpg", b"x")]


def unicode_path(raw: bytes, name: str) -> bytes:
    """Return Info-ZIP's Unicode path field for a raw name."""
    content = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


def test_the_unicode_path_field_goes_before_the_raw_name(outcomes):
    raw = "写真.jpg".encode("cp932")
    assert outcomes(raw_name(raw, unicode_path(raw, "写真.jpg"))) == [("写真.jpg", b"x")]


def test_a_stale_unicode_path_field_is_ignored(outcomes):
    assert outcomes(raw_name(b"new.jpg", unicode_path(b"old.jpg", "old.jpg"))) == [("new.jpg", b"x")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_equal_names_both_come_out(outcomes):
    assert outcomes(zip_of(("a.jpg", b"1"), ("a.jpg", b"2"))) == [("a.jpg", b"1"), ("a.jpg", b"2")]


@pytest.mark.parametrize("name", ["a.zip", "a.exe"])
def test_a_self_extracting_zip_is_read(outcomes, name):
    assert outcomes(b"MZ" + NOISE + zip_of(("a.jpg", b"a"), ("b.jpg", b"b")), name) == [
        ("a.jpg", b"a"),
        ("b.jpg", b"b"),
    ]


def test_bytes_after_the_end_do_no_harm(outcomes):
    assert outcomes(zip_of(("a.jpg", b"a")) + b"\r\n") == [("a.jpg", b"a")]


def test_an_empty_zip_yields_nothing(outcomes):
    assert outcomes(zip_of()) == []


def test_a_corrupt_entry_fails_alone(outcomes):
    archive = zip_of(("a.jpg", b"a"), ("b.jpg", NOISE), ("c.jpg", b"c"), method=zipfile.ZIP_STORED)
    corrupt = archive.replace(NOISE[5000:5010], bytes(10))
    assert outcomes(corrupt) == [("a.jpg", b"a"), ("b.jpg", "damaged_entry"), ("c.jpg", b"c")]


def test_damage_is_told_before_the_last_byte_is_handed_out(limits):
    archive = zip_of(("b.jpg", NOISE), method=zipfile.ZIP_STORED).replace(NOISE[:8], bytes(8))
    member = next(walk(io.BytesIO(archive), "a.zip", limits))
    sink = io.BytesIO()
    with member.open() as stream, pytest.raises(MemberError) as caught:
        shutil.copyfileobj(stream, sink)
    assert caught.value.code == "damaged_entry"
    assert len(sink.getvalue()) < len(NOISE)


def test_an_error_is_given_again_however_often_one_reads_on(limits):
    archive = zip_of(("b.jpg", NOISE), method=zipfile.ZIP_STORED).replace(NOISE[:8], bytes(8))
    with next(walk(io.BytesIO(archive), "a.zip", limits)).open() as stream:
        for _ in range(3):
            with pytest.raises(MemberError):
                stream.read()


def test_a_truncated_zip_is_broken(outcomes):
    assert outcomes(zip_of(("a.jpg", NOISE), ("b.jpg", NOISE))[:-30]) == [("", "broken_archive")]


def test_members_may_be_read_late_or_not_at_all(limits):
    archive = zip_of(("a.jpg", NOISE), ("b.jpg", b"b"), ("c.jpg", b"c"))
    members = list(walk(io.BytesIO(archive), "a.zip", limits))
    with members[0].open() as first, members[2].open() as third:
        assert first.read(1000) == NOISE[:1000]
        assert third.read() == b"c"
        assert first.read() == NOISE[1000:]


def test_a_second_walk_gives_the_same(limits):
    archive = io.BytesIO(zip_of(("b.jpg", b"b"), ("../c.jpg", b"c"), ("a.jpg", b"a")))
    first = list(walk(archive, "a.zip", limits))
    assert list(map(repr, first)) == list(map(repr, walk(archive, "a.zip", limits)))
    assert [member.index for member in first] == [0, 1, 2]


def test_limits_hold_exactly(outcomes, limits):
    archive = zip_of(("a.jpg", b"a" * 100), ("b.jpg", b"b" * 50))
    fits = dataclasses.replace(limits, max_entries=2, max_entry_bytes=100, max_total_bytes=150)
    assert outcomes(archive, limits=fits) == [("a.jpg", b"a" * 100), ("b.jpg", b"b" * 50)]
    assert outcomes(archive, limits=dataclasses.replace(fits, max_entries=1)) == [("", "too_many_entries")]
    small = dataclasses.replace(fits, max_entry_bytes=99)
    assert outcomes(archive, limits=small) == [("a.jpg", "entry_too_large"), ("b.jpg", b"b" * 50)]
    tight = dataclasses.replace(fits, max_total_bytes=149)
    assert outcomes(archive, limits=tight) == [("a.jpg", b"a" * 100), ("", "archive_too_large")]


def test_an_error_of_the_walk_names_its_limit(limits):
    archive = zip_of(("a.jpg", b""), ("b.jpg", b""))
    with pytest.raises(ArchiveError, match="more than 1 entries"):
        next(walk(io.BytesIO(archive), "a.zip", dataclasses.replace(limits, max_entries=1)))
