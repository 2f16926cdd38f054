import io

import pytest
from PIL import Image

from core.imaging.ifd import (
    Entry,
    IfdError,
    Layout,
    amended,
    block,
    find_value,
    read_chain,
    read_ifd,
    read_layout,
    serialize,
)


def test_directories_of_a_real_exif_block_are_read_with_their_children(exif):
    block = exif.removeprefix(b"Exif\0\0")
    layout, offset = read_layout(block)
    tags = {entry.tag: entry for entry in read_ifd(io.BytesIO(block), layout, offset).entries}
    assert tags[271].data == b"Plaubel\0"
    assert tags[274].integer(layout.order) == 6
    assert [child.tag for child in tags[0x8769].children] == [0x829A, 0x9003]
    assert [child.tag for child in tags[0x8825].children] == [1, 2]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_serialized_directory_reads_the_same(order):
    layout = Layout(order)
    inner = (Entry(0x9003, 2, b"1931:01:02 03:04:05\0"),)
    entries = (Entry(271, 2, b"Voigtl\xc3\xa4nder\0"), Entry(274, 3, b"\0\6"), Entry(0x8769, 4, bytes(4), inner))
    block = (b"II*\0" if order == "<" else b"MM\0*") + (8).to_bytes(4, "little" if order == "<" else "big")
    block += serialize(entries, layout, 8)
    again = read_ifd(io.BytesIO(block), layout, 8).entries
    assert [(e.tag, e.data) for e in again[:2]] == [(e.tag, e.data) for e in entries[:2]]
    assert again[2].children == inner
    seen = Image.Exif()
    seen.load(b"Exif\0\0" + block)
    assert seen.get_ifd(0x8769)[0x9003] == "1931:01:02 03:04:05"


def test_a_value_is_found_where_it_stands():
    layout = Layout("<")
    block = bytes(8) + serialize((Entry(256, 4, b"abcd"), Entry(257, 4, b"efgh")), layout, 8)
    place = find_value(io.BytesIO(block), layout, 8, 257)
    assert block[place : place + 4] == b"efgh"


def test_a_chain_that_never_ends_is_refused():
    link = bytes(2) + (8).to_bytes(4, "little")
    with pytest.raises(IfdError):
        read_chain(io.BytesIO(bytes(8) + link), Layout("<"), 8, 1000)


def test_directories_and_values_outside_of_the_file_are_refused_or_told():
    with pytest.raises(IfdError):
        read_ifd(io.BytesIO(bytes(8)), Layout("<"), 5000)
    with pytest.raises(IfdError):
        read_ifd(io.BytesIO(bytes(8)), Layout("<", big=True), 2**64 - 1)
    block = serialize((Entry(271, 2, b"a long value\0"),), Layout("<"), 0)
    assert read_ifd(io.BytesIO(block[:-6]), Layout("<"), 0).unreadable == (271,)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_of_exif_reads_the_same_and_takes_further_tags(order):
    number = {"<": b"\6\0", ">": b"\0\6"}[order]
    made = block((Entry(271, 2, b"Voigtlaender\0"), Entry(274, 3, number)), order)
    changed = amended(made, [Entry(274, 3, number[::-1]), Entry(305, 2, b"a program\0"), Entry(258, 3, number)])
    layout, offset = read_layout(changed)
    assert layout.order == order
    tags = {entry.tag: entry.data for entry in read_ifd(io.BytesIO(changed), layout, offset).entries}
    assert tags == {258: number, 271: b"Voigtlaender\0", 274: number[::-1], 305: b"a program\0"}
    assert list(tags) == sorted(tags)


def test_a_block_that_cannot_be_read_is_not_amended():
    for damaged in (b"", b"II*\0\xff\xff\xff\xff", b"nonsense and more"):
        with pytest.raises(IfdError):
            amended(damaged, [])
