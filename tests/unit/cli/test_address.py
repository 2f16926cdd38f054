import fcntl
import json
import stat
import threading

import pytest

from cli import address
from core.errors import SetupError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8220"),
        ("0.0.0.0", "http://127.0.0.1:8220"),  # noqa: S104 - what a person may have set
        ("::", "http://[::1]:8220"),
        ("::1", "http://[::1]:8220"),
        ("scans.museum.example", "http://scans.museum.example:8220"),
    ],
)
def test_a_listening_address_becomes_one_to_go_to(host, expected):
    assert address.local_address(host, 8220) == expected


def test_a_second_stack_on_the_same_folder_is_told_where_the_first_one_is(tmp_path):
    with address.stack_lock(tmp_path):
        address.write_stack(tmp_path, "http://127.0.0.1:8220")
        with pytest.raises(SetupError, match=r"http://127\.0\.0\.1:8220") as refusal, address.stack_lock(tmp_path):
            pass
    assert refusal.value.code == "already_running"


def test_the_lock_is_free_again_after_its_holder(tmp_path):
    with address.stack_lock(tmp_path):
        assert address.is_held(tmp_path)
    assert not address.is_held(tmp_path)
    with address.stack_lock(tmp_path):
        pass


def test_a_client_that_only_looks_does_not_turn_a_stack_away(tmp_path):
    (tmp_path / "stack.lock").touch()
    with (tmp_path / "stack.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with address.stack_lock(tmp_path):
            assert address.is_held(tmp_path)


def test_what_a_killed_stack_left_to_read_is_not_believed(tmp_path):
    with address.stack_lock(tmp_path):
        address.write_stack(tmp_path, "http://127.0.0.1:8220")
        assert address.running_stack(tmp_path).address == "http://127.0.0.1:8220"
    assert json.loads((tmp_path / "stack.json").read_text())["address"]
    assert address.running_stack(tmp_path) is None


def test_the_key_is_for_this_user_only_even_over_an_open_one(tmp_path):
    (tmp_path / "cli.key").write_text("old")
    (tmp_path / "cli.key").chmod(0o644)
    address.write_key(tmp_path, "g2h_secret")
    assert address.read_key(tmp_path) == "g2h_secret"
    assert stat.S_IMODE((tmp_path / "cli.key").stat().st_mode) == 0o600


def test_there_is_no_key_before_a_stack_was_started(tmp_path):
    assert address.read_key(tmp_path) is None
