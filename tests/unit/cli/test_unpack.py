import zipfile

import pytest

from cli.unpack import unpack
from core.errors import InputError


@pytest.fixture
def pack(tmp_path):
    def make(contents):
        path = tmp_path / "results.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path

    return make


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_comes_out_under_its_path(pack, folder):
    expected = {"a.jpg": b"1", "b/Ж.tif": b"2", "manifest.csv": b"3"}
    assert unpack(pack(expected), folder, overwrite=False, manifest_mark="1234") == 3
    assert contents(folder) == expected


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "a\\evil.jpg"])
def test_a_path_that_could_lead_out_stops_everything(pack, folder, name, tmp_path):
    archive = pack({"good.jpg": b"1", name: b"evil"})
    with pytest.raises(InputError) as refusal:
        unpack(archive, folder, overwrite=True, manifest_mark="1234")
    assert refusal.value.code == "unsafe_path"
    assert contents(folder) == {}
    assert not list(tmp_path.glob("evil*"))


def test_a_link_in_the_archive_is_refused(pack, folder):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with pytest.raises(InputError) as refusal:
        unpack(pack({link: b"/etc/passwd"}), folder, overwrite=False, manifest_mark="1234")
    assert refusal.value.code == "unsafe_path"


def test_a_link_on_the_way_is_not_followed_out_of_the_folder(pack, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError) as refusal:
        unpack(pack({"sub/a.jpg": b"1"}), folder, overwrite=True, manifest_mark="1234")
    assert refusal.value.code == "unsafe_path"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_is_written_when_one_file_exists(pack, folder):
    (folder / "b.jpg").write_bytes(b"mine")
    with pytest.raises(InputError) as refusal:
        unpack(pack({"a.jpg": b"1", "b.jpg": b"2"}), folder, overwrite=False, manifest_mark="1234")
    assert refusal.value.code == "file_exists"
    assert contents(folder) == {"b.jpg": b"mine"}


def test_existing_files_are_replaced_when_asked_for(pack, folder):
    (folder / "b.jpg").write_bytes(b"mine")
    unpack(pack({"b.jpg": b"2"}), folder, overwrite=True, manifest_mark="1234")
    assert contents(folder) == {"b.jpg": b"2"}


def test_an_earlier_jobs_manifest_stays_beside_the_new_one(pack, folder):
    (folder / "manifest.csv").write_bytes(b"earlier")
    unpack(pack({"a.jpg": b"1", "manifest.csv": b"new"}), folder, overwrite=False, manifest_mark="1234")
    assert contents(folder) == {"a.jpg": b"1", "manifest.csv": b"earlier", "manifest-1234.csv": b"new"}


def test_a_damaged_download_leaves_no_half_file(pack, folder):
    archive = pack({"a.jpg": b"content" * 100})
    damaged = bytearray(archive.read_bytes())
    damaged[60] ^= 0xFF
    archive.write_bytes(damaged)
    with pytest.raises(InputError) as refusal:
        unpack(archive, folder, overwrite=False, manifest_mark="1234")
    assert refusal.value.code == "damaged_download"
    assert contents(folder) == {}
