import pytest

from core.training.front import Checkpoint, chosen, worth_keeping


def checkpoint(step, de00, dcf, cf_error=None):
    return Checkpoint(step, {"de00": de00, "dcf": dcf, "cf_error": cf_error or dcf + 5, "psnr": 30.0 - dcf})


def test_of_those_about_as_near_to_the_truth_the_most_truly_colorful_comes_out():
    dull, good, wild = checkpoint(1, 11.0, 20.0), checkpoint(2, 11.2, 12.0), checkpoint(3, 11.6, 2.0)
    assert chosen([dull, good, wild]) == good


def test_colorful_enough_as_a_set_is_not_truly_colorful():
    uneven, even = checkpoint(1, 11.1, 7.0, 14.5), checkpoint(2, 11.0, 8.0, 13.5)
    assert worth_keeping([uneven, even]) == [uneven, even]
    assert chosen([uneven, even]) == even


def test_one_that_is_beaten_in_both_never_comes_out():
    beaten, better = checkpoint(1, 11.2, 15.0), checkpoint(2, 11.1, 14.0)
    assert worth_keeping([beaten, better]) == [better]
    assert chosen([better, beaten]) == better


def test_of_equal_ones_the_later_stays():
    assert worth_keeping([checkpoint(1, 11, 5), checkpoint(2, 11, 5)]) == [checkpoint(2, 11, 5)]


def test_forgetting_at_once_gives_the_same_as_choosing_from_all():
    numbers = [(12.0, 25.0), (11.4, 20.0), (11.7, 12.0), (11.2, 22.0), (11.3, 19.0), (11.1, 21.0), (11.5, 11.0)]
    every = [checkpoint(step, *number) for step, number in enumerate(numbers)]
    kept = []
    for one in every:
        kept = worth_keeping([*kept, one])
    assert chosen(kept) == chosen(every)


def test_without_scores_the_last_comes_out():
    assert chosen([Checkpoint(5, {}), Checkpoint(9, {})]).step == 9


def test_there_is_none_in_nothing():
    with pytest.raises(ValueError, match="empty"):
        chosen([])
