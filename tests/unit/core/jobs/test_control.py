"""Pausing, resuming, trying again, priorities, and the log of it all, on SQLite and on PostgreSQL."""

import itertools

import pytest

from core import jobs
from core.errors import StateError
from core.jobs import Hint
from core.jobs.states import JOB_TRANSITIONS, PHOTO_TRANSITIONS, move_job, move_photos
from core.records import Job, JobState, PausedBy, Photo, PhotoState


def resume(bench):
    with bench.database.write() as session:
        return jobs.resume(session, bench.job_id, "user:ada", bench.limits)[1]


def pause(bench):
    with bench.database.write() as session:
        jobs.pause(session, bench.job_id, "user:ada")


def retry(bench):
    with bench.database.write() as session:
        return jobs.retry_failed(session, bench.job_id, "user:ada", bench.limits)[1]


def told(bench):
    """The job's own transitions."""
    with bench.database.read() as session:
        events = jobs.list_events(session, bench.job_id, limit=1000)
    return [(event.from_state, event.to_state) for event in events if event.photo_id is None]


@pytest.mark.parametrize("to", JobState)
@pytest.mark.parametrize("origin", JobState)
def test_only_the_drawn_transitions_of_a_job_are_possible(origin, to):
    class Silent:
        def flush(self): ...

        def execute(self, *_): ...

    job = Job(id="job", state=origin)
    if to in JOB_TRANSITIONS[origin]:
        move_job(Silent(), job, to)
        assert job.state == to
        return
    with pytest.raises(StateError) as refused:
        move_job(Silent(), job, to)
    assert refused.value.code == "illegal_transition"
    assert job.state == origin


def test_illegal_transitions_of_photos_are_refused(bench):
    bench.ingest([1])
    for origin in PhotoState:
        for to in set(PhotoState) - PHOTO_TRANSITIONS[origin]:
            with pytest.raises(StateError), bench.database.write() as session:
                move_photos(session, Photo.job_id == "job", origin, to)
    assert bench.states() == [PhotoState.PENDING]


def test_a_paused_job_rests_until_it_is_resumed(bench):
    bench.ingest([1, 1, 1])
    bench.work(0)
    pause(bench)
    assert bench.claim(1) == []
    bench.age(60)
    assert bench.sweep() == []
    assert (bench.job().state, bench.job().paused_by) == (JobState.PAUSED, PausedBy.PERSON)

    assert resume(bench) == [Hint("job", 1, False), Hint("job", 2, False)]
    bench.work(1)
    bench.work(2)
    assert bench.job().state == JobState.COMPLETED
    assert bench.job().paused_by == PausedBy.NOBODY


def test_what_was_in_hand_when_a_job_was_paused_is_laid_down_unharmed(bench):
    bench.ingest([2])
    first, second = bench.claim(0)
    pause(bench)
    assert bench.finish(first)
    with bench.database.write() as session:
        assert jobs.is_stopping(session, "job")
        jobs.release_photos(session, [second])
    assert bench.states() == [PhotoState.DONE, PhotoState.PENDING]
    resume(bench)
    bench.work(0)
    assert bench.job().state == JobState.COMPLETED


def test_a_job_whose_last_photo_was_done_while_it_was_paused_ends_when_it_is_resumed(bench):
    bench.ingest([1])
    (claim,) = bench.claim(0)
    pause(bench)
    bench.finish(claim)
    bench.finish_chunk(0)
    assert bench.job().state == JobState.PAUSED
    resume(bench)
    assert bench.job().state == JobState.COMPLETED


def test_a_job_may_be_paused_before_it_was_unpacked(bench):
    bench.submit()
    pause(bench)
    assert bench.claim_ingest() is None
    bench.age(60)
    assert bench.sweep() == []
    assert resume(bench) == [Hint("job", None, False)]
    assert bench.claim_ingest() is not None
    assert told(bench) == [
        ("", "receiving"),
        ("receiving", "queued"),
        ("queued", "paused"),
        ("paused", "queued"),
        ("queued", "running"),
    ]


