"""Processes that are stopped where a test wants them to be."""

import io
import os
import subprocess
import sys
import threading

import pytest

from boundaries import Armed
from core.boundaries import OPEN, Boundary, boundaries
from core.settings import SOURCE_ROOT
from core.storage import LocalStorage

REACHES = """
import sys
from pathlib import Path
from core.boundaries import Boundary, boundaries
watched = boundaries(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    watched.reach(Boundary.CLAIMED, f"photo{number}")
print("over", flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Processes that reach CLAIMED as often as asked, as soon as they get a line of input."""
    started = []

    def start(times=1):
        command = [sys.executable, "-c", REACHES, str(tmp_path), str(times)]
        process = subprocess.Popen(
            command, cwd=SOURCE_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def begin(*processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")


def test_exactly_one_process_waits_and_goes_on_when_it_is_let_go(tmp_path, start, wait_until):
    armed = Armed(tmp_path)
    armed.arm(Boundary.CLAIMED)
    processes = [start() for _ in range(3)]
    begin(*processes)
    waits = armed.await_reached(Boundary.CLAIMED)
    for process in processes:
        if process.pid != waits:
            assert process.stdout.readline() == "over\n"
    (waiting,) = [process for process in processes if process.pid == waits]
    assert waiting.poll() is None
    armed.let_go(Boundary.CLAIMED)
    assert waiting.stdout.readline() == "over\n"


def test_the_ledger_has_one_whole_line_for_each_time(tmp_path, start):
    armed = Armed(tmp_path, Boundary.CLAIMED)
    processes = [start(500) for _ in range(3)]
    begin(*processes)
    for process in processes:
        assert process.stdout.readline() == "over\n"
    lines = [line.split() for line in armed.ledger()]
    assert len(lines) == 1500
    assert {(name, about) for name, about, _, _ in lines} == {("claimed", f"photo{number}") for number in range(500)}
    assert {int(pid) for _, _, pid, _ in lines} == {process.pid for process in processes}


def test_what_is_not_named_is_not_noted(tmp_path):
    armed = Armed(tmp_path, Boundary.CLAIMED)
    boundaries(tmp_path).reach(Boundary.RENAMED, "photo")
    assert armed.ledger() == []


def test_a_boundary_can_be_armed_anew(tmp_path):
    armed = Armed(tmp_path)
    for _ in range(2):
        armed.arm(Boundary.RENAMED)
        thread = threading.Thread(target=boundaries(tmp_path).reach, args=(Boundary.RENAMED,))
        thread.start()
        assert armed.await_reached(Boundary.RENAMED) == os.getpid()
        assert thread.is_alive()
        armed.let_go(Boundary.RENAMED)
        thread.join(30)
        assert not thread.is_alive()


def test_without_a_folder_nobody_watches():
    assert boundaries(None) is OPEN


class Recording:
    """Boundaries that keep what was reached, and what lay in a folder then."""

    def __init__(self, folder):
        self.folder = folder
        self.reached = []

    def reach(self, boundary, about=""):
        keys = [key for key in LocalStorage(self.folder).list("jobs/") if "." not in key]
        self.reached.append((boundary, about, keys))


def test_the_storage_tells_before_and_after_a_result_has_its_name(tmp_path):
    recording = Recording(tmp_path / "store")
    storage = LocalStorage(tmp_path / "store", recording)
    storage.put("jobs/j/results/abc-2", io.BytesIO(b"x"))
    storage.put("jobs/j/results/abc-2.preview", io.BytesIO(b"x"))
    storage.put("jobs/j/originals/abc", io.BytesIO(b"x"))
    assert recording.reached == [
        (Boundary.RESULT_WRITTEN, "abc", []),
        (Boundary.RENAMED, "abc", ["jobs/j/results/abc-2"]),
    ]


def test_the_storage_tells_of_an_upload_before_it_has_its_name(tmp_path):
    recording = Recording(tmp_path / "store")
    upload = tmp_path / "upload"
    upload.write_bytes(b"x")
    LocalStorage(tmp_path / "store", recording).put_file("jobs/j/uploads/0", upload)
    assert recording.reached == [(Boundary.BYTES_FSYNCED, "j", [])]
