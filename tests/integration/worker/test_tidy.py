"""What workers leave that die between storing and committing goes once the job is over."""

import importlib
import io
import os
import time

import pytest

from core import jobs
from worker import handlers
from worker.handlers import housekeeping as deleting

sweeping = importlib.import_module("worker.handlers.sweep")
FEW_KEYS = 2
LEFT = ("jobs/job/results/{photo}-7", "jobs/job/results/{photo}-7.preview", "jobs/job/originals/nobodys")


@pytest.fixture
def no_time(monkeypatch):
    """A round has time for no more than one page, of few keys; they come in their order."""
    monkeypatch.setattr(deleting, "PURGE_S", -1.0)
    monkeypatch.setattr("core.fixity.PAGE", FEW_KEYS)


@pytest.fixture
def looks(context, monkeypatch):
    """What keys were asked for; they are given in their order, as they were at that moment."""
    asked, keys = [], context.storage.list

    def in_order(prefix):
        asked.append(prefix)
        return iter(sorted(keys(prefix)))

    monkeypatch.setattr(context.storage, "list", in_order)
    return asked


@pytest.fixture
def stored(context, submit, workshop, gray_jpegs, photos):
    """A job that is completed, what belongs to it, and what was left beside it."""
    submit([("a.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    own = set(context.storage.list("jobs/job/"))
    (photo,) = photos()
    for key in LEFT:
        context.storage.put(key.format(photo=photo.id), io.BytesIO(b"left"))
    return own


def test_of_a_job_that_is_over_only_what_its_rows_refer_to_stays(context, stored, job):
    handlers.sweep(context)
    assert set(context.storage.list("jobs/job/")) == stored
    assert job().tidied_at is not None
    with context.database.read() as session:
        assert jobs.untidy(session) == []


def test_with_little_time_a_look_takes_several_rounds_and_goes_on_where_it_stood(
    context, stored, job, housekeeping, no_time, looks
):
    rounds = 0
    while job().tidied_at is None:
        housekeeping.tidy(context)
        rounds += 1
    assert looks == ["jobs/job/"]
    assert rounds == 1 + -(-len(stored | set(LEFT)) // FEW_KEYS)
    assert set(context.storage.list("jobs/job/")) == stored


def test_rounds_may_be_anybodys_and_whoever_is_through_first_is_through_for_all(context, stored, job, no_time, looks):
    processes = [deleting.Housekeeping() for _ in range(2)]
    rounds = 0
    while job().tidied_at is None:
        processes[rounds % 2].tidy(context)
        rounds += 1
    assert looks == ["jobs/job/"] * 2
    assert set(context.storage.list("jobs/job/")) == stored
    processes[rounds % 2].tidy(context)
    assert processes[rounds % 2]._looks == {}


def test_a_look_that_began_before_a_job_was_taken_up_again_is_not_gone_on_with(
    context, submit, workshop, gray_jpegs, job, housekeeping, no_time, looks
):
    submit([("cut.jpg", gray_jpegs["coffee"][:2000])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    context.storage.put("jobs/job/originals/nobodys", io.BytesIO(b"left"))
    context.storage.put("jobs/job/results/nobodys-1", io.BytesIO(b"left"))
    housekeeping.tidy(context)
    with context.database.write() as session:
        jobs.retry_failed(session, "job", "ada", context.job_limits)
    handlers.colorize_chunk(context, workshop, "job", 0)
    context.storage.put("jobs/job/originals/0-left-by-the-second-run", io.BytesIO(b"left"))
    for _ in range(5):
        housekeeping.tidy(context)
    assert job().tidied_at is not None
    assert not [key for key in context.storage.list("jobs/job/") if "nobodys" in key or "left" in key]


def test_what_cannot_be_deleted_keeps_nothing_else_from_going(
    context, stored, photos, submit, workshop, gray_jpegs, job, housekeeping, undeletable, caplog, monkeypatch
):
    submit([("b.jpg", gray_jpegs["coffee"])], job_id="later")
    handlers.ingest(context, "later")
    handlers.colorize_chunk(context, workshop, "later", 0)
    refused = LEFT[0].format(photo=next(photo.id for photo in photos() if photo.job_id == "job"))
    undeletable.add(refused)

    housekeeping.tidy(context)

    assert set(context.storage.list("jobs/job/")) == {*stored, refused}
    assert job().tidied_at is None
    assert "of job job cannot be deleted" in caplog.text
    with context.database.read() as session:
        assert list(jobs.untidy(session)) == ["job"]
    undeletable.clear()
    housekeeping.tidy(context)
    assert job().tidied_at is None, "it is left alone for a while"
    monkeypatch.setattr(deleting.time, "monotonic", lambda now=time.monotonic: now() + deleting.STUCK_S)
    housekeeping.tidy(context)
    assert job().tidied_at is not None
    assert set(context.storage.list("jobs/job/")) == stored


def test_a_job_that_is_taken_up_again_is_tidied_after_its_next_end(
    context, submit, workshop, gray_jpegs, job, housekeeping
):
    submit([("cut.jpg", gray_jpegs["coffee"][:2000])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    housekeeping.tidy(context)
    assert job().tidied_at is not None
    with context.database.write() as session:
        jobs.retry_failed(session, "job", "ada", context.job_limits)
        jobs.note_tidied(session, "job")
    assert job().tidied_at is None, "a look that began before does not count"


def test_what_nobody_wrote_to_for_a_day_is_forgotten_but_for_what_cannot_be_deleted(context, stored, job):
    aside = context.storage._aside
    aside.mkdir(parents=True, exist_ok=True)
    for number in range(5):
        (aside / f"file {number}").write_bytes(b"half")
        (aside / f"folder {number}").mkdir()
    for path in aside.iterdir():
        os.utime(path, (time.time() - sweeping.UNFINISHED_S - 60,) * 2)
    (aside / "new").write_bytes(b"half")
    handlers.sweep(context)
    assert {path.name for path in aside.iterdir()} == {"new", *(f"folder {number}" for number in range(5))}
    assert job().tidied_at is not None
