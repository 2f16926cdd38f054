"""`gray2hue verify-lightness`, on real files."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from cli.main import main

CAMERA = data.camera()[:200, :300]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    Image.fromarray(CAMERA).save(tmp_path / "original.png")

    def invoke(pixels, *options, suffix=".png"):
        result = tmp_path / f"result{suffix}"
        Image.fromarray(pixels).save(result)
        return CliRunner().invoke(main, ["verify-lightness", str(tmp_path / "original.png"), str(result), *options])

    return invoke


def as_rgb(gray):
    return np.repeat(gray[..., None], 3, axis=2)


def test_a_result_from_which_every_level_comes_back_is_told_so(run):
    result = run(as_rgb(CAMERA))
    assert result.exit_code == 0
    heading, row, verdict = result.output.splitlines()
    assert heading.split() == ["PAGE", "PIXELS", "BITS", "MEAN", "|dL|", "MAX", "|dL|", "LEVELS", "BACK"]
    number, width, _, height, bits, mean, largest, share, sign = row.split()
    assert (number, width, height, bits, share, sign) == ("1", "300", "200", "8", "100", "%")
    assert float(mean) <= float(largest) < 0.0001
    assert verdict == "The original's levels can be had back from the result's lightness."


def test_a_single_wrong_pixel_is_not_a_hundred_percent_and_makes_the_exit_code_1(run):
    pixels = as_rgb(CAMERA)
    pixels[5, 5] += 2
    result = run(pixels)
    assert result.exit_code == 1
    assert "99.998 %, all but 1" in result.output
    assert "not the original's" in result.output


def test_a_lossy_result_is_only_measured(run):
    result = run(as_rgb(CAMERA), suffix=".jpg")
    assert result.exit_code == 0
    assert "lossy format" in result.output


def test_programs_are_told_by_json(run):
    told = json.loads(run(as_rgb(CAMERA), "--json").output)
    assert (told["kept"], told["lossless"]) == (True, True)
    (page,) = told["pages"]
    assert page.pop("mean") <= page.pop("largest") < 0.0001
    assert page == {"width": 300, "height": 200, "bit_depth": 8, "other_levels": 0}


def test_files_that_do_not_belong_together_are_a_coded_error(run):
    result = run(as_rgb(CAMERA[1:]))
    assert result.exit_code == 1
    assert result.output.strip() == (
        "Error: Page 1 has 300 x 200 pixels in the original, 300 x 199 in the result. [size_differs]"
    )


def test_a_file_that_is_no_image_is_a_coded_error(run, tmp_path):
    (tmp_path / "result.txt").write_text("no image")
    paths = [str(tmp_path / name) for name in ("original.png", "result.txt")]
    Image.fromarray(CAMERA).save(paths[0])
    result = CliRunner().invoke(main, ["verify-lightness", *paths])
    assert (result.exit_code, "[unsupported_format]" in result.output) == (1, True)
