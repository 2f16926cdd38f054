import pytest

from cli.address import stack_lock, write_key, write_stack
from cli.client import Access
from cli.local_stack import find_access
from core.errors import AuthenticationError
from core.settings import Settings

HERE = "http://127.0.0.1:8220"


@pytest.fixture
def settings(tmp_path):
    settings = Settings(data_dir=tmp_path)
    settings.run_dir.mkdir()
    write_key(settings.run_dir, "g2h_local")
    return settings


@pytest.fixture
def running(settings):
    with stack_lock(settings.run_dir):
        write_stack(settings.run_dir, HERE)
        yield


def test_without_a_stack_and_a_name_there_is_nothing_to_talk_to(settings):
    assert find_access(settings, None, None) is None


@pytest.mark.usefixtures("running")
def test_the_data_folders_stack_is_found_with_its_key(settings):
    assert find_access(settings, None, None) == Access(HERE, "g2h_local")
    assert find_access(settings, HERE + "/", None) == Access(HERE, "g2h_local")


@pytest.mark.usefixtures("running")
def test_a_named_key_goes_before_the_local_one(settings):
    assert find_access(settings, None, "g2h_mine") == Access(HERE, "g2h_mine")


@pytest.mark.usefixtures("running")
def test_the_local_key_is_never_sent_to_another_address(settings):
    with pytest.raises(AuthenticationError) as refusal:
        find_access(settings, "https://elsewhere.example", None)
    assert refusal.value.code == "no_key"
