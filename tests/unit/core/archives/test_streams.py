import bz2
import gzip
import io
import lzma
import zlib

import pytest
import zstandard

from core.archives.streams import (
    BrokenStreamError,
    Budget,
    Unpacker,
    ZlibDecoder,
    ZstdDecoder,
    bzip2_decoder,
    gzip_decoder,
    member_stream,
    xz_decoder,
)
from core.errors import MemberError

CODECS = {
    "gz": (gzip.compress, gzip_decoder),
    "bz2": (bz2.compress, bzip2_decoder),
    "xz": (lzma.compress, xz_decoder),
    "zst": (zstandard.compress, ZstdDecoder),
}
TEXT = bytes(range(256)) * 4000


def unpacker(codec, packed):
    return Unpacker(io.BytesIO(packed).read, CODECS[codec][1])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [1000, 65_536, 10_000_000])
def test_a_read_gives_no_more_than_was_asked_for_and_everything_in_the_end(codec, count):
    source = unpacker(codec, CODECS[codec][0](TEXT))
    pieces = list(iter(lambda: source.read(count), b""))
    assert max(map(len, pieces)) <= count
    assert b"".join(pieces) == TEXT


@pytest.mark.parametrize("codec", CODECS)
def test_what_went_in_and_came_out_is_counted(codec):
    packed = CODECS[codec][0](TEXT)
    source = unpacker(codec, packed)
    while source.read(50_000):
        pass
    assert (source.packed_bytes, source.unpacked_bytes) == (len(packed), len(TEXT))


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_ends_early_is_broken_at_every_length(codec):
    packed = CODECS[codec][0](b"gray" * 50)
    for length in range(len(packed)):
        source = unpacker(codec, packed[:length])
        with pytest.raises(BrokenStreamError):
            list(iter(lambda: source.read(1000), b""))  # noqa: B023 - it is used up within the turn


def test_an_xz_stream_that_wants_too_much_memory_is_refused():
    header = bytearray(lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]))
    # The dictionary's size is one byte of the block header, 37 being 1 GiB; the header's CRC must fit again.
    block = header[12 : 12 + (header[12] + 1) * 4]
    position = block.index(b"\x21\x01") + 2
    block[position] = 37
    block[-4:] = zlib.crc32(block[:-4]).to_bytes(4, "little")
    header[12 : 12 + len(block)] = block
    with pytest.raises(BrokenStreamError, match=r"[Mm]emory"):
        unpacker("xz", bytes(header)).read(10)


def test_raw_deflate_is_read_like_the_others():
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(TEXT) + packer.flush()
    source = Unpacker(io.BytesIO(packed).read, lambda: ZlibDecoder(-15))
    assert b"".join(iter(lambda: source.read(7777), b"")) == TEXT


def test_a_member_that_never_ends_is_stopped_at_its_limit(limits):
    with member_stream("a.tif", bytes, limits, Budget(limits)) as stream:
        assert len(stream.read(limits.max_entry_bytes)) == limits.max_entry_bytes
        with pytest.raises(MemberError) as caught:
            stream.read(1)
    assert caught.value.code == "entry_too_large"
