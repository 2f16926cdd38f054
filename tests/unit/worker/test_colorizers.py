import threading
import weakref

import pytest

from core.colorizer import Colorizer
from core.errors import CheckpointError
from worker.colorizers import Colorizers


class FakeRuntime:
    """A runtime that computes nothing and knows whether it was closed."""

    name = "fake"
    concurrency = 1

    def __init__(self):
        self.closed = False

    def predict(self, lightness):
        raise AssertionError("no picture is computed here")

    def close(self):
        self.closed = True


@pytest.fixture
def loaded():
    """The versions that were loaded, in order."""
    return []


@pytest.fixture
def colorizers(loaded):
    def load(version):
        if version == "missing":
            raise CheckpointError("model_version_missing", "There is no such version.")
        loaded.append(version)
        return Colorizer(FakeRuntime(), version, 256)

    return Colorizers(load, capacity=2)


def test_a_version_is_loaded_once(colorizers, loaded):
    first = colorizers.get("v0")
    assert first.version == "v0"
    assert colorizers.get("v0") is first
    assert loaded == ["v0"]


def test_the_one_that_was_not_asked_for_the_longest_makes_room(colorizers, loaded):
    for version in ("v0", "v1", "v0", "v2", "v0", "v1"):
        assert colorizers.get(version).version == version
    assert loaded == ["v0", "v1", "v2", "v1"]


def test_one_that_made_room_is_let_go_but_not_closed_under_anybodys_hands(colorizers):
    held = colorizers.get("v0")
    let_go = weakref.ref(colorizers.get("v1"))
    colorizers.get("v0")
    colorizers.get("v2")
    assert let_go() is None
    colorizers.get("v3")
    assert not held.runtime.closed


def test_a_version_that_cannot_be_had_is_told_each_time(colorizers, loaded):
    for _ in range(2):
        with pytest.raises(CheckpointError) as caught:
            colorizers.get("missing")
        assert caught.value.code == "model_version_missing"
    assert colorizers.get("v0").version == "v0"


def test_threads_that_ask_at_once_get_the_same_one(colorizers, loaded):
    together, found = threading.Barrier(8, timeout=30), []

    def ask():
        together.wait()
        found.append(colorizers.get("v0"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert loaded == ["v0"]


def test_a_version_that_is_held_is_given_while_another_is_being_loaded():
    begun, may_end = threading.Event(), threading.Event()

    def load(version):
        if version == "slow":
            begun.set()
            assert may_end.wait(30)
        return Colorizer(FakeRuntime(), version, 256)

    colorizers = Colorizers(load, capacity=2)
    held = [colorizers.get("v0"), colorizers.get("v1")]
    found = []
    loading = threading.Thread(target=lambda: found.append(colorizers.get("slow")))
    loading.start()
    assert begun.wait(30)
    assert [colorizers.get("v0"), colorizers.get("v1")] == held
    may_end.set()
    loading.join()
    assert len(colorizers.versions) == 2
    assert [colorizers.get("v1"), colorizers.get("slow")] == [held[1], found[0]]


def test_one_that_cannot_be_loaded_takes_nobodys_place(colorizers, loaded):
    held = [colorizers.get("v0"), colorizers.get("v1")]
    with pytest.raises(CheckpointError):
        colorizers.get("missing")
    assert [colorizers.get("v0"), colorizers.get("v1")] == held
    assert loaded == ["v0", "v1"]


def test_all_who_wait_for_one_that_cannot_be_loaded_are_told():
    together = threading.Barrier(4, timeout=30)

    def load(version):
        raise CheckpointError("damaged_weights", "They are damaged.")

    colorizers, codes = Colorizers(load), []

    def ask():
        together.wait()
        with pytest.raises(CheckpointError) as caught:
            colorizers.get("v0")
        codes.append(caught.value.code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["damaged_weights"] * 4
    assert colorizers.versions == ()


def test_closing_frees_all_that_are_held(colorizers):
    held = [colorizers.get("v0"), colorizers.get("v1")]
    colorizers.close()
    assert all(colorizer.runtime.closed for colorizer in held)
