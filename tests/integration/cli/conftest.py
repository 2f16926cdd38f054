"""Parts for tests of supervision: small programs in place of the stack's own."""

import sys
from pathlib import Path

import pytest

from cli.process import Part, Process
from cli.signals import Signals
from cli.supervisor import Supervisor
from cli.watchdog import Watchdog
from core.settings import SOURCE_ROOT


@pytest.fixture
def signals():
    with Signals() as signals:
        yield signals


@pytest.fixture
def supervisor(tmp_path):
    """A supervisor, and in `said` what it told."""
    said = []
    watchdog = Watchdog(SOURCE_ROOT)
    supervisor = Supervisor(watchdog, tmp_path / "pids.json", said.append)
    supervisor.said = said
    yield supervisor
    supervisor.kill()
    watchdog.close()


@pytest.fixture
def make_process(tmp_path):
    """A process that runs the given Python code."""

    def make(code: str, name: str = "worker") -> Process:
        command = (sys.executable, "-c", code)
        return Process(Part(name, command), {"HOME": str(tmp_path)}, tmp_path / f"{name}.log", Path(tmp_path))

    return make
