"""What a run that was killed together with its watchdog left: noted while it runs, ended at the next start."""

import json
from collections.abc import Mapping
from pathlib import Path

from cli import groups

GRACE_S = 5.0


def write_pids(path: Path, pids: Mapping[str, int]) -> None:
    """Note the running parts: name, process id and what tells the process from a later one of the same number."""
    noted = [{"name": name, "pid": pid, "started": groups.start_mark(pid)} for name, pid in pids.items()]
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(noted))
    aside.replace(path)


def end_leftovers(path: Path) -> list[str]:
    """End what an earlier run left, and give its parts' names.

    A process that got a noted number later is left alone. Of a part whose own process is gone, nothing is known any
    more that would tell its children from a stranger's; the watchdog is what ends those.
    """
    try:
        noted = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return []
    left = [entry for entry in noted if entry["started"] and groups.start_mark(entry["pid"]) == entry["started"]]
    groups.end_groups([entry["pid"] for entry in left], GRACE_S)
    path.unlink(missing_ok=True)
    return [entry["name"] for entry in left]
