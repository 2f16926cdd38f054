"""Training runs on real photographs and real weights, without Celery."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import safetensors.torch
from PIL import Image
from skimage import data

from core import registry
from core import training_material as material
from core import training_runs as runs
from core.checkpoints import METADATA_NAME, prepare_model, read_metadata
from core.model_store import store_model
from core.records import RunTrigger, Split, TrainingPhoto
from core.settings import SOURCE_ROOT
from core.training.config import parse_config
from worker.handlers import TrainingSetup
from worker.handlers.train import train

TINY = {
    "steps": 3,
    "size_px": 32,
    "batch_size": 2,
    "checkpoint_every_steps": 1000,
    "validate_every_steps": 1000,
    "sample_count": 1,
    "stages.0.learning_rate": 1e-6,
    "stages.1.learning_rate": 1e-6,
}
SHIPPED = SOURCE_ROOT / "models" / "model.safetensors"
LITTLE = {"network_edge_px": 64}


@pytest.fixture(scope="module")
def crops():
    """Different pieces of color photographs as PNG bytes."""
    pieces = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for row in range(0, picture.shape[0] - 128, 60):
            for column in range(0, picture.shape[1] - 128, 90):
                buffer = io.BytesIO()
                Image.fromarray(picture[row : row + 128, column : column + 128]).save(buffer, "PNG", compress_level=1)
                pieces.append(buffer.getvalue())
    return pieces


@pytest.fixture(scope="module")
def small_sighted(tmp_path_factory):
    """The folder of the shipped model, which is shown little, so that the tests are fast."""
    folder = tmp_path_factory.mktemp("models")
    (folder / SHIPPED.name).symlink_to(SHIPPED)
    metadata = read_metadata(SHIPPED.parent).model_copy(update=LITTLE)
    (folder / METADATA_NAME).write_text(metadata.model_dump_json())
    return folder


@pytest.fixture
def setup(tmp_path, runtimes_dir, small_sighted):
    return TrainingSetup(
        training_dir=tmp_path / "training",
        models_dir=small_sighted,
        imported_dir=tmp_path / "models",
        runtimes_dir=runtimes_dir,
        device="cpu",
        kind="torch",
        min_photos=10,
        yields=True,
        is_leaving=lambda: False,
    )


@pytest.fixture
def add_photos(context, crops):
    """Puts usable photographs of a split into the storage and the database."""
    left = iter(crops)

    def add(split, count):
        with context.database.write() as session:
            for _ in range(count):
                content = next(left)
                sha256 = hashlib.sha256(content).hexdigest()
                context.storage.put(f"training/u/{sha256}", io.BytesIO(content))
                key = f"training/u/{sha256}"
                session.add(TrainingPhoto(path=f"{sha256[:8]}.png", key=key, sha256=sha256, split=split))

    return add


@pytest.fixture
def photographs(add_photos):
    """Enough to train on, and too few to compare by."""
    add_photos(Split.TRAIN, 22)
    add_photos(Split.HELD_OUT, 1)


@pytest.fixture
def yardstick(add_photos):
    """Enough to compare by."""
    add_photos(Split.FROZEN, material.LEAST_COMPARED)


@pytest.fixture
def greenish(context, tmp_path):
    """A registered version, worse than the shipped one: it sees everything greener than that does."""
    state = safetensors.torch.load_file(SHIPPED)
    state["layers.10.0.bias"] = state["layers.10.0.bias"] - 0.1
    path = tmp_path / "greenish.safetensors"
    safetensors.torch.save_file(state, path)
    prepared = prepare_model(path, "greenish")
    prepared = replace(prepared, metadata=prepared.metadata.model_copy(update=LITTLE))
    with context.database.write() as session:
        version = registry.register(session, "greenish", "greenish", prepared.metadata.sha256)
        version.key = store_model(context.storage, prepared)
    return "greenish"


@pytest.fixture
def submit(context):
    def put(options=None, **values):
        config = parse_config("quick", {**TINY, **(options or {})}).model_dump(mode="json")
        given = {"trigger": RunTrigger.ADMIN, "actor": "ada", "config": config, **values}
        with context.database.write() as session:
            return runs.submit_run(session, **given).id

    return put


@pytest.fixture
def look(context):
    """The run's row as it stands now."""

    def read(run_id):
        with context.database.read() as session:
            return runs.get_run(session, run_id)

    return read


@pytest.fixture
def in_background():
    """Calls a function in a thread and gives its future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


@pytest.fixture
def begin(context, setup, submit, look, in_background, wait_until):
    """Starts a run that goes on until it is stopped, and waits for its first steps; gives its id and its future."""

    def start(timeout_s=120):
        run_id = submit({"steps": 100_000, "checkpoint_every_steps": 2})
        working = in_background(train, replace(context, heartbeat_s=0.1), setup, run_id)
        wait_until(lambda: look(run_id).step > 0 or working.done(), timeout_s, "the first steps")
        return run_id, working

    return start
