"""How a client on the same machine finds the stack of a data folder: its lock, its address and its key."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from core.errors import SetupError

LOCK_PATIENCE_S = 1.0


@dataclass(frozen=True)
class RunningStack:
    """A stack that is ready: what run/stack.json says."""

    address: str
    pid: int
    started_at: str


def local_address(host: str, port: int) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    with suppress(ValueError):
        if (ip := ip_address(host)).is_unspecified:
            host = "127.0.0.1" if ip.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def stack_lock(run_dir: Path) -> Iterator[None]:
    """Hold the data folder for one stack; SetupError (`already_running`) when another one has it.

    The system lets the lock go when its holder ends, however it ends.
    """
    descriptor = os.open(run_dir / "stack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, run_dir)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, run_dir: Path) -> None:
    # A client that looks whether a stack runs holds the lock for an instant; that is no other stack.
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise _already_running(run_dir) from None
            time.sleep(0.05)
        else:
            return


def _already_running(run_dir: Path) -> SetupError:
    stack = _read_stack(run_dir)
    where = f"at {stack.address} (process {stack.pid})" if stack else "and is still starting or stopping"
    return SetupError("already_running", f"Gray2Hue already runs on {run_dir.parent} {where}.")


def is_held(run_dir: Path) -> bool:
    """Whether a stack has the data folder, be it ready, starting or stopping."""
    try:
        descriptor = os.open(run_dir / "stack.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_stack(run_dir: Path, address: str) -> None:
    """Say that the stack is ready, and where."""
    stack = RunningStack(address, os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))
    aside = run_dir / "stack.json.part"
    aside.write_text(json.dumps(asdict(stack)) + "\n")
    aside.replace(run_dir / "stack.json")


def remove_stack(run_dir: Path) -> None:
    """Say that no stack is ready any more."""
    (run_dir / "stack.json").unlink(missing_ok=True)


def running_stack(run_dir: Path) -> RunningStack | None:
    """The data folder's ready stack, or None. What a killed one left to read is not believed."""
    return _read_stack(run_dir) if is_held(run_dir) else None


def _read_stack(run_dir: Path) -> RunningStack | None:
    try:
        return RunningStack(**json.loads((run_dir / "stack.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_key(run_dir: Path) -> str | None:
    """The command line's API key of this data folder, or None before a stack was ever started on it."""
    try:
        return (run_dir / "cli.key").read_text().strip() or None
    except FileNotFoundError:
        return None


def write_key(run_dir: Path, key: str) -> None:
    """Keep the command line's API key, readable by this user only."""
    aside = run_dir / "cli.key.part"
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    aside.replace(run_dir / "cli.key")
