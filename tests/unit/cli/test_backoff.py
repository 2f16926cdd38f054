from cli.backoff import Backoff, DeathCount


def test_delays_double_up_to_the_longest():
    backoff = Backoff()
    assert [backoff.next_delay(0.1) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_calm_run_begins_anew():
    backoff = Backoff()
    for _ in range(4):
        backoff.next_delay(0.1)
    assert [backoff.next_delay(120.0), backoff.next_delay(0.1)] == [1, 2]


def test_four_deaths_within_a_minute_and_a_half_are_too_many():
    deaths = DeathCount()
    assert [deaths.add(now) for now in (0, 20, 45, 89)] == [False, False, False, True]


def test_deaths_far_apart_are_borne_for_ever():
    deaths = DeathCount()
    times = [float(now) for now in range(0, 1000, 30)]
    assert not any(deaths.add(now) for now in times)
