"""The storage is full: the job waits for room, and goes on when there is some."""

import pytest

from core.errors import StorageFullError
from core.records import JobState, PhotoState
from worker import handlers


@pytest.fixture
def fill(context, monkeypatch):
    """Lets the storage refuse keys with a certain part, and say that it has so much room."""

    def fill(part, free_bytes=0):
        put = context.storage.put

        def refuse(key, stream):
            if part in key:
                raise StorageFullError("storage_full", "There is no room left in the storage folder.")
            return put(key, stream)

        patch = pytest.MonkeyPatch()
        patch.setattr(context.storage, "put", refuse)
        patch.setattr(context.storage, "free_bytes", lambda: free_bytes)
        patches.append(patch)
        return patch

    patches = []
    yield fill
    for patch in patches:
        patch.undo()


def test_a_job_whose_results_find_no_room_waits_and_is_done_when_there_is_some(
    context, submit, workshop, photos, job, gray_jpegs, fill
):
    submit([(f"{name}.jpg", gray_jpegs[name]) for name in ("coffee", "rocket", "chelsea")])
    handlers.ingest(context, "job")
    full = fill("/results/")

    handlers.colorize_chunk(context, workshop, "job", 0)
    assert (job().state, job().code) == (JobState.PAUSED, "storage_full")
    assert {(photo.state, photo.deaths, photo.lease_owner) for photo in photos()} == {(PhotoState.PENDING, 0, "")}

    handlers.sweep(context)
    assert job().state == JobState.PAUSED

    full.undo()
    context.hints.sent.clear()
    next_round(context)
    assert job().state == JobState.RUNNING
    assert [hint.chunk for hint in context.hints.sent] == [0]
    handlers.colorize_chunk(context, workshop, "job", 0)
    assert (job().state, job().code) == (JobState.COMPLETED, "")


def test_a_storage_that_says_it_has_room_but_takes_nothing_is_not_believed(
    context, submit, workshop, job, gray_jpegs, fill
):
    submit([("a.jpg", gray_jpegs["coffee"])])
    handlers.ingest(context, "job")
    full = fill("/", free_bytes=2**40)
    handlers.colorize_chunk(context, workshop, "job", 0)
    handlers.sweep(context)
    assert job().state == JobState.PAUSED
    full.undo()
    next_round(context)
    assert job().state == JobState.RUNNING
    assert list(context.storage.list("probes/")) == []


def test_unpacking_that_finds_no_room_keeps_what_it_has_and_goes_on_there(
    context, submit, photos, job, gray_jpegs, make_zip, fill, monkeypatch
):
    names = [f"{number}.jpg" for number in range(8)]
    submit([("box.zip", make_zip(dict.fromkeys(names, gray_jpegs["coffee"])))])
    put, taken = context.storage.put, []

    def full_after_four(key, stream):
        if len(taken) == 4:
            raise StorageFullError("storage_full", "There is no room left in the storage folder.")
        taken.append(key)
        return put(key, stream)

    with monkeypatch.context() as patch:
        patch.setattr(context.storage, "put", full_after_four)
        handlers.ingest(context, "job")
    assert (job().state, job().code, job().ingest_owner) == (JobState.PAUSED, "storage_full", "")
    assert [photo.path for photo in photos()] == names[:4]
    assert sorted(context.storage.list("jobs/job/originals/")) == sorted(taken)

    handlers.sweep(context)
    assert None in [hint.chunk for hint in context.hints.sent]
    handlers.ingest(context, "job")
    assert [photo.path for photo in photos()] == names
    assert job().ingested_at is not None


def next_round(context):
    """Sweep again, as if some time had gone by."""
    from core.leases import take_lease

    with context.database.write() as session:
        take_lease(session, "sweep", context.owner, 0)
    handlers.sweep(context)