def test_a_paused_job_may_be_canceled(bench):
    bench.ingest([1, 1])
    pause(bench)
    bench.cancel()
    assert bench.job().state == JobState.CANCELED
    assert bench.states() == [PhotoState.CANCELED] * 2


def test_a_job_that_is_over_or_runs_cannot_be_resumed(bench):
    bench.ingest([1])
    with pytest.raises(StateError) as running:
        resume(bench)
    bench.work(0)
    with pytest.raises(StateError) as over:
        resume(bench)
    with pytest.raises(StateError) as pausing:
        pause(bench)
    assert [error.value.code for error in (running, over, pausing)] == ["not_paused", "not_paused", "already_over"]


def test_a_job_that_waits_for_room_goes_on_by_itself_and_one_that_a_person_paused_does_not(bench):
    bench.ingest([1])
    with bench.database.write() as session:
        jobs.pause_for_room(session, "job", "The storage is full.")
        assert jobs.jobs_paused_for_room(session)
    assert (bench.job().state, bench.job().code) == (JobState.PAUSED, "storage_full")
    with bench.database.write() as session:
        assert jobs.resume_paused_for_room(session, bench.limits) == [Hint("job", 0, False)]
    assert (bench.job().state, bench.job().code, bench.job().message) == (JobState.RUNNING, "", "")

    pause(bench)
    with bench.database.write() as session:
        assert not jobs.jobs_paused_for_room(session)
        assert jobs.resume_paused_for_room(session, bench.limits) == []


def test_a_person_may_keep_a_job_paused_that_waits_for_room(bench):
    bench.ingest([1])
    with bench.database.write() as session:
        jobs.pause_for_room(session, "job", "The storage is full.")
    pause(bench)
    assert (bench.job().paused_by, bench.job().code) == (PausedBy.PERSON, "")


def test_only_the_failed_photos_are_tried_again(bench):
    bench.ingest([2, 1])
    first, second = bench.claim(0)
    bench.finish(first, "kept")
    bench.fail(second)
    bench.finish_chunk(0)
    bench.work(1)
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS

    assert retry(bench) == [Hint("job", 0, False)]
    assert bench.states() == [PhotoState.DONE, PhotoState.PENDING, PhotoState.DONE]
    (again,) = bench.claim(0)
    assert again.id == second.id
    bench.finish(again)
    bench.finish_chunk(0)
    assert bench.job().state == JobState.COMPLETED
    assert [photo.code for photo in bench.photos()] == ["", "", ""]
    assert bench.photos()[0].result_key == "kept"


def test_what_was_refused_at_the_door_is_not_tried_again(bench):
    refused = jobs.NewPhoto(0, "a.jpg", state=PhotoState.FAILED, code="truncated_image")
    bench.submit()
    bench.add(bench.claim_ingest(), [refused])
    with bench.database.write() as session:
        claim = jobs.IngestClaim("job", 1, False, bench.job().options, ())
        jobs.finish_ingest(session, claim)
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS
    with pytest.raises(StateError) as nothing:
        retry(bench)
    assert nothing.value.code == "nothing_to_retry"


def test_a_job_that_runs_cannot_be_tried_again(bench):
    bench.ingest([1])
    with pytest.raises(StateError) as running:
        retry(bench)
    assert running.value.code == "not_over"


def test_the_log_tells_who_did_what_and_when(bench):
    bench.ingest([1])
    bench.work(0)
    with bench.database.read() as session:
        events = jobs.list_events(session, "job")
        later = jobs.list_events(session, "job", after=events[1].id, limit=2)
    assert [(event.from_state, event.to_state, event.actor) for event in events] == [
        ("", "receiving", "user:ada"),
        ("receiving", "queued", "user:ada"),
        ("queued", "running", "w1"),
        ("pending", "running", "w1"),
        ("running", "done", ""),
        ("running", "completed", "sweeper"),
    ]
    assert [event.id for event in later] == [event.id for event in events[2:4]]
    assert all(first.at <= second.at for first, second in itertools.pairwise(events))
