"""Promotions and rollbacks reach the workers of a running stack."""

import io
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
from PIL import Image
from skimage.color import rgb2lab

from core import registry
from core.checkpoints import prepare_model
from core.database import Database
from core.model_store import store_model
from core.settings import SOURCE_ROOT, Settings
from core.storage import LocalStorage
from shipped import SHIPPED_VERSION

A_AND_B_SHIFT = 11


@pytest.fixture(scope="module")
def stack(make_stack):
    return make_stack()


@pytest.fixture(scope="module")
def gray2hue(stack):
    """Runs a command line on the stack and gives what it said."""

    def run(*arguments):
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        ended = subprocess.run(command, env=stack.full_environment, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def make_weights(tmp_path_factory):
    """Weights of the shipped generator with a and b raised by so many steps of A_AND_B_SHIFT, in a file."""

    def make(steps):
        state = safetensors.torch.load_file(SOURCE_ROOT / "models" / "model.safetensors")
        state["layers.10.0.bias"] = state["layers.10.0.bias"] + steps * A_AND_B_SHIFT / 110
        path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
        safetensors.torch.save_file(state, path)
        return path

    return make


@pytest.fixture(scope="module")
def warm(stack, gray2hue, make_weights, wait_until):
    """A version that colors more warmly, imported, and made ready by the worker."""
    gray2hue("models", "import", make_weights(1), "--version", "warm")
    log_path = stack.data_dir / "logs" / "worker.log"
    wait_until(lambda: "model version warm can be loaded quickly" in log_path.read_text(), 240)
    return "warm"


@pytest.fixture
def damaged(stack, make_weights):
    """A version that new jobs get, and whose weights rotted in the storage before any worker fetched them."""
    settings = Settings(data_dir=stack.data_dir)
    prepared = prepare_model(make_weights(2), "damaged")
    key = store_model(LocalStorage(settings.storage_dir), prepared)
    flip_a_bit(settings.storage_dir / key / prepared.metadata.weights)
    database = Database(settings.database_url)
    with database.write() as session:
        registry.register(session, "damaged", "damaged", prepared.metadata.sha256, key=key)
        registry.promote(session, "damaged", "ada")
    database.dispose()
    return "damaged"


@pytest.fixture
def log(stack):
    """What the colorizing worker says from now on."""
    path = stack.data_dir / "logs" / "worker.log"
    before = path.stat().st_size

    def read():
        with path.open("rb") as file:
            file.seek(before)
            return file.read().decode()

    return read


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def versions_of(photos):
    return {(photo["state"], photo["model_version"]) for photo in photos}


def yellowness(client, photo):
    """Mean of CIELAB b over a result."""
    answer = client.get(photo["links"]["result"]).raise_for_status()
    return rgb2lab(np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")))[..., 2].mean()


def colorize(stack, client, content):
    job_id = stack.submit(client, "photo.jpg", content)
    stack.finished(client, job_id)
    (photo,) = stack.photos(client, job_id)
    return photo


def test_a_promotion_reaches_the_running_worker_and_a_rollback_too(
    stack, gray2hue, warm, log, wait_until, gray_jpegs, make_zip
):
    picture = gray_jpegs["coffee"]
    with stack.client() as client:
        before = colorize(stack, client, picture)
        running = stack.submit(client, "many.zip", make_zip({f"{number}.jpg": picture for number in range(60)}))
        wait_until(lambda: client.get(f"/api/v1/jobs/{running}").json()["counts"]["done"])
        gray2hue("models", "promote", warm, "--reason", "a trial")
        after = colorize(stack, client, picture)
        wait_until(lambda: f"new jobs get model version warm; loaded here: {SHIPPED_VERSION}, warm" in log())
        assert "converting the model" not in log()
        assert yellowness(client, after) > yellowness(client, before) + A_AND_B_SHIFT / 2
        stack.finished(client, running)
        assert versions_of([before]) == {("done", SHIPPED_VERSION)}
        assert versions_of([after]) == {("done", "warm")}
        assert versions_of(stack.photos(client, running)) == {("done", SHIPPED_VERSION)}

        gray2hue("models", "rollback")
        wait_until(lambda: f"new jobs get model version {SHIPPED_VERSION}" in log())
        assert versions_of([colorize(stack, client, picture)]) == {("done", SHIPPED_VERSION)}


def test_a_version_that_was_damaged_is_refused_by_its_hash_and_can_be_left_again(
    stack, gray2hue, log, damaged, wait_until, gray_jpegs
):
    wait_until(lambda: "model version damaged, which new jobs get, cannot be loaded: damaged_weights" in log())
    with stack.client() as client:
        photo = colorize(stack, client, gray_jpegs["coffee"])
        assert (photo["state"], photo["code"]) == ("failed", "damaged_weights")
        gray2hue("models", "rollback")
        assert versions_of([colorize(stack, client, gray_jpegs["coffee"])]) == {("done", SHIPPED_VERSION)}
