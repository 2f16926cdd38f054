"""Training on one machine alone, as a person types it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from cli.train import _split
from core.checkpoints import load_generator, prepare_model, read_metadata
from core.errors import InputError
from core.training.config import TrainingConfig
from core.training.sources import find_photos

TINY = ("steps=10", "size_px=32", "batch_size=2", "sample_count=1", "critic_warmup_steps=1", "device=cpu")


@pytest.fixture
def color_photographs(tmp_path, photographs):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, content in photographs.items():
        (folder / f"{name}.png").write_bytes(content)
    return folder


def command(*arguments):
    settings = [argument for pair in TINY for argument in ("--set", pair)]
    return [sys.executable, "-m", "cli", "train", *map(str, arguments), "--recipe", "quick", *settings]


def environment(tmp_path):
    return {**os.environ, "GRAY2HUE_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}


def points_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_stopped_with_ctrl_c_it_goes_on_and_leaves_a_model(color_photographs, tmp_path, wait_until):
    out = tmp_path / "out"
    typed = command(color_photographs, "--out", out, "--validation", color_photographs / "coffee.png")
    first = subprocess.Popen(typed, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: [point for point in points_in(out / "curves.jsonl") if point["step"] > 0], 300, "the first step")
    first.send_signal(signal.SIGINT)
    told = first.communicate()[1]
    assert first.returncode == 130, told
    assert "The same command goes on from here." in told
    done = max(point["step"] for point in points_in(out / "curves.jsonl"))
    again = subprocess.run(typed, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert [point["step"] for point in points_in(out / "curves.jsonl")] == list(range(11))
    assert done < 10
    metadata = read_metadata(out / "model")
    assert metadata.version in again.stdout
    assert metadata.parent == "v0"
    assert f"# res18-unet, {metadata.version}" in (out / "model" / "README.md").read_text()
    assert prepare_model(out / "model.zip").metadata == metadata
    assert not load_generator(out / "model").training
    assert TrainingConfig.model_validate_json((out / "config.json").read_text()).steps_total == 10
    names = {path.name for path in (out / "samples").iterdir()}
    assert {"00-truth.jpg", "00-gray.jpg", "00-before.jpg", "00-after-0000010.jpg"} == names


def test_a_bad_option_and_an_unknown_parent_are_told_in_one_line(color_photographs, tmp_path):
    for arguments, code in (
        (("--set", "grain=2"), "bad_training_option"),
        (("--parent", "v9"), "model_version_missing"),
    ):
        typed = command(color_photographs, "--out", tmp_path / "out", *arguments)
        done = subprocess.run(typed, env=environment(tmp_path), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"[{code}]" in done.stderr
        assert "Traceback" not in done.stderr


def test_every_photograph_is_either_trained_on_or_held_out(tmp_path):
    for number in range(200):
        (tmp_path / f"{number}.png").write_bytes(number.to_bytes(2, "big"))
    held_out, rest = (
        {photo.name for photo in _split(find_photos([tmp_path]), held_out=held_out)} for held_out in (True, False)
    )
    assert not held_out & rest
    assert len(held_out | rest) == 200
    assert 5 <= len(held_out) <= 45


def test_what_cannot_be_read_is_left_to_be_counted(tmp_path):
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 and no more")
    assert not list(_split(find_photos([tmp_path]), held_out=True))
    (torn,) = _split(find_photos([tmp_path]), held_out=False)
    with pytest.raises(InputError):
        torn.read()
