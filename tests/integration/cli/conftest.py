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
def make_supervisor(tmp_path):
    """Supervisors, with what they told in `said`."""
    watchdog = Watchdog(SOURCE_ROOT)
    made = []

    def make(**arguments):
        said = []
        supervisor = Supervisor(watchdog, tmp_path / "pids.json", said.append, **arguments)
        supervisor.said = said
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.kill()
    watchdog.close()


@pytest.fixture
def supervisor(make_supervisor):
    """A supervisor, and in `said` what it told."""
    return make_supervisor()


@pytest.fixture
def make_process(tmp_path):
    """A process that runs the given Python code."""

    def make(code: str, name: str = "worker") -> Process:
        command = (sys.executable, "-c", code)
        return Process(Part(name, command), {"HOME": str(tmp_path)}, tmp_path / f"{name}.log", Path(tmp_path))

    return make
