import threading

import pytest
from sqlalchemy import select

from core import registry
from core.checkpoints import read_metadata
from core.errors import CheckpointError, Gray2HueError, NotFoundError, StateError
from core.migrate import register_shipped_model
from core.model_store import provide_model
from core.records import AliasName, ModelSource, Promotion, RunState, RunTrigger, TrainingRun, Verdict
from core.settings import SOURCE_ROOT
from core.storage import LocalStorage

SHIPPED = SOURCE_ROOT / "models"


def code_of(kind, call, *arguments):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return caught.value.code


def register(session, version, digit):
    return registry.register(session, version, "net", digit * 64)


@pytest.fixture
def three(database):
    """The versions v1, v2 and v3 beside the active v-test."""
    with database.write() as session:
        for digit in "123":
            register(session, f"v{digit}", digit)
    return database


def active(database):
    with database.read() as session:
        return registry.active_version(session).version


def candidate(database):
    with database.read() as session:
        found = registry.aliased(session, AliasName.CANDIDATE)
        return found.version if found else None


def promote(database, version, actor="ada", reason=""):
    with database.write() as session:
        return registry.promote(session, version, actor, reason)


def roll_back(database, actor="ada", reason=""):
    with database.write() as session:
        return registry.roll_back(session, actor, reason)


def test_a_registered_version_is_not_active_until_it_is_made_so(database):
    with database.write() as session:
        register(session, "v1", "1")
        assert registry.active_version(session).version == "v-test"
    promote(database, "v1")
    assert active(database) == "v1"
    with database.read() as session:
        assert sorted(row.version for row in registry.all_versions(session)) == ["v-test", "v1"]


def test_what_is_told_at_registration_is_kept(database):
    with database.write() as session:
        registry.register(
            session,
            "v1",
            "net",
            "1" * 64,
            source=ModelSource.TRAINED,
            parent="v-test",
            key="models/v1",
            metrics={"de00": 10.5},
            card="# v1",
        )
    with database.read() as session:
        found = registry.get_version(session, "v1")
        assert (found.source, found.parent, found.key) == (ModelSource.TRAINED, "v-test", "models/v1")
        assert (found.metrics, found.card) == ({"de00": 10.5}, "# v1")


def test_registering_again_changes_nothing(three):
    promote(three, "v1")
    with three.write() as session:
        assert register(session, "v1", "1") is registry.active_version(session)
        assert len(registry.all_versions(session)) == 4


def test_where_a_known_version_is_stored_is_noted_once(three):
    with three.write() as session:
        for key in ("models/v1", "models/elsewhere"):
            registry.register(session, "v1", "net", "1" * 64, key=key)
    with three.read() as session:
        assert registry.get_version(session, "v1").key == "models/v1"


def test_neither_a_name_nor_weights_are_registered_twice(database):
    with database.write() as session:
        register(session, "v1", "1")
        assert code_of(CheckpointError, register, session, "v1", "2") == "version_reused"
        assert code_of(CheckpointError, register, session, "v2", "1") == "weights_known"


def in_threads(*calls):
    """Run the calls at the same time; give what each gave, or its error's code."""
    together, outcomes = threading.Barrier(len(calls), timeout=30), []

    def run(call):
        together.wait()
        try:
            outcomes.append(call())
        except Gray2HueError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_two_who_register_the_same_at_once_both_succeed(database):
    def registers():
        with database.write() as session:
            return register(session, "v1", "1").sha256

    for _ in range(5):
        assert in_threads(*[registers] * 4) == ["1" * 64] * 4
        with database.write() as session:
            session.delete(registry.get_version(session, "v1"))


def test_an_unknown_version_is_told(database):
    with database.write() as session:
        assert code_of(NotFoundError, registry.get_version, session, "v9") == "no_such_model"
        assert code_of(NotFoundError, registry.promote, session, "v9", "ada") == "no_such_model"
        assert code_of(NotFoundError, registry.set_candidate, session, "v9") == "no_such_model"


def test_a_promotion_is_noted_with_who_why_and_what_was_before(three):
    promote(three, "v1", "ada", "greener grass")
    with three.read() as session:
        newest = registry.history(session)[0]
        assert (newest.version, newest.previous, newest.kind) == ("v1", "v-test", "promote")
        assert (newest.actor, newest.reason) == ("ada", "greener grass")


def test_the_active_version_is_not_promoted_again(three):
    assert code_of(StateError, promote, three, "v-test") == "already_active"
    with three.read() as session:
        assert len(registry.history(session)) == 1


def test_repeated_rollbacks_go_further_back_until_nothing_is_left(three):
    for version in ("v1", "v2", "v3"):
        promote(three, version)
    assert [roll_back(three).version for _ in range(3)] == ["v2", "v1", "v-test"]
    assert code_of(StateError, roll_back, three) == "nothing_to_roll_back"
    assert active(three) == "v-test"


