import io
import os
import tarfile
import tracemalloc

import pytest

from cli.tar_stream import find_files, tar_pieces, tar_size
from core.errors import InputError

NAMES = ["a.jpg", "b/c.tif", "b/Ж д/é.png", "long/" + "n" * 200 + ".jpg", "empty.jpg"]


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty.jpg" else os.urandom(500 * number + 1))
    return tmp_path / "in"


def read(entries):
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_pieces(entries)))) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_the_archive_equals_the_folder(folder):
    found = read(find_files(folder))
    assert found == {name: (folder / name).read_bytes() for name in NAMES}


def test_files_come_in_the_order_of_their_names(folder):
    names = [entry.name for entry in find_files(folder)]
    assert names == sorted(NAMES)


def test_the_size_is_known_beforehand(folder):
    entries = find_files(folder)
    assert tar_size(entries) == sum(len(piece) for piece in tar_pieces(entries))


def test_links_are_neither_followed_nor_sent(folder, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(tmp_path / "secret" / "s.jpg")
    (folder / "linked").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe.jpg")
    assert sorted(read(find_files(folder))) == sorted(NAMES)


def test_the_folder_of_the_results_is_left_out(folder):
    (folder / "colored").mkdir()
    (folder / "colored" / "a.jpg").write_bytes(b"earlier result")
    assert sorted(read(find_files(folder, [folder / "colored"]))) == sorted(NAMES)


def test_a_name_that_is_no_utf8_survives(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"latin")
    (name,) = read(find_files(tmp_path))
    assert os.fsencode(name) == b"caf\xe9.jpg"


@pytest.mark.parametrize("change", [b"", b"much longer than it was before"])
def test_a_file_that_changes_meanwhile_is_never_sent_in_part(tmp_path, change):
    (tmp_path / "a.jpg").write_bytes(b"0123456789")
    entries = find_files(tmp_path)
    (tmp_path / "a.jpg").write_bytes(change)
    with pytest.raises(InputError) as refusal:
        list(tar_pieces(entries))
    assert refusal.value.code == "file_changed"


def test_memory_does_not_grow_with_the_files(tmp_path):
    with (tmp_path / "large.tif").open("wb") as file:
        file.truncate(200 * 2**20)
    entries = find_files(tmp_path)
    tracemalloc.start()
    for _piece in tar_pieces(entries):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20
