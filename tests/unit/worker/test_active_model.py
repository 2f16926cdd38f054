import threading

import pytest

from core.colorizer import Colorizer
from core.errors import CheckpointError, TransientError
from worker import active_model
from worker.active_model import ActiveModelWatch
from worker.colorizers import Colorizers


class Registry:
    """Says which version is the active one, and which can be loaded; a database may be away."""

    def __init__(self):
        self.active, self.upcoming, self.damaged, self.away = "v0", [], set(), False
        self.asked, self.loaded, self.prepared = 0, [], []
        self.may_prepare = threading.Event()
        self.may_prepare.set()

    def active_version(self):
        self.asked += 1
        if self.away:
            raise TransientError("database_away", "The database does not answer.")
        return self.active

    def prepare(self, version):
        self.prepared.append(version)
        assert self.may_prepare.wait(30)
        if version in self.damaged:
            raise CheckpointError("damaged_weights", f"{version} is damaged.")

    def load(self, version):
        self.loaded.append(version)
        if version in self.damaged:
            raise CheckpointError("damaged_weights", f"{version} is damaged.")
        return Colorizer(None, version, 256)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def colorizers(registry):
    held = Colorizers(registry.load)
    held.get("v0")
    return held


def watch_of(registry, colorizers):
    return ActiveModelWatch(
        registry.active_version, lambda: registry.upcoming, registry.prepare, colorizers, poll_s=0.01
    )


@pytest.fixture
def watch(registry, colorizers):
    watching = watch_of(registry, colorizers)
    watching.start()
    yield watching
    watching.stop()


def looks_again(registry, wait_until):
    """Wait until the watch has looked twice more, so that one whole look lies in between."""
    asked = registry.asked
    wait_until(lambda: registry.asked >= asked + 2)


def test_a_new_active_version_is_loaded_without_being_asked_for(registry, colorizers, watch, wait_until, caplog):
    caplog.set_level("INFO")
    registry.active = "v1"
    wait_until(lambda: "new jobs get model version v1; loaded here: v0, v1" in caplog.text)
    assert colorizers.versions == ("v0", "v1")
    registry.active = "v0"
    wait_until(lambda: "new jobs get model version v0; loaded here: v1, v0" in caplog.text)
    assert registry.loaded == ["v0", "v1"]


def test_one_that_makes_room_for_older_jobs_is_not_fetched_back_at_once(registry, colorizers, watch, wait_until):
    for version in ("v7", "v8"):
        colorizers.get(version)
    looks_again(registry, wait_until)
    assert colorizers.versions == ("v7", "v8")


def test_one_that_cannot_be_loaded_leaves_the_old_one_and_is_told_by_code(
    registry, colorizers, watch, wait_until, caplog
):
    registry.damaged, registry.active = {"v1"}, "v1"
    wait_until(lambda: "damaged_weights" in caplog.text)
    looks_again(registry, wait_until)
    assert colorizers.versions == ("v0",)
    assert registry.loaded == ["v0", "v1"]


def test_one_that_could_not_be_loaded_is_tried_again(registry, colorizers, watch, wait_until, monkeypatch):
    monkeypatch.setattr(active_model, "RETRY_S", 0.0)
    registry.damaged, registry.active = {"v1"}, "v1"
    wait_until(lambda: registry.loaded.count("v1") >= 2)
    registry.damaged = set()
    wait_until(lambda: "v1" in colorizers.versions)


def test_another_one_is_loaded_at_once_after_one_that_failed(registry, colorizers, watch, wait_until):
    registry.damaged, registry.active = {"v1"}, "v1"
    wait_until(lambda: "v1" in registry.loaded)
    registry.active = "v2"
    wait_until(lambda: "v2" in colorizers.versions)


def test_a_database_that_is_away_is_asked_again(registry, colorizers, watch, wait_until):
    registry.away = True
    looks_again(registry, wait_until)
    registry.away, registry.active = False, "v1"
    wait_until(lambda: "v1" in colorizers.versions)


def test_what_may_become_active_soon_is_prepared_once_and_not_held(registry, colorizers, watch, wait_until):
    registry.damaged, registry.upcoming = {"v2"}, ["v0", "v2", "v1"]
    wait_until(lambda: "v1" in registry.prepared)
    registry.upcoming += ["v3"]
    wait_until(lambda: "v3" in registry.prepared)
    assert registry.prepared == ["v2", "v1", "v3"]
    assert colorizers.versions == ("v0",)


def test_a_preparation_that_takes_long_keeps_no_active_version_waiting(registry, colorizers, watch, wait_until):
    registry.may_prepare.clear()
    registry.upcoming = ["v1"]
    wait_until(lambda: "v1" in registry.prepared)
    registry.active = "v2"
    wait_until(lambda: "v2" in colorizers.versions)
    registry.may_prepare.set()


def test_a_version_whose_preparation_failed_is_loaded_all_the_same(registry, colorizers, watch, wait_until):
    registry.damaged, registry.upcoming = {"v1"}, ["v1"]
    wait_until(lambda: "v1" in registry.prepared)
    registry.damaged, registry.active = set(), "v1"
    wait_until(lambda: "v1" in colorizers.versions)


def test_a_watch_that_was_stopped_looks_no_more(registry, colorizers):
    watching = watch_of(registry, colorizers)
    watching.start()
    watching.stop()
    assert not {"active-model", "upcoming-models"} & {thread.name for thread in threading.enumerate()}