def test_a_rollback_skips_what_was_rolled_back_before(three):
    promote(three, "v1")
    promote(three, "v2")
    roll_back(three)
    promote(three, "v3")
    assert roll_back(three, "ada", "too blue").version == "v1"
    assert roll_back(three).version == "v-test"
    with three.read() as session:
        kinds = [(row.kind, row.version, row.previous) for row in registry.history(session, limit=3)]
    assert kinds == [("rollback", "v-test", "v1"), ("rollback", "v1", "v3"), ("promote", "v3", "v1")]


def test_a_version_may_stand_in_the_history_more_than_once(three):
    for version in ("v1", "v-test", "v1"):
        promote(three, version)
    assert [roll_back(three).version for _ in range(3)] == ["v-test", "v1", "v-test"]


def test_the_order_of_the_history_survives_a_clock_that_was_set_back(three):
    promote(three, "v1")
    with three.write() as session:
        for row in session.scalars(select(Promotion)):
            row.created_at = row.created_at.replace(year=row.created_at.year + 1)
    promote(three, "v2")
    with three.read() as session:
        assert registry.history(session)[0].version == "v2"
    assert roll_back(three).version == "v1"


def test_promotions_at_the_same_time_follow_each_other(three):
    in_threads(*[lambda version=version: promote(three, version) for version in ("v1", "v2", "v3")])
    with three.read() as session:
        newest_first = registry.history(session)
        assert newest_first[0].version == registry.active_version(session).version
        assert [row.previous for row in newest_first[:-1]] == [row.version for row in newest_first[1:]]


def test_a_candidate_waits_until_it_is_promoted_or_another_takes_its_place(three):
    with three.write() as session:
        registry.set_candidate(session, "v1")
        registry.set_candidate(session, "v2")
    assert candidate(three) == "v2"
    promote(three, "v1")
    assert candidate(three) == "v2"
    promote(three, "v2")
    assert candidate(three) is None


def test_a_candidate_may_be_taken_back_and_is_never_the_active_version(three):
    with three.write() as session:
        registry.set_candidate(session, "v1")
        registry.set_candidate(session, None)
        assert code_of(StateError, registry.set_candidate, session, "v-test") == "already_active"
    assert candidate(three) is None


def test_newly_shipped_weights_become_active(database, tmp_path):
    with database.write() as session:
        register_shipped_model(session, SHIPPED, tmp_path)
        shipped = registry.active_version(session)
        assert shipped.version == read_metadata(SHIPPED).version
        assert shipped.source == ModelSource.SHIPPED
        assert shipped.card == (SHIPPED / "README.md").read_text()


def test_an_earlier_programs_weights_give_way_and_stay_to_be_had(database, tmp_path):
    with database.write() as session:
        register_shipped_model(session, SHIPPED / "v0", tmp_path)
        assert registry.active_version(session).version == "v0"
    with database.write() as session:
        register_shipped_model(session, SHIPPED, tmp_path)
        assert registry.active_version(session).version == read_metadata(SHIPPED).version
        earlier = registry.get_version(session, "v0")
    storage = LocalStorage(tmp_path / "store")
    assert provide_model(storage, earlier, SHIPPED, tmp_path / "copies") == SHIPPED / "v0"


@pytest.mark.parametrize("key", ["", "models/v1"])
def test_newly_shipped_weights_leave_an_admins_choice_alone(three, tmp_path, key):
    if not key:
        (tmp_path / "v1").mkdir()
    promote(three, "v1")
    with three.write() as session:
        registry.get_version(session, "v1").key = key
        register_shipped_model(session, SHIPPED / "v0", tmp_path)
    assert active(three) == "v1"


def test_shipped_weights_that_are_known_stay_as_active_as_they_are(three, tmp_path):
    with three.write() as session:
        register_shipped_model(session, SHIPPED / "v0", tmp_path)
    promote(three, "v1")
    with three.write() as session:
        register_shipped_model(session, SHIPPED / "v0", tmp_path)
    assert active(three) == "v1"


def test_a_rejected_version_is_not_the_one_that_workers_make_ready(database):
    with database.write() as session:
        register(session, "v1", "1")
    with database.write() as session:
        register(session, "v2", "2")
        run = TrainingRun(trigger=RunTrigger.CLI, actor="ada", config={}, parent="v1", state=RunState.COMPLETED)
        run.candidate, run.verdict = "v2", Verdict.REJECTED
        session.add(run)
        session.flush()
        assert registry.newest_version(session).version == "v1"
        run.verdict = Verdict.CANDIDATE
        session.flush()
        assert registry.newest_version(session).version == "v2"
