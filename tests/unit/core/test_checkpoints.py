import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.checkpoints import load_generator, read_metadata
from core.errors import CheckpointError
from shipped import SHIPPED_VERSION

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture
def models_dir(tmp_path):
    """A copy of the default model that a test may spoil."""
    (tmp_path / "model.json").write_bytes((MODELS / "model.json").read_bytes())
    (tmp_path / "model.safetensors").symlink_to(MODELS / "model.safetensors")
    return tmp_path


def rewrite(models_dir, **changes):
    path = models_dir / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def put_weights(models_dir, content):
    path = models_dir / "model.safetensors"
    path.unlink()
    path.write_bytes(content)
    rewrite(models_dir, sha256=hashlib.sha256(content).hexdigest())


def code_of(call, models_dir):
    with pytest.raises(CheckpointError) as caught:
        call(models_dir)
    return caught.value.code


def test_metadata_of_the_default_model():
    metadata = read_metadata(MODELS)
    assert (metadata.name, metadata.version, metadata.last_cross) == ("res18-unet", SHIPPED_VERSION, False)
    assert hashlib.sha256((MODELS / metadata.weights).read_bytes()).hexdigest() == metadata.sha256


def test_reading_metadata_imports_neither_torch_nor_numpy():
    code = "import sys, pathlib, core.checkpoints as c; c.read_metadata(pathlib.Path(sys.argv[1]));"
    code += "sys.exit(bool({'torch', 'numpy', 'fastai'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code, str(MODELS)], check=True, cwd=MODELS.parent)


def test_generator_is_loaded_with_every_weight_of_the_file():
    generator = load_generator(MODELS)
    state = generator.state_dict()
    with (MODELS / "model.safetensors").open("rb") as file:
        stored = safetensors.torch.load(file.read())
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[name], value.to(state[name].dtype)) for name, value in stored.items())
    assert not generator.training
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}
    assert not any(value.is_meta for value in state.values())


def test_missing_files_are_told(models_dir):
    (models_dir / "model.safetensors").unlink()
    assert code_of(load_generator, models_dir) == "missing_weights"
    (models_dir / "model.json").unlink()
    assert code_of(read_metadata, models_dir) == "missing_weights"


def test_weights_that_are_not_those_described_are_refused(models_dir):
    content = bytearray((MODELS / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (models_dir / "model.safetensors").unlink()
    (models_dir / "model.safetensors").write_bytes(content)
    assert code_of(load_generator, models_dir) == "damaged_weights"


def test_a_file_that_is_no_safetensors_is_refused(models_dir):
    put_weights(models_dir, b"not weights")
    assert code_of(load_generator, models_dir) == "damaged_weights"


def test_weights_of_another_architecture_are_refused(models_dir):
    put_weights(models_dir, safetensors.torch.save({"0.0.weight": torch.zeros(64, 1, 7, 7)}))
    assert code_of(load_generator, models_dir) == "wrong_architecture"


@pytest.mark.parametrize("change", [{"body": "resnet34"}, {"n_in": 3}, {"builder": "timm"}])
def test_an_architecture_that_cannot_be_built_is_refused(models_dir, change):
    rewrite(models_dir, architecture=json.loads((models_dir / "model.json").read_text())["architecture"] | change)
    assert code_of(read_metadata, models_dir) == "wrong_architecture"


@pytest.mark.parametrize("change", [
    {"sha256": "abc"}, {"version": "../v0"}, {"weights": "../../etc/passwd"}, {"weights": "model.pt"}, {"name": ""},
])  # fmt: skip
def test_senseless_metadata_is_refused(models_dir, change):
    rewrite(models_dir, **change)
    assert code_of(read_metadata, models_dir) == "bad_metadata"


def test_metadata_that_is_no_json_is_refused(models_dir):
    (models_dir / "model.json").write_bytes(b"\xff{")
    assert code_of(read_metadata, models_dir) == "bad_metadata"
