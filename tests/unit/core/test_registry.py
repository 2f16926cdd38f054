import pytest

from core import registry
from core.checkpoints import read_metadata
from core.errors import CheckpointError
from core.migrate import register_shipped_model
from core.settings import SOURCE_ROOT

SHIPPED = SOURCE_ROOT / "models"


def code_of(call, *arguments):
    with pytest.raises(CheckpointError) as caught:
        call(*arguments)
    return caught.value.code


def register(session, version, digit):
    return registry.register(session, version, "net", digit * 64)


def test_a_registered_version_is_not_active_until_it_is_made_so(database):
    with database.write() as session:
        added = register(session, "v1", "1")
        assert registry.active_version(session).version == "v-test"
        registry.activate(session, added)
    with database.read() as session:
        assert registry.active_version(session).version == "v1"
        assert sorted(row.version for row in registry.all_versions(session)) == ["v-test", "v1"]


def test_registering_again_changes_nothing(database):
    with database.write() as session:
        registry.activate(session, register(session, "v1", "1"))
        assert register(session, "v1", "1") is registry.active_version(session)
        assert len(registry.all_versions(session)) == 2


def test_neither_a_name_nor_weights_are_registered_twice(database):
    with database.write() as session:
        register(session, "v1", "1")
        assert code_of(register, session, "v1", "2") == "version_reused"
        assert code_of(register, session, "v2", "1") == "weights_known"


def test_newly_shipped_weights_become_active(database, tmp_path):
    with database.write() as session:
        register_shipped_model(session, SHIPPED, tmp_path)
        assert registry.active_version(session).version == read_metadata(SHIPPED).version


def test_newly_shipped_weights_leave_an_imported_choice_alone(database, tmp_path):
    (tmp_path / "v1").mkdir()
    with database.write() as session:
        registry.activate(session, register(session, "v1", "1"))
        register_shipped_model(session, SHIPPED, tmp_path)
        assert registry.active_version(session).version == "v1"
        assert len(registry.all_versions(session)) == 3


def test_shipped_weights_that_are_known_stay_as_active_as_they_are(database, tmp_path):
    with database.write() as session:
        register_shipped_model(session, SHIPPED, tmp_path)
        registry.activate(session, register(session, "v1", "1"))
        register_shipped_model(session, SHIPPED, tmp_path)
        assert registry.active_version(session).version == "v1"
