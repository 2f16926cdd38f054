"""Stopped, flooded, forgotten, poisoned: what an embedded stack outlives beside being killed."""

import os
import random
import signal
import subprocess

import pytest
from sqlalchemy import select

from benchmarks.soaking.messages import Meddler, forget_all
from benchmarks.soaking.poison import Poison
from cli import parts, redis_server
from cli.environment import child_environment
from core.boundaries import Boundary
from core.records import Chunk, JobEvent, JobState, PhotoState
from core.settings import SOURCE_ROOT, Settings

SEED = 5


@pytest.fixture(scope="module")
def battered(batter):
    found = batter(GRAY2HUE_CHUNK_PHOTOS="4")
    yield found
    found.close()


@pytest.fixture
def broker_url(battered):
    return redis_server.broker_url(redis_server.socket_path(battered.stack.data_dir / "run"))


@pytest.fixture
def second_worker(battered, broker_url, monkeypatch, tmp_path):
    """A further worker for photographs beside the stack's own."""
    for name, value in battered.stack.full_environment.items():
        monkeypatch.setenv(name, value)
    command = ["celery", "-A", "worker.main:app", "worker", "--without-mingle", "--without-gossip"]
    command += ["-Q", "express,maintenance,colorize", "-c", "1", "-n", "second@%h", "--loglevel", "INFO"]
    log = tmp_path / "second.log"
    python = battered.stack.process.args[0]
    with log.open("w") as output:
        environment = child_environment(Settings(), broker_url)
        process = subprocess.Popen(
            [python, "-m", *command], cwd=SOURCE_ROOT, env=environment, stdout=output, stderr=output
        )
    battered.wait_until(lambda: "is loaded" in log.read_text(), 120, "a second worker")
    yield process
    process.terminate()
    process.wait(60)


def test_a_worker_that_slept_past_its_lease_is_refused(battered, second_worker, small_zip):
    battered.armed.arm(Boundary.RENAMED)
    job_id = battered.submit("1 photo.zip", small_zip(1))
    pid = battered.armed.await_reached(Boundary.RENAMED)
    os.kill(pid, signal.SIGSTOP)
    battered.armed.let_go(Boundary.RENAMED)
    battered.wait_until(lambda: battered.done(job_id) == 1, 60, "the other worker's result")
    (photo,) = battered.photos(job_id)
    stale = battered.storage_dir / "jobs" / job_id / "results" / f"{photo.id}-1"
    assert photo.epoch == 2
    assert stale.exists()
    os.kill(pid, signal.SIGCONT)

    battered.wait_until(lambda: not stale.exists(), 60, "the end of the late result")
    (later,) = battered.photos(job_id)
    assert (later.state, later.epoch, later.result_key) == (PhotoState.DONE, 2, photo.result_key)
    assert battered.ledger.committed()[photo.id] == 1
    battered.check_stored()


def test_messages_that_are_doubled_or_lost_change_nothing(battered, broker_url, small_zip):
    rng = random.Random(SEED)  # noqa: S311 - it decides what is hurt
    with Meddler(broker_url, rng, copied=0.4, dropped=0.3) as meddler:
        jobs = [battered.submit("16 photos.zip", small_zip(16)) for _ in range(3)]
        battered.wait_until(lambda: all(battered.done(job_id) == 16 for job_id in jobs), 180, "all photographs")
    assert meddler.copies > 0
    assert meddler.drops > 0
    battered.check_ledger(jobs)


def test_a_broker_that_forgets_everything_in_the_middle_of_a_job(battered, broker_url, small_zip):
    job_id = battered.submit("40 photos.zip", small_zip(40))
    for threshold in (2, 12, 22):
        battered.wait_until(lambda: battered.done(job_id) >= threshold, 60, "some photographs")  # noqa: B023 - used at once
        forget_all(broker_url)
    battered.wait_until(lambda: battered.done(job_id) == 40, 120, "all photographs")
    battered.check_ledger([job_id])


def test_a_small_job_waits_for_two_chunks_of_a_large_one_at_most(battered, small_zip):
    large = battered.submit("80 photos.zip", small_zip(80))
    battered.wait_until(lambda: battered.done(large) >= 4, 60, "the large job's begin")
    small = battered.submit("1 photo.zip", small_zip(1))
    battered.wait_until(lambda: battered.done(small) == 1, 60, "the small job's photograph")

    photos = {photo.id: photo for photo in battered.photos(large)}
    assert any(photo.state != PhotoState.DONE for photo in photos.values()), "the large job was still under way"
    with battered.database.read() as session:
        waited_since = session.scalars(select(Chunk.sent_at).where(Chunk.job_id == small)).one()
        begun = select(JobEvent).where(JobEvent.to_state == PhotoState.RUNNING, JobEvent.photo_id.is_not(None))
        events = session.scalars(begun.order_by(JobEvent.id)).all()
    (served,) = (event for event in events if event.job_id == small)
    between = [event for event in events if event.job_id == large and waited_since <= event.at and event.id < served.id]
    assert len({photos[event.photo_id].chunk for event in between}) <= 2


def test_a_photograph_that_kills_is_condemned_and_its_neighbors_are_not(battered, small_jpegs, gray_poison, make_zip):
    contents = {f"{k:02}.jpg": small_jpegs[k % len(small_jpegs)] for k in range(7)}
    contents["07 poison.png"] = gray_poison
    known = {job.id for job in battered.jobs()}

    def choose(photo_ids):
        return {photo.id for photo in battered.photos(job_id) if photo.path == "07 poison.png"} & photo_ids

    battered.armed.arm(Boundary.JOB_COMMITTED)
    upload = battered.send("8 photos.zip", make_zip(contents))
    battered.armed.await_reached(Boundary.JOB_COMMITTED)
    (job_id,) = {job.id for job in battered.jobs()} - known
    with Poison(battered.armed.folder / "ledger", choose) as poison:
        battered.armed.let_go(Boundary.JOB_COMMITTED)
        upload.wait()
        battered.wait_until(lambda: battered.job(job_id).finished_at, 240, "the job's end")

    photos = battered.photos(job_id)
    assert battered.job(job_id).state == JobState.COMPLETED_WITH_ERRORS
    assert [photo.state for photo in photos] == [PhotoState.DONE] * 7 + [PhotoState.FAILED]
    assert (photos[7].code, photos[7].deaths) == ("worker_died", 3)
    assert [photo.deaths for photo in photos[:7]] == [0] * 7
    # Together with neighbors once or twice, since it comes last and they may be done by then; then three times alone.
    assert 4 <= poison.deaths[photos[7].id] <= 5
    assert [battered.ledger.committed()[photo.id] for photo in photos] == [1] * 7 + [0]
    assert parts.web_answers(battered.stack.address)
