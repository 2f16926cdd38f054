"""Having the version that new jobs get ready in a running worker, and what it takes to change it quickly."""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from core.errors import Gray2HueError
from worker.colorizers import Colorizers

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""A version that cannot be loaded is tried again after so long."""


class ActiveModelWatch:
    """Looks which version is the active one, and loads it in the background when it has changed.

    Versions that may become active soon are loaded once and let go again, by a thread of its own, for this may take
    long. Then their weights are on this machine in the form that its runtime wants, and a promotion takes a moment.

    Nothing depends on it but speed: a job's version is loaded when its first photo comes, if it is not held by then.

    Args:
        active: the name of the version that new jobs get.
        upcoming: the names of those that may become active soon.
        prepare: loads a version and lets it go again.
        colorizers: what is held here.
        poll_s: how often it looks, in seconds.
    """

    def __init__(
        self,
        active: Callable[[], str],
        upcoming: Callable[[], Iterable[str]],
        prepare: Callable[[str], None],
        colorizers: Colorizers,
        poll_s: float,
    ) -> None:
        self._active = active
        self._upcoming = upcoming
        self._prepare = prepare
        self._colorizers = colorizers
        self._poll_s = poll_s
        self._tried = set(colorizers.versions)
        self._ready = next(iter(self._tried), "")
        self._failed, self._retry_at = "", 0.0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(look,), name=name, daemon=True)
            for name, look in (("active-model", self._look), ("upcoming-models", self._look_ahead))
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Look no more; waits until what is being loaded is, but not for longer than so many seconds."""
        self._over.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, look: Callable[[], None]) -> None:
        while not self._over.wait(self._poll_s):
            try:
                look()
            except (Gray2HueError, SQLAlchemyError) as error:
                log.warning("which model version new jobs get cannot be told now: %s", error)
            except Exception:
                log.exception("a look at the model versions failed")

    def _look(self) -> None:
        active = self._active()
        if active == self._ready or (active == self._failed and time.monotonic() < self._retry_at):
            return
        self._tried.add(active)
        try:
            self._colorizers.get(active)
        except Exception as error:
            self._failed, self._retry_at = active, time.monotonic() + RETRY_S
            log.error("model version %s, which new jobs get, cannot be loaded: %s", active, _told(error))  # noqa: TRY400 - the code says it
            return
        self._ready, self._failed = active, ""
        log.info("new jobs get model version %s; loaded here: %s", active, ", ".join(self._colorizers.versions))

    def _look_ahead(self) -> None:
        """Prepare one version that was not tried yet, if there is one."""
        version = next((name for name in self._upcoming() if name not in self._tried), None)
        if version is None:
            return
        self._tried.add(version)
        try:
            self._prepare(version)
        except Exception as error:
            log.warning("model version %s cannot be loaded: %s", version, _told(error))
        else:
            log.info("model version %s can be loaded quickly", version)


def _told(error: Exception) -> str:
    code = error.code if isinstance(error, Gray2HueError) else "internal_error"
    return f"{code}: {error}"
