import os
import signal
import subprocess
import sys

import pytest

from cli import groups
from cli.leftovers import end_leftovers, write_pids
from cli.process import cap_log
from cli.watchdog import guarded_groups


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_guarded_groups_are_those_that_were_not_released():
    assert guarded_groups(["+5\n", "+6\n", "-5\n", "-9\n", "+7\n"]) == [6, 7]


def test_a_group_is_gone_when_only_its_unreaped_leader_is_left(sleeper, wait_until):
    assert groups.group_alive(sleeper.pid)
    sleeper.kill()
    wait_until(lambda: not groups.group_alive(sleeper.pid), 10, "the group's end")
    assert groups.start_mark(sleeper.pid) is None


def test_what_an_earlier_run_left_is_ended(sleeper, tmp_path):
    write_pids(tmp_path / "pids.json", {"worker": sleeper.pid})
    assert end_leftovers(tmp_path / "pids.json") == ["worker"]
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not (tmp_path / "pids.json").exists()


def test_a_stranger_that_got_a_noted_number_is_left_alone(sleeper, tmp_path):
    write_pids(tmp_path / "pids.json", {"worker": sleeper.pid})
    mark = groups.start_mark(sleeper.pid)
    text = (tmp_path / "pids.json").read_text().replace(mark, mark + "9")
    (tmp_path / "pids.json").write_text(text)
    assert end_leftovers(tmp_path / "pids.json") == []
    assert sleeper.poll() is None


def test_damaged_notes_do_no_harm(tmp_path):
    (tmp_path / "pids.json").write_text('[{"name":')
    assert end_leftovers(tmp_path / "pids.json") == []


def test_a_process_has_the_same_mark_for_life_and_a_later_one_another(sleeper):
    mine = groups.start_mark(os.getpid())
    assert mine == groups.start_mark(os.getpid()) is not None
    assert mine != groups.start_mark(sleeper.pid)


def test_a_log_that_grew_too_long_is_put_aside(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("x" * 20)
    cap_log(log, max_bytes=20)
    assert log.exists()
    cap_log(log, max_bytes=19)
    assert (log.exists(), (tmp_path / "web.log.1").read_text()) == (False, "x" * 20)
