"""What is left of runs on a trainer that was killed."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from core import training_runs as runs
from core.database import Database
from core.machine import locked
from core.settings import SOURCE_ROOT
from worker.handlers.train import delete_old_leavings


@pytest.fixture
def canceled(context, setup, submit):
    """A run that was canceled while no trainer was there, and what one left of it."""
    run_id = submit()
    folder = setup.training_dir / run_id / "train"
    folder.mkdir(parents=True)
    (folder / "photos.bin").write_bytes(b"pixels")
    with context.database.write() as session:
        runs.cancel_run(session, run_id)
    return folder


def test_what_is_left_of_a_canceled_run_goes_when_a_trainer_starts(context, setup, canceled, submit):
    waiting = setup.training_dir / submit()
    waiting.mkdir()
    with locked(setup.training_dir / "lock"):
        delete_old_leavings(context, setup)
        assert canceled.exists(), "another process is training, and does it"
    delete_old_leavings(context, setup)
    assert sorted(path.name for path in setup.training_dir.iterdir()) == sorted(["lock", waiting.name])


def test_a_trainer_starts_although_the_database_is_away(context, setup, canceled, tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    away = Database(f"sqlite:///{tmp_path}/empty/gray2hue.db")
    delete_old_leavings(replace(context, database=away), setup)
    away.dispose()
    assert canceled.exists()
    assert "stays" in caplog.text


def test_the_trainers_process_does_so(context, canceled, tmp_path, redis_url, wait_until):
    environment = {**os.environ, "GRAY2HUE_DATA_DIR": str(tmp_path), "GRAY2HUE_BROKER_URL": redis_url}
    command = [sys.executable, "-m", "celery", "-A", "worker.main:app", "worker", "-Q", "train", "-c", "1"]
    log = tmp_path / "trainer.log"
    with log.open("wb") as file:
        trainer = subprocess.Popen(command, cwd=SOURCE_ROOT, env=environment, stdout=file, stderr=file)
        try:
            wait_until(lambda: not canceled.parent.exists() or trainer.poll() is not None, 120, "a trainer's start")
            assert not canceled.parent.exists(), log.read_text()
        finally:
            trainer.terminate()
            trainer.wait()
