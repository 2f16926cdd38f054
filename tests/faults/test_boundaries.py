"""kill -9 of each part at each step on a photograph's way; every accepted photograph comes out, once.

One stack for each database takes all of it, and the jobs run on through it. Which process waits at a boundary is killed
where it is the victim, or its parent is; else the victim is killed beside it, and it goes on.
"""

import os
import signal

import pytest

from battered import is_running
from core.boundaries import Boundary

VICTIMS = ("parent", "beat", "child", "redis", "web")
BOUNDARIES = tuple(boundary for boundary in Boundary if boundary != Boundary.MODEL_LOADING)
PHOTOS = 3


def pairs():
    """Every boundary with every victim. Those marked are left to `make faults`; the others cover each of both."""
    for number, boundary in enumerate(BOUNDARIES):
        for victim in VICTIMS:
            chosen = victim == VICTIMS[number % len(VICTIMS)]
            yield pytest.param(boundary, victim, marks=[] if chosen else [pytest.mark.exhaustive])


PAIRS = tuple(pairs())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def battered(request, batter):
    environment = {"GRAY2HUE_CHUNK_PHOTOS": "2"}
    if request.param == "postgresql":
        environment["GRAY2HUE_DATABASE_URL"] = request.getfixturevalue("module_postgres_url")
    # Kills that are aimed cannot be told from a photograph that kills: it is not to be condemned here.
    found = batter(**environment, GRAY2HUE_MAX_DEATHS="100")
    yield found
    found.close()


def victims_of(battered, victim, reached_pid):
    """The process ids to kill: of a part's leader, or of its pool child; of the web's whole group."""
    if victim in ("beat", "redis"):
        return [battered.leader(victim)]
    if victim == "web":
        # Its server is a child of the process that the supervisor knows.
        leader = battered.leader("web")
        return [leader, battered.child(leader)]
    leaders = {battered.leader(name) for name in ("worker", "intake")}
    group = os.getpgid(reached_pid)
    leader = group if group in leaders else battered.leader("worker")
    if victim == "parent":
        return [leader]
    return [reached_pid if group in leaders and reached_pid != leader else battered.child(leader)]


def strike(battered, boundary, victim, name, content):
    """Kill the victim while some process waits at the boundary; what waits there and is not killed goes on."""
    battered.await_web()
    battered.leader("redis")
    battered.armed.arm(boundary)
    upload = battered.send(name, content)
    reached_pid = battered.armed.await_reached(boundary, 120)
    pids = victims_of(battered, victim, reached_pid)
    dies_too = os.getpgid(reached_pid) in pids
    battered.killed.update(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    if dies_too:
        # The supervisor ends what is left of a part's processes.
        battered.wait_until(lambda: not is_running(reached_pid), 30, "the end of the part's other processes")
    battered.armed.let_go(boundary)
    return upload.wait()


@pytest.mark.parametrize(("boundary", "victim"), PAIRS)
def test_a_part_dies_at(boundary, victim, battered, small_jpegs, small_zip):
    if boundary == Boundary.MESSAGE_ACKNOWLEDGED:
        # A single picture is unpacked by the very process that colorizes it.
        upload = strike(battered, boundary, victim, "1 photo.jpg", small_jpegs[0])
    else:
        upload = strike(battered, boundary, victim, f"{PHOTOS} photos.zip", small_zip(PHOTOS))
    if upload.job_id:
        battered.accepted.add(upload.job_id)
    else:
        assert (victim, upload.status) == ("web", 0), "nobody else is needed to take an upload"


def test_all_photographs_come_out_once(battered):
    assert battered.accepted
    battered.check_all_done()
