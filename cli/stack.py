"""The embedded stack: everything that Gray2Hue needs on one machine, as children of one supervisor."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from cli import address, parts, redis_server
from cli.access import SetupToken, prepare_access
from cli.backoff import Backoff
from cli.environment import child_environment
from cli.leftovers import end_leftovers
from cli.port import check_port
from cli.process import Part, Process, cap_log
from cli.signals import Signals
from cli.supervisor import Supervisor
from cli.watchdog import Watchdog
from core import jobs, lease_owners, training_material, training_runs
from core.database import Database
from core.errors import TransientError
from core.migrate import migrate
from core.settings import SOURCE_ROOT, Settings

log = logging.getLogger(__name__)

STOP_GRACE_S = 15.0
PROBE_PAUSE_S = 0.3
STILL_STARTING_S = 60.0


def take_up_unfinished(settings: Settings) -> None:
    """Put back what an earlier run's workers held. Its Redis is gone, and its workers were ended before."""
    database = Database(settings.database_url)
    if database.is_sqlite:
        with database.write() as session:
            jobs.take_up(session)
            training_material.take_up_uploads(session)
            training_runs.take_up_runs(session)
    database.dispose()


def free_leases(database_url: str, parent_pid: int) -> None:
    """Let what the children of a part that died had in hand be taken back at once; waits for a database that is away.

    Should it stay away, the leases run out by themselves.
    """
    database = Database(database_url)
    prefix = lease_owners.children_of(parent_pid)
    try:
        database.patiently(lambda session: lease_owners.free_leases(session, prefix))
    except (TransientError, SQLAlchemyError) as error:
        log.warning("leases of dead processes were left to run out: %s", error)
    finally:
        database.dispose()


class StopWishedError(Exception):
    """Somebody wishes to stop while the stack is still starting."""


class Stack:
    """One run of the embedded stack on a data folder.

    Args:
        settings: the data folder, the port and all else.
        signals: who wishes to stop, already listening.
        say: tells the person one line about how it goes.
    """

    def __init__(self, settings: Settings, signals: Signals, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._signals = signals
        self._say = say
        self._run_dir = settings.run_dir
        self._socket: Path | None = None
        self.address = address.local_address(settings.host, settings.port)

    def run(self, on_ready: Callable[[SetupToken | None], None]) -> None:
        """Start everything, call `on_ready` once, keep all running until somebody wishes to stop, end everything.

        Raises:
            SetupError: what this machine lacks, or that a part cannot be brought up.
        """
        for folder in (self._settings.data_dir, self._run_dir, self._settings.logs_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._run_dir.chmod(0o700)
        with address.stack_lock(self._run_dir):
            self._clear_the_way()
            with self._supervised() as supervisor:
                try:
                    self._bring_up(supervisor, on_ready)
                    self._watch(supervisor)
                except StopWishedError:
                    pass

    def _clear_the_way(self) -> None:
        address.remove_stack(self._run_dir)
        names = end_leftovers(self._run_dir / "pids.json")
        if names:
            self._say(f"Ended what an earlier run had left: {', '.join(names)}.")
        check_port(self._settings.host, self._settings.port)

    @contextmanager
    def _supervised(self) -> Iterator[Supervisor]:
        watchdog = Watchdog(SOURCE_ROOT)
        pids_path = self._run_dir / "pids.json"
        supervisor = Supervisor(watchdog, pids_path, self._say, self._new_backoff, self._on_death)
        try:
            yield supervisor
            self._say("Stopping. Photographs in hand are finished first; Ctrl-C again stops at once.")
            supervisor.stop(self._signals, parts.STOP_ORDER, STOP_GRACE_S)
        finally:
            address.remove_stack(self._run_dir)
            supervisor.kill()
            watchdog.close()
            if self._socket is not None:
                redis_server.remove_socket(self._socket)

    def _new_backoff(self) -> Backoff:
        return Backoff(self._settings.restart_delay_s, self._settings.restart_delay_max_s)

    def _on_death(self, name: str, pid: int) -> None:
        if name in parts.LEASE_HOLDERS:
            # In a thread of its own: the part is started again however long the database stays away.
            arguments = (self._settings.database_url, pid)
            threading.Thread(target=free_leases, args=arguments, name="leases", daemon=True).start()

    def _bring_up(self, supervisor: Supervisor, on_ready: Callable[[SetupToken | None], None]) -> None:
        broker_url = self._settings.broker_url or self._start_redis(supervisor)
        migrate(self._settings)
        if not self._settings.broker_url:
            take_up_unfinished(self._settings)
        setup = prepare_access(self._settings)
        python_parts = parts.python_parts(self._run_dir)
        self._start(supervisor, [part for part in python_parts if part.name not in parts.LATE_NAMES], broker_url)
        self._await(supervisor, lambda: parts.web_answers(self.address) and parts.workers_answer(broker_url))
        supervisor.ready = True
        self._start(supervisor, [part for part in python_parts if part.name in parts.LATE_NAMES], broker_url)
        address.write_stack(self._run_dir, self.address)
        on_ready(setup)

    def _start_redis(self, supervisor: Supervisor) -> str:
        binary = redis_server.find_redis_server()
        self._socket = path = redis_server.socket_path(self._run_dir)
        path.unlink(missing_ok=True)
        broker_url = redis_server.broker_url(path)
        supervisor.start(self._process(redis_server.redis_part(binary, path), broker_url))
        self._await(supervisor, lambda: redis_server.answers(path))
        return broker_url

    def _start(self, supervisor: Supervisor, some: Sequence[Part], broker_url: str) -> None:
        for part in some:
            supervisor.start(self._process(part, broker_url))

    def _process(self, part: Part, broker_url: str) -> Process:
        log_path = self._settings.logs_dir / f"{part.name}.log"
        cap_log(log_path)
        return Process(part, child_environment(self._settings, broker_url), log_path, SOURCE_ROOT)

    def _await(self, supervisor: Supervisor, condition: Callable[[], bool]) -> None:
        patience_ends = time.monotonic() + STILL_STARTING_S
        while not condition():
            supervisor.tick()
            if time.monotonic() > patience_ends:
                self._say(f"Still starting. What the parts say is in {self._settings.logs_dir}.")
                patience_ends += STILL_STARTING_S
            if self._signals.wait_for_stop(PROBE_PAUSE_S):
                raise StopWishedError

    def _watch(self, supervisor: Supervisor) -> None:
        while not self._signals.stops:
            self._signals.wait(supervisor.tick())
