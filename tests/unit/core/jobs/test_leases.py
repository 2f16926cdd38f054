"""Leases, fencing and the sweeper, on SQLite and on PostgreSQL."""

import threading
from dataclasses import replace

from sqlalchemy import update

from core import jobs
from core.jobs import Hint, NewPhoto
from core.records import Job, JobState, PhotoState, utc_now


def test_a_worker_that_lost_its_lease_comes_too_late(bench):
    bench.ingest([1])
    (late,) = bench.claim(0, "w1")
    bench.age(31)
    bench.sweep()
    (present,) = bench.claim(0, "w2")

    assert bench.finish(present, "second")
    assert not bench.finish(late, "first")
    assert not bench.fail(late)
    assert bench.photos()[0].result_key == "second"


def test_a_late_worker_is_refused_even_while_the_new_one_is_at_it(bench):
    bench.ingest([1])
    (late,) = bench.claim(0, "w1")
    bench.age(31)
    bench.sweep()
    (present,) = bench.claim(0, "w2")

    assert not bench.finish(late, "first")
    assert bench.states() == [PhotoState.RUNNING]
    assert bench.finish(present, "second")


def test_a_renewed_lease_is_not_taken_back(bench):
    bench.ingest([1])
    claims = bench.claim(0)
    bench.age(31)
    with bench.database.write() as session:
        jobs.renew_photos(session, claims, bench.limits)

    bench.sweep()
    assert bench.claim(0, "w2") == []
    assert bench.finish(claims[0])


def test_two_workers_never_hold_the_same_photo(bench):
    bench.ingest([40])
    taken: list[str] = []
    gate = threading.Barrier(4)

    def take() -> None:
        gate.wait()
        taken.extend(claim.id for claim in bench.claim(0))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40


def test_after_a_death_the_chunk_comes_back_in_halves_until_the_deadly_photo_is_alone(bench):
    hints = bench.ingest([4])
    deadly = bench.photos()[2].id
    for _ in range(20):
        if not hints:
            break
        hint = hints.pop(0)
        claims = bench.claim(hint.chunk)
        alive = True
        for claim in claims:
            if claim.id == deadly:
                alive = False
                break
            bench.finish(claim)
        if alive:
            hints += bench.finish_chunk(hint.chunk)
        else:
            bench.age(31)
            hints += bench.sweep()

    assert bench.states() == [PhotoState.DONE, PhotoState.DONE, PhotoState.FAILED, PhotoState.DONE]
    assert bench.photos()[2].code == "worker_died"
    assert bench.photos()[2].path in bench.photos()[2].message
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS


def test_a_death_with_several_photos_in_hand_blames_none(bench):
    bench.ingest([4])
    for _ in range(2):
        for number in range(4):
            bench.claim(number)
        bench.age(31)
        bench.sweep()
    assert sum(photo.deaths for photo in bench.photos()) == 0


def test_lost_messages_are_sent_again(bench):
    bench.ingest([1, 1, 1])
    assert bench.sweep() == []

    bench.age(31)
    assert bench.sweep() == [Hint("job", 0, False), Hint("job", 1, False)]
    assert bench.sweep() == []


def test_a_lost_unpacking_message_is_sent_again(bench):
    bench.submit(express=True)
    assert bench.sweep() == []
    bench.age(31)
    assert bench.sweep() == [Hint("job", None, True)]


def test_a_chunk_in_hand_is_not_sent_again(bench):
    bench.ingest([1])
    claims = bench.claim(0)
    bench.age(31)
    with bench.database.write() as session:
        jobs.renew_photos(session, claims, bench.limits)
    assert bench.sweep() == []


def test_unpacking_goes_on_where_the_dead_worker_stood(bench):
    bench.submit()
    dead = bench.claim_ingest("w1")
    bench.add(dead, [NewPhoto(0, "0.jpg"), NewPhoto(1, "1.jpg")])
    assert bench.claim_ingest("w2") is None

    bench.age(31)
    assert Hint("job", None, False) in bench.sweep()
    heir = bench.claim_ingest("w2")
    with bench.database.read() as session:
        assert jobs.photos_added(session, "job") == 2
    assert bench.add(dead, [NewPhoto(2, "2.jpg")]) is None
    assert bench.add(heir, [NewPhoto(2, "2.jpg")]) is not None


def test_an_archive_that_kills_its_workers_fails_after_three(bench):
    bench.submit()
    for _ in range(3):
        assert bench.claim_ingest() is not None
        bench.age(31)
        bench.sweep()
    assert (bench.job().state, bench.job().code) == (JobState.FAILED, "worker_died")


def test_photos_laid_down_for_a_storage_that_is_away_wait_unharmed(bench):
    bench.ingest([2])
    claims = bench.claim(0)
    with bench.database.write() as session:
        jobs.release_photos(session, claims)

    assert bench.states() == [PhotoState.PENDING] * 2
    assert bench.finish_chunk(0) == []
    bench.age(31)
    assert bench.sweep() == [Hint("job", 0, False)]
    bench.work(0)
    assert bench.job().state == JobState.COMPLETED


