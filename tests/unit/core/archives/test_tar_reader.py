import bz2
import dataclasses
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile

import pytest
import zstandard

from core.archives import walk
from core.errors import ArchiveError, MemberError

NOISE = os.urandom(300_000)
PACKERS = {
    "plain": lambda raw: raw,
    "gz": gzip.compress,
    "bz2": lambda raw: bz2.compress(raw, 1),
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
needs_tar = pytest.mark.skipif(shutil.which("tar") is None, reason="the tar program is not installed")


def tar_of(*files, form=tarfile.PAX_FORMAT, encoding="utf-8"):
    """Return a TAR of (name or TarInfo, bytes) pairs."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=form, encoding=encoding) as writer:
        for name, content in files:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(content)
            writer.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def special(name, kind, target=""):
    """Return the header of an entry that is no file."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


FILES = [("b/noise.tif", NOISE), ("a/empty.jpg", b""), ("c/" + "ä" * 60 + "/" + "n" * 90 + ".png", b"gray" * 1000)]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_member_comes_out_in_order_whatever_packed_it(outcomes, packing, form):
    files = FILES[:2] if form == "ustar" else FILES
    assert outcomes(PACKERS[packing](tar_of(*files, form=FORMATS[form])), "photos") == files


@needs_tar
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
@pytest.mark.parametrize("option", ["--gzip", "--bzip2", "--xz", "--zstd", "--no-auto-compress"])
def test_what_the_tar_program_packs_comes_out(outcomes, tmp_path, form, option):
    program = {"--bzip2": "bzip2", "--xz": "xz", "--zstd": "zstd"}.get(option, "gzip")
    if shutil.which(program) is None:
        pytest.skip(f"the {program} program is not installed")
    (tmp_path / "Fotos" / "Übung").mkdir(parents=True)
    (tmp_path / "Fotos" / "写真.jpg").write_bytes(NOISE)
    (tmp_path / "Fotos" / "Übung" / "ß.tif").write_bytes(b"tiff")
    (tmp_path / "link.jpg").symlink_to("Fotos/写真.jpg")
    names = ["./Fotos", "link.jpg"]
    subprocess.run(["tar", f"--format={form}", option, "-cf", "out", *names], cwd=tmp_path, check=True)
    found = dict(outcomes((tmp_path / "out").read_bytes(), "out"))
    assert found == {"Fotos/写真.jpg": NOISE, "Fotos/Übung/ß.tif": b"tiff", "link.jpg": "link"}


@needs_tar
@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ],
    ids=["old GNU", "PAX 0.0", "PAX 0.1", "PAX 1.0"],
)
def test_a_sparse_file_comes_out_with_its_holes_filled(outcomes, tmp_path, options):
    with (tmp_path / "a.tif").open("wb") as file:
        for number in range(60):
            file.seek(number * 20_000)
            file.write(b"%d" % number)
        file.truncate(1_250_000)
    (tmp_path / "b.tif").write_bytes(b"next")
    subprocess.run(["tar", "-S", *options, "-cf", "out.tar", "a.tif", "b.tif"], cwd=tmp_path, check=True)
    archive = (tmp_path / "out.tar").read_bytes()
    assert len(archive) < 1_000_000, "the file system kept no holes, so this test would show nothing"
    assert outcomes(archive, "out.tar") == [("a.tif", (tmp_path / "a.tif").read_bytes()), ("b.tif", b"next")]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
        (b"Q", "device"),
    ],
    ids=["symlink", "hard link", "character device", "block device", "FIFO", "unknown"],
)
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_file_is_refused_and_its_neighbors_come_out(outcomes, kind, code, form):
    archive = tar_of(("a.jpg", b"a"), (special("b.jpg", kind, "a.jpg"), b""), ("c.jpg", b"c"), form=FORMATS[form])
    assert outcomes(archive, "x.tar") == [("a.jpg", b"a"), ("b.jpg", code), ("c.jpg", b"c")]


