"""The photographs that a run trains on: enough of them, as they came in, and not withdrawn."""

import hashlib
import io

import pytest
from PIL import Image
from skimage import data
from sqlalchemy import update

from core import registry
from core import training_material as material
from core import training_runs as runs
from core.records import MaterialState, RunState, Split, TrainingPhoto, utc_now
from core.training.config import parse_config
from core.training.watching import TrainingError, TrainingStoppedError
from core.training_runs import MaterialPhoto
from shipped import SHIPPED_VERSION
from worker.handlers.material import read_material
from worker.handlers.run_photos import RunPhotos
from worker.handlers.train import train


@pytest.fixture
def prepare(context, tmp_path, photographs):
    """Makes the photographs to train on ready; what `change` does to one of them comes after they were settled."""

    def make(change):
        with context.database.read() as session:
            usable = material.usable_photos(session, Split.TRAIN)
        photos = [MaterialPhoto(photo.sha256, photo.key, photo.path) for photo in usable]
        change(usable[-1])

        def still_usable(keys):
            with context.database.read() as session:
                return material.usable_keys(session, keys)

        made = RunPhotos(context.storage, tmp_path, heeded=iter, usable=still_usable)
        return made.to_train_on(photos, parse_config("quick", {"size_px": 32})), len(photos)

    return make


def rotten(context, photo):
    """A file that can be decoded still, and is not what came in."""
    buffer = io.BytesIO()
    Image.fromarray(data.rocket()[:128, :128]).save(buffer, "PNG")
    buffer.seek(0)
    context.storage.put(photo.key, buffer)


@pytest.fixture
def uploaded(context, photographs):
    """The photographs, as if they had come in with one upload."""
    with context.database.write() as session:
        arguments = {"owner_id": "ada", "name": "box.zip", "key": "training/u/upload", "size_bytes": 1}
        material.add_upload(session, upload_id="u", **arguments).state = MaterialState.READY
        session.flush()
        session.execute(update(TrainingPhoto).values(upload_id="u"))


def test_too_little_material_is_told_with_how_much_is_needed(context, setup, add_photos, submit, look):
    add_photos(Split.TRAIN, 9)
    run_id = submit()
    train(context, setup, run_id)
    run = look(run_id)
    assert (run.state, run.code) == (RunState.FAILED, "too_little_material")
    assert "9 photographs" in run.message
    assert "10" in run.message


def test_what_cannot_be_decoded_does_not_count_as_material(context, setup, add_photos, submit, look):
    add_photos(Split.TRAIN, 9)
    content = b"no photograph at all"
    with context.database.write() as session:
        sha256 = hashlib.sha256(content).hexdigest()
        context.storage.put("training/u/bad", io.BytesIO(content))
        session.add(TrainingPhoto(path="bad.png", key="training/u/bad", sha256=sha256))
    run_id = submit()
    train(context, setup, run_id)
    assert (look(run_id).state, look(run_id).code) == (RunState.FAILED, "too_little_material")
    assert "9 photographs" in look(run_id).message


@pytest.mark.parametrize("harm", [rotten, lambda context, photo: context.storage.delete(photo.key)])
def test_photographs_that_are_not_stored_as_they_came_in_fail_the_run_by_name(context, prepare, harm):
    paths = []

    def harmed(photo):
        paths.append(photo.path)
        harm(context, photo)

    with pytest.raises(TrainingError) as caught:
        prepare(harmed)
    assert caught.value.code == "damaged_material"
    assert paths[0] in caught.value.message


def test_photographs_that_were_withdrawn_meanwhile_are_left_out(context, prepare):
    def withdrawn(photo):
        with context.database.write() as session:
            session.get_one(TrainingPhoto, photo.id).withdrawn_at = utc_now()
        context.storage.delete(photo.key)

    prepared, settled = prepare(withdrawn)
    assert len(prepared) == settled - 1


def test_a_damaged_yardstick_fails_the_run(context, setup, photographs, yardstick, submit, look):
    with context.database.read() as session:
        rotten(context, material.usable_photos(session, Split.FROZEN)[0])
    run_id = submit()
    train(context, setup, run_id)
    assert (look(run_id).state, look(run_id).code) == (RunState.FAILED, "damaged_material")


@pytest.mark.parametrize("name", ["train", "validation"])
def test_a_run_whose_photographs_changed_goes_on_with_no_state_of_before(
    context, setup, photographs, submit, look, monkeypatch, name
):
    folders = []

    def stopped(_config, _photos, _seen, state_dir, *_others):
        folders.append(state_dir)
        raise TrainingStoppedError

    monkeypatch.setattr("core.training.loop.train", stopped)
    run_id = submit()
    for _ in range(2):
        train(context, setup, run_id)
    assert folders[0] == folders[1]
    with context.database.write() as session:
        withdrawn = update(TrainingPhoto).where(TrainingPhoto.sha256 == look(run_id).snapshot[name][0])
        session.execute(withdrawn.values(withdrawn_at=utc_now()))
    train(context, setup, run_id)
    assert folders[2] != folders[0]


def test_a_run_under_way_ends_when_its_material_is_withdrawn_and_leaves_no_pictures(
    context, setup, uploaded, begin, look
):
    run_id, working = begin(timeout_s=240)
    folder = f"training/runs/{run_id}/"
    assert list(context.storage.list(folder))
    context.storage.put(f"{folder}0-0-truth-0.jpg", io.BytesIO(b"of a worker that died"))
    with context.database.write() as session:
        material.withdraw_upload(session, "u")
    working.result(120)
    read_material(context, "u")

    assert (look(run_id).state, look(run_id).code) == (RunState.CANCELED, "material_withdrawn")
    with context.database.read() as session:
        assert runs.samples(session, run_id) == []
        assert [version.version for version in registry.all_versions(session)] == [SHIPPED_VERSION]
    assert list(context.storage.list("training/")) == []
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"]
