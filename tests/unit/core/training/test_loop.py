import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.checkpoints import load_generator, read_metadata
from core.errors import CheckpointError, SetupError
from core.settings import SOURCE_ROOT
from core.training import loop
from core.training.config import StageConfig
from core.training.loop import TrainingError, TrainingStoppedError, train
from watching import RecordingWatcher, pictures, prepared, resumable_config, small_config

TESTS = Path(__file__).parents[3]
SHIPPED = SOURCE_ROOT / "models"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("photos"))


def l1_stage(**changes):
    return (
        StageConfig(**{"kind": "l1", "size_px": 32, "steps": 2, "batch_size": 2, "learning_rate": 1e-3, **changes}),
    )


def test_the_loss_falls_on_real_photographs(photos, tmp_path):
    watcher = RecordingWatcher()
    config = small_config(stages=l1_stage(steps=24, batch_size=4, schedule="one_cycle"))
    train(config, photos, [], tmp_path, None, watcher)
    losses = [watcher.points[step]["l1"] for step in range(1, 25)]
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])


def test_killed_and_continued_it_gives_the_very_same_weights(photos, tmp_path):
    config, validation = resumable_config(), pictures()[:1]
    whole = train(config, photos, validation, tmp_path / "whole", None, RecordingWatcher())
    command = [sys.executable, TESTS / "killed_training.py", tmp_path, "5"]
    environment = {"PYTHONPATH": f"{TESTS}:{SOURCE_ROOT}", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    watcher = RecordingWatcher()
    continued = train(config, photos, validation, tmp_path / "run", None, watcher)
    assert list(watcher.points) == [5, 6]
    assert continued.metadata.sha256 == whole.metadata.sha256
    assert continued.metrics == whole.metrics
    again = train(config, photos, validation, tmp_path / "run", None, RecordingWatcher(stop_after=0))
    assert again.weights == whole.weights


def test_it_stops_when_wished_and_goes_on_later(photos, tmp_path):
    config = small_config(stages=l1_stage(steps=4))
    stopping = RecordingWatcher(stop_after=2)
    with pytest.raises(TrainingStoppedError) as caught:
        train(config, photos, [], tmp_path, None, stopping)
    assert caught.value.code == "training_stopped"
    assert list(stopping.points) == [0, 1, 2]
    going_on = RecordingWatcher()
    train(config, photos, [], tmp_path, None, going_on)
    assert list(going_on.points) == [3, 4]
    with pytest.raises(CheckpointError) as other:
        train(small_config(stages=l1_stage(steps=5)), photos, [], tmp_path, None, RecordingWatcher())
    assert other.value.code == "other_config"


def test_it_goes_on_with_the_validation_photographs_that_it_began_with_alone(photos, tmp_path):
    config, first = small_config(stages=l1_stage(steps=2)), pictures()[:1]
    with pytest.raises(TrainingStoppedError):
        train(config, photos, first, tmp_path, None, RecordingWatcher(stop_after=1))
    for others in ([first[0][:, ::-1]], []):
        with pytest.raises(CheckpointError) as caught:
            train(config, photos, others, tmp_path, None, RecordingWatcher())
        assert caught.value.code == "other_validation"
    going_on = RecordingWatcher()
    train(config, photos, [first[0].copy()], tmp_path, None, going_on)
    assert list(going_on.points) == [2]


def test_a_run_is_watched_scored_and_shown(photos, tmp_path):
    watcher = RecordingWatcher()
    config = small_config(validate_every_steps=4)
    model = train(config, photos, pictures()[:2], tmp_path, SHIPPED, watcher)
    assert watcher.yielded == 6
    kinds = {(step, kind) for step, _, kind in watcher.samples}
    assert kinds == {(0, "truth"), (0, "gray"), (0, "before"), (4, "after"), (6, "after")}
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in watcher.samples.values())
    assert watcher.points[0]["val_photographs"] == 2
    first, warming, last = watcher.points[1], watcher.points[4], watcher.points[6]
    assert {"loss", "l1", "lr", "size_px", "batch_size", "images_per_s", "wait_share", "memory_bytes"} <= set(first)
    assert 0 <= first["device_use"] <= 1
    assert ("gan_d" in warming, "gan_g" in warming) == (True, False)
    assert {"gan_d", "gan_g", "val_de00", "val_cf", "val_dcf", "val_cf_error"} <= set(last)
    json.dumps(watcher.points)
    assert model.metadata.parent == read_metadata(SHIPPED).version
    assert model.metrics["de00"] in (warming["val_de00"], last["val_de00"])