def test_a_path_that_climbs_out_is_refused_and_its_neighbors_come_out(outcomes):
    archive = tar_of(
        ("a.jpg", b"a"), ("../b.jpg", NOISE), ("/c.jpg", b"c"), ("d/" * 8 + "d.jpg", b"d"), ("e.jpg", b"e")
    )
    assert [outcome for _, outcome in outcomes(archive, "x.tar")] == [
        b"a",
        "path_escapes",
        "path_escapes",
        "path_too_deep",
        b"e",
    ]


def test_folders_and_labels_are_no_members(outcomes):
    label = special("my archive", b"V")
    archive = tar_of(
        (label, b""), (special("a", tarfile.DIRTYPE), b""), (special("a", b"D"), b"Yb.jpg\0"), ("a/b.jpg", b"b")
    )
    assert outcomes(archive, "x.tar") == [("a/b.jpg", b"b")]


@pytest.mark.parametrize(
    "name", ["Ä.jpg", "A\u0308.jpg", "写真/一枚.tif", "фото.png", "صورة.jpg", "📷.jpg", "a\\b.jpg"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_names_in_any_script_and_unicode_form_survive(outcomes, name, form):
    assert outcomes(tar_of((name, b"x"), form=FORMATS[form]), "x.tar") == [(name, b"x")]


def test_a_name_that_is_no_utf8_is_read_as_latin1(outcomes):
    archive = tar_of(("Grüße.jpg", b"x"), form=tarfile.GNU_FORMAT, encoding="latin-1")
    assert outcomes(archive, "x.tar") == [("Grüße.jpg", b"x")]


def test_equal_names_both_come_out(outcomes):
    assert outcomes(tar_of(("a.jpg", b"1"), ("a.jpg", b"2")), "x.tar") == [("a.jpg", b"1"), ("a.jpg", b"2")]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_a_stream_in_several_parts_is_read_through(outcomes, packing):
    raw, pack = tar_of(*FILES), PACKERS[packing]
    parts = [raw[start : start + 70_000] for start in range(0, len(raw), 70_000)]
    assert outcomes(b"".join(map(pack, parts)), "x") == FILES


@pytest.mark.parametrize("packing", ["gz", "xz"])
def test_zero_padding_between_and_after_streams_is_passed_over(outcomes, packing):
    raw, pack = tar_of(*FILES), PACKERS[packing]
    assert outcomes(pack(raw[:5000]) + bytes(512) + pack(raw[5000:]) + bytes(100_000), "x") == FILES


@pytest.mark.parametrize("packing", PACKERS)
def test_an_archive_behind_the_end_of_another_is_not_passed_over_in_silence(outcomes, packing):
    archive = PACKERS[packing](tar_of(FILES[0])) + PACKERS[packing](tar_of(FILES[1], FILES[2]))
    assert outcomes(archive, "x.tar") == [FILES[0], ("", "broken_archive")]


@pytest.mark.parametrize("packing", PACKERS)
def test_garbage_after_the_end_costs_no_member(outcomes, packing):
    found = outcomes(PACKERS[packing](tar_of(*FILES)) + b"garbage" * 200, "x.tar")
    assert found in (FILES, [*FILES, ("", "broken_archive")])


@pytest.mark.parametrize("packing", PACKERS)
def test_an_empty_tar_yields_nothing(outcomes, packing):
    assert outcomes(PACKERS[packing](tar_of()), "x.tar") == []


@pytest.mark.parametrize("packing", PACKERS)
def test_members_before_a_cut_stand_and_the_cut_is_told(outcomes, packing):
    packed = PACKERS[packing](tar_of(("a.jpg", NOISE), ("b.jpg", NOISE[::-1]), ("c.jpg", b"c")))
    found = outcomes(packed[: int(len(packed) * 0.8)], "x.tar")
    assert found[0] == ("a.jpg", NOISE)
    assert found[1:] == [("b.jpg", "damaged_entry"), ("", "broken_archive")]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_a_cut_in_the_last_bytes_is_told_although_all_members_came_out(outcomes, packing):
    packed = PACKERS[packing](tar_of(*FILES))
    assert outcomes(packed[:-3], "x.tar") == [*FILES, ("", "broken_archive")]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_a_cut_in_what_follows_the_end_mark_is_told(outcomes, packing):
    packed = PACKERS[packing](tar_of(("a.jpg", b"a")) + NOISE)
    assert outcomes(packed[:-3], "x.tar") == [("a.jpg", b"a"), ("", "broken_archive")]


def test_a_plain_tar_cut_between_two_members_is_told_by_its_missing_end_mark(outcomes):
    archive = tar_of(("a.jpg", b"a" * 512), form=tarfile.USTAR_FORMAT)
    assert outcomes(archive[:1024], "x.tar") == [("a.jpg", b"a" * 512), ("", "broken_archive")]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_flipped_byte_in_a_compressed_stream_is_told(outcomes, packing):
    packed = bytearray(PACKERS[packing](tar_of(("a.jpg", NOISE), ("b.jpg", NOISE))))
    packed[len(packed) // 2] ^= 0xFF
    assert outcomes(bytes(packed), "x.tar")[-1] == ("", "broken_archive")


def test_a_damaged_header_ends_the_walk_after_what_came_before(outcomes):
    archive = bytearray(tar_of(("a.jpg", b"a"), ("b.jpg", b"b"), form=tarfile.USTAR_FORMAT))
    archive[1024 + 5] ^= 1
    assert outcomes(bytes(archive), "x.tar") == [("a.jpg", b"a"), ("", "broken_archive")]


@pytest.mark.parametrize("packing", PACKERS)
def test_members_need_not_be_read_whole_or_at_all(limits, packing):
    packed = PACKERS[packing](tar_of(("a.jpg", NOISE), ("b.jpg", NOISE), ("c.jpg", b"c")))
    for member in walk(io.BytesIO(packed), "x.tar", limits):
        if member.path == "b.jpg":
            assert member.open().read(1000) == NOISE[:1000]
        if member.path == "c.jpg":
            assert member.open().read() == b"c"
    assert member.path == "c.jpg"


def test_a_member_is_of_no_use_once_the_walk_went_on(limits):
    walking = walk(io.BytesIO(tar_of(("a.jpg", NOISE), ("b.jpg", b"b"))), "x.tar", limits)
    late = next(walking).open()
    next(walking)
    with pytest.raises(MemberError, match=r"a\.jpg") as caught:
        late.read()
    assert caught.value.code == "damaged_entry"


@pytest.mark.parametrize("packing", PACKERS)
def test_a_second_walk_gives_the_same(limits, packing):
    archive = io.BytesIO(PACKERS[packing](tar_of(("b.jpg", b"b"), ("../c.jpg", b"c"), ("a.jpg", b"a"))))
    first = list(walk(archive, "x.tar", limits))
    assert list(map(repr, first)) == list(map(repr, walk(archive, "x.tar", limits)))
    assert [member.index for member in first] == [0, 1, 2]


def test_limits_hold_exactly(outcomes, limits):
    archive = tar_of(("a.jpg", b"a" * 100), ("b.jpg", b"b" * 50))
    fits = dataclasses.replace(limits, max_entries=2, max_entry_bytes=100, max_total_bytes=150)
    assert outcomes(archive, "x.tar", fits) == [("a.jpg", b"a" * 100), ("b.jpg", b"b" * 50)]
    few = dataclasses.replace(fits, max_entries=1)
    assert outcomes(archive, "x.tar", few) == [("a.jpg", b"a" * 100), ("", "too_many_entries")]
    small = dataclasses.replace(fits, max_entry_bytes=99)
    assert outcomes(archive, "x.tar", small) == [("a.jpg", "entry_too_large"), ("b.jpg", b"b" * 50)]
    tight = dataclasses.replace(fits, max_total_bytes=149)
    assert outcomes(archive, "x.tar", tight) == [("a.jpg", b"a" * 100), ("", "archive_too_large")]


def test_a_read_that_passes_the_total_is_the_archives_error_and_not_the_members(limits):
    walking = walk(io.BytesIO(tar_of(("a.jpg", NOISE))), "x.tar", dataclasses.replace(limits, max_total_bytes=100_000))
    with pytest.raises(ArchiveError) as caught:
        next(walking).open().read()
    assert caught.value.code == "archive_too_large"
    assert not isinstance(caught.value, MemberError)
