"""A job's row while its bytes come in: made before the first of them, kept under a lease, gone if the upload fails.

So no bytes are ever stored that no row knows of: if this process dies, the sweeper finds the row, whose lease runs out,
and deletes both.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core import jobs
from core.database import Database
from core.errors import Gray2HueError, TransientError
from core.jobs import OwnerLimits
from core.registry import active_version
from core.storage import Storage

RENEWALS_PER_LEASE = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """What is known of an upload before it comes in. `announced_bytes` is 0 where the sender does not tell."""

    job_id: str
    owner_id: str
    name: str
    announced_bytes: int


class Reception:
    """The lease of one upload.

    Args:
        database: where the row is.
        job_id: whose.
        lease_s: how long it is waited for from each renewal on.
        now: a monotonic clock in seconds.
    """

    def __init__(
        self, database: Database, job_id: str, lease_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._lease_s = lease_s
        self._now = now
        self._renew_at = now() + lease_s / RENEWALS_PER_LEASE

    def note_progress(self) -> None:
        """Bytes have come: prolong the lease, if it is time to.

        A database that is away for a moment ends no upload: whether the row is still there is asked at its end again.

        Raises:
            TransientError: `upload_given_up`.
        """
        now = self._now()
        if now < self._renew_at:
            return
        self._renew_at = now + self._lease_s / RENEWALS_PER_LEASE
        try:
            with self._database.write() as records:
                self.renew(records)
        except SQLAlchemyError as error:
            log.warning("the lease of upload %s could not be renewed: %s", self._job_id, error)

    def renew(self, records: Session) -> None:
        """Prolong the lease in a transaction of the caller's.

        Raises:
            TransientError: `upload_given_up`, when the sweeper dropped the row, and deletes or has deleted the bytes.
        """
        if not jobs.renew_receiving(records, self._job_id, self._lease_s):
            message = "The upload stood still for too long and was given up. Send it again."
            raise TransientError("upload_given_up", message)


@contextmanager
def receiving(
    database: Database, storage: Storage, arrival: Arrival, limits: OwnerLimits, lease_s: float
) -> Iterator[Reception]:
    """Keep a job's row in the state `receiving` while the block takes the upload in and submits it.

    If the block fails, the row goes, but never before the bytes: while any are left, it stays for the sweeper.

    Raises:
        LimitError: the owner has as much as one may have.
    """
    with database.write() as records:
        jobs.receive(
            records,
            job_id=arrival.job_id,
            owner_id=arrival.owner_id,
            name=arrival.name,
            model_version=active_version(records).version,
            lease_s=lease_s,
            limits=limits,
            new_bytes=arrival.announced_bytes,
        )
    try:
        yield Reception(database, arrival.job_id, lease_s)
    except BaseException:
        _drop(database, storage, arrival.job_id)
        raise


def _drop(database: Database, storage: Storage, job_id: str) -> None:
    try:
        if any(storage.list(f"jobs/{job_id}/")):
            return
        with database.write() as records:
            jobs.drop_receiving(records, job_id)
    except (SQLAlchemyError, Gray2HueError, OSError) as error:
        log.warning("upload %s is left to the sweeper: %s", job_id, error)
