"""The start of a worker that cannot do its work."""

import os
import shutil
import subprocess
import sys

from core.settings import SOURCE_ROOT


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
