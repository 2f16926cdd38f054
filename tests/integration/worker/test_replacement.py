"""A pool process that is killed: another takes its place, however long its start takes, and its work is free."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from boundaries import Armed
from core.boundaries import Boundary
from core.jobs import Hint
from core.machine import is_alive
from core.migrate import migrate
from core.records import Job, JobState, Photo, PhotoState, User, utc_now
from core.settings import SOURCE_ROOT, Settings
from worker import handlers
from worker.lifecycle import open_context

CELERY_GIVES_S = 4.0
"""A pool process that is not up after so long is killed, unless worker_proc_alive_timeout says otherwise."""


@pytest.fixture
def faults(tmp_path):
    return Armed(tmp_path / "faults")


@pytest.fixture
def own_context(tmp_path, redis_url, runtimes_dir, faults):
    """What the worker and the test share. Leases last longer than any test."""
    settings = Settings(
        data_dir=tmp_path,
        broker_url=redis_url,
        runtimes_dir=runtimes_dir,
        faults_dir=faults.folder,
        device="cpu",
        lease_s=600,
    )
    migrate(settings)
    context = open_context(settings)
    with context.database.write() as session:
        session.add(User(id="ada", name="ada"))
    yield context
    context.database.dispose()


@pytest.fixture
def worker(tmp_path, redis_url, runtimes_dir, faults, own_context):
    """A worker as a stack runs it, on the same data folder; its log is <tmp_path>/worker.log."""
    environment = {
        **os.environ,
        "GRAY2HUE_DATA_DIR": str(tmp_path),
        "GRAY2HUE_BROKER_URL": redis_url,
        "GRAY2HUE_RUNTIMES_DIR": str(runtimes_dir),
        "GRAY2HUE_FAULTS_DIR": str(faults.folder),
        "GRAY2HUE_DEVICE": "cpu",
        "GRAY2HUE_LEASE_S": "600",
    }
    queues = ("-Q", "express,maintenance,colorize", "-c", "1", "--without-mingle", "--without-gossip")
    command = [sys.executable, "-m", "celery", "-A", "worker.main:app", "worker", *queues]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=SOURCE_ROOT, env=environment, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def test_a_killed_pool_process_is_replaced_although_loading_takes_long_and_its_work_goes_on(
    own_context, worker, faults, submit_to, gray_jpegs, wait_until
):
    faults.arm(Boundary.DECODED)
    submit_to(own_context, [("a.jpg", gray_jpegs["coffee"])])
    own_context.hints.send(Hint("job", None, express=True))
    killed = faults.await_reached(Boundary.DECODED, 120)
    faults.arm(Boundary.MODEL_LOADING)
    os.kill(killed, signal.SIGKILL)

    replacement = faults.await_reached(Boundary.MODEL_LOADING, 60)
    assert replacement != killed
    with own_context.database.read() as session:
        photo = session.scalars(select(Photo)).one()
    assert photo.state == PhotoState.RUNNING
    assert photo.lease_until <= utc_now()

    # Time itself is what is tested here.
    time.sleep(CELERY_GIVES_S + 2.0)
    assert is_alive(replacement)
    faults.let_go(Boundary.MODEL_LOADING)

    handlers.sweep(own_context)

    def over():
        with own_context.database.read() as session:
            return session.get_one(Job, "job").state == JobState.COMPLETED

    wait_until(over, 60, "the end of the job")
    assert is_alive(replacement)
    assert worker.poll() is None
