import pytest
from rich.console import Console

from cli.api import JobView
from cli.report import BarReport, PlainReport, describe, duration


def job(state="running", done=0, failed=0, skipped=0, pending=0, unpacking=False, rate=None, eta=None):
    counts = {"pending": pending, "running": 0, "done": done, "failed": failed, "skipped": skipped, "canceled": 0}
    return JobView("1" * 32, "album", state, "", "", counts, sum(counts.values()), unpacking, rate, eta, "", {})


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03"), (59.7, "1:00")])
def test_durations_read_like_a_clock(seconds, text):
    assert duration(seconds) == text


def test_progress_names_counts_rate_and_time_left():
    assert (
        describe(job(done=40, failed=1, pending=59, rate=2.13, eta=28))
        == "41 of 100, 1 failed, 2.1 a second, 0:28 left"
    )
    assert describe(job(done=1, pending=9, unpacking=True, rate=0.2)) == "1 of 10, still unpacking, 12 a minute"
    assert describe(job("completed", done=9, skipped=1, rate=3.0, eta=0.0)) == "10 of 10, 1 skipped"


def ranged(low, high, state="running"):
    counts = {"pending": 9, "running": 0, "done": 1, "failed": 0, "skipped": 0, "canceled": 0}
    raw = {"eta_low_s": low, "eta_high_s": high}
    return JobView("1" * 32, "album", state, "", "", counts, 10, False, None, None, "", raw)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (4.2, 7.4, "4-7 s left"),
        (231, 349, "4-6 min left"),
        (231, 233, "4 min left"),
        (3500, 5999, "58-100 min left"),
        (7000, 9500, "2-3 h left"),
        (200_000, 400_000, "2-5 days left"),
    ],
)
def test_the_time_left_is_a_range_that_looks_no_more_exact_than_it_is(low, high, text):
    assert describe(ranged(low, high)) == f"1 of 10, {text}"


@pytest.mark.parametrize("state", ["paused", "receiving"])
def test_a_job_that_does_not_work_says_so(state):
    assert describe(ranged(None, None, state)) == f"1 of 10, {state}"


def test_plain_lines_come_now_and_then_and_at_the_end(capsys):
    report = PlainReport()
    for done in range(100):
        report.working(job(done=done, pending=100 - done))
    report.working(job("completed", done=100))
    report.working(job("completed", done=100))
    assert capsys.readouterr().err.splitlines() == ["colorizing: 0 of 100", "colorizing: 100 of 100"]


def test_bars_go_through_all_phases(capsys):
    console = Console(force_terminal=True, width=100)
    report = BarReport(console)
    report.sending(5, 10)
    report.sending(10, 10)
    report.working(job(unpacking=True))
    report.working(job("completed", done=3))
    report.fetching(100, None)
    report.close()
    text = capsys.readouterr().out
    assert all(phase in text for phase in ("Sending", "Colorizing", "Fetching", "3 of 3"))
