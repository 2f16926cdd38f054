"""What a worker holds from its start, and that it does not start without."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch

from core import registry
from core.checkpoints import prepare_model
from core.database import Database
from core.errors import CheckpointError, SetupError, StorageError
from core.migrate import migrate
from core.model_store import store_model
from core.settings import SOURCE_ROOT, Settings
from core.storage import LocalStorage
from shipped import SHIPPED_VERSION
from worker.lifecycle import WorkerProcess


def test_a_worker_that_cannot_load_its_model_ends_and_says_why(tmp_path, redis_url):
    models = shutil.copytree(SOURCE_ROOT / "models", tmp_path / "models")
    with (models / "model.safetensors").open("r+b") as weights:
        weights.truncate(1_000_000)
    environment = {
        **os.environ,
        "GRAY2HUE_DATA_DIR": str(tmp_path / "data"),
        "GRAY2HUE_MODELS_DIR": str(models),
        "GRAY2HUE_BROKER_URL": redis_url,
    }
    command = [sys.executable, "-m", "celery", "-A", "worker.main:app", "worker", "-Q", "colorize", "-c", "1"]
    ended = subprocess.run(command, cwd=SOURCE_ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert "this worker cannot start" in ended.stderr
    assert "sha256" in ended.stderr


@pytest.fixture
def settings(tmp_path):
    """A migrated data folder. Torch needs no conversion first, so that its start is the quicker one once."""
    made = Settings(data_dir=tmp_path, broker_url="memory://", device="cpu", runtime="torch")
    migrate(made)
    return made


@pytest.fixture
def start(settings):
    """Starts worker processes in this one, and stops them at the end."""
    started = []

    def starts(queue):
        process = WorkerProcess(settings)
        started.append(process)
        process.start({queue})
        return process

    yield starts
    for process in started:
        process.stop()


def prepare_version(settings, version):
    """A version that adds 11 to a and b."""
    state = safetensors.torch.load_file(SOURCE_ROOT / "models" / "model.safetensors")
    state["layers.10.0.bias"] = state["layers.10.0.bias"] + 0.1
    path = settings.data_dir / "other.safetensors"
    safetensors.torch.save_file(state, path)
    return prepare_model(path, version)


def put_version(settings, version, activate=False, stored=False):
    """Have the version imported, into the storage or, as it used to be, into this machine's folder only."""
    prepared = prepare_version(settings, version)
    key = store_model(LocalStorage(settings.storage_dir), prepared) if stored else ""
    if not stored:
        prepared.store(settings.imported_models_dir)
    database = Database(settings.database_url)
    with database.write() as session:
        registry.register(session, version, "other", prepared.metadata.sha256, key=key)
        if activate:
            registry.promote(session, version, "ada")
    database.dispose()


@pytest.mark.parametrize("stored", [False, True])
def test_every_version_that_a_job_is_pinned_to_is_had_on_demand(settings, start, stored):
    put_version(settings, "other", stored=stored)
    colorizers = start("colorize").workshop.colorizers
    lightness = np.full((32, 32), 50, np.float32)
    shipped, other = (colorizers.get(version).runtime.predict(lightness) for version in (SHIPPED_VERSION, "other"))
    assert np.allclose(other - shipped, 0.1 * 110, atol=0.1)
    with pytest.raises(CheckpointError) as caught:
        colorizers.get("v9")
    assert caught.value.code == "model_version_missing"


def test_a_storage_that_is_away_is_a_passing_trouble(settings, start):
    put_version(settings, "other", stored=True)
    colorizers = start("colorize").workshop.colorizers
    folder = settings.storage_dir / "models"
    folder.rename(settings.storage_dir / "away")
    folder.write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        colorizers.get("other")
    folder.unlink()
    (settings.storage_dir / "away").rename(folder)
    assert colorizers.get("other").version == "other"


def test_a_worker_whose_machine_has_a_damaged_copy_fetches_the_version_anew(settings, start):
    put_version(settings, "other", activate=True, stored=True)
    folder = settings.imported_models_dir / "other"
    shutil.copytree(settings.storage_dir / "models" / "other", folder)
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.truncate(1_000_000)
    assert start("colorize").workshop.colorizers.versions == ("other",)
    assert (folder / "model.safetensors").stat().st_size > 1_000_000


def test_a_worker_whose_active_version_is_damaged_does_not_start(settings, start):
    put_version(settings, "other", activate=True)
    with (settings.imported_models_dir / "other" / "model.safetensors").open("r+b") as weights:
        weights.truncate(1_000_000)
    with pytest.raises(CheckpointError) as caught:
        start("colorize")
    assert caught.value.code == "damaged_weights"


def test_before_the_database_is_there_the_shipped_version_is_loaded(tmp_path, settings, start):
    (tmp_path / "gray2hue.db").unlink()
    assert start("colorize").workshop.colorizers.get(SHIPPED_VERSION).version == SHIPPED_VERSION


def test_a_worker_that_does_not_colorize_loads_no_model(start):
    process = start("ingest")
    assert process.context.owner
    with pytest.raises(SetupError) as caught:
        process.workshop  # noqa: B018 - reading it is what is tested
    assert caught.value.code == "no_model_loaded"
