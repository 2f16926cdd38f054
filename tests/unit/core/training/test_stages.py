import pytest

from core.training.config import StageConfig
from core.training.stages import cosine, is_due, is_warmup, one_cycle, place_of, report_every

L1 = StageConfig(kind="l1", size_px=64, steps=10, learning_rate=1e-3, schedule="one_cycle")
ADVERSARIAL = StageConfig(kind="adversarial", size_px=64, steps=6, learning_rate=1e-4)
STAGES = (L1, ADVERSARIAL, ADVERSARIAL)


def test_every_step_belongs_to_one_stage():
    places = [place_of(STAGES, step) for step in range(22)]
    assert [place.index for place in places] == [0] * 10 + [1] * 6 + [2] * 6
    assert [place.step for place in places[8:12]] == [8, 9, 0, 1]
    with pytest.raises(IndexError):
        place_of(STAGES, 22)


def test_one_cycle_rises_in_the_first_quarter_and_falls_nearly_to_nothing():
    factors = [one_cycle(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 25)
    assert factors[:26] == sorted(factors[:26])
    assert factors[25] == 1
    assert factors[25:] == sorted(factors[25:], reverse=True)
    assert factors[-1] < 0.003


def test_cosine_falls_from_one():
    factors = [cosine(step, 50) for step in range(50)]
    assert factors[0] == 1
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < 0.002


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_short_stages_learn_too(steps):
    for schedule in (one_cycle, cosine):
        assert all(0 < schedule(step, steps) <= 1 for step in range(steps))


def test_the_learning_rate_is_the_stages_at_that_step():
    assert place_of(STAGES, 2).learning_rate == 1e-3
    assert place_of(STAGES, 10).learning_rate == 1e-4


def test_only_the_first_adversarial_stage_warms_up_and_at_most_half_of_it():
    def warm(steps):
        return [step for step in range(22) if is_warmup(STAGES, place_of(STAGES, step), steps)]

    assert warm(2) == [10, 11]
    assert warm(100) == [10, 11, 12]
    assert warm(0) == []


def test_what_is_due_is_due_at_the_end_too():
    assert [step for step in range(1, 11) if is_due(step, 4, 10)] == [4, 8, 10]
    assert report_every(10) == 1
    assert report_every(16_000) == 40
