"""The stack that a client on this machine uses: the one that runs, or else one of its own for as long as it takes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.address import is_held, read_key, running_stack
from cli.client import Access
from cli.port import check_port
from core.errors import AuthenticationError, SetupError
from core.settings import SOURCE_ROOT, Settings

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.1


def find_access(settings: Settings, address: str | None, key: str | None) -> Access | None:
    """The stack that the person named, or the data folder's running one; None when nothing was named and none runs.

    The data folder's own key is never sent to another address.

    Raises:
        AuthenticationError: `no_key`, when another address was named without a key.
    """
    stack = running_stack(settings.run_dir)
    if address is None:
        return None if stack is None else Access(stack.address, key or _local_key(settings.run_dir))
    address = address.rstrip("/")
    if key is None and (stack is None or stack.address != address):
        raise AuthenticationError("no_key", f"{address} needs an API key: --key or GRAY2HUE_API_KEY.")
    return Access(address, key or _local_key(settings.run_dir))


def _local_key(run_dir: Path) -> str:
    key = read_key(run_dir)
    if key is None:
        raise AuthenticationError("no_key", f"{run_dir / 'cli.key'} is missing; restart the stack to make it anew.")
    return key


class LocalStack:
    """The data folder's stack; started when none runs, and then ended by `stop`.

    Args:
        settings: names the data folder.
        say: tells the person one line.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._own: subprocess.Popen[bytes] | None = None
        self._log_path = settings.logs_dir / "up.log"

    def ensure(self, leave_to_others_s: float = 0.0) -> Access:
        """Wait until a stack is ready, starting one if nobody else does. May be called again when it has gone away.

        Args:
            leave_to_others_s: how long somebody else may take to start one first, e.g. to restart the one in use.

        Raises:
            SetupError: what the stack said when it could not start; `stack_not_ready`.
        """
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < START_TIMEOUT_S:
            stack = running_stack(self._settings.run_dir)
            if stack is not None:
                return Access(stack.address, _local_key(self._settings.run_dir))
            held = is_held(self._settings.run_dir)
            if self._own is not None and self._own.poll() is not None:
                failed = self._own.returncode != 0
                self._own = None
                if failed and not held:
                    raise SetupError("stack_failed", f"The stack could not be started. {self._last_words()}")
            elif self._own is None and not held and waited_s >= leave_to_others_s:
                self._start()
            time.sleep(POLL_S)
        raise SetupError("stack_not_ready", f"The stack is not ready. Its logs are in {self._settings.logs_dir}.")

    def stop(self) -> None:
        """End the stack if it was started here; one that was found running stays."""
        if self._own is None:
            return
        if self._own.stdin is not None:
            self._own.stdin.close()
        try:
            self._own.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._own.kill()
            self._own.wait()
        self._own = None

    def _start(self) -> None:
        self._say("Starting Gray2Hue for this job ...")
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "GRAY2HUE_DATA_DIR": str(self._settings.data_dir),
            "GRAY2HUE_MODELS_DIR": str(self._settings.models_dir.absolute()),
            "GRAY2HUE_RUNTIMES_DIR": str(self._settings.runtimes_dir),
            "GRAY2HUE_TRAINING_DIR": str(self._settings.training_dir),
            "GRAY2HUE_STORAGE_DIR": str(self._settings.storage_dir),
            "GRAY2HUE_PORT": str(_free_port(self._settings.host, self._settings.port)),
        }
        with self._log_path.open("wb") as log:
            self._own = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--quiet", "--while-input-open"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=SOURCE_ROOT,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        return self._log_path.read_text(errors="replace").strip().removeprefix("Error: ")


def _free_port(host: str, wanted: int) -> int:
    """The wanted port, or any free one where another stack or program has that."""
    try:
        check_port(host, wanted)
    except SetupError as error:
        if error.code != "port_taken":
            raise
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    return wanted


@contextmanager
def local_stack(settings: Settings, say: Callable[[str], None]) -> Iterator[LocalStack]:
    """A LocalStack that is ended with the block if it was started in it."""
    stack = LocalStack(settings, say)
    try:
        yield stack
    finally:
        stack.stop()
