"""What goes with an upload that is taken back: runs that have begun with it, pictures of it, what died readers left."""

import io

import pytest

from core import training_material as material
from core import training_runs as runs
from core.records import MaterialState, RunState, Split, TrainingPhoto, TrainingRun, TrainingSample, utc_now
from core.storage import LocalStorage
from core.training_material import MaterialHint


@pytest.fixture
def add_run(bench):
    """Puts a run with a picture whose snapshot holds the photographs of these numbers, by set."""

    def put(state, photographs):
        hashes = {row.path: row.sha256 for row in bench.rows()}
        sets = {name: [hashes[f"{number}.jpg"] for number in numbers] for name, numbers in photographs.items()}
        snapshot = {"sha256": "x", **sets, "counts": {}} if photographs else {}
        with bench.database.write() as session:
            run = TrainingRun(trigger="admin", actor="ada", config={}, parent="v-test", state=state, snapshot=snapshot)
            session.add(run)
            session.flush()
            session.add(TrainingSample(run_id=run.id, step=0, number=0, kind="truth", key=f"training/runs/{run.id}/x"))
        return run.id

    return put


@pytest.fixture
def look(bench):
    def read(run_id):
        with bench.database.read() as session:
            return session.get_one(TrainingRun, run_id), list(runs.samples(session, run_id))

    return read


@pytest.mark.parametrize("name", ["train", "validation", "frozen", "held_out"])
@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.CANCELING])
def test_a_run_that_has_begun_with_what_is_withdrawn_is_canceled_with_the_reason(
    bench, photo, add_run, look, state, name
):
    bench.read("u", photo(1))
    bench.read("v", photo(2))
    concerned, other = add_run(state, {name: [1]}), add_run(state, {"train": [2]})
    waiting, over = add_run(RunState.QUEUED, {}), add_run(RunState.COMPLETED, {name: [1]})
    bench.withdraw()
    run, _ = look(concerned)
    assert (run.state, run.code, run.lease_until) == (RunState.CANCELED, "material_withdrawn", None)
    assert "u.zip" in run.message
    assert run.finished_at is not None
    assert [look(run_id)[0].state for run_id in (other, waiting, over)] == [state, RunState.QUEUED, RunState.COMPLETED]


def test_a_trainer_that_has_such_a_run_in_hand_comes_too_late_with_everything(bench, photo, add_run):
    bench.read("u", photo(1))
    run_id = add_run(RunState.QUEUED, {"train": [1]})
    with bench.database.write() as session:
        claim = runs.claim_run(session, run_id, "w1", 30)
    bench.withdraw()
    with bench.database.write() as session:
        assert runs.renew_run(session, claim, 30) is None
        assert not runs.note_sample(session, claim, 1, 0, "after", "k")
        given = {"verdict": "promoted", "reason": "better", "candidate": "v-test", "result": {}}
        assert not runs.finish_run(session, claim, **given)


def test_pictures_go_where_the_validation_photographs_held_what_is_withdrawn(bench, photo, add_run, look):
    bench.read("u", photo(1), photo(3, code="dull", key=""))
    bench.read("v", photo(2))
    concerned, other = add_run("completed", {"validation": [1, 2]}), add_run("completed", {"validation": [2]})
    elsewhere = add_run("completed", {"train": [1], "validation": []})
    bench.withdraw()
    found = bench.leavings()
    assert found.folders == ["training/u/", f"training/runs/{concerned}/"]
    assert look(concerned)[1] == []
    assert len(look(other)[1]) == len(look(elsewhere)[1]) == 1


def test_pictures_of_a_photograph_that_was_brought_again_stay(bench, photo, add_run, look):
    bench.read("u", photo(1))
    bench.withdraw()
    bench.read("v", photo(1))
    again = add_run(RunState.RUNNING, {"validation": [1]})
    bench.withdraw("u")
    assert bench.leavings("u").folders == ["training/u/"]
    assert (look(again)[0].state, len(look(again)[1])) == (RunState.RUNNING, 1)


def test_what_has_no_row_is_needless_as_soon_as_the_upload_is_over(bench, photo, tmp_path):
    storage = LocalStorage(tmp_path)
    for key in ("training/u/0-1", "training/u/1-1", "training/u2/0-1"):
        storage.put(key, io.BytesIO(b"photo"))
    bench.add()
    claim = bench.claim()
    bench.photos(claim, photo(1, key="training/u/0-1"))
    assert bench.leavings() is None
    assert bench.leavings("nowhere") is None
    bench.finish(claim)
    assert list(bench.leavings().keys(storage)) == ["training/u/1-1"]
    bench.withdraw()
    assert sorted(bench.leavings().keys(storage)) == ["training/u/0-1", "training/u/1-1"]


def test_an_upload_that_is_over_gets_a_hint_until_what_is_left_of_it_is_deleted(bench, photo):
    bench.read("u", photo(1))
    bench.age(31)
    assert bench.sweep() == [MaterialHint("u")]
    assert bench.sweep() == []
    cleared = bench.leavings()
    bench.withdraw()
    bench.note_cleared(cleared)
    bench.age(31)
    assert bench.sweep() == [MaterialHint("u")], "it was withdrawn since"
    bench.note_cleared(bench.leavings())
    assert bench.upload().sent_at is None
    assert bench.sweep() == []


def test_an_upload_that_killed_its_readers_is_cleared_too(bench):
    bench.add()
    for _ in range(3):
        bench.claim()
        bench.age(31)
        bench.sweep()
    assert (bench.upload().state, bench.sweep()) == (MaterialState.FAILED, [])
    bench.age(31)
    assert bench.sweep() == [MaterialHint("u")]


def test_keys_are_usable_until_their_photographs_are_withdrawn(bench, photo):
    bench.read("u", *(photo(number) for number in range(3)))
    with bench.database.write() as session:
        session.add(TrainingPhoto(path="a", key="k/9", split=Split.TRAIN, withdrawn_at=utc_now()))
    with bench.database.read() as session:
        assert material.usable_keys(session, []) == set()
        keys = [f"k/{number}" for number in range(2000)]
        assert material.usable_keys(session, keys) == {"k/0", "k/1", "k/2"}
