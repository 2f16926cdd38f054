"""Process groups: each part of a stack leads one, so that its own children end with it."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

POLL_S = 0.05


def start_mark(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None when there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_mark_of_ps(pid)
    except ProcessLookupError:
        return None
    return None if state in "ZX" else f"{boot}/{fields[18]}"


def _start_mark_of_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing but a number
    return answer.stdout.strip() or None


def group_alive(group: int) -> bool:
    """Whether any process of the group is left. One that has ended and waits to be reaped does not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    members = _members(group)
    return members is None or bool(members)


def _members(group: int) -> list[int] | None:
    """The group's running processes, or None where the system has no /proc to look them up in."""
    if not Path("/proc/self/stat").exists():
        return None
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, _parent, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(entry.name))
    return found


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to every process of the group; nothing happens when it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def signal_leader(group: int, number: signal.Signals) -> None:
    """Send a signal to the group's leader alone, which ends its children in its own way."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(group, number)


def end_groups(groups: list[int], grace_s: float) -> None:
    """Ask the groups' leaders to end, wait up to `grace_s` seconds for all of each group, then kill what is left."""
    for group in groups:
        signal_leader(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    left = [group for group in groups if group_alive(group)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [group for group in left if group_alive(group)]
    for group in left:
        signal_group(group, signal.SIGKILL)
