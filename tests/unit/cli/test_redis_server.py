import os
import stat
import tempfile
from pathlib import Path

import pytest

from cli import redis_server
from core.errors import SetupError


@pytest.fixture
def short_temporary(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="g") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def long_run_dir(tmp_path):
    run_dir = tmp_path / ("a long name " * 10) / "run"
    run_dir.mkdir(parents=True)
    return run_dir


def test_a_short_folder_holds_the_socket_itself(short_temporary):
    assert redis_server.socket_path(short_temporary) == short_temporary / "redis.sock"


def test_a_long_folder_gets_a_short_private_place_and_notes_it(long_run_dir, short_temporary):
    path = redis_server.socket_path(long_run_dir)
    assert len(os.fsencode(path)) < redis_server.MAX_SOCKET_PATH_BYTES
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (long_run_dir / "socket.path").read_text().strip() == str(path)
    assert redis_server.socket_path(long_run_dir) == path


def test_length_counts_in_bytes_not_letters(short_temporary):
    run_dir = short_temporary / ("ж" * 45)
    run_dir.mkdir()
    assert len(str(run_dir / "redis.sock")) < redis_server.MAX_SOCKET_PATH_BYTES
    assert redis_server.socket_path(run_dir).parent != run_dir


def test_two_long_folders_do_not_share_a_socket(long_run_dir, short_temporary):
    other = long_run_dir.parent / "run2"
    other.mkdir()
    assert redis_server.socket_path(long_run_dir) != redis_server.socket_path(other)


@pytest.mark.parametrize("trap", ["open_folder", "link"])
def test_a_folder_that_others_may_enter_is_refused(long_run_dir, short_temporary, trap):
    private = redis_server.socket_path(long_run_dir).parent
    private.rmdir()
    if trap == "link":
        private.symlink_to(short_temporary)
    else:
        private.mkdir()
        private.chmod(0o777)
    with pytest.raises(SetupError) as refusal:
        redis_server.socket_path(long_run_dir)
    assert refusal.value.code == "unsafe_folder"


def test_the_temporary_place_goes_with_the_socket(long_run_dir, short_temporary):
    path = redis_server.socket_path(long_run_dir)
    path.touch()
    redis_server.remove_socket(path)
    assert list(short_temporary.iterdir()) == []


def test_the_url_keeps_odd_characters():
    from kombu.utils.url import parse_url

    path = Path("/data of mine/50%/ж/redis.sock")
    assert "/" + parse_url(redis_server.broker_url(path))["virtual_host"] == str(path)


def test_a_missing_redis_is_told_with_the_command_that_installs_one(monkeypatch, tmp_path):
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    manager = tmp_path / "dnf"
    manager.touch(0o755)
    with pytest.raises(SetupError, match="sudo dnf install redis") as refusal:
        redis_server.find_redis_server()
    assert refusal.value.code == "no_redis"


def test_a_redis_on_the_path_serves_where_the_wheel_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda _name: None)
    program = tmp_path / "redis-server"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server.find_redis_server() == program
