import json
import shutil
import zipfile

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from cli.main import main
from core import registry
from core.checkpoints import prepare_model
from core.database import Database
from core.migrate import migrate
from core.settings import SOURCE_ROOT, Settings
from shipped import SHIPPED_VERSION

SHIPPED = SOURCE_ROOT / "models" / "model.safetensors"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A data folder with a database in it, which the commands find by the environment."""
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    made = Settings()
    migrate(made)
    return made


def run(*arguments):
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def versions():
    return {row["version"]: row for row in json.loads(run("list", "--json").stdout)}


@pytest.fixture
def whole_model(tmp_path):
    """A whole model's state dict with the shipped generator, a little changed, in it."""
    state = safetensors.torch.load_file(SHIPPED)
    state["layers.1.bias"] = state["layers.1.bias"] + 1
    whole = {f"net_G.{name}": tensor for name, tensor in state.items()}
    whole |= {f"net_D.model.{index}.weight": torch.zeros(2) for index in range(20)}
    whole |= {"GANcriterion.real_label": torch.tensor(1.0), "GANcriterion.fake_label": torch.tensor(0.0)}
    torch.save(whole, tmp_path / "final_model_weights.pt")
    return tmp_path / "final_model_weights.pt"


def test_the_shipped_version_is_listed_as_the_active_one(settings):
    assert {name: row["active"] for name, row in versions().items()} == {SHIPPED_VERSION: True}
    table = run("list").stdout.splitlines()
    assert table[0].split() == ["VERSION", "ALIAS", "SOURCE", "NAME", "REGISTERED", "SHA256"]
    assert table[1].split()[:4] == [SHIPPED_VERSION, "active", "shipped", "res18-unet"]


def test_an_imported_version_is_registered_and_what_was_left_out_is_named(settings, whole_model):
    result = run("import", whole_model, "--version", "mine")
    assert result.exit_code == 0, result.output
    assert "model version mine" in result.output
    assert "Left out: net_D.* (20), GANcriterion.real_label, GANcriterion.fake_label." in result.output
    assert {name: row["active"] for name, row in versions().items()} == {"mine": False, SHIPPED_VERSION: True}
    stored = settings.storage_dir / "models" / "mine"
    assert json.loads((stored / "model.json").read_text())["version"] == "mine"


def test_a_version_is_activated_when_asked_even_later(settings, whole_model):
    assert "--activate" in run("import", whole_model, "--version", "mine").output
    assert run("import", whole_model, "--version", "mine", "--activate").exit_code == 0
    assert {name: row["active"] for name, row in versions().items()} == {"mine": True, SHIPPED_VERSION: False}
    migrate(settings)
    assert versions()["mine"]["active"]


def test_without_a_name_the_version_is_called_by_file_and_hash(settings, whole_model):
    assert run("import", whole_model).exit_code == 0
    (imported,) = [row for name, row in versions().items() if name != SHIPPED_VERSION]
    assert imported["version"] == f"final_model_weights-{imported['sha256'][:8]}"


def test_weights_that_are_known_under_another_name_are_refused(settings, tmp_path):
    shutil.copy(SHIPPED, tmp_path / "copy.safetensors")
    run("import", tmp_path / "copy.safetensors", "--version", "one")
    result = run("import", tmp_path / "copy.safetensors", "--version", "two")
    assert result.exit_code == 1
    assert "[weights_known]" in result.output
    assert "two" not in versions()
    assert not (settings.storage_dir / "models" / "two").exists()


def test_other_weights_cannot_take_a_known_name(settings, whole_model):
    result = run("import", whole_model, "--version", SHIPPED_VERSION)
    assert result.exit_code == 1
    assert "[version_reused]" in result.output
    assert not (settings.storage_dir / "models" / SHIPPED_VERSION).exists()


def test_a_file_of_anything_else_is_one_clear_line(settings, tmp_path):
    (tmp_path / "a.pt").write_text("not weights")
    result = run("import", tmp_path / "a.pt")
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "[not_weights]" in result.output
    assert list(versions()) == [SHIPPED_VERSION]


