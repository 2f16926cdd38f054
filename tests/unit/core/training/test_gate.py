import json
from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from core.imaging import lab
from core.training import gate
from core.training.evaluation import Scores, center_crop, evaluate
from core.training.gate import LEAST_PHOTOGRAPHS, Tolerances, decide, interval
from core.training.metrics import BinnedAuc

COUNT = 300


def scores(count: int = COUNT, seed: int = 0) -> Scores:
    """Scores of a model that is too gray, as different from photograph to photograph as those of real ones are."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(4, 10, count)
    return Scores(
        de00=rng.gamma(5, 2.2, count),
        psnr=rng.normal(23, 3, count),
        ssim=rng.uniform(0.85, 0.99, count),
        cf=truth * rng.uniform(0.3, 0.9, count),
        cf_truth=truth,
        auc=rng.uniform(0.8, 0.95, count),
        binned=BinnedAuc.summed([]),
    )


def changed(active: Scores, de00: float = 0, cf: float = 1, psnr: float = 0, noise: float = 1, seed: int = 1) -> Scores:
    """Another model's scores: shifted, its colorfulness scaled, and different on each photograph."""
    rng = np.random.default_rng(seed)
    count = len(active)
    return replace(
        active,
        de00=active.de00 + de00 + noise * rng.normal(0, 1, count),
        cf=np.maximum(0, active.cf * cf + noise * rng.normal(0, 3, count)),
        psnr=active.psnr + psnr,
    )


def outcome(candidate: Scores, active: Scores, seed: int = 0) -> str:
    return decide({"frozen": (candidate, active)}, seed=seed).outcome


def test_a_candidate_that_errs_less_at_the_same_colorfulness_is_better():
    active = scores()
    assert outcome(changed(active, de00=-0.6), active) == "better"


def test_a_candidate_that_is_as_colorful_as_the_truth_at_the_same_error_is_better():
    active = scores()
    assert outcome(changed(active, cf=1.4), active) == "better"


def test_much_more_color_may_cost_a_little_error():
    active = scores()
    decision = decide({"frozen": (changed(active, de00=0.12, cf=1.5, noise=0.3), active)})
    assert decision.sets["frozen"].metrics["de00"].surely_worse
    assert decision.outcome == "better"


def test_a_grayer_candidate_is_rejected_for_all_its_higher_psnr_and_smaller_error():
    active = scores()
    decision = decide({"frozen": (changed(active, de00=-0.5, cf=0.6, psnr=0.5), active)})
    assert decision.outcome == "worse"
    assert decision.sets["frozen"].metrics["psnr"].difference > 0
    assert decision.sets["frozen"].metrics["de00"].better
    assert "|CF - CF of the truth| on frozen" in decision.reason


@pytest.mark.parametrize(
    ("de00", "cf"), [pytest.param(-0.07, 0.96, id="5 % less"), pytest.param(0.08, 1.05, id="5 % more")]
)
def test_a_little_more_or_less_saturation_is_no_progress_for_all_that_one_number_gains(de00, cf):
    active = scores()
    decision = decide({"frozen": (changed(active, de00=de00, cf=cf, noise=0.05), active)})
    compared = decision.sets["frozen"].metrics
    assert compared["de00"].better != compared["cf_error"].better
    assert not compared["de00"].worse
    assert not compared["cf_error"].worse
    assert decision.outcome == "not_better"
    assert "saturation" in decision.reason


def test_the_same_model_and_one_that_is_equal_within_noise_are_rejected():
    active = scores()
    assert outcome(active, active) == "not_better"
    assert outcome(changed(active), active) == "not_better"


def test_noise_seldom_passes_for_progress(monkeypatch):
    """At most in 5 % of all comparisons of equal models; here in far less, since both numbers must not be worse."""
    monkeypatch.setattr(gate, "RESAMPLES", 1000)
    passed = 0
    for seed in range(200):
        active = scores(60, seed)
        passed += outcome(changed(active, seed=seed + 1000), active, seed) == "better"
    assert passed / 200 <= 0.05


