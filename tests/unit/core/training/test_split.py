import subprocess
import sys

import pytest

from core.records import Split
from core.training.split import SHARES, is_trained_on, share_of
from core.training_material import split_of


@pytest.mark.parametrize("is_settled", [False, True])
def test_nothing_is_trained_on_that_a_stack_compares_models_by(is_settled):
    for share in range(SHARES):
        sha256 = f"{7 * SHARES + share:08x}" + 56 * "f"
        assert share_of(sha256) == share
        assert is_trained_on(sha256) is (split_of(sha256, is_settled) is Split.TRAIN)


def test_about_four_fifths_are_trained_on():
    hashes = [f"{number * 2654435761 % 2**32:08x}" for number in range(10_000)]
    assert sum(map(is_trained_on, hashes)) / len(hashes) == pytest.approx(0.8, abs=0.02)


def test_it_is_told_without_a_database():
    told = "import sys, cli.training_photos, core.training.split; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
