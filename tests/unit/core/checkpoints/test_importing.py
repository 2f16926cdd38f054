import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from skimage import data

from core.checkpoints import ModelMetadata, find_model, load_generator, prepare_model, read_metadata
from core.errors import CheckpointError
from core.runtimes import choose_runtime
from core.settings import SOURCE_ROOT
from shipped import SHIPPED_VERSION

SHIPPED = SOURCE_ROOT / "models"


@dataclass
class Imported:
    metadata: ModelMetadata
    folder: Path
    left_out: tuple[str, ...]


def import_model(path, imported_dir, version=None):
    prepared = prepare_model(path, version)
    return Imported(prepared.metadata, prepared.store(imported_dir), prepared.left_out)


def code_of(call, *arguments):
    with pytest.raises(CheckpointError) as caught:
        call(*arguments)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(("kind", "engine"), [("plain", "torch"), ("whole", "openvino")])
def test_a_seed_file_gives_the_ab_of_the_seeds_own_procedure(seed_files, seed_colors, tmp_path, kind, engine):
    imported = import_model(seed_files[kind], tmp_path / "models", "seed")
    runtime = choose_runtime(imported.folder, tmp_path / "cache", "cpu", engine)
    lightness, expected = seed_colors(data.astronaut())
    difference = np.abs(runtime.predict(np.ascontiguousarray(lightness)) - expected)
    assert np.abs(expected).mean() > 1
    if " bf16 " in runtime.name:
        assert difference.mean() < 0.02 * np.abs(expected).mean()
    else:
        assert difference.max() < 0.01
    runtime.close()


@pytest.mark.parametrize("kind", ["plain", "whole"])
def test_every_weight_is_kept_bit_for_bit(seed_files, seed_generator, tmp_path, kind):
    imported = import_model(seed_files[kind], tmp_path, "seed")
    stored = safetensors.torch.load_file(imported.folder / imported.metadata.weights)
    expected = seed_generator.state_dict()
    assert stored.keys() == expected.keys()
    assert all(stored[name].dtype == tensor.dtype for name, tensor in expected.items())
    assert all(torch.equal(stored[name], tensor) for name, tensor in expected.items())


def test_only_the_generator_of_a_whole_model_is_taken_and_the_rest_is_named(seed_files, tmp_path):
    assert import_model(seed_files["plain"], tmp_path, "plain").left_out == ()
    left_out = import_model(seed_files["whole"], tmp_path, "whole").left_out
    assert {"GANcriterion.real_label", "GANcriterion.fake_label", "net_D.0.weight"} <= set(left_out)
    assert not any(name.startswith("net_G.") for name in left_out)


def test_both_files_of_one_generator_are_the_same_weights(seed_files, tmp_path):
    plain, whole = (import_model(seed_files[kind], tmp_path, kind) for kind in ("plain", "whole"))
    assert plain.metadata.sha256 == whole.metadata.sha256


def test_the_folder_says_what_it_holds(seed_files, tmp_path):
    imported = import_model(seed_files["plain"], tmp_path)
    metadata = read_metadata(imported.folder)
    assert metadata == imported.metadata
    assert metadata.last_cross is True
    assert metadata.version == f"res18-unet-{metadata.sha256[:8]}" == imported.folder.name
    assert hashlib.sha256((imported.folder / metadata.weights).read_bytes()).hexdigest() == metadata.sha256
    assert os.listdir(tmp_path) == [imported.folder.name]  # noqa: PTH208 - hidden ones too


def test_safetensors_of_half_the_precision_and_without_last_cross_are_taken_as_they_are(tmp_path):
    imported = import_model(SHIPPED / "model.safetensors", tmp_path, "again")
    assert imported.metadata.last_cross is False
    with safetensors.safe_open(imported.folder / "model.safetensors", "pt") as stored:
        assert stored.get_tensor("layers.0.0.weight").dtype == torch.float16
    ours, shipped = load_generator(imported.folder).state_dict(), load_generator(SHIPPED).state_dict()
    assert all(torch.equal(ours[name], shipped[name]) for name in shipped)


