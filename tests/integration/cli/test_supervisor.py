"""Supervision with real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from cli import groups
from cli.backoff import Backoff
from cli.signals import Signals
from cli.stack import free_leases
from core import lease_owners
from core.database import Database
from core.errors import SetupError
from core.leases import take_lease
from core.migrate import migrate
from core.settings import SOURCE_ROOT, Settings

WAITS = "import signal; signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)
WITH_CHILD = textwrap.dedent("""
    import signal, subprocess, sys
    child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])
    print(child.pid, flush=True)
    signal.pause()
""")


def test_a_part_that_dies_is_started_again_and_told(supervisor, make_process, wait_until):
    process = make_process(WAITS)
    supervisor.start(process)
    first = process.group
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not process.running, 10, "the part's death")
    supervisor.tick()
    assert "The worker process was ended by SIGKILL; it starts again in 1 s." in supervisor.said[0]
    wait_until(lambda: supervisor.tick() and process.running, 10, "the part's return")
    assert process.group != first
    assert supervisor.said == supervisor.said[:1]


def test_a_death_wakes_the_waiting_supervisor(supervisor, make_process, signals):
    process = make_process("pass")
    supervisor.start(process)
    began = time.monotonic()
    while process.running:
        signals.wait(60)
    assert time.monotonic() - began < 30
    assert signals.stops == 0


def test_the_end_of_a_watched_input_is_a_wish_to_stop():
    reader, writer = os.pipe()
    with Signals(also_stop_at_end_of=reader) as signals:
        os.write(writer, b"x")
        assert not signals.wait_for_stop(0.1)
        os.close(writer)
        assert signals.wait_for_stop(60)
    os.close(reader)


def test_children_of_a_part_that_died_do_not_stay(supervisor, make_process, wait_until):
    process = make_process(WITH_CHILD)
    supervisor.start(process)
    group = process.group
    wait_until(process.last_log_lines, 10, "the part's own child")
    os.kill(group, signal.SIGKILL)
    wait_until(lambda: not process.running, 10, "the part's death")
    assert groups.group_alive(group)
    supervisor.tick()
    wait_until(lambda: not groups.group_alive(group), 10, "the end of its child")


def test_a_part_that_cannot_be_brought_up_ends_the_start_with_its_log(
    supervisor, make_process, wait_until, monkeypatch
):
    monkeypatch.setattr("cli.backoff.Backoff.next_delay", lambda _self, _ran_s: 0.01)
    supervisor.start(make_process("raise SystemExit('the model is missing')"))
    with pytest.raises(SetupError, match="the model is missing") as refusal:
        wait_until(lambda: supervisor.tick() < 0, 30, "the refusal")
    assert refusal.value.code == "part_keeps_dying"


def test_once_ready_a_part_may_die_as_often_as_it_likes(supervisor, make_process, monkeypatch, wait_until):
    monkeypatch.setattr("cli.backoff.Backoff.next_delay", lambda _self, _ran_s: 0.01)
    supervisor.ready = True
    supervisor.start(make_process("pass"))
    wait_until(lambda: supervisor.tick() and len(supervisor.said) > 6, 30, "seven deaths")


def test_parts_end_in_order(supervisor, make_process, signals, tmp_path, wait_until):
    note = "import signal, time\ndef end(*_):\n open('order', 'a').write('{0} '); raise SystemExit\n"
    note += "signal.signal(signal.SIGTERM, end); print('up', flush=True); signal.pause()"
    names = ("redis", "worker", "web")
    processes = [make_process(note.format(name), name) for name in names]
    for process in processes:
        supervisor.start(process)
        wait_until(process.last_log_lines, 10, "the part's start")
    supervisor.stop(signals, (("web",), ("worker",), ("redis",)), 20)
    assert (tmp_path / "order").read_text().split() == ["web", "worker", "redis"]
    assert not (tmp_path / "pids.json").exists()


def test_a_part_that_will_not_end_is_ended_by_force_with_its_children(supervisor, make_process, signals, wait_until):
    process = make_process(WITH_CHILD.replace("signal.pause()\n", f"{STUBBORN!r}\nexec({STUBBORN!r})\n"))
    supervisor.start(process)
    group = process.group
    wait_until(lambda: "up" in process.last_log_lines(), 10, "the part's start")
    supervisor.stop(signals, (("worker",),), 0.2)
    wait_until(lambda: not groups.group_alive(group), 10, "the group's end")
    assert process.exit_code == -signal.SIGKILL


def test_a_second_ctrl_c_does_not_wait(supervisor, make_process, signals, wait_until):
    process = make_process(STUBBORN)
    supervisor.start(process)
    wait_until(process.last_log_lines, 10, "the part's start")
    signals.stops = 1
    pressing = subprocess.Popen(["/bin/kill", "-INT", str(os.getpid())])
    supervisor.stop(signals, (("worker",),), 250)
    assert process.exit_code == -signal.SIGKILL
    assert pressing.wait() == 0


SUPERVISES = textwrap.dedent("""
    import sys
    from pathlib import Path
    from cli.process import Part, Process
    from cli.signals import Signals
    from cli.supervisor import Supervisor
    from cli.watchdog import Watchdog

    folder = Path(sys.argv[1])
    supervisor = Supervisor(Watchdog(Path.cwd()), folder / "pids.json", print)
    for name in ("worker", "intake"):
        supervisor.start(Process(Part(name, (sys.executable, "-c", sys.argv[2])), {}, folder / f"{name}.log", folder))
    with Signals() as signals:
        while not signals.stops:
            signals.wait(supervisor.tick())
