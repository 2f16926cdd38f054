"""`gray2hue verify`: reads all that is stored anew, and tells what is missing, damaged or cannot be read."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from sqlalchemy.exc import DatabaseError

from cli.environment import read_settings
from core.database import Database
from core.errors import SetupError
from core.fixity import Checked, Part, Summary, check, orphans
from core.machine import usable_cores
from core.storage import LocalStorage

MOST_THREADS = 8
TOLD_EVERY_S = 0.5


@click.command()
@click.option("--job", "job_id", metavar="ID", help="Only this job's files.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line; the last one is the summary.")
@click.option("--quiet", is_flag=True, help="Tell only what is wrong.")
@click.pass_context
def verify(ctx: click.Context, job_id: str | None, as_json: bool, quiet: bool) -> None:
    """Read all that is stored anew, and tell what is missing, damaged or cannot be read.

    Originals, results, training material and models are compared with the SHA-256 that the database has, uploads that
    wait for their unpacking with their size. Files of jobs that no record refers to are listed by themselves; nothing
    is wrong with them but the room that they take. This runs on the machine that has the data folder, and may do so
    while Gray2Hue is running. The exit code is 0 if all is well, 1 if anything is wrong.
    """
    settings = read_settings()
    storage = LocalStorage(settings.storage_dir)
    voice = Voice(as_json, quiet)
    summary, left_over, began = Summary(), 0, time.monotonic()
    with _reading(settings.database_url) as database, voice:
        for checked in check(database, storage, job_id=job_id, threads=max(2, min(usable_cores(), MOST_THREADS))):
            summary.add(checked)
            voice.checked(checked, summary, time.monotonic() - began)
        seconds = time.monotonic() - began
        for key in orphans(database, storage, job_id):
            left_over += 1
            voice.orphan(key)
    voice.summary(summary, left_over, seconds)
    ctx.exit(0 if summary.is_sound else 1)


@contextmanager
def _reading(database_url: str) -> Iterator[Database]:
    """The database; SetupError (`database_unusable`) where it cannot be read, or not any more."""
    database = Database(database_url)
    try:
        yield database
    except DatabaseError as error:
        message = "The database does not answer, or is not of this version; see whether `gray2hue migrate` works."
        raise SetupError("database_unusable", message) from error
    finally:
        database.dispose()


class Voice:
    """Tells what is found as it is found: faults and files left over on the standard output, progress on a terminal."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        shows = sys.stderr.isatty() and not quiet
        self._status = Console(stderr=True).status("") if shows else None
        self._silent_until = 0.0

    def __enter__(self) -> None:
        if self._status is not None:
            self._status.start()

    def __exit__(self, *_error: object) -> None:
        if self._status is not None:
            self._status.stop()

    def checked(self, checked: Checked, summary: Summary, seconds: float) -> None:
        """A file was looked at."""
        if checked.fault is not None:
            click.echo(json.dumps(fault_json(checked), ensure_ascii=False) if self._as_json else fault_line(checked))
        if self._status is not None and seconds >= self._silent_until:
            self._silent_until = seconds + TOLD_EVERY_S
            self._status.update(f"{summary.files:,} files, {_volume(summary.read_bytes, seconds)}")

    def orphan(self, key: str) -> None:
        """A file was found that no record refers to."""
        if not self._quiet:
            line = json.dumps({"orphan": key}, ensure_ascii=False) if self._as_json else f"left over: {key}"
            click.echo(line)

    def summary(self, summary: Summary, left_over: int, seconds: float) -> None:
        """All is done."""
        if self._quiet:
            return
        if self._as_json:
            counts = {fault.value: count for fault, count in summary.faults.items()}
            told = {"files": summary.files, "read_bytes": summary.read_bytes, **counts, "orphans": left_over}
            click.echo(json.dumps({"summary": {**told, "seconds": round(seconds, 3), "sound": summary.is_sound}}))
            return
        click.echo(f"{summary.files:,} files looked at, {_volume(summary.read_bytes, seconds)}: {_verdict(summary)}")
        if left_over:
            click.echo(
                f"{left_over:,} files belong to no record, see above; nothing is wrong with them but their room."
            )


def fault_json(checked: Checked) -> dict[str, Any]:
    """A fault as an object."""
    item = checked.item
    told = {"part": item.part, "job": item.job_id or None, "path": item.path, "key": item.key}
    return {"fault": checked.fault, **told, "message": checked.message}


def fault_line(checked: Checked) -> str:
    """A fault in one line, the file as people call it first."""
    item = checked.item
    what = "training material" if item.part is Part.MATERIAL else item.part
    job = f" of job {item.job_id}" if item.job_id else ""
    return f"{checked.fault}: {what} {item.path}{job} ({checked.message})"


def _verdict(summary: Summary) -> str:
    if summary.is_sound:
        return "all is as it was recorded."
    return ", ".join(f"{count:,} {fault}" for fault, count in summary.faults.items() if count) + "."


def _volume(read_bytes: int, seconds: float) -> str:
    rate = read_bytes / seconds / 1e6 if seconds > 0 else 0.0
    return f"{read_bytes / 1e6:,.1f} MB read in {seconds:,.0f} s ({rate:,.0f} MB/s)"