def test_a_canceled_job_whose_worker_died_is_closed_by_the_sweeper(bench):
    bench.ingest([1])
    bench.claim(0)
    bench.cancel()
    bench.age(31)
    bench.sweep()
    assert bench.job().state == JobState.CANCELED
    assert bench.states() == [PhotoState.CANCELED]


def test_a_job_whose_last_message_was_lost_after_its_last_photo_is_closed(bench):
    bench.ingest([1])
    (claim,) = bench.claim(0)
    bench.finish(claim)
    bench.sweep()
    assert bench.job().state == JobState.COMPLETED


def test_a_new_run_takes_up_at_once_what_the_last_one_held(bench):
    bench.ingest([2, 1])
    (first, second) = bench.claim(0)
    assert bench.finish(first)

    with bench.database.write() as session:
        jobs.take_up(session)

    assert bench.states() == [PhotoState.DONE, PhotoState.PENDING, PhotoState.PENDING]
    assert bench.sweep() == [Hint("job", 0, False), Hint("job", 1, False)]
    assert not bench.finish(second)
    assert sum(photo.deaths for photo in bench.photos()) == 0


def test_a_new_run_unpacks_at_once_what_the_last_one_left(bench):
    bench.submit()
    bench.claim_ingest("w1")
    with bench.database.write() as session:
        jobs.take_up(session)
    assert bench.sweep() == [Hint("job", None, False)]
    assert bench.claim_ingest("w2") is not None


def test_only_deaths_of_the_unpacking_without_any_progress_count(bench):
    bench.submit()
    for number in range(5):
        claim = bench.claim_ingest(f"w{number}")
        bench.add(claim, [NewPhoto(number, f"{number}.jpg", original_key="o")])
        bench.age(31)
        bench.sweep()
    assert (bench.job().state, bench.job().ingest_deaths) == (JobState.RUNNING, 1)


def test_what_was_found_before_unpacking_ended_too_many_workers_is_done(bench):
    bench.submit()
    bench.add(
        bench.claim_ingest("w0"), [NewPhoto(0, "0.jpg", original_key="o"), NewPhoto(1, "1.jpg", original_key="o")]
    )
    bench.claim(0)
    for number in range(1, 4):
        bench.age(31)
        bench.sweep()
        bench.claim_ingest(f"w{number}")
    bench.age(31)
    for _ in range(3):
        for hint in bench.sweep():
            bench.work(hint.chunk)
        bench.age(31)
    *found, rest = bench.photos()
    assert [photo.state for photo in found] == [PhotoState.DONE, PhotoState.DONE]
    assert (rest.state, rest.code, rest.path) == (PhotoState.FAILED, "worker_died", bench.job().name)
    assert bench.job().state == JobState.COMPLETED_WITH_ERRORS
    assert bench.job().ingested_at is not None


def test_jobs_that_wait_behind_others_to_be_unpacked_are_not_sent_again_and_again(bench):
    bench.submit()
    claim = bench.claim_ingest("w1")
    replace(bench, job_id="waiting").submit()
    for seconds, sent_again in ((31, []), (121, [Hint("waiting", None, False)])):
        bench.age(seconds)
        with bench.database.write() as session:
            assert jobs.renew_ingest(session, claim, bench.limits)
        assert bench.sweep() == sent_again


def test_a_claim_heeds_what_was_committed_while_it_waited_for_the_lock(bench):
    bench.submit()
    with bench.database.write() as session:
        stale = session.get_one(Job, bench.job_id)
        theirs = {"ingest_owner": "w1", "ingest_epoch": 7, "ingest_lease_until": utc_now() + bench.limits.lease}
        session.execute(update(Job).values(theirs).execution_options(synchronize_session=False))
        assert stale.ingest_epoch == 0
        assert jobs.claim_ingest(session, bench.job_id, "w2", bench.limits) is None


def test_an_owner_may_let_go_of_all_that_it_holds(bench):
    bench.ingest([2, 1])
    bench.claim(0, "w1")
    bench.claim(1, "w2")
    with bench.database.write() as session:
        jobs.release_held(session, "w1")
    assert bench.states() == [PhotoState.PENDING, PhotoState.PENDING, PhotoState.RUNNING]


def test_hints_that_an_empty_queue_shows_to_be_lost_are_sent_again_sooner(bench):
    bench.ingest([1, 1])
    bench.age(6)
    with bench.database.write() as session:
        assert jobs.sweep(session, bench.limits).hints == []
        assert jobs.sweep(session, bench.limits, queue_is_empty=True).hints == [
            Hint("job", 0, False),
            Hint("job", 1, False),
        ]
        assert jobs.sweep(session, bench.limits, queue_is_empty=True).hints == []


def test_while_chunks_are_taken_a_hint_that_waits_is_not_sent_again_so_soon(bench):
    bench.ingest([1, 1])
    bench.age(31)
    bench.work(0)
    assert bench.sweep() == []
    bench.age(121)
    assert bench.sweep() == [Hint("job", 1, False)]
