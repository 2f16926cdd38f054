"""A run from its submission to its end: leases, fencing, canceling, the sweeper; on SQLite and on PostgreSQL."""

import threading

import pytest
from sqlalchemy import update

from core import training_runs as runs
from core.errors import NotFoundError, StateError
from core.records import Job, Photo, PhotoState, RunState, Split, TrainingPhoto, Verdict, utc_now
from core.training_runs import TrainHint
from core.training_runs.snapshot import ENOUGH_FROZEN


def test_a_run_starts_from_the_active_version_and_keeps_its_config_in_full(bench):
    run = bench.run(bench.submit())
    assert (run.parent, run.state, run.steps_total) == ("v-test", RunState.QUEUED, 10)
    assert run.config["recipe"] == "quick"
    assert run.config["augmentation"]["grain"] >= 0
    with pytest.raises(NotFoundError) as caught:
        bench.submit(parent="nothing")
    assert caught.value.code == "no_such_model"


def test_runs_are_worked_on_one_at_a_time_in_their_order(bench):
    first, second = bench.submit(), bench.submit()
    assert bench.claim(second) is None
    claim = bench.claim(first)
    assert claim is not None
    assert bench.claim(first, "w2") is None
    assert bench.claim(second, "w2") is None
    assert bench.finish(claim, Verdict.CANDIDATE)
    assert bench.claim(first) is None
    assert bench.claim(second, "w2") is not None
    done = bench.run(first)
    assert (done.state, done.verdict, done.candidate) == (RunState.COMPLETED, Verdict.CANDIDATE, "v-test")
    assert (done.result, done.lease_until) == ({"outcome": "not_better"}, None)


def test_of_many_trainers_one_gets_the_run(bench):
    run_id = bench.submit()
    gate, claims = threading.Barrier(4), []

    def take(owner):
        gate.wait()
        claims.append(bench.claim(run_id, owner))

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in claims if claim is not None]) == 1


def test_a_trainer_that_lost_its_lease_comes_too_late_with_everything(bench):
    run_id = bench.submit()
    late = bench.claim(run_id)
    bench.age(31)
    assert bench.sweep() == [TrainHint(run_id)]
    assert bench.do(runs.renew_run, late, 30) is None
    present = bench.claim(run_id, "w2")

    assert bench.do(runs.renew_run, late, 30) is None
    assert not bench.do(runs.set_phase, late, "training")
    assert not bench.do(runs.note_progress, late, 5, 10)
    assert not bench.do(runs.note_point, late, 5, {"loss": 1.0})
    assert not bench.do(runs.note_sample, late, 5, 0, "after", "k")
    assert bench.snapshot(late) is None
    assert not bench.finish(late)
    assert not bench.do(runs.fail_run, late, "x", "x")
    bench.do(runs.release_run, late)

    assert bench.do(runs.renew_run, present, 30) == RunState.RUNNING
    assert bench.run(run_id).step == 0
    assert bench.finish(present)


def test_curves_and_pictures_are_kept_and_written_again_after_a_resume(bench):
    run_id = bench.submit()
    claim = bench.claim(run_id)
    for step, loss in ((1, 3.0), (2, 2.0), (3, 1.5), (2, 1.9)):
        assert bench.do(runs.note_progress, claim, step, 10)
        assert bench.do(runs.note_point, claim, step, {"loss": loss})
    for key in ("a", "b"):
        assert bench.do(runs.note_sample, claim, 3, 0, "after", key)
    with bench.database.read() as session:
        assert [(point.step, point.measured["loss"]) for point in runs.points(session, run_id)] == [
            (1, 3.0),
            (2, 1.9),
            (3, 1.5),
        ]
        assert [point.step for point in runs.points(session, run_id, after=2)] == [3]
        assert [sample.key for sample in runs.samples(session, run_id)] == ["b"]
        assert runs.get_sample(session, run_id, 3, 0, "after").key == "b"
        with pytest.raises(NotFoundError):
            runs.get_sample(session, run_id, 4, 0, "after")
    assert bench.run(run_id).step == 3


def test_a_waiting_run_is_canceled_at_once_and_one_in_hand_when_its_worker_notices(bench):
    first, second = bench.submit(), bench.submit()
    claim = bench.claim(first)
    bench.do(runs.cancel_run, second)
    bench.do(runs.cancel_run, first)
    bench.do(runs.cancel_run, first)
    assert bench.states(first, second) == [RunState.CANCELING, RunState.CANCELED]

    assert bench.do(runs.renew_run, claim, 30) == RunState.CANCELING
    assert not bench.finish(claim), "a canceled run promotes nothing"
    bench.do(runs.release_run, claim)
    assert bench.states(first) == [RunState.CANCELED]
    with pytest.raises(StateError) as caught:
        bench.do(runs.cancel_run, first)
    assert caught.value.code == "already_over"
    assert bench.sweep() == []


def test_a_canceled_run_whose_worker_died_is_closed_by_the_sweeper(bench):
    run_id = bench.submit()
    bench.claim(run_id)
    bench.do(runs.cancel_run, run_id)
    bench.age(31)
    assert bench.claim(run_id) is None
    assert bench.sweep() == []
    assert bench.states(run_id) == [RunState.CANCELED]


def test_what_fails_after_it_was_canceled_counts_as_canceled(bench):
    first, second = bench.submit(), bench.submit()
    claim = bench.claim(first)
    assert bench.do(runs.fail_run, claim, "training_diverged", "The loss is no number.")
    assert (bench.run(first).state, bench.run(first).code) == (RunState.FAILED, "training_diverged")
    claim = bench.claim(second)
    bench.do(runs.cancel_run, second)
    assert bench.do(runs.fail_run, claim, "training_diverged", "The loss is no number.")
    assert (bench.run(second).state, bench.run(second).code) == (RunState.CANCELED, "")


