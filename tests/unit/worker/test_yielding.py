"""How a trainer steps back behind everything else, has children, and learns that it has to stop."""

import subprocess
import sys

from core.queue import TRAIN
from core.settings import SOURCE_ROOT, Settings
from worker.app import create_app

FORKED = """
import os
from worker.yielding import StopFlag

flag = StopFlag()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.read(reading, 1)
    os._exit(7 if flag.is_raised else 1)
before = flag.is_raised
flag.raise_()
os.write(writing, b".")
print(before, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

POOLED = """
import sys
from billiard import Process
from torch.utils.data import DataLoader
from worker.yielding import allow_children

def work():
    try:
        print(sum(DataLoader(range(4), batch_size=None, num_workers=1, multiprocessing_context="fork")))
    except AssertionError:
        print("refused")

def work_allowed():
    allow_children()
    work()

for target in (work, work_allowed):
    child = Process(target=target, daemon=True)
    child.start()
    child.join()
"""


def run(program):
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=SOURCE_ROOT, capture_output=True, text=True, start_new_session=True, check=True)
    return done.stdout.split()


def test_a_child_sees_the_flag_that_its_parent_raises_after_the_fork():
    assert run(FORKED) == ["False", "7"]


def test_a_pools_child_may_have_children_once_it_is_allowed():
    assert run(POOLED) == ["refused", "6"]


def test_a_lower_priority_is_the_process_own_and_its_groups():
    program = (
        "import os, pathlib; from worker.yielding import AUTOGROUP, lower_priority; lower_priority(19); "
        "print(os.nice(0), AUTOGROUP.read_text().split()[-1] if AUTOGROUP.exists() else 19)"
    )
    assert run(program) == ["19", "19"]


def test_a_run_is_acknowledged_at_once_and_has_no_time_limit_to_speak_of(tmp_path):
    app = create_app(Settings(data_dir=tmp_path, broker_url="memory://"))
    assert not app.tasks[TRAIN].acks_late
    assert app.tasks[TRAIN].time_limit > 365 * 86400
