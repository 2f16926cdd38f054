"""Leases of processes that are dead end at once; those of the living stand."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from core import lease_owners
from core.leases import take_lease
from core.records import (
    Job,
    MaterialState,
    MaterialUpload,
    Photo,
    PhotoState,
    RunState,
    RunTrigger,
    TrainingRun,
    utc_now,
)

LATER = timedelta(minutes=10)


@pytest.fixture
def dead_pid():
    """The id of a process that was, and is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def name_of(pid, parent_pid=None):
    """A lease owner's name, as a child of this process's parent has it."""
    return f"{lease_owners.children_of(parent_pid or os.getppid())}{pid}:token"


def hold_everything(session, owner):
    """Let an owner hold a lease of every kind."""
    until = utc_now() + LATER
    job = Job(owner_id="ada", name="job", model_version="v-test", ingest_owner=owner, ingest_lease_until=until)
    session.add(job)
    session.flush()
    session.add(
        Photo(job_id=job.id, position=0, path="a", state=PhotoState.RUNNING, lease_owner=owner, lease_until=until)
    )
    session.add(
        TrainingRun(
            trigger=RunTrigger.ADMIN,
            actor="ada",
            config={},
            parent="v-test",
            state=RunState.RUNNING,
            steps_total=1,
            lease_owner=owner,
            lease_until=until,
        )
    )
    session.add(
        MaterialUpload(
            owner_id="ada",
            name="m",
            key="k",
            size_bytes=1,
            state=MaterialState.READING,
            lease_owner=owner,
            lease_until=until,
        )
    )
    assert take_lease(session, owner, owner, LATER.total_seconds())


def standing(session):
    """The owners of leases that have not run out."""
    pairs = [
        (Photo, Photo.lease_owner, Photo.lease_until),
        (Job, Job.ingest_owner, Job.ingest_lease_until),
        (TrainingRun, TrainingRun.lease_owner, TrainingRun.lease_until),
        (MaterialUpload, MaterialUpload.lease_owner, MaterialUpload.lease_until),
    ]
    now = utc_now()
    return sorted(
        getattr(row, owner.key)
        for record, owner, until in pairs
        for row in session.query(record)
        if getattr(row, until.key) is not None and getattr(row, until.key) > now
    )


def test_a_name_says_whose_it_is_and_is_never_given_twice():
    name = lease_owners.own_name()
    assert name.startswith(lease_owners.children_of(os.getppid()))
    assert name.split(":")[-2] == str(os.getpid())
    assert name != lease_owners.own_name()


def test_all_leases_of_a_dead_sibling_end_and_those_of_the_living_stand(database, dead_pid):
    dead, living = name_of(dead_pid), name_of(os.getppid())
    stranger = name_of(dead_pid, parent_pid=1_000_000)
    with database.write() as session:
        for owner in (dead, living, stranger):
            hold_everything(session, owner)
    with database.write() as session:
        assert lease_owners.free_dead_siblings(session) == 4
    with database.write() as session:
        assert standing(session) == sorted([living, stranger] * 4)
        assert take_lease(session, dead, "another", 1)
        assert not take_lease(session, living, "another", 1)


def test_all_children_of_a_parent_that_died_lose_their_leases(database, dead_pid):
    with database.write() as session:
        hold_everything(session, name_of(dead_pid, parent_pid=77))
        hold_everything(session, name_of(os.getpid(), parent_pid=77))
        hold_everything(session, name_of(dead_pid, parent_pid=7))
    with database.write() as session:
        assert lease_owners.free_leases(session, lease_owners.children_of(77)) == 8
    with database.read() as session:
        assert standing(session) == [name_of(dead_pid, parent_pid=7)] * 4