""")


def test_a_supervisor_that_is_killed_leaves_no_process(tmp_path, wait_until):
    command = [sys.executable, "-c", SUPERVISES, str(tmp_path), WITH_CHILD]
    killed = subprocess.Popen(command, cwd=SOURCE_ROOT)
    logs = [tmp_path / "worker.log", tmp_path / "intake.log"]
    wait_until(
        lambda: all(log.exists() and log.read_text().strip() for log in logs), 30, "the parts and their children"
    )
    led = [entry["pid"] for entry in json.loads((tmp_path / "pids.json").read_text())]
    assert len(led) == 2
    assert all(groups.group_alive(group) for group in led)
    killed.kill()
    killed.wait()
    wait_until(lambda: not any(groups.group_alive(group) for group in led), 20, "the end of every process")


def test_a_part_that_died_is_told_of_once_nothing_of_it_is_left(make_supervisor, make_process, wait_until):
    told = []
    supervisor = make_supervisor(on_death=lambda name, pid: told.append((name, pid, groups.group_alive(pid))))
    process = make_process(WITH_CHILD)
    supervisor.start(process)
    group = process.group
    wait_until(process.last_log_lines, 10, "the part's own child")
    os.kill(group, signal.SIGKILL)
    wait_until(lambda: not process.running, 10, "the part's death")
    supervisor.tick()
    assert told == [("worker", group, False)]


def test_a_part_is_waited_with_as_long_as_is_wished(make_supervisor, make_process, wait_until):
    supervisor = make_supervisor(new_backoff=lambda: Backoff(0.0, 0.0))
    supervisor.ready = True
    supervisor.start(make_process("pass"))
    wait_until(lambda: supervisor.tick() is not None and len(supervisor.said) > 6, 30, "seven deaths")
    assert "starts again in 0 s" in supervisor.said[6]


def test_what_the_children_of_a_dead_part_held_is_free_at_once(tmp_path):
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    database = Database(settings.database_url)
    with database.write() as session:
        assert take_lease(session, "mine", f"{lease_owners.children_of(77)}78:token", 600)
        assert take_lease(session, "others", f"{lease_owners.children_of(7)}78:token", 600)
    free_leases(settings.database_url, 77)
    with database.write() as session:
        assert take_lease(session, "mine", "another", 1)
        assert not take_lease(session, "others", "another", 1)
    database.dispose()