def test_importing_again_changes_nothing(seed_files, tmp_path):
    first = import_model(seed_files["plain"], tmp_path, "seed")
    before = (first.folder / "model.safetensors").stat().st_mtime_ns
    assert import_model(seed_files["whole"], tmp_path, "seed").folder == first.folder
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == before


def test_a_version_never_changes_its_weights(seed_files, tmp_path):
    import_model(SHIPPED / "model.safetensors", tmp_path, "seed")
    assert code_of(import_model, seed_files["plain"], tmp_path, "seed")[0] == "version_reused"
    assert read_metadata(tmp_path / "seed").last_cross is False


@pytest.mark.parametrize("version", ["", "../v1", "a/b", "-x", "a" * 65, "v\n"])
def test_a_name_that_is_no_version_is_refused(seed_files, tmp_path, version):
    assert code_of(import_model, seed_files["plain"], tmp_path / "models", version)[0] == "bad_version"
    assert not (tmp_path / "models").exists()


class Payload:
    def __reduce__(self):
        return (os.system, ("touch executed",))


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_file_of_anything_else_is_no_weights(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89PNG not weights at all")
    code, message = code_of(import_model, tmp_path / name, tmp_path / "models")
    assert code == "not_weights"
    assert name in message


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(3), {"a": {"b": torch.zeros(1)}}]
)
def test_a_file_of_torch_that_holds_no_state_dict_is_no_weights(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    assert code_of(import_model, tmp_path / "a.pt", tmp_path / "models")[0] == "not_weights"


@pytest.mark.parametrize("by_torch", [True, False])
def test_code_in_a_file_is_never_run(tmp_path, monkeypatch, by_torch):
    monkeypatch.chdir(tmp_path)
    if by_torch:
        torch.save({"a": Payload()}, "a.pt")
    else:
        (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": Payload()}))
    assert code_of(import_model, tmp_path / "a.pt", tmp_path / "models")[0] == "not_weights"
    assert not (tmp_path / "executed").exists()


def broken(state, how):
    if how == "missing":
        del state["layers.7.shuf.0.0.weight"]
    elif how == "unexpected":
        state["layers.99.weight"] = torch.zeros(1)
    else:
        state["layers.0.0.weight"] = torch.zeros(64, 3, 7, 7)
    return state


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "shuf.0.0.weight is missing"),
        ("unexpected", "layers.99.weight is unexpected"),
        ("other", "layers.0.0.weight is (64, 3, 7, 7), not (64, 1, 7, 7)"),
    ],
)
def test_weights_of_another_architecture_are_refused_by_name(seed_generator, tmp_path, how, told):
    torch.save(broken(dict(seed_generator.state_dict()), how), tmp_path / "a.pt")
    code, message = code_of(import_model, tmp_path / "a.pt", tmp_path / "models")
    assert code == "wrong_architecture"
    assert told in message
    assert len(message) < 600
    assert not (tmp_path / "models").exists()


def test_weights_that_are_no_numbers_are_refused(seed_generator, tmp_path):
    state = {name: tensor.clone() for name, tensor in seed_generator.state_dict().items()}
    state["layers.1.weight"][0] = torch.nan
    torch.save(state, tmp_path / "a.pt")
    code, message = code_of(import_model, tmp_path / "a.pt", tmp_path / "models")
    assert code == "not_finite"
    assert "layers.1.weight" in message


def test_a_version_is_found_where_it_is(seed_files, tmp_path):
    imported = import_model(seed_files["plain"], tmp_path, "seed")
    assert find_model("seed", SHIPPED, tmp_path) == imported.folder
    assert find_model(SHIPPED_VERSION, SHIPPED, tmp_path) == SHIPPED
    assert find_model("v0", SHIPPED, tmp_path) == SHIPPED / "v0"


@pytest.mark.parametrize("version", ["v9", "", "..", "../seed", "seed/../seed", "other"])
def test_a_version_that_is_nowhere_is_told(seed_files, tmp_path, version):
    imported = import_model(seed_files["plain"], tmp_path, "seed")
    (tmp_path / "other").mkdir()
    for path in imported.folder.iterdir():
        (tmp_path / "other" / path.name).symlink_to(path)
    assert code_of(find_model, version, SHIPPED, tmp_path)[0] == "model_version_missing"