@pytest.mark.parametrize("count", [20, 80])
def test_intervals_hold_the_true_mean_as_often_as_they_say(count, monkeypatch):
    monkeypatch.setattr(gate, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    draws = {"normal": lambda: rng.normal(0, 1, count), "skewed": lambda: rng.exponential(1, count) - 1}
    for draw in draws.values():
        held = sum(low <= 0 <= high for low, high in (interval(draw(), 0.95, rng) for _ in range(300)))
        assert 0.9 <= held / 300 <= 0.99


def test_intervals_agree_with_students_for_normal_differences():
    differences = np.random.default_rng(2).normal(0.3, 1, 100)
    low, high = interval(differences, 0.95, np.random.default_rng(0))
    half = 1.984 * differences.std(ddof=1) / 10
    assert low == pytest.approx(differences.mean() - half, abs=0.03)
    assert high == pytest.approx(differences.mean() + half, abs=0.03)


def test_a_gain_on_one_set_does_not_make_up_for_a_loss_on_another():
    active = scores()
    sets = {"frozen": (changed(active, de00=-1), active), "held out": (changed(active, de00=1), active)}
    decision = decide(sets)
    assert decision.outcome == "worse"
    assert "on held out" in decision.reason


def test_a_set_too_small_to_judge_is_told_and_decides_nothing():
    active, few = scores(), scores(LEAST_PHOTOGRAPHS - 1)
    decision = decide({"frozen": (changed(active, de00=-1), active), "held out": (changed(few, de00=9), few)})
    assert decision.outcome == "better"
    told = decision.sets["held out"]
    assert not told.judged
    assert told.metrics["de00"].difference > 5
    assert told.metrics["de00"].low is None


def test_without_any_set_large_enough_nothing_is_decided():
    few = scores(LEAST_PHOTOGRAPHS - 1)
    decision = decide({"frozen": (changed(few, de00=-9), few), "held out": (scores(0), scores(0))})
    assert decision.outcome == "too_few"
    assert "20 photographs" in decision.reason
    assert decide({}).outcome == "too_few"


def test_a_small_set_whose_interval_is_wide_asks_for_more_photographs_or_a_clearer_gain():
    few = scores(LEAST_PHOTOGRAPHS)
    decision = decide({"frozen": (changed(few, noise=3), few)})
    assert decision.outcome == "not_better"
    assert "may be worse" in decision.reason


def test_tolerances_can_be_set():
    active = scores()
    slightly = changed(active, de00=0.4, cf=1.6, noise=0.3)
    assert outcome(slightly, active) == "worse"
    assert decide({"frozen": (slightly, active)}, Tolerances(de00=0.6)).outcome == "better"


def test_the_same_seed_gives_the_same_decision_and_it_can_be_stored_as_json():
    active = scores()
    sets = {"frozen": (changed(active, de00=-0.4), active)}
    first = decide(sets, seed=5).as_json()
    assert json.loads(json.dumps(first)) == decide(sets, seed=5).as_json()
    assert first["outcome"] in {"better", "not_better"}
    assert first["sets"]["frozen"]["photographs"] == COUNT
    assert set(first["sets"]["frozen"]["metrics"]["de00"]) == {
        "candidate",
        "active",
        "difference",
        "low",
        "high",
        "better",
        "worse",
        "surely_worse",
    }


def test_scores_of_other_photographs_are_not_compared():
    with pytest.raises(ValueError, match="same photographs"):
        decide({"frozen": (scores(seed=1), scores(seed=2))})


def test_graying_the_true_colors_of_real_photographs_is_rejected():
    """Center crops in many places of two photographs; the candidate knows the colors, but dares only half of them."""
    pictures = [data.astronaut(), data.coffee()]
    places = [(rgb, y, x) for rgb in pictures for y in (0, 90, 180, 270) for x in (0, 100, 200)]
    crops = [center_crop(rgb[y : y + 96, x : x + 96], 48) for rgb, y, x in places]
    values = [lab.lab_from_rgb(rgb) for rgb in crops]
    answers = {one[..., 0].tobytes(): one[..., 1:] for one in values}
    half, most = (
        evaluate(lambda lightness, share=share: np.float32(share) * answers[lightness.tobytes()], crops)
        for share in (0.5, 0.9)
    )
    assert outcome(half, most) == "worse"
    assert outcome(most, half) == "better"
