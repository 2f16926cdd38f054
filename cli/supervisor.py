"""Keeps a stack's processes running, and ends them."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cli.backoff import Backoff, DeathCount
from cli.leftovers import write_pids
from cli.process import Process
from cli.signals import Signals
from cli.watchdog import Watchdog
from core.errors import SetupError

TICK_S = 30.0


class Supervisor:
    """Starts processes, starts again what dies, and ends all.

    Args:
        watchdog: is told of each process group, to end it should the supervisor be killed.
        pids_path: where the process groups are noted for the next run, should the watchdog be killed as well.
        say: tells the person one line.
        new_backoff: how long each part that dies is waited with.
        on_death: is told the name and the process id of a part that died, once nothing of it is left.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        pids_path: Path,
        say: Callable[[str], None],
        new_backoff: Callable[[], Backoff] = Backoff,
        on_death: Callable[[str, int], None] = lambda _name, _pid: None,
    ) -> None:
        self.ready = False
        self._watchdog = watchdog
        self._pids_path = pids_path
        self._say = say
        self._new_backoff = new_backoff
        self._on_death = on_death
        self._processes: list[Process] = []
        self._backoffs: dict[str, Backoff] = {}
        self._deaths: dict[str, DeathCount] = {}
        self._due: dict[str, float] = {}

    def start(self, process: Process) -> None:
        """Run a process and keep it running."""
        self._processes.append(process)
        self._backoffs[process.name] = self._new_backoff()
        self._deaths[process.name] = DeathCount()
        self._launch(process)

    def tick(self) -> float:
        """Start again what died and is due. Gives the seconds until the next one is due.

        Raises:
            SetupError: `part_keeps_dying`, when a part cannot be brought up at all.
        """
        now = time.monotonic()
        for process in self._processes:
            due = self._due.get(process.name)
            if due is not None and due <= now:
                del self._due[process.name]
                self._launch(process)
            elif due is None and not process.running:
                self._note_death(process, now)
        return min([TICK_S, *(max(0.0, due - now) for due in self._due.values())])

    def stop(self, signals: Signals, order: Sequence[Sequence[str]], grace_s: float) -> None:
        """End all processes: each step's after the step before, all within `grace_s` seconds, then by force.

        A further wish to stop is a wish for force at once.
        """
        enough = signals.stops + 1
        deadline = time.monotonic() + grace_s
        for names in order:
            step = [process for process in self._processes if process.name in names]
            for process in step:
                process.terminate()
            while any(process.running for process in step) and signals.stops < enough:
                if (left_s := deadline - time.monotonic()) <= 0:
                    break
                signals.wait(left_s)
        self.kill()

    def kill(self) -> None:
        """End every process group by force; what has ended already is let go."""
        for process in self._processes:
            self._bury(process)
        self._processes.clear()
        self._due.clear()
        self._pids_path.unlink(missing_ok=True)

    def _launch(self, process: Process) -> None:
        self._watchdog.guard(process.start())
        write_pids(self._pids_path, {other.name: other.group for other in self._processes if other.group is not None})

    def _bury(self, process: Process) -> None:
        if (group := process.group) is not None:
            process.kill_group()
            self._watchdog.release(group)

    def _note_death(self, process: Process, now: float) -> None:
        # A worker that was killed leaves its own children behind; two sets of them must not run side by side.
        pid = process.group
        self._bury(process)
        if pid is not None:
            self._on_death(process.name, pid)
        hopeless = self._deaths[process.name].add(now)
        how = _how_it_ended(process.exit_code)
        if hopeless and not self.ready:
            raise SetupError(
                "part_keeps_dying",
                f"The {process.name} process {how} again and again. The end of {process.log_path}:\n"
                f"{process.last_log_lines()}\n",
            )
        delay_s = self._backoffs[process.name].next_delay(now - process.started_at)
        self._due[process.name] = now + delay_s
        self._say(f"The {process.name} process {how}; it starts again in {delay_s:.0f} s. Its log: {process.log_path}")


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
