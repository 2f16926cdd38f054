"""Runs that start by themselves: once, when they are due, with enough new material."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from core import training_runs as runs
from core.database import Database
from core.errors import OptionsError
from core.records import RunState, RunTrigger, utc_now
from core.training_runs import TrainHint

MONDAY = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def later(bench):
    """A moment at which the schedule is due."""
    with bench.database.read() as session:
        return runs.get_schedule(session).next_at + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * 0", datetime(2026, 3, 8, 3, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 3, 2, 12, 45, tzinfo=UTC)),
        ("30 12 * * *", datetime(2026, 3, 3, 12, 30, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 22 * * mon-fri", datetime(2026, 3, 2, 22, tzinfo=UTC)),
    ],
)
def test_a_cron_line_names_the_next_moment(cron, expected):
    assert runs.next_moment(cron, MONDAY) == expected


@pytest.mark.parametrize(
    "cron", ["", "often", "0 3 * *", "0 3 * * * *", "60 3 * * *", "0 0 30 2 *", "0 3 * * 0\n;", "*," * 60 + "* * * * *"]
)
def test_what_is_no_cron_line_is_refused(cron):
    with pytest.raises(OptionsError) as caught:
        runs.next_moment(cron, MONDAY)
    assert caught.value.code == "bad_cron"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"cron": "x"}, "bad_cron"),
        ({"min_new_photos": 0}, "bad_min_new_photos"),
        ({"recipe": "magic"}, "bad_training_option"),
        ({"options": {"steps": -1}}, "bad_training_option"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused_and_the_old_one_stays(bench, values, code):
    bench.schedule()
    with pytest.raises(OptionsError) as caught:
        bench.schedule(**values)
    assert caught.value.code == code
    with bench.database.read() as session:
        kept = runs.get_schedule(session)
    assert (kept.cron, kept.config) == ("0 3 * * *", {"recipe": "quick", "options": {"steps": 10}})


def test_before_anything_was_set_nothing_starts(bench):
    bench.photos(0, 10)
    with bench.database.read() as session:
        schedule = runs.get_schedule(session)
        assert (schedule.enabled, schedule.config["recipe"]) == (False, "fine-tune")
    assert bench.start_due(utc_now() + timedelta(days=400)) == []


def test_a_due_run_starts_once_and_the_next_moment_is_set(bench):
    bench.photos(0, 2)
    bench.schedule()
    now = later(bench)
    assert bench.start_due(now - timedelta(seconds=2)) == []

    (hint,) = bench.start_due(now)
    run = bench.run(hint.run_id)
    assert (run.trigger, run.actor, run.steps_total) == (RunTrigger.SCHEDULE, "schedule", 10)
    assert bench.start_due(now) == []
    assert later(bench) > now + timedelta(hours=23)


def test_two_schedulers_at_once_start_one_run(bench):
    bench.photos(0, 2)
    bench.schedule()
    now = later(bench)
    gate, hints = threading.Barrier(4), []
    url = bench.database.engine.url.render_as_string(hide_password=False)

    def look():
        database = Database(url)
        gate.wait()
        with database.write() as session:
            found = runs.start_due(session, now)
        hints.extend(found)
        database.dispose()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hints == [TrainHint(run.id) for run in bench.all()]
    assert len(hints) == 1


def test_too_little_new_material_waits_for_the_next_moment(bench):
    bench.photos(0, 1)
    bench.schedule()
    now = later(bench)
    assert bench.start_due(now) == []
    bench.photos(1, 1)
    assert bench.start_due(now) == []
    assert len(bench.start_due(later(bench))) == 1


def test_material_that_a_completed_run_had_is_not_new(bench):
    bench.photos(0, 2)
    bench.schedule()
    (hint,) = bench.start_due(later(bench))
    assert bench.finish(bench.claim(hint.run_id))
    assert bench.start_due(later(bench)) == []
    bench.photos(2, 2)
    assert len(bench.start_due(later(bench))) == 1


def test_while_a_run_by_schedule_is_not_over_no_other_starts(bench):
    bench.photos(0, 2)
    bench.schedule()
    (hint,) = bench.start_due(later(bench))
    assert bench.start_due(later(bench)) == []
    bench.claim(hint.run_id)
    assert bench.start_due(later(bench)) == []


def test_a_run_by_schedule_waits_behind_one_by_an_admin(bench):
    bench.photos(0, 2)
    bench.schedule()
    bench.submit()
    (hint,) = bench.start_due(later(bench))
    assert bench.claim(hint.run_id) is None
    assert bench.run(hint.run_id).state == RunState.QUEUED


def test_a_schedule_that_was_switched_off_starts_nothing(bench):
    bench.photos(0, 2)
    bench.schedule()
    now = later(bench)
    bench.schedule(enabled=False)
    assert bench.start_due(now) == []
    with bench.database.read() as session:
        assert runs.get_schedule(session).next_at is None


def test_moments_that_went_by_unseen_are_made_up_for_once(bench):
    bench.photos(0, 2)
    bench.schedule()
    month_later = later(bench) + timedelta(days=30)
    (hint,) = bench.start_due(month_later)
    bench.do(runs.cancel_run, hint.run_id)
    assert bench.start_due(month_later) == []