def test_a_file_that_is_not_there_is_wrong_usage(settings, tmp_path):
    assert run("import", tmp_path / "nothing.pt").exit_code == 2


def test_without_a_database_nothing_is_imported(tmp_path, monkeypatch, whole_model):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "empty"))
    result = run("import", whole_model)
    assert result.exit_code == 1
    assert "[not_migrated]" in result.output
    assert not (tmp_path / "empty" / "store").exists()


@pytest.fixture
def mine(settings, whole_model):
    """The version `mine`, imported."""
    assert run("import", whole_model, "--version", "mine").exit_code == 0
    return "mine"


def active():
    (name,) = [name for name, row in versions().items() if row["active"]]
    return name


def test_a_version_is_promoted_and_rolled_back(mine):
    result = run("promote", mine, "--reason", "warmer skin")
    assert result.output == f"New jobs use model version mine instead of {SHIPPED_VERSION}; running ones keep theirs.\n"
    assert active() == mine
    assert "[already_active]" in run("promote", mine).output
    assert f"New jobs use model version {SHIPPED_VERSION} instead of mine" in run("rollback").output
    assert active() == SHIPPED_VERSION
    result = run("rollback")
    assert result.exit_code == 1
    assert "[nothing_to_roll_back]" in result.output


def test_a_damaged_version_is_neither_promoted_nor_gone_back_to(settings, mine):
    run("promote", mine)
    run("promote", SHIPPED_VERSION)
    weights = settings.storage_dir / "models" / mine / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(1_000_000)
        before = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([before[0] ^ 1]))
    for command in (("promote", mine), ("rollback",)):
        result = run(*command)
        assert result.exit_code == 1
        assert "[damaged_weights]" in result.output
        assert active() == SHIPPED_VERSION


def test_what_is_known_about_a_version_is_shown(mine):
    result = run("show", SHIPPED_VERSION)
    assert "source:     shipped" in result.output
    assert f"# The default model: res18-unet, {SHIPPED_VERSION}" in result.output
    assert json.loads(run("show", mine, "--json").stdout)["source"] == "imported"
    assert "[no_such_model]" in run("show", "v9").output
    assert "[no_such_model]" in run("promote", "v9").output


def test_an_exported_version_is_taken_in_on_another_machine(mine, tmp_path, monkeypatch):
    bundle = tmp_path / "mine.zip"
    assert run("export", mine, "-o", bundle).exit_code == 0
    before = versions()[mine]
    assert sorted(zipfile.ZipFile(bundle).namelist()) == ["README.md", "model.json", "model.safetensors"]
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "another"))
    migrate(Settings())
    result = run("import", bundle)
    assert result.exit_code == 0, result.output
    assert versions()[mine] == {**before, "created_at": versions()[mine]["created_at"]}
    assert run("promote", mine).exit_code == 0


def test_the_card_and_the_numbers_travel_with_a_version(settings, tmp_path, monkeypatch):
    database = Database(settings.database_url)
    with database.write() as session:
        shipped = registry.get_version(session, SHIPPED_VERSION)
        shipped.metrics, shipped.parent = {"de00": 11.08}, "v-earlier"
    database.dispose()
    assert run("export", SHIPPED_VERSION, "-o", tmp_path / f"{SHIPPED_VERSION}.zip").exit_code == 0
    prepared = prepare_model(tmp_path / f"{SHIPPED_VERSION}.zip", "renamed")
    assert prepared.metadata.version == "renamed"
    assert (prepared.metadata.metrics, prepared.metadata.parent) == ({"de00": 11.08}, "v-earlier")
    assert prepared.card == (SHIPPED.parent / "README.md").read_text()
    assert prepared.weights == SHIPPED.read_bytes()


def test_an_export_replaces_no_file_unless_asked(mine, tmp_path):
    (tmp_path / "a.zip").write_text("something else")
    result = run("export", mine, "-o", tmp_path / "a.zip")
    assert result.exit_code == 1
    assert "[file_exists]" in result.output
    assert (tmp_path / "a.zip").read_text() == "something else"
    assert run("export", mine, "-o", tmp_path / "a.zip", "--overwrite").exit_code == 0
    assert zipfile.is_zipfile(tmp_path / "a.zip")
