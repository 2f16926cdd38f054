"""Reading all that is stored anew, on both databases and a real folder."""

import hashlib
import io
import os
import shutil
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, update

from core.checkpoints import PreparedModel, read_metadata
from core.errors import NotFoundError
from core.fixity import Fault, Part, Summary, check, orphan_pages, orphans
from core.model_store import store_model
from core.records import Job, JobState, ModelVersion, Photo, PhotoState, TrainingPhoto, Upload, utc_now
from core.settings import SOURCE_ROOT
from core.storage import LocalStorage


@pytest.fixture
def storage(tmp_path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


@pytest.fixture
def shelf(database, storage) -> "Shelf":
    """A finished job of three photographs with their results and previews, and one whose upload waits."""
    shelf = Shelf(database, storage)
    shelf.add_job("finished", JobState.COMPLETED, ingested=True)
    for number in range(3):
        shelf.add_photo("finished", f"photo{number}", f"letters/{number}.jpg", os.urandom(5000), os.urandom(7000))
    shelf.add_job("waiting", JobState.QUEUED)
    shelf.add_upload("waiting", os.urandom(3000))
    return shelf


class Shelf:
    """Rows with the bytes that belong to them."""

    def __init__(self, database, storage: LocalStorage) -> None:
        self.database = database
        self.storage = storage

    def add_job(self, job_id: str, state: JobState, *, ingested: bool = False) -> None:
        with self.database.write() as session:
            at = utc_now() if ingested else None
            session.add(
                Job(id=job_id, owner_id="ada", name="a.zip", state=state, model_version="v-test", ingested_at=at)
            )

    def add_upload(self, job_id: str, content: bytes) -> None:
        key = f"jobs/{job_id}/uploads/0"
        self.storage.put(key, io.BytesIO(content))
        with self.database.write() as session:
            session.add(Upload(job_id=job_id, position=0, name="a.zip", key=key, size_bytes=len(content)))

    def add_photo(self, job_id: str, photo_id: str, path: str, original: bytes, result: bytes = b"") -> None:
        original_key, result_key = f"jobs/{job_id}/originals/{photo_id}", f"jobs/{job_id}/results/{photo_id}-1"
        row = Photo(id=photo_id, job_id=job_id, position=int(photo_id[-1]), path=path, original_key=original_key)
        stored = self.storage.put(original_key, io.BytesIO(original))
        row.size_bytes, row.sha256 = stored.size_bytes, stored.sha256
        row.state = PhotoState.PENDING
        if result:
            stored = self.storage.put(result_key, io.BytesIO(result))
            row.result_key, row.result_path, row.state = result_key, path, PhotoState.DONE
            row.result_size_bytes, row.result_sha256 = stored.size_bytes, stored.sha256
            for suffix in (".preview", ".thumbnail"):
                self.storage.put(f"{original_key}{suffix}", io.BytesIO(b"small"))
                self.storage.put(f"{result_key}{suffix}", io.BytesIO(b"small"))
        with self.database.write() as session:
            session.add(row)

    def faults(self, job_id: str | None = None) -> dict[tuple[Part, str], Fault]:
        found = check(self.database, self.storage, job_id=job_id, threads=3)
        return {(one.item.part, one.item.path): one.fault for one in found if one.fault is not None}

    def orphans(self, job_id: str | None = None) -> list[str]:
        return sorted(orphans(self.database, self.storage, job_id))


def flip_a_bit(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_with_nothing_wrong_everything_is_read_and_nothing_reported(shelf):
    summary = Summary()
    for checked in check(shelf.database, shelf.storage):
        summary.add(checked)
    assert summary.is_sound
    assert (summary.files, summary.read_bytes) == (7, 3 * 12000)
    assert shelf.orphans() == []


def test_a_flipped_bit_is_found_in_a_result_and_in_an_original(shelf, tmp_path):
    flip_a_bit(tmp_path / "store/jobs/finished/results/photo1-1")
    flip_a_bit(tmp_path / "store/jobs/finished/originals/photo2")
    assert shelf.faults() == {
        (Part.RESULT, "letters/1.jpg"): Fault.DAMAGED,
        (Part.ORIGINAL, "letters/2.jpg"): Fault.DAMAGED,
    }
    (result, original) = [one for one in check(shelf.database, shelf.storage, threads=1) if one.fault]
    assert result.item.job_id == original.item.job_id == "finished"
    assert "SHA-256" in result.message


def test_what_is_gone_cut_off_or_cannot_be_read_is_told_apart(shelf, tmp_path):
    store = tmp_path / "store/jobs"
    (store / "finished/results/photo0-1").unlink()
    with (store / "finished/results/photo1-1").open("r+b") as file:
        file.truncate(100)
    with (store / "waiting/uploads/0").open("ab") as file:
        file.write(b"more")
    (store / "finished/originals/photo2").unlink()
    (store / "finished/originals/photo2").mkdir()
    assert shelf.faults() == {
        (Part.RESULT, "letters/0.jpg"): Fault.MISSING,
        (Part.RESULT, "letters/1.jpg"): Fault.DAMAGED,
        (Part.UPLOAD, "a.zip"): Fault.DAMAGED,
        (Part.ORIGINAL, "letters/2.jpg"): Fault.UNREADABLE,
    }


def test_one_job_is_looked_at_by_itself(shelf, tmp_path):
    (tmp_path / "store/jobs/waiting/uploads/0").unlink()
    shelf.storage.put("jobs/waiting/results/nobody-1", io.BytesIO(b"x"))
    assert shelf.faults("finished") == {}
    assert shelf.orphans("finished") == []
    assert shelf.faults("waiting") == {(Part.UPLOAD, "a.zip"): Fault.MISSING}
    assert shelf.orphans("waiting") == ["jobs/waiting/results/nobody-1"]
    with pytest.raises(NotFoundError):
        shelf.faults("none")


def test_an_expired_job_has_nothing_that_could_be_missing(shelf, tmp_path):
    shutil.rmtree(tmp_path / "store/jobs/finished/results")
    with shelf.database.write() as session:
        session.execute(update(Job).where(Job.id == "finished").values(state=JobState.EXPIRED))
    assert shelf.faults() == {}
    assert shelf.orphans() == []


class Moving(LocalStorage):
    """A storage in which something happens whenever a file is opened."""

    def __init__(self, root, happens) -> None:
        super().__init__(root)
        self._happens = happens

    def open(self, key):
        self._happens(key)
        return super().open(key)


def test_what_is_deleted_meanwhile_is_not_missing(shelf, tmp_path):
    """The rows were read before; by the time that the file is gone, so are they."""

    def delete_the_job(_key):
        with shelf.database.write() as session:
            session.execute(delete(Job).where(Job.id == "finished"))
        shutil.rmtree(tmp_path / "store/jobs/finished", ignore_errors=True)

    found = list(check(shelf.database, Moving(tmp_path / "store", delete_the_job), threads=1))
    assert [one.item.job_id for one in found] == ["waiting"]


def test_what_is_replaced_meanwhile_is_compared_with_what_it_is_now(shelf, tmp_path):
    content = os.urandom(900)

    def make_anew(key):
        if key != "jobs/finished/results/photo1-1":
            return
        stored = shelf.storage.put("jobs/finished/results/photo1-2", io.BytesIO(content))
        shelf.storage.delete(key)
        anew = {"result_key": "jobs/finished/results/photo1-2", "result_sha256": stored.sha256}
        with shelf.database.write() as session:
            changed = update(Photo).where(Photo.id == "photo1")
            session.execute(changed.values(**anew, result_size_bytes=stored.size_bytes))

    found = list(check(shelf.database, Moving(tmp_path / "store", make_anew), threads=1))
    assert [one.fault for one in found] == [None] * 7
    assert "jobs/finished/results/photo1-2" in [one.item.key for one in found]


def test_files_that_no_record_knows_of_are_listed(shelf):
    left_over = [
        "jobs/finished/odd",
        "jobs/finished/originals/nobody",
        "jobs/finished/results/photo1-2",
        "jobs/finished/results/photo1-2.preview",
        "jobs/finished/uploads/0",
        "jobs/gone/originals/photo9",
    ]
    for key in left_over:
        shelf.storage.put(key, io.BytesIO(b"x"))
    shelf.storage.put("training/abc/upload", io.BytesIO(b"not a job's"))
    assert shelf.orphans() == left_over
    assert shelf.faults() == {}


def test_what_somebody_works_with_is_not_left_over(shelf):
    """An upload that comes in, photos of an archive before their rows, and results before their outcomes."""
    shelf.add_job("arriving", JobState.RECEIVING)
    shelf.add_job("unpacking", JobState.RUNNING)
    with shelf.database.write() as session:
        running = {"state": PhotoState.RUNNING, "lease_until": utc_now() + timedelta(seconds=30)}
        session.execute(update(Photo).where(Photo.id == "photo1").values(**running))
    for key in ("jobs/arriving/uploads/0", "jobs/unpacking/originals/new", "jobs/finished/results/photo1-2.preview"):
        shelf.storage.put(key, io.BytesIO(b"x"))
    assert shelf.orphans() == []


def test_many_files_are_read_in_pages(shelf, monkeypatch):
    monkeypatch.setattr("core.fixity.PAGE", 2)
    shelf.storage.put("jobs/finished/originals/nobody", io.BytesIO(b"x"))
    assert len(list(check(shelf.database, shelf.storage, threads=2))) == 7
    assert shelf.orphans() == ["jobs/finished/originals/nobody"]


def test_there_is_a_list_for_each_page_that_was_looked_at(shelf, monkeypatch):
    monkeypatch.setattr("core.fixity.PAGE", 4)
    count = len(list(shelf.storage.list("jobs/finished/")))
    assert list(orphan_pages(shelf.database, shelf.storage, "finished")) == [[]] * -(-count // 4)


def test_uploads_are_asked_for_only_where_files_of_theirs_are(shelf):
    """A folder of many thousand files is as many uploads; they are not read anew for every page."""
    asked = []
    event.listen(shelf.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert shelf.orphans("finished") == []
    assert [statement for statement in asked if "FROM photos" in statement]
    assert [statement for statement in asked if "FROM uploads" in statement] == []
    shelf.storage.put("jobs/waiting/uploads/1", io.BytesIO(b"x"))
    assert shelf.orphans("waiting") == ["jobs/waiting/uploads/1"]


def test_training_material_and_models_are_looked_at_too(shelf, tmp_path):
    content, weights = os.urandom(500), os.urandom(500)
    known_by = {"version": "mine", "sha256": hashlib.sha256(weights).hexdigest()}
    prepared = PreparedModel(read_metadata(SOURCE_ROOT / "models").model_copy(update=known_by), weights)
    kept, withdrawn = "training/u/0-1", "training/u/1-1"
    shelf.storage.put(kept, io.BytesIO(content))
    sha256 = hashlib.sha256(content).hexdigest()
    with shelf.database.write() as session:
        session.add(TrainingPhoto(photo_id="a", path="a.jpg", key=kept, sha256=sha256))
        session.add(TrainingPhoto(photo_id="b", path="b.jpg", key=withdrawn, sha256=sha256, withdrawn_at=utc_now()))
        key = store_model(shelf.storage, prepared)
        session.add(ModelVersion(version="mine", name="mine", sha256=prepared.metadata.sha256, key=key))
    assert shelf.faults() == {}
    flip_a_bit(tmp_path / "store" / kept)
    flip_a_bit(tmp_path / "store/models/mine" / prepared.metadata.weights)
    assert shelf.faults() == {(Part.MATERIAL, "a.jpg"): Fault.DAMAGED, (Part.MODEL, "mine"): Fault.DAMAGED}
    (tmp_path / "store/models/mine/model.json").unlink()
    assert shelf.faults()[Part.MODEL, "mine"] is Fault.MISSING
