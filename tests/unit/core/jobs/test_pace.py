"""What the database tells of a job's pace, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import event, insert, select, update

from core import jobs
from core.jobs.pace import measure_pace
from core.records import Chunk, Job, JobEvent, JobState, Photo, PhotoState, utc_now

NOW = utc_now()
SECOND = timedelta(seconds=1)
CHUNK = 10


@pytest.fixture
def job(database):
    """A job that began 1000 s ago, without photos."""
    with database.write() as session:
        session.add(
            Job(
                id="job",
                owner_id="ada",
                name="photos.zip",
                state=JobState.RUNNING,
                model_version="v-test",
                started_at=NOW - 1000 * SECOND,
                ingested_at=NOW - 990 * SECOND,
            )
        )
    return "job"


def add_photos(database, finished: int, left: int, in_hand: int = 0, seconds_apart: float = 1.0) -> None:
    """Photos of 2 megapixels that took 3 s each, the last one finished now, and waiting ones of 5 megapixels."""
    rows, chunks = [], []
    for position in range(finished + left):
        row = {"job_id": "job", "position": position, "chunk": position // CHUNK, "path": f"{position}.jpg"}
        if position < finished:
            finished_at = NOW - (finished - 1 - position) * seconds_apart * SECOND
            row |= {"state": PhotoState.DONE, "width": 2000, "height": 1000, "seconds": 3.0, "finished_at": finished_at}
        else:
            holds = position < finished + in_hand
            row |= {"state": PhotoState.RUNNING if holds else PhotoState.PENDING, "width": 2500, "height": 2000}
            row |= {"lease_owner": f"worker-{position // CHUNK}" if holds else "", "seconds": None, "finished_at": None}
        rows.append({"lease_owner": "", **row})
        if position % CHUNK == 0:
            over = position + CHUNK <= finished
            chunks.append({"job_id": "job", "number": position // CHUNK, "finished_at": NOW if over else None})
    with database.write() as session:
        session.execute(insert(Photo), rows)
        session.execute(insert(Chunk), chunks)


def add_events(database, *changes: tuple[float, JobState]) -> None:
    """The job's log: how many seconds ago it got which state."""
    with database.write() as session:
        for seconds_ago, state in changes:
            session.add(JobEvent(job_id="job", at=NOW - seconds_ago * SECOND, to_state=state))


def measure(database, left: int = 100, in_hand: int = 0):
    with database.read() as session:
        job = session.get_one(Job, "job")
        total = len(session.scalars(select(Photo.id)).all())
        return measure_pace(session, job, total=total, left=left, in_hand=in_hand, now=NOW)


def test_a_small_job_is_measured_in_full(database, job):
    add_photos(database, finished=200, left=100, in_hand=15)
    found = measure(database, in_hand=15)
    assert found.whole.photos == found.finished.photos == 200
    assert found.finished.mean_megapixels == found.whole.mean_megapixels == pytest.approx(2)
    assert found.finished.mean_seconds == pytest.approx(3)
    assert found.finished.products == pytest.approx(200 * 6)
    assert (found.left, found.left_sample.photos) == (100, 100)
    assert found.left_sample.mean_megapixels == pytest.approx(5)
    assert (found.in_hand, found.hands) == (15, 2)


def test_the_clock_runs_from_the_first_photo_not_from_the_loading_of_the_model(database, job):
    add_photos(database, finished=200, left=100)
    assert measure(database).whole.seconds == pytest.approx(199 + 16 * 3)


def test_the_recent_past_is_a_minute_at_least(database, job):
    add_photos(database, finished=200, left=100)
    recent = measure(database).recent
    assert recent.seconds == pytest.approx(200)  # a fifth of 1000
    assert recent.photos == 200


def test_pauses_are_no_working_time(database, job):
    add_photos(database, finished=200, left=100, seconds_apart=4)
    add_events(database, (1000, JobState.RUNNING), (600, JobState.PAUSED), (100, JobState.RUNNING))
    found = measure(database)
    assert found.whole.seconds == pytest.approx(199 * 4 + 48 - 500)
    # A fifth of 500 s of work; all of it since the job goes on.
    assert found.recent.seconds == pytest.approx(100)
    assert found.recent.photos == 25


def test_the_time_between_a_jobs_end_and_its_retry_is_none_either(database, job):
    add_photos(database, finished=200, left=10, seconds_apart=4)
    add_events(database, (500, JobState.COMPLETED_WITH_ERRORS), (20, JobState.RUNNING))
    assert measure(database, left=10).whole.seconds == pytest.approx(199 * 4 + 48 - 480)


def test_files_that_never_were_in_a_chunk_do_not_count(database, job):
    add_photos(database, finished=50, left=10)
    with database.write() as session:
        session.add(Photo(job_id="job", position=1000, path="a.txt", state=PhotoState.SKIPPED, finished_at=NOW))
    assert measure(database, left=10).whole.photos == 50


def test_before_the_first_photo_nothing_is_measured(database, job):
    add_photos(database, finished=0, left=20)
    assert measure(database, left=20) is None


def test_a_range_comes_with_the_progress_and_not_with_a_paused_job(database, job):
    add_photos(database, finished=200, left=100)
    with database.read() as session:
        progress = jobs.measure_progress(session, session.get_one(Job, "job"))
    assert progress.eta_low_s < progress.eta_s < progress.eta_high_s
    with database.write() as session:
        session.execute(update(Job).values(state=JobState.PAUSED))
    with database.read() as session:
        progress = jobs.measure_progress(session, session.get_one(Job, "job"))
    assert (progress.eta_s, progress.eta_low_s, progress.eta_high_s, progress.rate) == (None, None, None, None)


def test_a_large_job_is_sampled_the_same_way_each_time(database, job):
    add_photos(database, finished=2000, left=2000, seconds_apart=0.4)
    first, second = measure(database, left=2000), measure(database, left=2000)
    assert first == second
    assert first.whole.photos == 2000
    assert 64 * CHUNK <= first.finished.photos + first.left_sample.photos <= 128 * CHUNK
    assert first.left_sample.photos >= 60 * CHUNK


def test_what_is_looked_at_does_not_grow_with_the_job(database, job):
    """But for indexes: no plan reads the photos' table for all of the job, nor the photos' events."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics")
    add_photos(database, finished=2000, left=2000, in_hand=20)
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    with database.read() as session:
        jobs.measure_progress(session, session.get_one(Job, "job"))
    with database.engine.connect() as connection:
        for statement, parameters in list(statements):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            steps = [row[-1] for row in plan if "photos" in row[-1] or "job_events" in row[-1]]
            bounded = ("COVERING INDEX", "chunk=?", "state=?", "photo_id=?")
            assert all(any(word in step for word in bounded) for step in steps), (statement, steps)
