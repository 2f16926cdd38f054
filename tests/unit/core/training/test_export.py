import re
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from core.checkpoints import Architecture, ModelMetadata, load_generator, prepare_model, read_metadata, write_bundle
from core.networks.unet import build_generator
from core.settings import SOURCE_ROOT
from core.training.export import Origin, averaged, halved, make_model
from core.training.watching import TrainingError
from shipped import SHIPPED_VERSION
from watching import small_config

ARCHITECTURE = Architecture(
    builder="fastai DynamicUnet", body="resnet18", n_in=1, n_out=2, img_size=(256, 256), last_cross=False
)
SCORES = {"cf": 25.0, "dcf": 13.7, "psnr": 23.1, "ssim": 0.94, "de00": 10.9, "photographs": 64}
GRAY = {**SCORES, "cf": 0.0, "de00": 11.24}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return halved(build_generator(last_cross=False).state_dict())


def origin(parent=None):
    return Origin(small_config(), parent, 17, "1" * 64, ARCHITECTURE)


@pytest.fixture(scope="module")
def model(weights):
    parent = read_metadata(SOURCE_ROOT / "models")
    return make_model(weights, origin(parent), [4], SCORES, {"gray": GRAY, SHIPPED_VERSION: SCORES})


def test_weights_are_half_as_wide_and_load_strictly(model, tmp_path):
    tensors = safetensors.torch.load(model.weights)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16, torch.int64}
    folder = model.prepared.store(tmp_path)
    generator = load_generator(folder)
    first = "layers.0.0.weight"
    assert torch.equal(generator.state_dict()[first], tensors[first].float())


def test_the_mean_of_weights_is_theirs_one_by_one_and_counts_nothing_twice():
    one = {"weight": torch.tensor([1.0, 3.0]), "batches": torch.tensor(4)}
    other = {"weight": torch.tensor([2.0, 7.0]), "batches": torch.tensor(9)}
    mean = averaged([halved(one), halved(other)])
    assert mean["weight"].tolist() == [1.5, 5.0]
    assert mean["weight"].dtype == torch.float32
    assert mean["batches"].item() == 9


def test_a_card_tells_that_weights_are_a_mean(weights):
    card = make_model(weights, origin(), [2, 4], {}, {}).card
    assert "These are the mean of the weights after 2, 4 of" in card


def test_metadata_tell_where_a_model_comes_from(model):
    metadata = model.metadata
    assert re.fullmatch(rf"quick-\d{{8}}-{metadata.sha256[:8]}", metadata.version)
    assert (metadata.parent, metadata.metrics, metadata.train_size) == (SHIPPED_VERSION, SCORES, 32)
    assert ModelMetadata.model_validate_json(model.prepared.metadata_json()) == metadata


def test_the_network_sees_what_the_parents_did(model, weights):
    assert model.metadata.network_edge_px == read_metadata(SOURCE_ROOT / "models").network_edge_px
    assert make_model(weights, origin(), [4], {}, {}).metadata.network_edge_px == 64


def test_the_card_has_the_numbers_beside_those_of_gray_and_the_parent(model):
    assert f"| | gray | {SHIPPED_VERSION} | {model.metadata.version} |" in model.card
    assert "| CIEDE2000 (lower is better) | 11.24 | 10.9 | 10.9 |" in model.card
    assert "17 color photographs" in model.card
    assert "weights after 4 of 6 steps" in model.card


def test_a_card_without_scores_has_no_table(weights):
    assert "How well" not in make_model(weights, origin(), [4], {}, {"gray": {}}).card


def test_the_same_weights_give_the_same_version(model, weights):
    again = make_model(weights, origin(), [4], SCORES, {})
    assert again.metadata.version.rpartition("-")[2] == model.metadata.version.rpartition("-")[2]


def test_a_bundle_can_be_taken_in(model, tmp_path):
    path = tmp_path / "model.zip"
    with path.open("wb") as file:
        write_bundle(file, model.prepared)
    assert zipfile.is_zipfile(path)
    assert prepare_model(path).metadata == model.metadata


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e6])
def test_weights_that_a_file_cannot_hold_are_refused(value):
    with pytest.raises(TrainingError, match="last") as caught:
        halved({"first": torch.zeros(2), "last": torch.tensor([0.0, value])})
    assert caught.value.code == "training_diverged"
