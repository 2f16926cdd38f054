import dataclasses
import io
import os
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.archives import ArchiveLimits, walk
from core.errors import ArchiveError, MemberError

LIMITS = ArchiveLimits(
    max_entries=500, max_total_bytes=2**26, max_entry_bytes=2**25, max_entry_ratio=1000, max_path_depth=16
)
PIECE_BYTES = 100_000


def outcomes(archive, limits=LIMITS):
    """Return each member's path with the number of its bytes or its error's code; the archive's error comes last."""
    found = []
    try:
        for member in walk(io.BytesIO(archive), "x.zip", limits):
            try:
                with member.open() as stream:
                    found.append((member.path, sum(map(len, iter(lambda: stream.read(PIECE_BYTES), b"")))))
            except MemberError as error:
                found.append((member.path, error.code))
    except ArchiveError as error:
        found.append(("", error.code))
    return found


def local(name, packed, method=8, crc=0, size=0):
    header = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, method, 0, 33, crc, len(packed), size, len(name), 0)
    return header + name + packed


def record(name, offset, packed_bytes, size, crc=0, method=8, extra=b"", flags=0):
    fields = (0x0314, 20, flags, method, 0, 33, crc, packed_bytes, size, len(name), len(extra), 0, 0, 0, 0o100644 << 16)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields, offset) + name + extra


def end(count, directory_bytes, offset):
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, directory_bytes, offset, 0)


def forged(body, records, count=None):
    """Return a ZIP of a body and directory records."""
    directory = b"".join(records)
    return body + directory + end(len(records) if count is None else count, len(directory), len(body))


def deflated(content):
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(content) + packer.flush()


def peak_of(work):
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2], ids=["deflate", "bzip2"])
def test_a_bomb_is_stopped_by_its_ratio_in_little_memory_and_its_neighbor_comes_out(method):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        writer.writestr("bomb.tif", bytes(30_000_000))
        writer.writestr("photo.jpg", b"photo")
    strict = dataclasses.replace(LIMITS, max_entry_ratio=100)
    found, peak = peak_of(lambda: outcomes(archive.getvalue(), strict))
    assert found == [("bomb.tif", "ratio_too_high"), ("photo.jpg", 5)]
    assert peak < 20_000_000


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2], ids=["deflate", "bzip2"])
def test_a_bomb_within_the_ratio_is_unpacked_in_small_pieces(method):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        writer.writestr("flat.tif", bytes(30_000_000))
    lax = dataclasses.replace(LIMITS, max_entry_ratio=10**9)
    found, peak = peak_of(lambda: outcomes(archive.getvalue(), lax))
    assert found == [("flat.tif", 30_000_000)]
    assert peak < 20_000_000


def test_four_kib_of_bzip2_are_not_unpacked_at_once():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as writer, writer.open("bomb.tif", "w") as entry:
        for _ in range(100):
            entry.write(bytes(1_000_000))
    assert len(archive.getvalue()) < 4096
    found, peak = peak_of(lambda: outcomes(archive.getvalue()))
    assert found == [("bomb.tif", "entry_too_large")]
    assert peak < 20_000_000


def test_entries_that_share_one_kernel_do_not_pass_the_total():
    packed = deflated(bytes(900_000))
    kernel = local(b"a.jpg", packed)
    records = [record(b"a.jpg", 0, len(packed), 900_000, zlib.crc32(bytes(900_000)))] * 400
    found = outcomes(forged(kernel, records))
    assert found[-1] in (("", "archive_too_large"), ("a.jpg", 900_000))
    assert sum(outcome for _, outcome in found if isinstance(outcome, int)) <= LIMITS.max_total_bytes


@pytest.mark.parametrize("claimed", [0, 1, 999, 2**31])
def test_a_lying_size_is_found_out(claimed):
    content = os.urandom(500) * 2
    packed = deflated(content)
    archive = forged(local(b"a.jpg", packed), [record(b"a.jpg", 0, len(packed), claimed, zlib.crc32(content))])
    assert outcomes(archive) == [("a.jpg", "entry_too_large" if claimed > 2**25 else "damaged_entry")]


def test_the_total_is_counted_over_all_entries():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for number in range(100):
            writer.writestr(f"{number}.tif", bytes(900_000))
    found = outcomes(archive.getvalue())
    assert found[-1] == ("", "archive_too_large")
    assert sum(count for _, count in found[:-1]) <= LIMITS.max_total_bytes


