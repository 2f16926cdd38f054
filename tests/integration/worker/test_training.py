"""A training run from its claim to its verdict, on real photographs and real weights, without Celery."""

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import safetensors.torch
from PIL import Image
from skimage import data
from sqlalchemy import update

from core import model_store, registry
from core import training_material as material
from core import training_runs as runs
from core.checkpoints import METADATA_NAME, prepare_model, read_metadata
from core.database import Database
from core.machine import locked
from core.model_store import store_model
from core.records import (
    Job,
    JobState,
    MaterialState,
    ModelSource,
    Photo,
    PhotoState,
    RunState,
    RunTrigger,
    Split,
    TrainingPhoto,
    Verdict,
    utc_now,
)
from core.settings import SOURCE_ROOT
from core.training.config import parse_config
from core.training.watching import TrainingError, TrainingStoppedError
from core.training_runs import MaterialPhoto
from worker.handlers import TrainingSetup
from worker.handlers.comparing import Comparing
from worker.handlers.material import read_material
from worker.handlers.run_photos import RunPhotos
from worker.handlers.run_watch import RunWatch
from worker.handlers.train import delete_old_leavings, train

STEPS = 3
TINY = {
    "steps": STEPS,
    "size_px": 32,
    "batch_size": 2,
    "checkpoint_every_steps": 1000,
    "validate_every_steps": 1000,
    "sample_count": 1,
    "stages.0.learning_rate": 1e-6,
    "stages.1.learning_rate": 1e-6,
}

WITH_CHECKPOINTS = {"steps": 4, "checkpoint_every_steps": 2}
ENDLESS = {"steps": 100_000, "checkpoint_every_steps": 2}
SHIPPED = SOURCE_ROOT / "models" / "model.safetensors"
LITTLE = {"network_edge_px": 64}


@pytest.fixture(scope="module")
def crops():
    """Different pieces of color photographs as PNG bytes."""
    pieces = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for row in range(0, picture.shape[0] - 128, 60):
            for column in range(0, picture.shape[1] - 128, 90):
                buffer = io.BytesIO()
                Image.fromarray(picture[row : row + 128, column : column + 128]).save(buffer, "PNG", compress_level=1)
                pieces.append(buffer.getvalue())
    return pieces


@pytest.fixture(scope="module")
def small_sighted(tmp_path_factory):
    """The folder of the shipped model, which is shown little, so that the tests are fast."""
    folder = tmp_path_factory.mktemp("models")
    (folder / SHIPPED.name).symlink_to(SHIPPED)
    metadata = read_metadata(SHIPPED.parent).model_copy(update=LITTLE)
    (folder / METADATA_NAME).write_text(metadata.model_dump_json())
    return folder


@pytest.fixture
def setup(tmp_path, runtimes_dir, small_sighted):
    return TrainingSetup(
        training_dir=tmp_path / "training",
        models_dir=small_sighted,
        imported_dir=tmp_path / "models",
        runtimes_dir=runtimes_dir,
        device="cpu",
        kind="torch",
        min_photos=10,
        yields=True,
        is_leaving=lambda: False,
    )


@pytest.fixture
def add_photos(context, crops):
    """Puts usable photographs of a split into the storage and the database."""
    left = iter(crops)

    def add(split, count):
        with context.database.write() as session:
            for _ in range(count):
                content = next(left)
                sha256 = hashlib.sha256(content).hexdigest()
                context.storage.put(f"training/u/{sha256}", io.BytesIO(content))
                key = f"training/u/{sha256}"
                session.add(TrainingPhoto(path=f"{sha256[:8]}.png", key=key, sha256=sha256, split=split))

    return add


@pytest.fixture
def photographs(add_photos):
    """Enough to train on, and too few to compare by."""
    add_photos(Split.TRAIN, 22)
    add_photos(Split.HELD_OUT, 1)


@pytest.fixture
def yardstick(add_photos):
    """Enough to compare by."""
    add_photos(Split.FROZEN, material.LEAST_COMPARED)


