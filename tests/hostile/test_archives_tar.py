import bz2
import dataclasses
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archives import ArchiveLimits, walk
from core.errors import ArchiveError, MemberError

LIMITS = ArchiveLimits(
    max_entries=500, max_total_bytes=2**26, max_entry_bytes=2**25, max_entry_ratio=1000, max_path_depth=16
)
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}
END = bytes(1024)


def outcomes(archive, limits=LIMITS):
    """Return each member's path with the number of its bytes or its error's code; the archive's error comes last."""
    found = []
    try:
        for member in walk(io.BytesIO(archive), "x.tar", limits):
            try:
                with member.open() as stream:
                    found.append((member.path, sum(map(len, iter(lambda: stream.read(100_000), b"")))))
            except MemberError as error:
                found.append((member.path, error.code))
    except ArchiveError as error:
        found.append(("", error.code))
    return found


def header(name, size, kind=b"0", raw_size=None, **fields):
    """Return a header block that may lie about everything but its checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = raw_size or b"%011o\0" % size
    block[136:148] = b"0" * 11 + b"\0"
    block[156:157] = kind
    block[257:265] = fields.get("magic", b"ustar\x0000")
    for start, value in fields.get("at", {}).items():
        block[start : start + len(value)] = value
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    return bytes(block)


def padded(content):
    return content + bytes(-len(content) % 512)


def file(name, content):
    return header(name, len(content)) + padded(content)


def pax(*records):
    content = b""
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        content += b"%d" % length + body
    return header(b"pax", len(content), b"x") + padded(content)


def peak_of(work):
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packing", PACKERS)
def test_a_bomb_is_stopped_in_little_memory(packing):
    archive = PACKERS[packing](file(b"photo.jpg", b"photo") + file(b"bomb.tif", bytes(30_000_000)))
    lax = dataclasses.replace(LIMITS, max_entry_bytes=2**40, max_total_bytes=2**40, max_entry_ratio=100)
    found, peak = peak_of(lambda: outcomes(archive, lax))
    assert found == [("photo.jpg", 5), ("", "archive_too_large")]
    assert peak < len(archive) + 20_000_000


@pytest.mark.parametrize("packing", PACKERS)
def test_a_bomb_that_nobody_reads_is_stopped_as_well(packing):
    archive = PACKERS[packing](file(b"../bomb.tif", bytes(30_000_000)) + file(b"a.jpg", b"a") + END)
    lax = dataclasses.replace(LIMITS, max_entry_ratio=100)
    assert outcomes(archive, lax) == [("__/bomb.tif", "path_escapes"), ("", "archive_too_large")]


@pytest.mark.parametrize("packing", PACKERS)
def test_a_bomb_behind_the_end_mark_is_stopped_as_well(packing):
    archive = PACKERS[packing](file(b"a.jpg", b"a") + END + bytes(30_000_000))
    lax = dataclasses.replace(LIMITS, max_entry_ratio=100)
    assert outcomes(archive, lax) == [("a.jpg", 1), ("", "archive_too_large")]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"], ids=["PAX", "global PAX", "long name", "long link"])
def test_a_bomb_in_a_header_is_stopped_in_little_memory(packing, kind):
    archive = PACKERS[packing](header(b"h", 30_000_000, kind) + bytes(30_000_000) + file(b"a.jpg", b"a") + END)
    lax = dataclasses.replace(LIMITS, max_entry_ratio=100)
    found, peak = peak_of(lambda: outcomes(archive, lax))
    assert found in ([("", "archive_too_large")], [("", "broken_archive")])
    assert peak < len(archive) + 20_000_000


@pytest.mark.parametrize("kind", [b"x", b"L"], ids=["PAX", "long name"])
def test_a_header_of_megabytes_is_broken_in_little_memory(kind):
    huge = header(b"h", 3_000_000, kind) + padded(b"9" * 3_000_000)
    archive = file(b"a.jpg", b"a") + huge + file(b"b.jpg", b"b") + END
    found, peak = peak_of(lambda: outcomes(archive))
    assert found == [("a.jpg", 1), ("", "broken_archive")]
    assert peak < 6_000_000


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_that_claims_gigabytes_costs_nothing(kind):
    huge = header(b"h", 0, kind, raw_size=b"\x80" + (2**60).to_bytes(11, "big"))
    found, peak = peak_of(lambda: outcomes(file(b"a.jpg", b"a") + huge + bytes(10_000)))
    assert found == [("a.jpg", 1), ("", "broken_archive")]
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", [b"x", b"L", b"K", b"g"])
def test_headers_without_end_are_no_endless_recursion(kind):
    chain = (header(b"h", 10, kind) + padded(b"name.jpg\0\0")) * 5000
    assert outcomes(file(b"a.jpg", b"a") + chain + file(b"b.jpg", b"b") + END) == [("a.jpg", 1), ("", "broken_archive")]


@pytest.mark.parametrize(
    "raw_size",
    [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"12x\0        ", b"-1\0         "],
    ids=["2**88", "negative", "8 GiB", "no number", "minus"],
)
def test_a_lying_size_is_found_out(raw_size):
    archive = file(b"a.jpg", b"a") + header(b"b.jpg", 0, raw_size=raw_size) + bytes(2048)
    found = outcomes(archive)
    assert found[0] == ("a.jpg", 1)
    assert found[1:] in ([("b.jpg", "entry_too_large"), ("", "broken_archive")], [("", "broken_archive")])


def test_a_size_beyond_the_end_damages_its_member_and_the_archive():
    archive = file(b"a.jpg", b"a") + header(b"b.jpg", 100_000) + bytes(5000)
    assert outcomes(archive) == [("a.jpg", 1), ("b.jpg", "damaged_entry"), ("", "broken_archive")]


def test_a_link_that_claims_a_size_hides_nothing():
    archive = header(b"l", 1024, b"2") + file(b"a.jpg", b"a") + header(b"h", 1024, b"1") + file(b"b.jpg", b"b") + END
    assert outcomes(archive) == [("l", "link"), ("a.jpg", 1), ("h", "link"), ("b.jpg", 1)]


def test_a_pax_path_is_held_to_the_same_rules():
    archive = b""
    for path in (b"../a.jpg", b"/a.jpg", b"a\0b.jpg", b"x/" * 40 + b"a.jpg", b"n" * 5000, "写真.jpg".encode()):
        archive += pax((b"path", path)) + file(b"harmless.jpg", b"a")
    codes = [outcome for _, outcome in outcomes(archive + END)]
    assert codes == ["path_escapes", "path_escapes", "path_escapes", "path_too_deep", "path_too_deep", 1]


def test_global_headers_are_not_gathered_without_end():
    """Each is small, but tarfile keeps all of their keywords."""
    archive = b""
    for number in range(30):
        records = b"".join(b"18 %06d=%s\n" % (number * 5000 + n, b"v" * 7) for n in range(5000))
        archive += header(b"g", len(records), b"g") + padded(records) + file(b"a.jpg", b"a")
    found = outcomes(archive + END)
    assert found[-1] == ("", "broken_archive")
    assert len(found) < 20


@pytest.mark.parametrize("size", [b"-5", b"1e3", b"x", b"9" * 5000, b""])
def test_a_pax_size_that_is_no_number_is_broken_after_what_came_before(size):
    archive = file(b"a.jpg", b"a") + pax((b"size", size)) + file(b"b.jpg", b"b") + END
    assert outcomes(archive) == [("a.jpg", 1), ("", "broken_archive")]


@pytest.mark.parametrize(
    "content",
    [b"garbage", b"0 a=b\n", b"99 path=x\n", b"9999999999999 path=x\n", b"10 path=xyz", b"7 path\n", b"6 p=x"],
)
def test_malformed_pax_records_cost_no_member_before_them_and_are_never_silent(content):
    """tarfile passes over some of them; the member then comes out under one of its two names."""
    damaged = header(b"p", len(content), b"x") + padded(content)
    found = outcomes(file(b"a.jpg", b"a") + damaged + file(b"b.jpg", b"b") + END)
    assert found[0] == ("a.jpg", 1)
    assert found[1:] == [("", "broken_archive")] or [outcome for _, outcome in found[1:]] in ([1], ["path_escapes"])


def sparse(realsize, map_, stored=b"stored"):
    records = [(b"GNU.sparse.size", b"%d" % realsize), (b"GNU.sparse.map", map_)]
    return pax(*records) + file(b"s.tif", stored)


@pytest.mark.parametrize(
    ("realsize", "map_", "outcome"), [(100, b"50,6", 100), (100, b"0,3,50,3", 100), (2**60, b"0,6", "entry_too_large")]
)
def test_a_sparse_member_comes_out_or_is_refused_by_a_code(realsize, map_, outcome):
    assert outcomes(sparse(realsize, map_) + file(b"b.jpg", b"b") + END) == [("s.tif", outcome), ("b.jpg", 1)]


@pytest.mark.parametrize("map_", [b"", b"50,7", b"98,6", b"50,3,40,3", b"0,4,2,2", b"0", b"0,-1", b"0,x", b"9" * 5000])
def test_a_false_map_of_holes_costs_no_member_before_it(map_):
    found = outcomes(file(b"a.jpg", b"a") + sparse(100, map_) + file(b"b.jpg", b"b") + END)
    assert found[0] == ("a.jpg", 1)
    assert found[-1] in (("b.jpg", 1), ("", "broken_archive"))


@pytest.mark.parametrize(
    "data", [b"", b"1\n", b"x\n", b"999999999\n0\n", b"1" * 5000, b"2\n0\n3\n", b"1\n0\n99999\n"], ids=range(7)
)
def test_a_false_map_of_holes_inside_the_data_costs_no_member_before_it(data):
    records = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"1000")]
    found = outcomes(file(b"a.jpg", b"a") + pax(*records) + file(b"s.tif", data) + file(b"b.jpg", b"b") + END)
    assert found[0] == ("a.jpg", 1)
    assert found[-1] in (("b.jpg", 1), ("", "broken_archive"))


def test_an_old_map_of_holes_without_end_is_broken_in_little_memory():
    first = header(b"s.tif", 0, b"S", at={482: b"\1", 483: b"00000001750\0"}, magic=b"ustar  \0")
    more = (b"%011o\0" % 1 * 42 + b"\1").ljust(512, b"\0")
    found, peak = peak_of(lambda: outcomes(file(b"a.jpg", b"a") + first + more * 10_000))
    assert found == [("a.jpg", 1), ("", "broken_archive")]
    assert peak < 12_000_000


def test_entries_are_counted_and_folders_too():
    archive = header(b"d", 0, b"5") * 501 + END
    assert outcomes(archive) == [("", "too_many_entries")]


def test_the_total_is_counted_over_all_members():
    found = outcomes(b"".join(file(b"%d.tif" % number, bytes(900_000)) for number in range(100)) + END)
    assert found[-1] == ("", "archive_too_large")
    assert sum(count for _, count in found[:-1]) <= LIMITS.max_total_bytes


def test_xz_that_asks_for_gigabytes_of_memory_is_broken():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    packed = bytearray(lzma.compress(file(b"a.jpg", b"a") + END, filters=filters))
    assert packed[14:16] == b"\x21\x01", "the filter's number and the length of its properties"
    packed[16] = 40
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    assert outcomes(bytes(packed)) == [("", "broken_archive")]


def test_nested_streams_are_not_unpacked_twice():
    assert outcomes(gzip.compress(gzip.compress(file(b"a.jpg", b"a") + END))) == [("", "broken_archive")]


def a_tar():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as writer:
        for name in ("a.jpg", "é" * 70 + ".jpg"):
            entry = tarfile.TarInfo(name)
            entry.size = 700
            writer.addfile(entry, io.BytesIO(bytes(range(100)) * 7))
    return archive.getvalue()[:6000] + sparse(100, b"50,6") + END


SAMPLE = a_tar()


@pytest.mark.parametrize("packing", ["plain", *PACKERS])
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_whatever_is_changed_or_cut_ends_in_bytes_or_in_an_error_of_ours(packing, data):
    archive = bytearray(PACKERS.get(packing, bytes)(SAMPLE))
    for _ in range(data.draw(st.integers(0, 5))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(archive)))
    assert len(outcomes(bytes(archive[:length]))) <= LIMITS.max_entries
