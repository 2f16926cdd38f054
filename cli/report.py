"""Telling how it goes: bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cli.api import JobView

LINE_EVERY_S = 5.0
UNITS = ((100, 1, "s"), (6000, 60, "min"), (48 * 3600, 3600, "h"), (float("inf"), 86400, "days"))
"""In what a time left below so many seconds is told: a unit in seconds, and its name."""


class Report(Protocol):
    """Shows how far a job has come."""

    def sending(self, sent: int, total: int) -> None:
        """So many bytes of the upload are sent."""

    def working(self, job: JobView) -> None:
        """The job stands so."""

    def fetching(self, got: int, total: int | None) -> None:
        """So many bytes of the results have arrived; the total is None where the server cannot tell."""

    def close(self) -> None:
        """Nothing more comes."""


class PlainReport:
    """A line now and then, for logs and pipes."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}
        self._last: dict[str, str] = {}

    def sending(self, sent: int, total: int) -> None:
        """See Report.sending."""
        self._line("sending", f"sending: {_megabytes(sent)} of {_megabytes(total)}", sent >= total)

    def working(self, job: JobView) -> None:
        """See Report.working."""
        self._line("working", f"colorizing: {describe(job)}", job.over)

    def fetching(self, got: int, total: int | None) -> None:
        """See Report.fetching."""
        self._line("fetching", f"fetching results: {_megabytes(got)}", got == total)

    def close(self) -> None:
        """See Report.close."""

    def _line(self, phase: str, line: str, last: bool) -> None:
        now = time.monotonic()
        if line != self._last.get(phase) and (last or now >= self._quiet_until.get(phase, 0.0)):
            self._quiet_until[phase] = now + LINE_EVERY_S
            self._last[phase] = line
            click.echo(line, err=True)


class BarReport:
    """Bars, for a person at a terminal."""

    def __init__(self, console: Console) -> None:
        words = (TextColumn("{task.description:<12}"), BarColumn())
        self._bytes = Progress(*words, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=console)
        self._photos = Progress(*words, TextColumn("{task.fields[text]}"), console=console)
        self._tasks: dict[str, TaskID] = {}
        self._current: Progress | None = None

    def sending(self, sent: int, total: int) -> None:
        """See Report.sending."""
        self._show(self._bytes, "Sending", sent, total)

    def working(self, job: JobView) -> None:
        """See Report.working."""
        total = None if job.unpacking and not job.total else job.total
        self._show(self._photos, "Colorizing", job.finished, total, describe(job))

    def fetching(self, got: int, total: int | None) -> None:
        """See Report.fetching."""
        self._show(self._bytes, "Fetching", got, total)

    def close(self) -> None:
        """See Report.close."""
        if self._current is not None:
            self._current.stop()
            self._current = None

    def _show(self, progress: Progress, phase: str, done: int, total: int | None, text: str = "") -> None:
        if self._current is not progress or phase not in self._tasks:
            self.close()
            for task in progress.task_ids:
                progress.remove_task(task)
            self._tasks[phase] = progress.add_task(phase, total=total, text=text)
            progress.start()
            self._current = progress
        progress.update(self._tasks[phase], completed=done, total=total, text=text)


@contextmanager
def reporting() -> Iterator[Report]:
    """The report that suits where standard error goes."""
    report: Report = BarReport(Console(stderr=True)) if sys.stderr.isatty() else PlainReport()
    try:
        yield report
    finally:
        report.close()


def describe(job: JobView) -> str:
    """A job's progress in a few words: counts, rate, time left."""
    parts = [f"{job.finished} of {job.total}"]
    if job.state in ("paused", "receiving"):
        parts.append(job.state)
    elif job.unpacking:
        parts.append("still unpacking" if job.total else "unpacking")
    parts += [f"{job.counts[state]} {state}" for state in ("failed", "skipped") if job.counts[state]]
    if not job.over and job.rate_per_s:
        parts.append(_rate(job.rate_per_s))
    if not job.over and (left := time_left(job)):
        parts.append(f"{left} left")
    return ", ".join(parts)


def time_left(job: JobView) -> str:
    """Between which two bounds the time left lies, as 4-6 min; empty where nobody knows."""
    if job.time_left_s is None:
        return "" if job.eta_s is None else duration(job.eta_s)
    unit_s, unit = next((unit_s, unit) for below_s, unit_s, unit in UNITS if job.time_left_s[1] < below_s)
    low, high = (round(seconds / unit_s) for seconds in job.time_left_s)
    return f"{low} {unit}" if low == high else f"{low}-{high} {unit}"


def duration(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rate(per_s: float) -> str:
    return f"{per_s:.1f} a second" if per_s >= 1 else f"{per_s * 60:.0f} a minute"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
