import json
import subprocess
import sys

import pytest

from core.errors import OptionsError
from core.training.config import RECIPES, TrainingConfig, parse_config


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_json(recipe):
    config = parse_config(recipe)
    assert config.recipe == recipe
    assert TrainingConfig.model_validate(json.loads(config.model_dump_json())) == config
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config


def test_only_the_default_recipe_begins_from_nothing():
    assert [name for name in RECIPES if not parse_config(name).from_parent] == ["default"]


def test_texts_are_as_good_as_values():
    texts = {"seed": "7", "spectral_norm": "false", "augmentation.grain": "0.5", "stages.0.learning_rate": "1e-3"}
    values = {"seed": 7, "spectral_norm": False, "augmentation.grain": 0.5, "stages.0.learning_rate": 1e-3}
    config = parse_config("quick", texts)
    assert config == parse_config("quick", values)
    assert (config.seed, config.spectral_norm, config.augmentation.grain) == (7, False, 0.5)
    assert config.stages[0].learning_rate == 1e-3


def test_steps_keep_the_stages_shares():
    whole = parse_config("default")
    config = parse_config("default", {"steps": 160})
    assert config.steps_total == 160
    for stage, before in zip(config.stages, whole.stages, strict=True):
        assert stage.steps / 160 == pytest.approx(before.steps / whole.steps_total, abs=0.01)


def test_no_stage_loses_all_of_its_steps():
    assert [stage.steps for stage in parse_config("default", {"steps": 1}).stages] == [1, 1, 1, 1]


def test_size_and_batch_hold_for_all_stages_and_size_never_grows():
    config = parse_config("default", {"size_px": 96, "batch_size": 8})
    assert [(stage.size_px, stage.batch_size) for stage in config.stages] == [(64, 8), (96, 8), (96, 8), (96, 8)]


def test_stages_can_be_given_as_json():
    stages = '[{"kind": "l1", "size_px": 64, "steps": 5, "learning_rate": 0.001}]'
    assert parse_config("quick", {"stages": stages}).steps_total == 5


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"steps": "0"}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"size_px": 100}, "size_px"),
        ({"augmentation.grain": 2}, "augmentation.grain"),
        ({"augmentation.nonsense": 0}, "augmentation.nonsense"),
        ({"augmentation": "0"}, "augmentation"),
        ({"stages": "["}, "stages"),
        ({"stages": []}, "stages"),
        ({"stages.9.steps": 3}, "stages.9.steps"),
        ({"stages.x.steps": 3}, "stages.x.steps"),
        ({"seed.x": 3}, "seed.x"),
        ({"recipe": "other"}, "recipe"),
        ({"l1_weight": "nan"}, "l1_weight"),
        ({"seed": None}, "seed"),
    ],
)
def test_a_bad_option_is_named(options, named):
    with pytest.raises(OptionsError, match=named) as caught:
        parse_config("quick", options)
    assert caught.value.code == "bad_training_option"


def test_an_unknown_recipe_names_those_there_are():
    with pytest.raises(OptionsError, match="default, fine-tune, quick") as caught:
        parse_config("best")
    assert caught.value.code == "bad_training_option"


def test_reading_a_config_loads_nothing_heavy():
    code = "import sys, core.training.config; print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
