import json
import os

import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from cli.main import main


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def run(tmp_path, runtimes_dir, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GRAY2HUE_RUNTIMES_DIR", str(runtimes_dir))
    monkeypatch.setenv("GRAY2HUE_DEVICE", "cpu")
    return lambda *arguments: CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_bench_tells_what_was_measured_and_what_follows_from_it(folder, run, tmp_path):
    path = tmp_path / "speed.json"
    outcome = run(folder, "--count", 2, "--rounds", 1, "--json", path)
    assert outcome.exit_code == 0, outcome.output
    figures = json.loads(path.read_text())
    ways = figures["ways"]
    assert set(ways) == {"seed", "network", "decode", "encode", "engine"}
    assert figures["photographs"] == 2
    assert figures["megapixels"] == pytest.approx((0.24 + 0.1353) / 2)
    work_s = sum(ways[name]["core_s"] for name in ("network", "decode", "encode"))
    assert figures["limit_photos_per_s"] == pytest.approx(len(os.sched_getaffinity(0)) / work_s)
    assert figures["engine_to_limit"] == pytest.approx(1 / ways["engine"]["wall_s"] / figures["limit_photos_per_s"])
    assert figures["engine_to_seed"] == pytest.approx(ways["seed"]["wall_s"] / ways["engine"]["wall_s"])
    for text in ("| (a)", "| (b)", "| (c)", "| (d)", "The limit", figures["runtime"]):
        assert text in outcome.output


def test_a_folder_without_photographs_is_refused(run, tmp_path):
    outcome = run(tmp_path)
    assert outcome.exit_code == 1
    assert "no_photographs" in outcome.output
