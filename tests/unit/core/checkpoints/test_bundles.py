import hashlib
import io
import json
import zipfile

import pytest
import safetensors.torch

from core.checkpoints import PreparedModel, prepare_model, read_metadata, read_weights, write_bundle
from core.errors import CheckpointError
from core.settings import SOURCE_ROOT

SHIPPED = SOURCE_ROOT / "models"


@pytest.fixture(scope="module")
def prepared():
    metadata = read_metadata(SHIPPED).model_copy(update={"parent": "v-1", "metrics": {"de00": 11.08}})
    return PreparedModel(metadata, read_weights(SHIPPED, metadata), card="# Grün\n")


def entries_of(prepared):
    return {
        "model.json": prepared.metadata_json(),
        "model.safetensors": prepared.weights,
        "README.md": prepared.card.encode(),
    }


def write(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def code_of(path):
    with pytest.raises(CheckpointError) as caught:
        prepare_model(path)
    return caught.value.code


def test_a_version_survives_its_way_through_a_file(prepared, tmp_path):
    with (tmp_path / "v0.zip").open("wb") as target:
        write_bundle(target, prepared)
    assert prepare_model(tmp_path / "v0.zip") == prepared


def test_the_same_version_gives_the_same_file(prepared):
    written = [io.BytesIO(), io.BytesIO()]
    for target in written:
        write_bundle(target, prepared)
    assert written[0].getvalue() == written[1].getvalue()


def test_one_that_was_repacked_in_a_folder_is_read(prepared, tmp_path):
    entries = {f"v0/{name}": content for name, content in entries_of(prepared).items()}
    assert prepare_model(write(tmp_path / "v0.zip", entries)) == prepared


def test_one_without_a_card_is_read(prepared, tmp_path):
    entries = entries_of(prepared)
    del entries["README.md"]
    assert prepare_model(write(tmp_path / "v0.zip", entries)).card == ""


def test_a_flipped_bit_in_the_weights_is_refused(prepared, tmp_path):
    entries = entries_of(prepared)
    changed = bytearray(entries["model.safetensors"])
    changed[len(changed) // 2] ^= 1
    entries["model.safetensors"] = bytes(changed)
    assert code_of(write(tmp_path / "v0.zip", entries)) == "damaged_weights"


def test_one_that_was_cut_off_or_lacks_its_weights_is_refused(prepared, tmp_path):
    entries = entries_of(prepared)
    whole = write(tmp_path / "v0.zip", entries).read_bytes()
    (tmp_path / "flipped.zip").write_bytes(whole[:5_000_000] + bytes([whole[5_000_000] ^ 1]) + whole[5_000_001:])
    assert code_of(tmp_path / "flipped.zip") == "bad_bundle"
    (tmp_path / "cut.zip").write_bytes(whole[:-1000])
    assert code_of(tmp_path / "cut.zip") == "not_weights"
    del entries["model.safetensors"]
    assert code_of(write(tmp_path / "without.zip", entries)) == "bad_bundle"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"version": "../up"}, "bad_metadata"),
        ({"weights": "../up.safetensors"}, "bad_metadata"),
        ({"metrics": [1]}, "bad_metadata"),
        ({"input": "L"}, "wrong_architecture"),
    ],
)
def test_one_that_describes_itself_badly_is_refused(prepared, tmp_path, told, code):
    entries = entries_of(prepared)
    entries["model.json"] = json.dumps({**json.loads(entries["model.json"]), **told})
    assert code_of(write(tmp_path / "v0.zip", entries)) == code


def test_one_whose_weights_are_of_another_network_than_it_says_is_refused(prepared, tmp_path):
    entries = entries_of(prepared)
    described = json.loads(entries["model.json"])
    described["architecture"]["last_cross"] = True
    entries["model.json"] = json.dumps(described)
    assert code_of(write(tmp_path / "v0.zip", entries)) == "wrong_architecture"


def test_weights_with_names_that_would_not_load_are_refused(prepared, tmp_path):
    tensors = {f"net_G.{name}": tensor for name, tensor in safetensors.torch.load(prepared.weights).items()}
    weights = safetensors.torch.save(tensors)
    sha256 = hashlib.sha256(weights).hexdigest()
    renamed = PreparedModel(prepared.metadata.model_copy(update={"sha256": sha256}), weights)
    assert code_of(write(tmp_path / "v0.zip", entries_of(renamed))) == "wrong_architecture"