@pytest.mark.parametrize(("cf_error", "steps"), [(8.0, "2, 4"), (11.0, "4")])
def test_the_mean_of_the_front_comes_out_where_it_is_better(photos, tmp_path, monkeypatch, cf_error, steps):
    scores = iter([(11.4, 30, 30), (11.0, 9, 10), (11.1, 8, 9.5), (11.05, 8.5, cf_error)])

    class Scripted:
        def summary(self):
            return dict(zip(("de00", "dcf", "cf_error"), next(scores), strict=True), photographs=1)

    monkeypatch.setattr(loop, "evaluate", lambda *_: Scripted())
    config = small_config(stages=l1_stage(steps=4), validate_every_steps=2, from_parent=False)
    model = train(config, photos, pictures()[:1], tmp_path, None, RecordingWatcher())
    assert f"after {steps} of 4 steps" in model.card
    assert model.metrics["cf_error"] == (cf_error if "," in steps else 9.5)
    kept = [safetensors.torch.load_file(path) for path in sorted((tmp_path / "front").iterdir())]
    means = sum(state["layers.0.0.weight"].float() for state in kept) / 2
    expected = means.half() if "," in steps else kept[-1]["layers.0.0.weight"]
    assert torch.equal(safetensors.torch.load(model.weights)["layers.0.0.weight"], expected)


def test_while_the_critic_warms_up_the_generator_stays(photos, tmp_path):
    stages = (StageConfig(kind="adversarial", size_px=32, steps=2, batch_size=2, learning_rate=1e-2),)
    config = small_config(stages=stages, critic_warmup_steps=1, validate_every_steps=1, checkpoint_every_steps=1)
    watcher = RecordingWatcher(stop_after=1)
    with pytest.raises(TrainingStoppedError):
        train(config, photos, pictures()[:1], tmp_path, SHIPPED, watcher)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)["state"]["learner"]
    shipped = load_generator(SHIPPED).state_dict()
    for name in ("layers.0.0.weight", "layers.10.0.weight"):
        assert torch.equal(saved["generator"][name], shipped[name])
        assert torch.equal(saved["average"][name], shipped[name])


def test_a_recipe_from_nothing_leaves_the_parent_alone(photos, tmp_path):
    model = train(small_config(stages=l1_stage(), from_parent=False), photos, [], tmp_path, SHIPPED, RecordingWatcher())
    assert model.metadata.parent is None


def test_a_loss_that_is_no_number_ends_the_run(photos, tmp_path):
    parent = tmp_path / "parent"
    shutil.copytree(SHIPPED, parent)
    tensors = safetensors.torch.load((parent / "model.safetensors").read_bytes())
    tensors["layers.0.0.weight"].fill_(float("nan"))
    content = safetensors.torch.save(tensors)
    (parent / "model.safetensors").write_bytes(content)
    metadata = read_metadata(parent).model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    (parent / "model.json").write_text(metadata.model_dump_json())
    with pytest.raises(TrainingError) as caught:
        train(small_config(), photos, [], tmp_path / "run", parent, RecordingWatcher())
    assert caught.value.code == "training_diverged"
    assert not (tmp_path / "run" / "state.pt").exists()


def test_without_photographs_there_is_no_run(photos, tmp_path):
    empty = type(photos)(tmp_path, ())
    with pytest.raises(TrainingError) as caught:
        train(small_config(), empty, [], tmp_path, None, RecordingWatcher())
    assert caught.value.code == "no_photographs"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_is_not_taken_for_granted(photos, tmp_path):
    with pytest.raises(SetupError) as caught:
        train(small_config(device="cuda"), photos, [], tmp_path, None, RecordingWatcher())
    assert caught.value.code == "no_cuda"
