"""A training run from its claim to its end."""

from dataclasses import replace

import pytest

from core import registry
from core import training_runs as runs
from core.records import Job, JobState, Photo, PhotoState, RunState
from shipped import SHIPPED_VERSION
from worker.handlers.run_watch import RunWatch
from worker.handlers.train import train

WITH_CHECKPOINTS = {"steps": 4, "checkpoint_every_steps": 2}


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


def test_a_canceled_run_stops_and_leaves_no_version(context, setup, photographs, begin, look):
    run_id, working = begin()
    with context.database.write() as session:
        runs.cancel_run(session, run_id)
    working.result(120)

    assert look(run_id).state == RunState.CANCELED
    with context.database.read() as session:
        assert [version.version for version in registry.all_versions(session)] == [SHIPPED_VERSION]
    assert [path.name for path in setup.training_dir.iterdir()] == ["lock"]


def test_a_worker_whose_run_was_taken_over_stops_and_writes_nothing(context, photographs, begin, look):
    run_id, working = begin()
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
        session.add(Job(id="job", owner_id="ada", name="box", model_version=SHIPPED_VERSION, state=JobState.RUNNING))
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


def test_a_model_that_cannot_be_had_fails_the_run_by_its_code(context, setup, photographs, greenish, submit, look):
    context.storage.delete("models/greenish/model.safetensors")
    run_id = submit(parent=greenish)
    train(context, setup, run_id)
    assert (look(run_id).state, look(run_id).code) == (RunState.FAILED, "model_version_missing")


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
