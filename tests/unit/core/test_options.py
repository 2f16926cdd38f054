"""What may be asked of a job, and what is said about the rest."""

import re

import pytest

from core.errors import OptionsError
from core.options import OPTION_NAMES, JobOptions, parse_options


def test_texts_become_options():
    given = {
        "saturation": "1.2",
        "network_edge_px": "128",
        "output_format": "jpeg",
        "quality": "90",
        "mark": "true",
        "color_input": "colorize",
    }
    wanted = JobOptions(
        saturation=1.2, network_edge_px=128, output_format="jpeg", quality=90, mark=True, color_input="colorize"
    )
    assert parse_options(given) == wanted
    assert set(given) == set(OPTION_NAMES)


def test_what_is_not_given_or_left_empty_has_its_default():
    assert parse_options({}) == parse_options(dict.fromkeys(OPTION_NAMES, " ")) == JobOptions()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("saturation", "2.01"),
        ("saturation", "-0.1"),
        ("saturation", "nan"),
        ("saturation", "inf"),
        ("saturation", "1,5"),
        ("network_edge_px", "63"),
        ("network_edge_px", "1025"),
        ("network_edge_px", "128.5"),
        ("network_edge_px", "none"),
        ("output_format", "gif"),
        ("output_format", "JPEG"),
        ("quality", "49"),
        ("quality", "101"),
        ("mark", "perhaps"),
        ("color_input", "keep"),
        ("color_input", "\ud800"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name_and_what_it_takes(name, text):
    with pytest.raises(OptionsError) as refusal:
        parse_options({name: text})
    assert refusal.value.code == "bad_option"
    assert refusal.value.message == f"{name} must be {JobOptions.model_fields[name].description}."


def test_an_unknown_option_is_refused():
    with pytest.raises(OptionsError, match="no option contrast"):
        parse_options({"contrast": "1"})


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_the_words_about_an_option_name_what_it_takes(name):
    schema = JobOptions.model_json_schema()["properties"][name]
    ranges = [schema, *schema.get("anyOf", [])]
    words = JobOptions.model_fields[name].description
    numbers = [str(part[end]) for part in ranges for end in ("minimum", "maximum") if end in part]
    assert re.findall(r"\b\d+\b", words) == numbers
    if "enum" in schema:
        assert re.findall(r"[a-z0-9]+", words.removeprefix("one of ").replace(" or ", " ")) == schema["enum"]


def test_options_never_change_once_a_job_has_them():
    with pytest.raises(ValueError, match="frozen"):
        JobOptions().quality = 80
