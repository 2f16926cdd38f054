"""A run's lease, and what is noted of the run while it is worked on."""

import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from core import training_runs as runs
from core.errors import TransientError
from core.records import RunState, TrainingSample
from core.training.watching import Measured, SampleKind, TrainingStoppedError
from core.training_material import folder_of_run
from core.training_runs import RunClaim
from worker.handlers.context import Context

log = logging.getLogger(__name__)

DEVICE_POLL_S = 1.0
T = TypeVar("T")


class RunWatch:
    """Watches a run for core.training.loop, and tells it when to stop.

    Of curves and pictures some may get lost while the database or the storage is away; the run goes on.

    Args:
        context: connections.
        claim: of the run.
        is_leaving: whether this process has to end.
        yields: whether photographs that wait to be colorized have the device first.
    """

    def __init__(self, context: Context, claim: RunClaim, is_leaving: Callable[[], bool], yields: bool) -> None:
        self._context = context
        self._claim = claim
        self._is_leaving = is_leaving
        self._yields = yields
        self._looked_at = 0.0
        self._state: RunState | None = RunState.RUNNING

    def renew(self) -> None:
        """Prolong the lease, and hear whether the run was canceled or is somebody else's by now."""
        with self._context.database.write() as session:
            self._state = runs.renew_run(session, self._claim, self._context.job_limits.lease_s)

    def should_stop(self) -> bool:
        """See Watcher.should_stop."""
        return self._state != RunState.RUNNING or self._is_leaving()

    def heeded(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, until it is time to stop.

        Raises:
            TrainingStoppedError: it is.
        """
        for item in items:
            if self.should_stop():
                raise TrainingStoppedError
            yield item

    def yield_device(self) -> None:
        """See Watcher.yield_device."""
        while self._yields and not self.should_stop() and time.monotonic() - self._looked_at >= DEVICE_POLL_S:
            if not self._is_colorizing():
                self._looked_at = time.monotonic()
                return
            time.sleep(DEVICE_POLL_S)

    def progress(self, step: int, steps_total: int, measured: Measured) -> None:
        """See Watcher.progress."""
        try:
            with self._context.database.write() as session:
                runs.note_progress(session, self._claim, step, steps_total)
                if measured:
                    runs.note_point(session, self._claim, step, measured)
        except OperationalError:
            log.exception("step %d of run %s could not be noted", step, self._claim.run_id)

    def sample(self, step: int, number: int, kind: SampleKind, jpeg: bytes) -> None:
        """See Watcher.sample."""
        run_id, storage = self._claim.run_id, self._context.storage
        key = f"{folder_of_run(run_id)}{step}-{number}-{kind}-{self._claim.epoch}.jpg"
        try:
            storage.put(key, io.BytesIO(jpeg))
            with self._context.database.write() as session:
                drawn_before = session.get(TrainingSample, (run_id, step, number, kind))
                needless = "" if drawn_before is None else drawn_before.key
                if not runs.note_sample(session, self._claim, step, number, kind, key):
                    needless = key
                elif needless == key:
                    needless = ""
            if needless:
                storage.delete(needless)
        except (TransientError, OperationalError):
            log.exception("a picture of run %s could not be kept", self._claim.run_id)

    def _is_colorizing(self) -> bool:
        try:
            with self._context.database.read() as session:
                return runs.is_colorizing(session)
        except OperationalError:
            return False
