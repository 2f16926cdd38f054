import threading
import weakref

import pytest

from core.runtimes.slots import CALM_RUNS, Slots


class ExhaustedError(Exception):
    pass


class Tensor:
    """Something that takes memory while anybody holds it."""


def run_in_threads(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_as_many_calls_run_at_once_as_there_are_slots():
    slots = Slots(3, ExhaustedError, lambda: None)
    together = threading.Barrier(3, timeout=30)
    results = []
    run_in_threads(3, lambda _: results.append(slots.run(together.wait)))
    assert sorted(results) == [0, 1, 2]
    assert slots.limit == 3


def test_when_memory_runs_out_the_number_is_halved_once_and_all_calls_come_out():
    slots = Slots(4, ExhaustedError, lambda: None)
    together = threading.Barrier(4, timeout=30)
    lock, in_flight, most_later, results = threading.Lock(), [], [0], {}

    def fails_at_first(number):
        tried = False

        def work():
            nonlocal tried
            with lock:
                in_flight.append(number)
                if tried:
                    most_later[0] = max(most_later[0], len(in_flight))
            try:
                if not tried:
                    tried = True
                    together.wait()
                    raise ExhaustedError
                return number * 10
            finally:
                with lock:
                    in_flight.remove(number)

        results[number] = slots.run(work)

    run_in_threads(4, fails_at_first)
    assert results == {0: 0, 1: 10, 2: 20, 3: 30}
    assert slots.limit == 2
    assert most_later[0] <= 2


def test_a_call_that_fails_alone_is_told_and_the_next_one_runs():
    frees = []
    slots = Slots(4, ExhaustedError, lambda: frees.append(slots.limit))
    tries = []

    def too_large():
        tries.append(slots.limit)
        raise ExhaustedError

    with pytest.raises(MemoryError):
        slots.run(too_large)
    assert tries == [4, 2, 1]
    assert frees == [2, 1, 1]
    assert slots.run(lambda: "small") == "small"


def test_a_call_under_a_limit_of_one_is_alone():
    slots = Slots(2, ExhaustedError, lambda: None)
    with pytest.raises(MemoryError):
        slots.run(_raise)
    inside = []

    def work():
        inside.append(threading.get_ident())
        alone = len(inside) == 1
        inside.pop()
        return alone

    results = []
    run_in_threads(8, lambda _: results.extend(slots.run(work) for _ in range(5)))
    assert slots.limit == 1
    assert results == [True] * 40


def _raise():
    raise ExhaustedError


def test_memory_is_freed_after_the_failed_call_has_let_go_of_it():
    held = []
    slots = Slots(2, ExhaustedError, lambda: held.append(kept() is not None))
    kept = None
    tries = iter([True, False])

    def work():
        nonlocal kept
        if next(tries):
            tensor = Tensor()
            kept = weakref.ref(tensor)
            raise ExhaustedError
        return "done"

    assert slots.run(work) == "done"
    assert held == [False]


def test_other_errors_are_passed_on_and_free_their_slot():
    slots = Slots(1, ExhaustedError, lambda: None)
    with pytest.raises(ValueError, match="another"):
        slots.run(lambda: (_ for _ in ()).throw(ValueError("another")))
    assert slots.run(lambda: 1) == 1
    assert slots.limit == 1


def test_after_a_long_calm_the_number_grows_back_but_not_beyond_its_first():
    slots = Slots(2, ExhaustedError, lambda: None)
    with pytest.raises(MemoryError):
        slots.run(_raise)
    for _ in range(CALM_RUNS - 1):
        slots.run(lambda: None)
    assert slots.limit == 1
    for _ in range(3 * CALM_RUNS):
        slots.run(lambda: None)
    assert slots.limit == 2
