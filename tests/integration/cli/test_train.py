"""Training on one machine alone, as a person types it."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cli.main import main
from cli.training_folder import alone_in
from cli.training_photos import held_out, to_train_on
from core.checkpoints import load_generator, prepare_model, read_metadata
from core.errors import InputError
from core.records import Split
from core.training.config import TrainingConfig
from core.training.sources import find_photos
from core.training_material import split_of
from shipped import SHIPPED_VERSION

TINY = ("steps=10", "size_px=32", "batch_size=2", "sample_count=1", "critic_warmup_steps=1", "device=cpu")


def split_in_a_stack(content):
    return split_of(hashlib.sha256(content).hexdigest(), False)


def photograph_for(split, content):
    """The photograph with a number in its file that makes it one of this split."""
    picture = Image.open(io.BytesIO(content))
    number, buffer = 0, io.BytesIO(content)
    while split_in_a_stack(buffer.getvalue()) != split:
        number, buffer, text = number + 1, io.BytesIO(), PngInfo()
        text.add_text("number", str(number))
        picture.save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


@pytest.fixture
def color_photographs(tmp_path, photographs):
    """Photographs that may all be trained on."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, content in photographs.items():
        (folder / f"{name}.png").write_bytes(photograph_for(Split.TRAIN, content))
    return folder


def options(*arguments):
    settings = [argument for pair in TINY for argument in ("--set", pair)]
    return ["train", *map(str, arguments), "--recipe", "quick", *settings]


def command(*arguments):
    return [sys.executable, "-m", "cli", *options(*arguments)]


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
    assert "Training on 3 photographs (left out: 1 held_out)." in told
    assert "Choosing the checkpoint by 1 photographs." in told
    assert "The same command goes on from here." in told
    done = max(point["step"] for point in points_in(out / "curves.jsonl"))
    again = subprocess.run(typed, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert [point["step"] for point in points_in(out / "curves.jsonl")] == list(range(11))
    assert done < 10
    metadata = read_metadata(out / "model")
    assert metadata.version in again.stdout
    assert metadata.parent == SHIPPED_VERSION
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


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Runs `gray2hue train` with a run of one step, in this process."""
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments):
        return CliRunner().invoke(main, [*options(*arguments), "--set", "steps=1"])

    return run


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_at_once_do_not_train_in_one_folder(color_photographs, tmp_path, typed):
    out = tmp_path / "out"
    with alone_in(out):
        refused = typed(color_photographs, "--out", out)
        assert refused.exit_code == 1
        assert "[run_in_use]" in refused.output
        assert [path.name for path in out.iterdir()] == ["lock"]
    done = typed(color_photographs, "--out", out)
    assert done.exit_code == 0, done.output


def test_what_a_run_has_begun_with_stays_when_another_one_is_refused(color_photographs, photographs, tmp_path, typed):
    out, others, elsewhere = tmp_path / "out", tmp_path / "others", tmp_path / "elsewhere"
    others.mkdir()
    for name, split in (("rocket", Split.TRAIN), ("coffee", Split.TRAIN), ("chelsea", Split.HELD_OUT)):
        (others / f"{name}.png").write_bytes(photograph_for(split, photographs[name]))
    validation = ("--validation", color_photographs / "coffee.png")
    assert typed(color_photographs, "--out", out, *validation).exit_code == 0
    before = contents(out)
    for arguments, code in (
        ((others, *validation), "other_photographs"),
        ((color_photographs, *validation, "--set", "seed=1"), "other_config"),
        ((color_photographs, "--validation", color_photographs / "rocket.png"), "other_validation"),
        ((color_photographs,), "other_photographs"),
    ):
        refused = typed(*arguments, "--out", out)
        assert refused.exit_code == 1
        assert f"[{code}]" in refused.output
        assert contents(out) == before
    color_photographs.rename(elsewhere)
    again = typed(elsewhere, "--out", out, "--validation", elsewhere / "coffee.png")
    assert again.exit_code == 0, again.output
    assert (out / "model.zip").read_bytes() == before[out / "model.zip"]


def test_a_photograph_to_validate_with_is_not_trained_on_wherever_it_lies(color_photographs, tmp_path, typed):
    validation = color_photographs / "validation"
    validation.mkdir()
    (validation / "copy.png").write_bytes((color_photographs / "coffee.png").read_bytes())
    done = typed(color_photographs, "--out", tmp_path / "out", "--validation", validation)
    assert done.exit_code == 0, done.output
    assert "Training on 3 photographs (left out: 2 held_out)." in done.output


def readable(photos):
    found = set()
    for photo in photos:
        with suppress(InputError):
            found.add(photo.read())
    return found


def test_what_a_stack_compares_models_by_is_never_trained_on(tmp_path):
    every = {number.to_bytes(2, "big") for number in range(200)}
    for content in every:
        (tmp_path / f"{content.hex()}.png").write_bytes(content)
    trained_on = readable(to_train_on(find_photos([tmp_path]), ()))
    assert trained_on == {content for content in every if split_in_a_stack(content) == Split.TRAIN}
    assert readable(held_out(find_photos([tmp_path]))) == every - trained_on
    assert 100 < len(trained_on) < 200
    kept_back = sorted(trained_on)[:50]
    hashes = {hashlib.sha256(content).hexdigest() for content in kept_back}
    assert readable(to_train_on(find_photos([tmp_path]), hashes)) == trained_on - set(kept_back)
    assert readable(to_train_on(find_photos([tmp_path]), hashes, on_all=True)) == every - set(kept_back)


def test_on_all_wants_others_to_choose_by(typed, color_photographs, tmp_path):
    refused = typed(color_photographs, "--out", tmp_path / "out", "--on-all")
    assert refused.exit_code == 2
    assert "--validation" in refused.output
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_is_left_to_be_counted(tmp_path):
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 and no more")
    assert not list(held_out(find_photos([tmp_path])))
    (torn,) = to_train_on(find_photos([tmp_path]), ())
    with pytest.raises(InputError) as caught:
        torn.read()
    assert caught.value.code != "held_out"
