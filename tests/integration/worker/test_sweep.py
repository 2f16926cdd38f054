"""Rounds of the sweeper."""

import importlib
import io
from dataclasses import replace

import pytest

from core import jobs
from core.leases import take_lease
from core.records import Job, JobState, PhotoState
from worker import handlers

sweeping = importlib.import_module("worker.handlers.sweep")


@pytest.fixture
def done(context, submit, workshop, gray_jpegs):
    """A job that is completed."""
    submit([("a.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    return context


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


def test_what_is_not_deleted_in_time_is_deleted_in_a_later_round(done, job, monkeypatch, wait_until):
    with done.database.write() as session:
        jobs.expire(session, "job", "ada")
    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "PURGE_S", -1.0)
        sweeping.retire(done)
    assert job().purged_at is None
    assert list(done.storage.list("jobs/job/")) != []
    sweeping.retire(done)
    assert job().purged_at is not None


def test_bytes_of_an_upload_that_never_came_in_whole_are_deleted(context):
    with context.database.write() as session:
        jobs.receive(session, job_id="cut", owner_id="ada", name="cut", model_version="v0", lease_s=-1)
    context.storage.put("jobs/cut/uploads/0", io.BytesIO(b"half of it"))
    handlers.sweep(context)
    with context.database.read() as session:
        assert session.get(Job, "cut") is None
    assert list(context.storage.list("jobs/cut/")) == []


def test_what_there_is_of_an_upload_that_was_given_up_is_deleted(context):
    with context.database.write() as session:
        facts = {"owner_id": "ada", "name": "box.zip", "model_version": "v0"}
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