def test_a_lost_hint_is_sent_again_for_the_oldest_run_only(bench):
    first, second = bench.submit(), bench.submit()
    assert bench.sweep() == []
    bench.age(31)
    assert bench.sweep() == [TrainHint(first)]
    assert bench.sweep() == []
    claim = bench.claim(first)
    bench.finish(claim)
    assert bench.sweep() == [TrainHint(second)]


def test_a_run_that_gets_no_further_fails_after_three_deaths(bench):
    run_id = bench.submit()
    for _ in range(3):
        assert bench.states(run_id) == [RunState.QUEUED]
        assert bench.claim(run_id) is not None
        bench.age(31)
        bench.sweep()
    assert (bench.run(run_id).state, bench.run(run_id).code) == (RunState.FAILED, "worker_died")


def test_a_run_that_gets_further_each_time_may_die_more_often(bench):
    run_id = bench.submit()
    for step in range(1, 7):
        claim = bench.claim(run_id)
        bench.do(runs.note_progress, claim, step, 10)
        bench.age(31)
        assert bench.sweep() == [TrainHint(run_id)]


def test_steps_that_are_done_again_are_no_progress(bench):
    run_id = bench.submit()
    for _ in range(3):
        claim = bench.claim(run_id)
        for step in range(1, 6):
            bench.do(runs.note_progress, claim, step, 10)
        bench.age(31)
        bench.sweep()
    # The first death came after progress, so that it takes three more attempts.
    bench.claim(run_id)
    bench.age(31)
    bench.sweep()
    assert bench.run(run_id).code == "worker_died"


def test_a_run_laid_down_when_the_stack_stops_goes_on_unharmed(bench):
    run_id = bench.submit()
    claim = bench.claim(run_id)
    bench.do(runs.release_run, claim)
    assert (bench.run(run_id).state, bench.run(run_id).deaths) == (RunState.QUEUED, 0)
    bench.age(31)
    assert bench.sweep() == [TrainHint(run_id)]
    assert bench.claim(run_id) is not None


def test_a_new_run_of_the_stack_takes_up_training_at_once(bench):
    first, second = bench.submit(), bench.submit()
    claim = bench.claim(first)
    bench.do(runs.cancel_run, first)
    bench.do(runs.take_up_runs)
    assert bench.states(first, second) == [RunState.CANCELED, RunState.QUEUED]
    assert bench.sweep() == [TrainHint(second)]
    assert not bench.finish(claim)


def test_the_newest_runs_are_listed_first_page_by_page(bench):
    ids = [bench.submit() for _ in range(5)]
    with bench.database.read() as session:
        page = runs.list_runs(session, 2)
        rest = runs.list_runs(session, 9, before=page[-1])
    assert [run.id for run in (*page, *rest)] == ids[::-1]


def test_no_photograph_is_in_two_sets_and_validation_is_taken_from_uploads(bench):
    bench.photos(0, 1, photo_id="result")
    bench.photos(1, 100)
    bench.photos(101, 10, Split.FROZEN)
    bench.photos(111, 5, Split.HELD_OUT)
    bench.photos(300, 3, code="gray")
    found = bench.snapshot(bench.claim(bench.submit()))
    sizes = {name: len(getattr(found, name)) for name in ("train", "validation", "frozen", "held_out")}
    assert sizes == {"train": 96, "validation": 5, "frozen": 10, "held_out": 5}
    hashes = [photo.sha256 for photos in vars(found).values() for photo in photos]
    assert len(hashes) == len(set(hashes))
    assert f"{0:064x}" in {photo.sha256 for photo in found.train}
    assert bench.all()[0].snapshot["counts"] == sizes


def test_a_resumed_run_goes_on_with_what_it_began_with_but_for_what_was_withdrawn(bench):
    bench.photos(0, 40)
    run_id = bench.submit()
    first = bench.snapshot(bench.claim(run_id))
    bench.photos(40, 40)
    bench.age(31)
    bench.sweep()
    claim = bench.claim(run_id)
    assert bench.snapshot(claim) == first

    with bench.database.write() as session:
        withdrawn = update(TrainingPhoto).where(TrainingPhoto.sha256 == first.train[0].sha256)
        session.execute(withdrawn.values(withdrawn_at=utc_now()))
    assert bench.snapshot(claim).train == first.train[1:]


def test_the_frozen_set_is_settled_by_the_first_run_that_finds_enough_in_it(bench):
    bench.photos(0, ENOUGH_FROZEN - 1, Split.FROZEN)
    claim = bench.claim(bench.submit())
    bench.snapshot(claim)
    with bench.database.read() as session:
        assert runs.get_schedule(session).frozen_at is None
    bench.finish(claim)

    bench.photos(1000, 1, Split.FROZEN)
    bench.snapshot(bench.claim(bench.submit()))
    with bench.database.read() as session:
        assert runs.get_schedule(session).frozen_at is not None


@pytest.mark.parametrize(
    ("job_state", "photo_state", "expected"),
    [
        ("running", "pending", True),
        ("running", "running", True),
        ("running", "done", False),
        ("canceling", "running", False),
    ],
)
def test_a_shared_device_is_left_to_running_jobs(bench, job_state, photo_state, expected):
    with bench.database.write() as session:
        session.add(Job(id="job", owner_id="ada", name="box", model_version="v-test", state=job_state))
        session.flush()
        session.add(Photo(id="p", job_id="job", position=0, path="a.jpg", state=PhotoState(photo_state)))
    with bench.database.read() as session:
        assert runs.is_colorizing(session) is expected
