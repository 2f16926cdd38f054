import io
import json
import tarfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from cli.main import main
from core.checkpoints import METADATA_NAME, prepare_model, read_metadata
from core.migrate import migrate
from core.settings import SOURCE_ROOT, Settings
from shipped import SHIPPED_VERSION

SHIPPED = SOURCE_ROOT / "models"
NUMBERS = {"cf", "dcf", "psnr", "ssim", "de00", "auc", "auc_balanced"}


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """A data folder without a database. PyTorch needs no conversion of each model."""
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GRAY2HUE_RUNTIME", "torch")
    return Settings()


@pytest.fixture
def folder(tmp_path, photographs) -> Path:
    """Two photographs as files, two in an archive, and what is no photograph."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    with tarfile.open(folder / "more.tar", "w") as archive:
        for name, content in list(photographs.items())[:2]:
            info = tarfile.TarInfo(f"{name}.png")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for name, content in list(photographs.items())[2:]:
        (folder / f"{name}.png").write_bytes(content)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_bytes(b"no image either")
    return folder


@pytest.fixture
def dull_model(tmp_path) -> Path:
    """The shipped model with half of its color."""
    state = safetensors.torch.load_file(SHIPPED / read_metadata(SHIPPED).weights)
    for name in ("layers.10.0.weight", "layers.10.0.bias"):
        state[name] = state[name] / 2
    torch.save(state, tmp_path / "dull.pt")
    return prepare_model(tmp_path / "dull.pt", "dull").store(tmp_path / "models")


def run(*arguments):
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--network-edge-px", "64"])
    assert result.exit_code == 0, result.output
    return result


def test_the_shipped_model_is_measured_beside_gray_without_any_database(settings, folder):
    told = json.loads(run(folder, "--json").stdout)
    gray, shipped = told["rows"]
    assert set(told) >= NUMBERS
    assert {name: told[name] for name in shipped} == shipped
    assert (gray["model"], shipped["model"]) == ("gray input", SHIPPED_VERSION)
    assert (gray["photographs"], shipped["photographs"]) == (4, 4)
    assert gray["cf"] == 0
    assert 0 < shipped["dcf"] < gray["dcf"]
    assert told["left_out"] == {"unsupported_format": 1}
    assert not settings.data_dir.exists()


def test_the_table_has_a_row_for_each_model_and_says_what_was_left_out(settings, folder):
    lines = run(folder, "--limit", "4").stdout.splitlines()
    assert lines[0].split() == ["MODEL", "CF", "dCF", "PSNR", "SSIM", "dE00", "AuC", "AuC", "BALANCED"]
    assert lines[1].split()[:3] == ["gray", "input", "0.0"]
    assert lines[2].split()[0] == SHIPPED_VERSION
    assert lines[3].startswith("4 photographs")
    assert run(folder, "--limit", "1").stdout.splitlines()[3].startswith("1 photographs")


def test_another_model_is_measured_beside_the_one_in_use(settings, folder, dull_model):
    told = json.loads(run(folder, "--model", dull_model, "--limit", "2", "--json").stdout)
    _, shipped, dull = told["rows"]
    assert told["model"] == dull["model"] == "dull"
    assert 0 < dull["cf"] < shipped["cf"]


def test_the_model_in_use_is_the_registrys(settings, folder, dull_model):
    migrate(settings)
    prepared = dull_model / read_metadata(dull_model).weights
    imported = CliRunner().invoke(main, ["models", "import", str(prepared), "--version", "dull", "--activate"])
    assert imported.exit_code == 0, imported.output
    told = json.loads(run(folder, "--model", SHIPPED_VERSION, "--limit", "1", "--json").stdout)
    assert [row["model"] for row in told["rows"]] == ["gray input", "dull", SHIPPED_VERSION]


def test_a_folder_without_photographs_is_told_plainly(settings, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    result = CliRunner().invoke(main, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "no_photographs" in result.output
    assert "unsupported_format: 1" in result.output


def test_a_version_that_is_not_there_is_told_plainly(settings, folder):
    assert not (folder / METADATA_NAME).exists()
    result = CliRunner().invoke(main, ["evaluate", str(folder), "--model", "nowhere", "--limit", "1"])
    assert result.exit_code == 1
    assert "model_version_missing" in result.output
