"""Deleting what is stored of jobs and not needed, a bit at a time."""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core import jobs
from core.errors import StorageError
from core.fixity import orphan_pages
from core.records import Job
from core.storage import Storage, delete_all

if TYPE_CHECKING:
    from worker.handlers.context import Context

log = logging.getLogger(__name__)

PURGE_S = 2.0
"""Each part of a round deletes for so long; the worker that sweeps has photographs to see to."""

JOBS_AT_ONCE = 20
STUCK_S = 600.0
"""For so long a process leaves a job alone of which something could not be deleted."""


class Stuck:
    """Jobs of which something could not be deleted. They are left alone for a while, so that all others have a turn."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def others(self, find: Callable[[int], Sequence[str]]) -> list[str]:
        """Jobs that are not among them; `find` gives the ids of so many jobs at most."""
        now = time.monotonic()
        self._until = {job_id: until for job_id, until in self._until.items() if until > now}
        return [job_id for job_id in find(JOBS_AT_ONCE + len(self._until)) if job_id not in self._until]

    @contextmanager
    def noted(self, job_id: str) -> Iterator[None]:
        """Count the job among them if the block cannot delete something."""
        try:
            yield
        except StorageError as error:
            log_undeletable(job_id, error)
            self._until[job_id] = time.monotonic() + STUCK_S


@dataclass
class Look:
    """A look through what is stored of a job, which may take several rounds.

    Attributes:
        pages: what nobody needs, a page of keys after the other.
        failure: why something could not be deleted, if so.
    """

    pages: Iterator[list[str]]
    failure: StorageError | None = None

    def go_on(self, storage: Storage, deadline: float) -> bool:
        """Delete what nobody needs, page after page. False when time ran out before the end.

        Raises:
            StorageError: it is through, but something could not be deleted.
        """
        for page in self.pages:
            for key in page:
                try:
                    storage.delete(key)
                except StorageError as error:
                    self.failure = error
            if time.monotonic() > deadline:
                return False
        if self.failure is not None:
            raise self.failure
        return True


class Housekeeping:
    """Deletes what is stored of jobs and not needed, a bit in each round.

    A process remembers where it stands. Another one may do the next round, and begins by itself: what both do is the
    same, and whoever is through first notes it in the database for all.
    """

    def __init__(self) -> None:
        self._unpurged, self._untidy = Stuck(), Stuck()
        self._looks: dict[tuple[str, datetime | None], Look] = {}

    def retire(self, context: "Context") -> None:
        """Let jobs expire whose time is over, and delete all that is stored of those that have."""
        with context.database.write() as session:
            jobs.expire_due(session)
        with context.database.read() as session:
            job_ids = self._unpurged.others(lambda most: jobs.purgeable(session, most))
        deadline = time.monotonic() + PURGE_S
        for job_id in job_ids:
            with self._unpurged.noted(job_id):
                if not delete_all(context.storage, folder_of(job_id), deadline - time.monotonic()):
                    return
                with context.database.write() as session:
                    jobs.note_purged(session, job_id)

    def tidy(self, context: "Context") -> None:
        """Delete what workers left that died between storing and committing, of jobs that are over."""
        with context.database.read() as session:
            job_ids = self._untidy.others(lambda most: jobs.untidy(session, most))
            ends = {job_id: session.get_one(Job, job_id).finished_at for job_id in job_ids}
        # A job that was taken up again is looked through anew after its next end.
        self._looks = {end: look for end, look in self._looks.items() if end in ends.items()}
        deadline = time.monotonic() + PURGE_S
        for end in ends.items():
            job_id = end[0]
            with self._untidy.noted(job_id):
                look = self._looks.pop(end, None) or Look(orphan_pages(context.database, context.storage, job_id))
                if not look.go_on(context.storage, deadline):
                    self._looks[end] = look
                    return
                with context.database.write() as session:
                    jobs.note_tidied(session, job_id)


def drop_given_up(context: "Context", job_ids: Iterable[str]) -> None:
    """Delete what there is of uploads that never came in whole, then their jobs."""
    deadline = time.monotonic() + PURGE_S
    for job_id in job_ids:
        shutil.rmtree(context.incoming_dir / job_id, ignore_errors=True)
        try:
            if not delete_all(context.storage, folder_of(job_id), deadline - time.monotonic()):
                return
        except StorageError as error:
            log_undeletable(job_id, error)
            continue
        with context.database.write() as session:
            jobs.drop_receiving(session, job_id)


def log_undeletable(job_id: str, error: StorageError) -> None:
    """Tell whoever watches the log that files need a look."""
    log.warning("something that is stored of job %s cannot be deleted: %s", job_id, error)


def folder_of(job_id: str) -> str:
    """What the keys of all that is stored of a job begin with."""
    return f"jobs/{job_id}/"