def test_a_claim_of_four_billion_entries_costs_nothing():
    body = local(b"a.jpg", b"abc", method=0, crc=zlib.crc32(b"abc"), size=3)
    directory = record(b"a.jpg", 0, 3, 3, zlib.crc32(b"abc"), method=0)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**32, 2**32, len(directory), len(body))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    archive = body + directory + end64 + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    found, peak = peak_of(lambda: outcomes(archive))
    assert found == [("a.jpg", 3)]
    assert peak < 1_000_000


def test_a_directory_with_too_many_entries_is_refused_before_anything_is_read():
    archive = forged(local(b"a.jpg", b""), [record(b"a.jpg", 0, 0, 0)] * 100_000, count=1)
    found, peak = peak_of(lambda: outcomes(archive))
    assert found == [("", "too_many_entries")]
    assert peak < 400_000


@pytest.mark.parametrize("size", [2**32 - 1, 2**31])
def test_a_directory_of_an_impossible_size_is_broken(size):
    assert outcomes(b"PK\x03\x04" + end(1, size, 0)) == [("", "broken_archive")]


def test_a_directory_that_breaks_off_is_told():
    body = local(b"a.jpg", b"abc", method=0)
    good = record(b"a.jpg", 0, 3, 3, zlib.crc32(b"abc"), method=0)
    assert outcomes(forged(body, [good, b"garbage" * 20])) == [("", "broken_archive")]


@pytest.mark.parametrize("false_offset", [0, None])
def test_an_enormous_directory_is_refused_wherever_a_zip64_says_it_is(false_offset):
    directory = record(b"a.jpg", 0, 0, 0) * 20_000
    where = len(directory) if false_offset is None else false_offset
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, where, 1)
    archive = local(b"a.jpg", b"") + directory + end64 + locator + end(1, 100, 0)
    found, peak = peak_of(lambda: outcomes(archive))
    assert found == [("", "too_many_entries")]
    assert peak < 400_000


def test_a_nul_in_a_name_is_refused():
    body = local(b"a.jpg\0.exe", b"abc", method=0)
    assert outcomes(forged(body, [record(b"a.jpg\0.exe", 0, 3, 3, method=0)])) == [("a.jpg\ufffd.exe", "path_escapes")]


@pytest.mark.parametrize("method", [1, 6, 9, 97, 98])
def test_a_method_that_is_not_read_is_named(method):
    archive = forged(local(b"a.tif", b"abc"), [record(b"a.tif", 0, 3, 3, method=method)])
    assert outcomes(archive) == [("a.tif", "unsupported_compression")]


@pytest.mark.parametrize(("flags", "method"), [(1, 8), (0x41, 8), (0x2000, 8), (0, 99)])
def test_every_way_to_encrypt_is_known(flags, method):
    archive = forged(local(b"a.tif", b"abc"), [record(b"a.tif", 0, 3, 3, method=method, flags=flags)])
    assert outcomes(archive) == [("a.tif", "encrypted")]


@pytest.mark.parametrize(
    "extra",
    [b"\x01\x00", b"\x01\x00\x03\x00abc", b"\x75\x70\x05\x00\x01abcd", b"\x75\x70\x00\x00"],
)
def test_malformed_extra_fields_are_ignored(extra):
    body = local(b"a.jpg", b"abc", method=0)
    archive = forged(body, [record(b"a.jpg", 0, 3, 3, zlib.crc32(b"abc"), method=0, extra=extra)])
    assert outcomes(archive) == [("a.jpg", 3)]


@pytest.mark.parametrize("offset", [1, 40, 1000, 2**32 - 1])
def test_an_entry_that_is_not_where_it_should_be_fails_alone(offset):
    body = local(b"a.jpg", b"abc", method=0)
    good = record(b"a.jpg", 0, 3, 3, zlib.crc32(b"abc"), method=0)
    found = dict(outcomes(forged(body + bytes(100), [record(b"b.jpg", offset, 3, 3, method=0), good])))
    assert found["b.jpg"] == "damaged_entry"
    assert found["a.jpg"] in (3, "damaged_entry")


def a_zip():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for method in (0, 8, 12, 14):
            writer.writestr(f"é{method}/x.jpg", bytes(range(256)) * 3, method)
    return archive.getvalue()


SAMPLE = a_zip()


@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(SAMPLE))
)
@settings(deadline=None, max_examples=150)
@example([], len(SAMPLE))
def test_whatever_is_changed_or_cut_ends_in_bytes_or_in_an_error_of_ours(changes, length):
    archive = bytearray(SAMPLE)
    for position, value in changes:
        archive[position] = value
    assert len(outcomes(bytes(archive[:length]))) <= LIMITS.max_entries
