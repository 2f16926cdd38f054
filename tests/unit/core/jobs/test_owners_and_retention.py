"""What one person may have at a time, uploads that never come in, and the end of a job's bytes; on both databases."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from core import jobs
from core.errors import LimitError, StateError
from core.jobs import OwnerLimits
from core.leases import take_lease
from core.records import Job, JobEvent, JobState, Lease, Photo, PhotoState, Upload, User, utc_now


def receive(bench, job_id="coming", lease_s=60.0, limits=None):
    with bench.database.write() as session:
        facts = {"owner_id": "ada", "name": "box.zip", "model_version": "v-test"}
        jobs.receive(session, job_id=job_id, lease_s=lease_s, limits=limits, **facts)


def code_of(bench, limits, new_bytes=0):
    with bench.database.write() as session:
        try:
            jobs.check_limits(session, "ada", limits, new_bytes)
        except LimitError as error:
            return error.code
    return ""


def test_open_jobs_of_one_person_are_bounded(bench):
    receive(bench)
    assert code_of(bench, OwnerLimits(open_jobs=2)) == ""
    bench.ingest([1])
    assert code_of(bench, OwnerLimits(open_jobs=2)) == "too_many_open_jobs"
    with pytest.raises(LimitError):
        receive(bench, "third", limits=OwnerLimits(open_jobs=2))
    bench.work(0)
    assert code_of(bench, OwnerLimits(open_jobs=2)) == ""


def test_open_photos_of_one_person_are_bounded(bench):
    bench.ingest([2])
    assert code_of(bench, OwnerLimits(open_photos=3)) == ""
    assert code_of(bench, OwnerLimits(open_photos=2)) == "too_many_open_photos"
    bench.work(0)
    assert code_of(bench, OwnerLimits(open_photos=2)) == ""


def test_stored_bytes_of_one_person_are_bounded_by_what_is_there_and_what_comes(bench):
    bench.submit()
    assert code_of(bench, OwnerLimits(stored_bytes=15), 5) == ""
    assert code_of(bench, OwnerLimits(stored_bytes=15), 6) == "stored_bytes_exceeded"
    claim = bench.claim_ingest()
    bench.add(claim, [jobs.NewPhoto(0, "a.jpg", original_key="o", size_bytes=100)])
    with bench.database.write() as session:
        jobs.finish_ingest(session, claim)
    bench.work(0)
    with bench.database.read() as session:
        assert jobs.stored_bytes(session, "ada") == 101


def test_others_jobs_do_not_count(bench):
    bench.ingest([2])
    with bench.database.write() as session:
        session.add(User(id="bob", name="bob"))
    with bench.database.write() as session:
        jobs.check_limits(session, "bob", OwnerLimits(open_jobs=1, open_photos=1, stored_bytes=1))


def test_no_limit_is_no_limit(bench):
    bench.ingest([2])
    assert code_of(bench, OwnerLimits()) == ""


def test_an_upload_that_stands_still_is_given_up_and_its_row_goes_after_its_bytes(bench):
    receive(bench, "coming")
    receive(bench, "gone", lease_s=-1)
    for _round in range(2):
        with bench.database.write() as session:
            assert jobs.sweep(session, bench.limits).given_up_job_ids == ["gone"]
    with bench.database.write() as session:
        assert not jobs.renew_receiving(session, "gone", 60)
        assert jobs.drop_receiving(session, "gone")
    with bench.database.read() as session:
        assert session.get(Job, "gone") is None
        assert session.get_one(Job, "coming").state == JobState.RECEIVING
        assert session.query(JobEvent).where(JobEvent.job_id == "gone").count() == 0


def test_an_upload_that_was_given_up_cannot_be_accepted_any_more(bench):
    receive(bench, "job", lease_s=-1)
    bench.sweep()
    with pytest.raises(StateError) as refused:
        bench.submit()
    assert refused.value.code == "upload_given_up"


def test_an_upload_that_goes_on_is_waited_for(bench):
    receive(bench, lease_s=-1)
    with bench.database.write() as session:
        assert jobs.renew_receiving(session, "coming", 60)
        assert jobs.sweep(session, bench.limits).given_up_job_ids == []
        jobs.drop_receiving(session, "coming")
        assert not jobs.renew_receiving(session, "coming", 60)


def test_an_accepted_job_is_never_dropped_as_an_upload(bench):
    receive(bench, "job")
    bench.submit()
    with bench.database.write() as session:
        assert not jobs.drop_receiving(session, "job")
    assert bench.job().state == JobState.QUEUED


def test_an_upload_that_is_accepted_while_the_sweeper_gives_it_up_stays(bench, wait_until):
    if bench.database.is_sqlite:
        pytest.skip("one writes at a time on SQLite")
    database = bench.database
    receive(bench, "job", lease_s=-1)
    given_up = []

    def sweep():
        with database.write() as session:
            given_up.extend(jobs.sweep(session, bench.limits).given_up_job_ids)

    sweeper = threading.Thread(target=sweep)
    with database.write() as accepting:
        upload = ("a.zip", "jobs/job/uploads/0", 1)
        facts = {"owner_id": "ada", "name": "a", "model_version": "v-test", "express": False}
        jobs.submit(accepting, job_id="job", uploads=[upload], **facts)
        sweeper.start()
        blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        # Each look in a transaction of its own: within one, PostgreSQL shows what the first look saw.
        wait_until(lambda: database.look_patiently(lambda other: other.scalar(blocked)), 20, "the sweeper's waiting")
    sweeper.join(20)
    assert given_up == []
    assert bench.job().state == JobState.QUEUED


def end_with_lifetime(bench, days):
    with bench.database.write() as session:
        upload = ("a.zip", "jobs/job/uploads/0", 1)
        facts = {"owner_id": "ada", "name": "a", "model_version": "v-test", "express": False}
        jobs.submit(session, job_id="job", uploads=[upload], lifetime_days=days, **facts)
    claim = bench.claim_ingest()
    bench.add(claim, [jobs.NewPhoto(0, "a.jpg", original_key="o", sha256="1" * 64)])
    with bench.database.write() as session:
        jobs.finish_ingest(session, claim, keep_uploads=True)
    bench.work(0)


def test_a_job_expires_when_its_time_to_live_is_over_and_a_tombstone_stays(bench):
    end_with_lifetime(bench, 30)
    finished_at = bench.job().finished_at
    assert abs(bench.job().expires_at - finished_at - timedelta(days=30)) < timedelta(seconds=5)
    with bench.database.write() as session:
        assert jobs.expire_due(session) == 0
        session.execute(update(Job).values(expires_at=utc_now()))
    with bench.database.write() as session:
        assert jobs.expire_due(session) == 1
        assert jobs.expire_due(session) == 0
        assert list(jobs.purgeable(session)) == ["job"]
    with bench.database.write() as session:
        jobs.note_purged(session, "job")
        assert list(jobs.purgeable(session)) == []

    job, (photo,) = bench.job(), bench.photos()
    assert (job.state, job.finished_at) == (JobState.EXPIRED, finished_at)
    assert (photo.state, photo.sha256, photo.result_sha256) == ("done", "1" * 64, "0" * 64)
    assert (photo.original_key, photo.result_key) == ("", "")
    with bench.database.read() as session:
        assert session.get_one(Upload, ("job", 0)).key == ""
        assert jobs.stored_bytes(session, "ada") == 0


def test_without_a_time_to_live_nothing_expires_by_itself(bench):
    end_with_lifetime(bench, 0)
    assert bench.job().expires_at is None


def test_a_person_may_let_a_job_expire_once_it_is_over(bench):
    bench.ingest([1])
    with pytest.raises(StateError) as open_job, bench.database.write() as session:
        jobs.expire(session, "job", "user:ada")
    bench.work(0)
    with bench.database.write() as session:
        assert jobs.expire(session, "job", "user:ada").state == JobState.EXPIRED
    with pytest.raises(StateError) as twice, bench.database.write() as session:
        jobs.expire(session, "job", "user:ada")
    assert (open_job.value.code, twice.value.code) == ("not_over", "already_expired")


def test_a_named_lease_is_one_owners_until_it_runs_out(database):
    def take(owner):
        with database.write() as session:
            return take_lease(session, "sweep", owner, 60)

    assert [take("a"), take("b"), take("a")] == [True, False, True]
    with database.write() as session:
        session.execute(update(Lease).values(until=utc_now() - timedelta(seconds=1)))
    assert [take("b"), take("a")] == [True, False]


def test_photos_of_a_dead_owner_come_back_at_once_and_those_of_a_living_one_stay(bench):
    bench.ingest([2, 1])
    bench.claim(0, "host:1:7:x")
    bench.claim(1, "host:1:8:y")
    with bench.database.write() as session:
        assert jobs.free_leases(session, "host:1:", alive=["host:1:8:y"]) == 2
        assert jobs.free_leases(session, "host:2:") == 0
    bench.sweep()
    assert bench.states() == ["pending", "pending", "running"]


def test_the_unpacking_of_a_dead_owner_is_free_at_once(bench):
    bench.submit()
    bench.claim_ingest("host:1:7:x")
    assert bench.claim_ingest("other") is None
    with bench.database.write() as session:
        assert jobs.free_leases(session, "host:1:7:") == 1
    assert bench.claim_ingest("other") is not None


def test_only_a_death_with_this_photo_alone_in_hand_counts(bench):
    bench.ingest([2])
    first, _second = bench.claim(0)
    bench.finish(first)
    bench.age(31)
    bench.sweep()
    assert [photo.deaths for photo in bench.photos()] == [0, 0]
    number = bench.photos()[1].chunk
    for deaths in (1, 2):
        bench.claim(number)
        bench.age(31)
        bench.sweep()
        assert bench.photos()[1].deaths == deaths
    bench.claim(number)
    bench.age(31)
    bench.sweep()
    assert (bench.photos()[1].state, bench.photos()[1].code) == ("failed", "worker_died")
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS


def test_an_outcome_whose_commit_was_not_heard_of_may_be_written_again(bench):
    bench.ingest([3])
    claims = bench.claim(0)
    for write in (
        lambda: bench.finish(claims[0], "mine"),
        lambda: bench.fail(claims[1]),
        lambda: bench.skip(claims[2]),
    ):
        assert [write(), write()] == [True, True]
    assert not bench.finish(claims[0], "another")
    assert not bench.fail(claims[0])
    with bench.database.read() as session:
        ends = session.query(JobEvent).where(JobEvent.photo_id.is_not(None), JobEvent.from_state == "running").count()
        assert ends == 3
        assert session.query(Photo).where(Photo.result_key == "mine").count() == 1


def test_once_a_job_has_expired_every_outcome_is_void_and_what_was_in_hand_is_canceled(bench):
    bench.ingest([3])
    done, failed, skipped = bench.claim(0)
    with bench.database.write() as session:
        session.execute(update(Job).values(state=JobState.FAILED))
    with bench.database.write() as session:
        jobs.expire(session, "job", "ada")

    assert not bench.finish(done)
    assert not bench.fail(failed)
    assert not bench.skip(skipped)
    assert bench.states() == [PhotoState.CANCELED] * 3
    assert {(photo.result_key, photo.code, photo.lease_owner) for photo in bench.photos()} == {("", "", "")}
