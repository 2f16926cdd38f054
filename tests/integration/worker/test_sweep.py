"""Rounds of the sweeper."""

import importlib
import io
import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from core import jobs
from core.errors import StorageError
from core.leases import take_lease
from core.records import Job, JobState, MaterialState, MaterialUpload, PhotoState
from shipped import SHIPPED_VERSION
from worker import handlers
from worker.handlers import housekeeping as deleting

sweeping = importlib.import_module("worker.handlers.sweep")


@pytest.fixture
def done(context, submit, workshop, gray_jpegs):
    """A job that is completed."""
    submit([("a.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    return context


@pytest.fixture
def deleted_jobs(context):
    """Three jobs that people deleted, the first the longest ago, each with a few files left; gives their ids."""
    job_ids = ["first", "second", "third"]
    for job_id in job_ids:
        with context.database.write() as session:
            session.add(
                Job(id=job_id, owner_id="ada", name=job_id, state=JobState.EXPIRED, model_version=SHIPPED_VERSION)
            )
        for number in range(3):
            context.storage.put(f"jobs/{job_id}/results/{number}-1", io.BytesIO(b"x"))
    return job_ids


def purged(context):
    with context.database.read() as session:
        return set(session.scalars(select(Job.id).where(Job.purged_at.is_not(None))))


@pytest.fixture
def rounds(context, monkeypatch):
    """The owners of the rounds that were done."""
    owners = []
    monkeypatch.setattr(sweeping, "PARTS", (lambda swept: owners.append(swept.owner),))
    return owners


def test_of_two_that_would_sweep_at_once_one_does(context, rounds):
    other = replace(context, owner="another")
    for _ in range(3):
        handlers.sweep(context)
        handlers.sweep(other)
    assert rounds == [context.owner] * 3


def test_the_next_round_may_be_anybodys(context, rounds, wait_until):
    often = replace(context, sweep_interval_s=0.05)
    handlers.sweep(often)
    other = replace(often, owner="another")
    wait_until(lambda: handlers.sweep(other) or "another" in rounds, 10, "the other's round")


def test_a_sweeper_that_died_in_its_round_is_replaced(context, rounds, wait_until):
    often = replace(context, sweep_interval_s=0.05)
    with context.database.write() as session:
        assert take_lease(session, sweeping.LEASE, "dead", sweeping.LEASE_ROUNDS * often.sweep_interval_s)
    wait_until(lambda: handlers.sweep(often) or rounds, 10, "a round")


def test_a_part_that_fails_stops_no_other(context, monkeypatch, caplog):
    seen = []

    def fails(_context):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(sweeping, "PARTS", (fails, lambda _context: seen.append(1)))
    handlers.sweep(context)
    assert seen == [1]
    assert "a mistake of ours" in caplog.text


def test_of_a_job_that_expired_nothing_stays_but_its_row(done, photos, job):
    assert len(list(done.storage.list("jobs/job/"))) >= 4
    done.storage.put("jobs/jobless/results/kept-1", io.BytesIO(b"another job's"))
    with done.database.write() as session:
        jobs.expire(session, "job", "ada")

    handlers.sweep(done)

    assert list(done.storage.list("jobs/job/")) == []
    assert done.storage.exists("jobs/jobless/results/kept-1")
    assert (job().state, job().purged_at is not None) == (JobState.EXPIRED, True)
    (photo,) = photos()
    assert (photo.state, photo.path, photo.result_key, photo.original_key) == (PhotoState.DONE, "a.jpg", "", "")


def test_what_is_not_deleted_in_time_is_deleted_in_a_later_round(done, job, housekeeping, monkeypatch):
    with done.database.write() as session:
        jobs.expire(session, "job", "ada")
    with monkeypatch.context() as patch:
        patch.setattr(deleting, "PURGE_S", -1.0)
        housekeeping.retire(done)
    assert job().purged_at is None
    assert list(done.storage.list("jobs/job/")) != []
    housekeeping.retire(done)
    assert job().purged_at is not None


def test_a_file_that_cannot_be_deleted_keeps_no_other_job_from_losing_its_bytes(
    context, deleted_jobs, housekeeping, undeletable, caplog, monkeypatch
):
    refused = "jobs/first/results/1-1"
    undeletable.add(refused)
    housekeeping.retire(context)
    assert purged(context) == {"second", "third"}
    assert list(context.storage.list("jobs/")) == [refused]
    assert "of job first cannot be deleted" in caplog.text

    undeletable.clear()
    housekeeping.retire(context)
    assert purged(context) == {"second", "third"}, "it is left alone for a while"
    monkeypatch.setattr(deleting.time, "monotonic", lambda now=time.monotonic: now() + deleting.STUCK_S)
    housekeeping.retire(context)
    assert purged(context) == set(deleted_jobs)


def test_however_many_jobs_cannot_be_deleted_the_others_have_their_turn(
    context, deleted_jobs, housekeeping, undeletable, monkeypatch
):
    monkeypatch.setattr(deleting, "JOBS_AT_ONCE", 1)
    undeletable.update(f"jobs/{job_id}/results/1-1" for job_id in deleted_jobs[:2])
    for _ in deleted_jobs:
        housekeeping.retire(context)
    assert purged(context) == {"third"}


def test_an_upload_that_was_given_up_and_cannot_be_deleted_keeps_no_other_from_going(context, undeletable, caplog):
    for job_id in ("bad", "good"):
        with context.database.write() as session:
            jobs.receive(session, job_id=job_id, owner_id="ada", name="cut", model_version=SHIPPED_VERSION, lease_s=-1)
        context.storage.put(f"jobs/{job_id}/uploads/0", io.BytesIO(b"half of it"))
    undeletable.add("jobs/bad/uploads/0")
    handlers.sweep(context)
    with context.database.read() as session:
        assert (session.get(Job, "bad") is None, session.get(Job, "good") is None) == (False, True)
    assert "of job bad cannot be deleted" in caplog.text


def test_training_material_that_cannot_be_deleted_keeps_no_other_from_going(context, undeletable):
    keys = ["training/a/upload", "training/b/upload", "training/c/upload"]
    with context.database.write() as session:
        for key in keys:
            context.storage.put(key, io.BytesIO(b"x"))
            session.add(MaterialUpload(owner_id="ada", name=key, key=key, size_bytes=1, state=MaterialState.READY))
    undeletable.add(keys[1])
    with pytest.raises(StorageError):
        sweeping.clear_away(context)
    assert list(context.storage.list("training/")) == [keys[1]]
    with context.database.read() as session:
        assert set(session.scalars(select(MaterialUpload.key))) == {"", keys[1]}


def test_bytes_of_an_upload_that_never_came_in_whole_are_deleted(context):
    with context.database.write() as session:
        jobs.receive(session, job_id="cut", owner_id="ada", name="cut", model_version=SHIPPED_VERSION, lease_s=-1)
    context.storage.put("jobs/cut/uploads/0", io.BytesIO(b"half of it"))
    handlers.sweep(context)
    with context.database.read() as session:
        assert session.get(Job, "cut") is None
    assert list(context.storage.list("jobs/cut/")) == []


def test_what_there_is_of_an_upload_that_was_given_up_is_deleted(context):
    with context.database.write() as session:
        facts = {"owner_id": "ada", "name": "box.zip", "model_version": SHIPPED_VERSION}
        jobs.receive(session, job_id="given-up", lease_s=-1, **facts)
        jobs.receive(session, job_id="coming", lease_s=60, **facts)
    for job_id in ("given-up", "coming"):
        context.storage.put(f"jobs/{job_id}/uploads/0", io.BytesIO(b"half"))
        (context.incoming_dir / job_id).mkdir(parents=True)
        (context.incoming_dir / job_id / "1").write_bytes(b"half")

    handlers.sweep(context)

    with context.database.read() as session:
        assert session.get(Job, "given-up") is None
        assert session.get_one(Job, "coming").state == JobState.RECEIVING
    assert list(context.storage.list("jobs/")) == ["jobs/coming/uploads/0"]
    assert [folder.name for folder in context.incoming_dir.iterdir()] == ["coming"]