@pytest.fixture
def greenish(context, tmp_path):
    """A registered version, worse than the shipped one: it sees everything greener than that does."""
    state = safetensors.torch.load_file(SHIPPED)
    state["layers.10.0.bias"] = state["layers.10.0.bias"] - 0.1
    path = tmp_path / "greenish.safetensors"
    safetensors.torch.save_file(state, path)
    prepared = prepare_model(path, "greenish")
    prepared = replace(prepared, metadata=prepared.metadata.model_copy(update=LITTLE))
    with context.database.write() as session:
        version = registry.register(session, "greenish", "greenish", prepared.metadata.sha256)
        version.key = store_model(context.storage, prepared)
    return "greenish"


@pytest.fixture
def submit(context):
    def put(options=None, **values):
        config = parse_config("quick", {**TINY, **(options or {})}).model_dump(mode="json")
        given = {"trigger": RunTrigger.ADMIN, "actor": "ada", "config": config, **values}
        with context.database.write() as session:
            return runs.submit_run(session, **given).id

    return put


@pytest.fixture
def look(context):
    """The run's row as it stands now."""

    def read(run_id):
        with context.database.read() as session:
            return runs.get_run(session, run_id)

    return read


@pytest.fixture
def in_background():
    """Calls a function in a thread and gives its future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def active(context):
    with context.database.read() as session:
        return registry.active_version(session).version


def promote(context, version):
    with context.database.write() as session:
        registry.promote(session, version, "ada")


def set_auto_promotion(context, auto_promote):
    with context.database.write() as session:
        material.lock_training(session).auto_promote = auto_promote


def test_a_worse_candidate_is_rejected_with_its_numbers_and_can_still_be_had(
    context, setup, photographs, yardstick, greenish, submit, look
):
    run_id = submit(parent=greenish)
    train(context, setup, run_id)

    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, Verdict.REJECTED), (run.code, run.message)
    assert run.verdict_reason
    assert active(context) == "v0"
    assert run.snapshot["counts"] == {"train": 21, "validation": 1, "frozen": 20, "held_out": 1}
    scores = run.result["scores"]["frozen"]
    assert set(scores) == {"gray", "candidate", "active"}
    assert scores["gray"]["cf"] == 0
    assert scores["gray"]["cf_truth"] == scores["active"]["cf_truth"] > 10
    numbers = {who: row["de00"] for who, row in scores.items()}
    assert numbers["candidate"] > numbers["active"]
    with context.database.read() as session:
        version = registry.get_version(session, run.candidate)
        steps = [point.step for point in runs.points(session, run_id)]
        pictures = {(sample.step, sample.kind): sample.key for sample in runs.samples(session, run_id)}
    assert (version.source, version.parent) == (ModelSource.TRAINED, greenish)
    assert version.metrics["de00"] == pytest.approx(numbers["candidate"])
    model_store.read_stored(context.storage, version.key, version.sha256)
    assert (run.step, run.steps_total, steps[-1]) == (STEPS, STEPS, STEPS)
    assert set(pictures) == {(0, "truth"), (0, "gray"), (0, "before"), (STEPS, "after")}
    with context.storage.open(pictures[STEPS, "after"]) as stream:
        assert Image.open(stream).format == "JPEG"
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"], "nothing is left on this machine"


@pytest.mark.parametrize(("auto_promote", "verdict"), [(False, Verdict.CANDIDATE), (True, Verdict.PROMOTED)])
def test_a_better_one_is_promoted_or_awaits_an_admin(
    context, setup, photographs, yardstick, greenish, submit, look, auto_promote, verdict
):
    promote(context, greenish)
    set_auto_promotion(context, auto_promote)
    run_id = submit(parent="v0")
    train(context, setup, run_id)

    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, verdict), (run.code, run.message, run.verdict_reason)
    assert run.result["active"] == greenish
    with context.database.read() as session:
        candidate = registry.aliased(session, "candidate")
        newest = registry.history(session)[0]
    if auto_promote:
        assert (active(context), candidate) == (run.candidate, None)
        assert (newest.actor, newest.reason) == ("ada", run.verdict_reason)
    else:
        assert (active(context), candidate.version) == (greenish, run.candidate)


def test_a_run_that_was_laid_down_goes_on_and_gives_the_very_same_weights(context, setup, photographs, submit, look):
    first, second = submit(WITH_CHECKPOINTS), submit(WITH_CHECKPOINTS)
    train(context, setup, first)

    def has_begun():
        return look(second).step >= 2

    train(context, replace(setup, is_leaving=has_begun), second)
    left = look(second)
    assert (left.state, left.deaths, left.epoch) == (RunState.QUEUED, 0, 1)
    assert 2 <= left.step < 4
    train(context, setup, second)

    assert look(second).state == RunState.COMPLETED
    assert look(second).candidate == look(first).candidate


def test_a_canceled_run_stops_and_leaves_no_version(
    context, setup, photographs, submit, look, wait_until, in_background
):
    run_id = submit(ENDLESS)
    working = in_background(train, replace(context, heartbeat_s=0.1), setup, run_id)
    wait_until(lambda: look(run_id).step > 0 or working.done(), 120, "the first steps")
    with context.database.write() as session:
        runs.cancel_run(session, run_id)
    working.result(120)

    assert look(run_id).state == RunState.CANCELED
    with context.database.read() as session:
        assert [version.version for version in registry.all_versions(session)] == ["v0"]
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"]


def test_a_worker_whose_run_was_taken_over_stops_and_writes_nothing(
    context, setup, photographs, submit, look, wait_until, in_background
):
    run_id = submit(ENDLESS)
    working = in_background(train, replace(context, heartbeat_s=0.1), setup, run_id)
    wait_until(lambda: look(run_id).step > 0 or working.done(), 120, "the first steps")
    with context.database.write() as session:
        run = runs.get_run(session, run_id)
        run.epoch += 1
        epoch = run.epoch
    working.result(120)
    assert (look(run_id).state, look(run_id).epoch) == (RunState.RUNNING, epoch)


def test_a_gpu_is_left_to_photographs_that_wait(context, submit, wait_until, in_background):
    run_id = submit()
    with context.database.write() as session:
        claim = runs.claim_run(session, run_id, "w1", 30)
        session.add(Job(id="job", owner_id="ada", name="box", model_version="v0", state=JobState.RUNNING))
        session.flush()
        session.add(Photo(id="p", job_id="job", position=0, path="a.jpg"))
    asked = []
    watch = RunWatch(context, claim, is_leaving=lambda: bool(asked.append(1)), yields=True)
    waiting = in_background(watch.yield_device)
    wait_until(lambda: len(asked) > 2, 30, "asking again and again")
    assert not waiting.done()
    with context.database.write() as session:
        session.get_one(Photo, "p").state = PhotoState.DONE
    waiting.result(30)


def test_too_little_material_is_told_with_how_much_is_needed(context, setup, add_photos, submit, look):
    add_photos(Split.TRAIN, 9)
    run_id = submit()
    train(context, setup, run_id)
    run = look(run_id)
    assert (run.state, run.code) == (RunState.FAILED, "too_little_material")
    assert "9 photographs" in run.message
    assert "10" in run.message


def test_a_model_that_cannot_be_had_fails_the_run_by_its_code(context, setup, photographs, greenish, submit, look):
    context.storage.delete("models/greenish/model.safetensors")
    run_id = submit(parent=greenish)
    train(context, setup, run_id)
    assert (look(run_id).state, look(run_id).code) == (RunState.FAILED, "model_version_missing")


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
        return made.to_train_on(photos, parse_config("quick", TINY)), len(photos)

    return make


def rotten(context, photo):
    """A file that can be decoded still, and is not what came in."""
    buffer = io.BytesIO()
    Image.fromarray(data.rocket()[:128, :128]).save(buffer, "PNG")
    buffer.seek(0)
    context.storage.put(photo.key, buffer)


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


@pytest.fixture
def uploaded(context, photographs):
    """The photographs, as if they had come in with one upload."""
    with context.database.write() as session:
        arguments = {"owner_id": "ada", "name": "box.zip", "key": "training/u/upload", "size_bytes": 1}
        material.add_upload(session, upload_id="u", **arguments).state = MaterialState.READY
        session.flush()
        session.execute(update(TrainingPhoto).values(upload_id="u"))


def test_a_run_under_way_ends_when_its_material_is_withdrawn_and_leaves_no_pictures(
    context, setup, uploaded, submit, look, wait_until, in_background
):
    run_id = submit(ENDLESS)
    working = in_background(train, replace(context, heartbeat_s=0.1), setup, run_id)
    wait_until(lambda: look(run_id).step > 0 or working.done(), 240, "the first steps")
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
        assert [version.version for version in registry.all_versions(session)] == ["v0"]
    assert list(context.storage.list("training/")) == []
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"]


def test_a_model_that_learned_from_what_was_withdrawn_is_not_promoted_by_itself(
    context, setup, photographs, yardstick, greenish, submit, look, monkeypatch
):
    promote(context, greenish)
    set_auto_promotion(context, True)
    run_id = submit(parent="v0")
    compare = Comparing.compare

    def withdrawn_meanwhile(*arguments):
        with context.database.write() as session:
            material.usable_photos(session, Split.TRAIN)[-1].withdrawn_at = utc_now()
        return compare(*arguments)

    monkeypatch.setattr(Comparing, "compare", withdrawn_meanwhile)
    train(context, setup, run_id)
    run = look(run_id)
    assert (run.state, run.verdict) == (RunState.COMPLETED, Verdict.CANDIDATE), (run.code, run.message)
    assert "withdrawn" in run.verdict_reason
    assert active(context) == greenish


@pytest.fixture
def watch_of(context, submit):
    """Claims a new run again and again, and watches it."""
    run_id = submit()

    def claim():
        with context.database.write() as session:
            runs.get_run(session, run_id).lease_until = None
            claimed = runs.claim_run(session, run_id, "w1", 30)
        return RunWatch(context, claimed, is_leaving=lambda: False, yields=False)

    return claim


def test_a_picture_that_is_drawn_again_takes_the_place_of_the_earlier_one(context, watch_of):
    first = watch_of()
    first.sample(0, 0, "truth", b"one")
    first.sample(0, 0, "truth", b"once more")
    assert len(list(context.storage.list("training/runs/"))) == 1
    second = watch_of()
    second.sample(0, 0, "truth", b"two")
    first.sample(0, 0, "truth", b"too late")
    (key,) = context.storage.list("training/runs/")
    with context.storage.open(key) as stream:
        assert stream.read() == b"two"


@pytest.fixture
def canceled(context, setup, submit):
    """A run that was canceled while no trainer was there, and what one left of it."""
    run_id = submit()
    folder = setup.training_dir / run_id / "train"
    folder.mkdir(parents=True)
    (folder / "photos.bin").write_bytes(b"pixels")
    with context.database.write() as session:
        runs.cancel_run(session, run_id)
    return folder


def test_what_is_left_of_a_canceled_run_goes_when_a_trainer_starts(context, setup, canceled, submit):
    waiting = setup.training_dir / submit()
    waiting.mkdir()
    with locked(setup.training_dir / "lock"):
        delete_old_leavings(context, setup)
        assert canceled.exists(), "another process is training, and does it"
    delete_old_leavings(context, setup)
    assert sorted(path.name for path in setup.training_dir.iterdir()) == sorted(["lock", waiting.name])


def test_a_trainer_starts_although_the_database_is_away(context, setup, canceled, tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    away = Database(f"sqlite:///{tmp_path}/empty/gray2hue.db")
    delete_old_leavings(replace(context, database=away), setup)
    away.dispose()
    assert canceled.exists()
    assert "stays" in caplog.text


def test_the_trainers_process_does_so(context, canceled, tmp_path, redis_url, wait_until):
    environment = {**os.environ, "GRAY2HUE_DATA_DIR": str(tmp_path), "GRAY2HUE_BROKER_URL": redis_url}
    command = [sys.executable, "-m", "celery", "-A", "worker.main:app", "worker", "-Q", "train", "-c", "1"]
    log = tmp_path / "trainer.log"
    with log.open("wb") as file:
        trainer = subprocess.Popen(command, cwd=SOURCE_ROOT, env=environment, stdout=file, stderr=file)
        try:
            wait_until(lambda: not canceled.parent.exists() or trainer.poll() is not None, 120, "a trainer's start")
            assert not canceled.parent.exists(), log.read_text()
        finally:
            trainer.terminate()
            trainer.wait()
