"""Keeping a converted model, on a model so small that converting it takes no time."""

import hashlib
import json
import logging
import threading

import numpy as np
import openvino
import pytest
import safetensors.numpy
from openvino import opset13 as operations

from core.checkpoints import read_metadata
from core.errors import CheckpointError, SetupError
from core.runtimes import convert, converted
from core.runtimes.converted import converted_model


@pytest.fixture
def metadata(models_dir):
    return read_metadata(models_dir)


@pytest.fixture
def conversions(monkeypatch):
    """The folders whose weights were converted; each conversion gives a model that doubles its input."""
    done = []

    def double(folder):
        done.append(folder)
        given = operations.parameter([1, 1, -1, -1], np.float32)
        factor = operations.constant(np.full((1, 1, 1, 4096), 2, np.float32))
        return openvino.Model([operations.multiply(given, factor)], [given], "double")

    monkeypatch.setattr(convert, "_traced", double)
    monkeypatch.setattr(converted, "_convert_apart", convert.convert)
    return done


def kept(folder):
    return [path for path in folder.iterdir() if path.name != ".lock"]


def doubles(model):
    compiled = openvino.Core().compile_model(model, "CPU")
    given = np.arange(4096, dtype=np.float32)[None, None, None]
    return np.array_equal(compiled(given)[0], 2 * given)


def test_the_second_time_nothing_is_converted(models_dir, metadata, tmp_path, conversions):
    assert doubles(converted_model(models_dir, metadata, tmp_path / "a" / "b"))
    assert doubles(converted_model(models_dir, metadata, tmp_path / "a" / "b"))
    assert conversions == [models_dir]


def test_other_weights_are_kept_apart(models_dir, metadata, tmp_path, conversions):
    converted_model(models_dir, metadata, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / metadata.weights).write_bytes(b"other")
    described = metadata.model_copy(update={"sha256": hashlib.sha256(b"other").hexdigest()})
    converted_model(other, described, tmp_path / "cache")
    converted_model(models_dir, metadata, tmp_path / "cache")
    assert conversions == [models_dir, other, models_dir]
    assert len(kept(tmp_path / "cache")) == 2


def test_a_quantized_model_is_kept_apart(models_dir, metadata, tmp_path, conversions, monkeypatch):
    quantized = []
    monkeypatch.setattr(convert, "_quantized", lambda model, folder: quantized.append(folder) or model)
    for _ in range(2):
        for form in ("full", "int8"):
            assert doubles(converted_model(models_dir, metadata, tmp_path, form))
    assert (len(conversions), quantized, len(kept(tmp_path))) == (2, [models_dir], 2)


@pytest.mark.parametrize("name", [converted.GRAPH, converted.WEIGHTS, converted.SUMS])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_noticed_and_made_anew(models_dir, metadata, tmp_path, conversions, name, harm, caplog):
    converted_model(models_dir, metadata, tmp_path)
    (folder,) = kept(tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 64
    (folder / name).unlink()
    if harm != "gone":
        (folder / name).write_bytes(content if harm == "flipped" else content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        assert doubles(converted_model(models_dir, metadata, tmp_path))
    assert len(conversions) == 2
    assert kept(tmp_path) == [folder]
    assert converted.is_whole(folder)
    assert bool(caplog.records) == (harm != "gone")


def test_what_an_interrupted_conversion_left_is_not_taken_for_a_model(models_dir, metadata, tmp_path, conversions):
    converted_model(models_dir, metadata, tmp_path)
    (folder,) = kept(tmp_path)
    folder.rename(tmp_path / f".{folder.name}")
    assert doubles(converted_model(models_dir, metadata, tmp_path))
    assert len(conversions) == 2
    assert kept(tmp_path) == [folder]


@pytest.mark.parametrize("damaged", [False, True])
def test_of_several_at_once_one_converts_and_all_get_it(models_dir, metadata, tmp_path, conversions, damaged):
    if damaged:
        converted_model(models_dir, metadata, tmp_path)
        (kept(tmp_path)[0] / converted.WEIGHTS).write_bytes(b"")
    conversions.clear()
    together, results = threading.Barrier(4, timeout=60), []

    def work():
        together.wait()
        results.append(doubles(converted_model(models_dir, metadata, tmp_path)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
    assert len(conversions) == 1
    (folder,) = kept(tmp_path)
    assert converted.is_whole(folder)


def test_an_error_of_the_model_keeps_its_code_and_nothing_is_left(tmp_path, models_dir):
    models = tmp_path / "models"
    models.mkdir()
    content = safetensors.numpy.save({"layers.0.0.weight": np.zeros((64, 1, 7, 7), np.float32)})
    (models / "model.safetensors").write_bytes(content)
    described = json.loads((models_dir / "model.json").read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}
    (models / "model.json").write_text(json.dumps(described))
    with pytest.raises(CheckpointError) as caught:
        converted_model(models, read_metadata(models), tmp_path / "cache")
    assert caught.value.code == "wrong_architecture"
    assert "model.safetensors does not fit" in caught.value.message
    assert [path for path in kept(tmp_path / "cache") if not path.name.startswith(".")] == []


def test_a_conversion_that_breaks_off_is_told(models_dir, metadata, tmp_path, monkeypatch):
    monkeypatch.setattr(converted.sys, "executable", "/bin/false")
    with pytest.raises(SetupError) as caught:
        converted_model(models_dir, metadata, tmp_path)
    assert caught.value.code == "conversion_failed"


def test_damaged_weights_are_told_before_anything_is_converted(metadata, tmp_path, conversions):
    (tmp_path / metadata.weights).write_bytes(b"damaged")
    with pytest.raises(CheckpointError) as caught:
        converted_model(tmp_path, metadata, tmp_path / "cache")
    assert caught.value.code == "damaged_weights"
    assert conversions == []
