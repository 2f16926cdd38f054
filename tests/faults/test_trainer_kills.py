"""A trainer is killed, and the whole stack is stopped, in the middle of a run; the run still comes to its end."""

import hashlib
import io
import os
import signal

import pytest
from PIL import Image
from skimage import data

from core import registry
from core import training_runs as runs
from core.database import Database
from core.records import RunState, RunTrigger, Split, TrainingPhoto
from core.storage import LocalStorage
from core.training.config import parse_config
from shipped import SHIPPED_VERSION
from stacks import FAST_RECOVERY, children_of

OPTIONS = {
    "steps": 24,
    "size_px": 32,
    "batch_size": 2,
    "checkpoint_every_steps": 2,
    "validate_every_steps": 24,
    "sample_count": 1,
}


SETTINGS = {
    **FAST_RECOVERY,
    "GRAY2HUE_LEASE_S": "20",
    "GRAY2HUE_MIN_TRAINING_PHOTOS": "10",
    "GRAY2HUE_RUNTIME": "torch",
}


@pytest.fixture
def stack(make_stack):
    return make_stack(**SETTINGS)


@pytest.fixture
def database(stack):
    """The stack's own database."""
    found = Database(f"sqlite:///{stack.data_dir / 'gray2hue.db'}")
    yield found
    found.dispose()


def put_material(stack, database):
    storage = LocalStorage(stack.data_dir / "store")
    astronaut = data.astronaut()
    with database.write() as session:
        for number in range(24):
            buffer = io.BytesIO()
            Image.fromarray(astronaut[10 * number : 10 * number + 128, 10 * number : 10 * number + 128]).save(
                buffer, "PNG"
            )
            sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
            storage.put(f"training/u/{number}", io.BytesIO(buffer.getvalue()))
            row = TrainingPhoto(path=f"{number}.png", key=f"training/u/{number}", sha256=sha256)
            row.split = Split.TRAIN if number < 20 else Split.HELD_OUT
            session.add(row)


def test_a_run_survives_its_trainers_death_and_a_stop_of_the_whole_stack(stack, database, wait_until):
    put_material(stack, database)
    with database.write() as session:
        config = parse_config("quick", OPTIONS).model_dump(mode="json")
        run = runs.submit_run(session, trigger=RunTrigger.CLI, actor="ada", config=config)
        # As if the hint had got lost: the sweeper sends it.
        run.sent_at = None

    def look():
        with database.read() as session:
            return runs.get_run(session, run.id)

    def reaches(step):
        return wait_until(lambda: look().finished_at or look().step >= step, 300, f"step {step}")

    reaches(3)
    (child,) = children_of(stack.pids()["trainer"])
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: look().epoch == 2, 300, "a second trainer")
    reaches(10)
    assert look().deaths == 0, "it has got further since"

    stack.stop()
    left = look()
    assert (left.state, left.deaths) == (RunState.QUEUED, 0), "it was laid down, not killed"
    assert left.step < 24
    stack.start()

    done = wait_until(lambda: look() if look().finished_at else None, 300, "the run's end")
    assert (done.state, done.step, done.epoch) == (RunState.COMPLETED, 24, 3), (done.code, done.message)
    with database.read() as session:
        steps = [point.step for point in runs.points(session, run.id)]
        assert registry.get_version(session, done.candidate).parent == SHIPPED_VERSION
    assert steps == sorted(set(steps))
    assert steps[-1] == 24
    wait_until(lambda: not list((stack.data_dir / "training").glob("*/")), 60, "the end of the run's folder")
