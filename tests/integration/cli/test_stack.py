"""The whole embedded stack through the command line, on a data folder whose path is long and odd."""

import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cli import groups
from cli.redis_server import TEMPORARY_PREFIX
from stacks import RunningStack, children_of

ODD_NAME = "a folder with a long name, 50% of it in Кириллица " * 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory, wait_until, runtimes_dir):
    """A stack of its own. The model that the tests have converted already, if they have, is read from there too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    odd = RunningStack(tmp_path_factory.mktemp("stack") / ODD_NAME / ("x" * 100), port, wait_until)
    shutil.copytree(runtimes_dir, odd.data_dir / "runtimes")
    odd.start()
    yield odd
    odd.stop()


@pytest.fixture
def gray2hue(stack):
    """The command as a person types it, against the running stack."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        environment = {**stack.full_environment, **options.pop("env", {})}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, **options)

    return run


@pytest.fixture
def album(tmp_path, gray_jpegs):
    """A folder with two photographs, one of them deep down, a torn one and no photograph at all."""
    contents = {
        "a.jpg": gray_jpegs["coffee"],
        "sub/дом/b.jpg": gray_jpegs["rocket"],
        "sub/torn.jpg": gray_jpegs["rocket"][:3000],
        "sub/Thumbs.db": b"x",
    }
    for name, content in contents.items():
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "album"


def test_a_folder_comes_out_and_what_did_not_is_listed(gray2hue, album, tmp_path):
    result = gray2hue("colorize", album, "-o", tmp_path / "colored")
    assert result.returncode == 1, result.stderr
    assert any(line.startswith("sub/torn.jpg: ") and line.endswith("]") for line in result.stderr.splitlines())
    found = {path.relative_to(tmp_path / "colored").as_posix() for path in (tmp_path / "colored").rglob("*.*")}
    assert found == {"a.jpg", "sub/дом/b.jpg", "manifest.csv", "manifest.jsonl"}


def test_a_clean_folder_exits_with_0_and_skips_what_is_no_photograph(gray2hue, album, tmp_path):
    (album / "sub" / "torn.jpg").unlink()
    result = gray2hue("colorize", album, "-o", tmp_path / "colored.zip")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(tmp_path / "colored.zip") as archive:
        assert archive.testzip() is None
        assert {"a.jpg", "sub/дом/b.jpg"} < set(archive.namelist())
    assert "1 skipped" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_one_picture_becomes_one_picture(gray2hue, album, tmp_path):
    from PIL import Image

    result = gray2hue("colorize", album / "a.jpg", "-o", tmp_path / "a-color.jpg")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "a-color.jpg") as color, Image.open(album / "a.jpg") as gray:
        assert (color.mode, color.size, gray.mode) == ("RGB", gray.size, "L")
    again = gray2hue("colorize", album / "a.jpg", "-o", tmp_path / "a-color.jpg")
    assert (again.returncode, "[file_exists]" in again.stderr) == (1, True)


def test_jobs_are_listed_shown_and_downloaded_by_a_short_id(gray2hue, album, tmp_path, stack):
    with stack.client() as client:
        job = stack.finished(client, stack.submit(client, "solo.jpg", (album / "a.jpg").read_bytes()))
    listed = gray2hue("jobs", "list")
    assert f"{job['id'][:8]}  completed" in listed.stdout
    shown = gray2hue("jobs", "show", job["id"][:10])
    assert "solo.jpg" in shown.stdout
    assert gray2hue("jobs", "download", job["id"][:10], "-o", f"{tmp_path}/new/").returncode == 0
    assert (tmp_path / "new" / "solo.jpg").exists()
    canceled = gray2hue("jobs", "cancel", job["id"][:10])
    assert (canceled.returncode, "[already_over]" in canceled.stderr) == (1, True)


def test_a_second_stack_says_where_the_first_one_is(gray2hue, stack):
    result = gray2hue("up")
    assert result.returncode == 1
    assert f"already runs on {stack.data_dir} at {stack.address}" in result.stderr


def test_a_new_link_works_at_once(gray2hue, stack):
    import httpx

    link = gray2hue("link").stdout.strip()
    assert link.startswith(f"{stack.address}/setup/")
    assert httpx.get(link).status_code == 200
    assert "[no_such_user]" in gray2hue("link", "nobody").stderr


def test_ctrl_c_leaves_no_process_and_no_socket(stack, wait_until):
    led = list(stack.pids().values())
    watchdogs = set(children_of(stack.process.pid)) - set(led)
    socket_path = Path((stack.data_dir / "run" / "socket.path").read_text().strip())
    assert TEMPORARY_PREFIX in socket_path.parent.name
    assert socket_path.exists()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(60) == 0
    assert not any(groups.group_alive(group) for group in led)
    assert len(watchdogs) == 1
    assert not any(groups.group_alive(group) for group in watchdogs)
    assert not socket_path.parent.exists()
    assert not (stack.data_dir / "run" / "stack.json").exists()


def test_colorize_runs_a_stack_of_its_own_and_ctrl_c_ends_it(stack, album, tmp_path, gray2hue, wait_until):
    stack.stop()
    many = tmp_path / "many"
    many.mkdir()
    for number in range(80):
        (many / f"{number:02}.jpg").write_bytes((album / "a.jpg").read_bytes())
    command = [sys.executable, "-m", "cli", "colorize", str(many), "-o", str(tmp_path / "out.zip")]
    log = tmp_path / "log"
    with log.open("w") as output:
        running = subprocess.Popen(command, env=stack.full_environment, stderr=output)
        wait_until(lambda: "colorizing: " in log.read_text(), 200, "the job's start")
        led = list(stack.pids().values())
        running.send_signal(signal.SIGINT)
        assert running.wait(90) == 130
    assert "Canceled job" in log.read_text()
    assert not (tmp_path / "out.zip").exists()
    assert len(led) == 6
    assert not any(groups.group_alive(group) for group in led)
    assert "[not_running]" in gray2hue("jobs", "list").stderr
