"""What workers leave that die between storing and committing goes once the job is over."""

import importlib
import io
import os
import time

import pytest

from core import jobs
from worker import handlers

sweeping = importlib.import_module("worker.handlers.sweep")
LEFT = ("jobs/job/results/{photo}-7", "jobs/job/results/{photo}-7.preview", "jobs/job/originals/nobodys")


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


def test_a_job_that_is_taken_up_again_is_tidied_after_its_next_end(context, submit, workshop, gray_jpegs, job):
    submit([("cut.jpg", gray_jpegs["coffee"][:2000])])
    handlers.ingest(context, "job")
    handlers.colorize_chunk(context, workshop, "job", 0)
    sweeping.tidy(context)
    assert job().tidied_at is not None
    with context.database.write() as session:
        jobs.retry_failed(session, "job", "ada", context.job_limits)
        jobs.note_tidied(session, "job")
    assert job().tidied_at is None, "a look that began before does not count"


def test_what_nobody_wrote_to_for_a_day_is_forgotten(context):
    aside = context.storage._aside
    aside.mkdir(parents=True, exist_ok=True)
    for name, age_s in (("old", sweeping.UNFINISHED_S + 60), ("new", 60)):
        (aside / name).write_bytes(b"half")
        os.utime(aside / name, (time.time() - age_s,) * 2)
    sweeping.tidy(context)
    assert [path.name for path in aside.iterdir()] == ["new"]
