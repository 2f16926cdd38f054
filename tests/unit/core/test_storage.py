"""The local folder behind the storage protocol."""

import hashlib
import io
import os
import shutil
from pathlib import Path

import pytest

from core.errors import NotFoundError, StorageError, StorageFullError
from core.storage import LocalStorage, delete_all


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


def test_what_is_put_is_read_back_with_size_and_hash(storage: LocalStorage) -> None:
    content = os.urandom(3_000_000)

    stored = storage.put("jobs/a/originals/b", io.BytesIO(content))

    assert stored.size_bytes == storage.size("jobs/a/originals/b") == len(content)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    with storage.open("jobs/a/originals/b") as stream:
        assert stream.read() == content


def test_a_stream_that_breaks_leaves_nothing_under_the_key_nor_beside_it(storage: LocalStorage, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise ConnectionError("gone")
            return super().read(10)

    with pytest.raises(ConnectionError):
        storage.put("jobs/a/b", Broken(b"x" * 100))

    assert not storage.exists("jobs/a/b")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_told_as_such_and_leaves_nothing(storage: LocalStorage, tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b"x" * (1 << 20)

    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(StorageFullError) as caught:
            storage.put("jobs/a/b", Full())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.code == "storage_full"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_finished_file_is_taken_over(storage: LocalStorage, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"12345")

    assert storage.put_file("jobs/a/uploads/0", upload) == 5
    assert not upload.exists()
    assert storage.size("jobs/a/uploads/0") == 5


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../../b", "a//b", ".hidden/x", "a/\0"])
def test_a_key_never_leads_out_of_the_folder(storage: LocalStorage, key: str) -> None:
    with pytest.raises(NotFoundError):
        storage.open(key)
    with pytest.raises(NotFoundError):
        storage.put(key, io.BytesIO(b"x"))


def test_a_missing_key_is_told_by_its_code(storage: LocalStorage) -> None:
    with pytest.raises(NotFoundError) as caught:
        storage.open("jobs/none")
    assert caught.value.code == "object_missing"
    storage.delete("jobs/none")


def test_keys_are_listed_by_their_beginning(storage: LocalStorage) -> None:
    for key in ("jobs/a/1", "jobs/a/2", "jobs/ab/3", "other/4"):
        storage.put(key, io.BytesIO(b"x"))

    assert sorted(storage.list("jobs/a/")) == ["jobs/a/1", "jobs/a/2"]
    assert sorted(storage.list("jobs/a")) == ["jobs/a/1", "jobs/a/2", "jobs/ab/3"]
    assert sorted(storage.list("")) == ["jobs/a/1", "jobs/a/2", "jobs/ab/3", "other/4"]


def test_free_room_is_that_of_the_folders_file_system(storage: LocalStorage, tmp_path: Path) -> None:
    found = storage.free_bytes()
    room = shutil.disk_usage(tmp_path)
    assert found is not None
    assert 0 < found <= room.total
    assert abs(found - room.free) < 2**30


def test_all_under_a_prefix_is_deleted_and_nothing_else(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put("jobs/a/first", io.BytesIO(b"x"))
    for number in range(1200):
        (tmp_path / "store" / "jobs" / "a" / f"{number}").touch()
    storage.put("jobs/ab/1", io.BytesIO(b"x"))
    assert delete_all(storage, "jobs/a/")
    assert list(storage.list("")) == ["jobs/ab/1"]
    assert delete_all(storage, "jobs/none/")
    assert not delete_all(storage, "jobs/ab/", timeout_s=-1)


class Stubborn(LocalStorage):
    """A storage that cannot delete some keys."""

    def delete(self, key: str) -> None:
        if "stays" in key:
            raise StorageError("storage_failed", f"{key} cannot be deleted.")
        super().delete(key)


def test_what_cannot_be_deleted_is_told_once_all_else_is_gone(tmp_path: Path) -> None:
    storage = Stubborn(tmp_path / "store")
    for number in range(5):
        storage.put(f"jobs/a/{number}", io.BytesIO(b"x"))
        storage.put(f"jobs/a/stays-{number}", io.BytesIO(b"x"))
    with pytest.raises(StorageError):
        delete_all(storage, "jobs/a/")
    assert sorted(storage.list("")) == [f"jobs/a/stays-{number}" for number in range(5)]


def test_a_folder_that_cannot_be_read_is_the_storages_failure(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_folder: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("core.storage.os.scandir", refused)
    with pytest.raises(StorageError, match="Permission denied"):
        list(storage.list("jobs/"))


def test_a_file_that_no_key_leads_to_is_not_listed(storage: LocalStorage, tmp_path: Path) -> None:
    """As NFS makes them of files that are deleted while they are read."""
    storage.put("jobs/a/1", io.BytesIO(b"x"))
    (tmp_path / "store/jobs/a/.nfs0001").touch()
    assert list(storage.list("jobs/")) == ["jobs/a/1"]
    assert delete_all(storage, "jobs/")


def test_what_is_unfinished_goes_though_something_among_it_cannot_be_deleted(
    storage: LocalStorage, tmp_path: Path
) -> None:
    aside = tmp_path / "store" / ".aside"
    aside.mkdir(parents=True)
    for number in range(5):
        (aside / f"file {number}").touch()
        (aside / f"folder {number}").mkdir()
    with pytest.raises(StorageError):
        storage.forget_unfinished(-60)
    assert sorted(path.name for path in aside.iterdir()) == [f"folder {number}" for number in range(5)]
