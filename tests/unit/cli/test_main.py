import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from click.testing import CliRunner

from cli.main import COMMANDS, main


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    for name in ("GRAY2HUE_ADDRESS", "GRAY2HUE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_an_unknown_command_is_a_usage_error(run):
    assert run("paint").exit_code == 2


def test_our_errors_are_one_clear_line_with_their_code(run, tmp_path):
    result = run("jobs", "list")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"Error: No Gray2Hue runs on {tmp_path / 'data'}. Start it with: gray2hue up [not_running]"
    ]


def test_a_bad_setting_is_named(run, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_PORT", "eighty")
    result = run("jobs", "list")
    assert (result.exit_code, "GRAY2HUE_PORT" in result.output) == (1, True)


def test_an_error_of_the_system_is_no_traceback(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "file" / "data"))
    result = run("up", "--quiet")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


@pytest.mark.parametrize(
    "arguments", [["missing.zip", "-o", "out.zip"], ["{picture}"], ["{picture}", "-o", "out.zap"], ["-o", "out.zip"]]
)
def test_wrong_usage_exits_with_2_before_anything_is_started(run, tmp_path, arguments):
    (tmp_path / "a.jpg").write_bytes(b"x")
    result = run("colorize", *[argument.format(picture=tmp_path / "a.jpg") for argument in arguments])
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "data").exists()


def test_the_version_is_the_packages(run):
    try:
        expected = f"gray2hue {version('gray2hue')}"
    except PackageNotFoundError:
        expected = "gray2hue (not installed)"
    assert run("--version").output.strip() == expected


def test_no_command_loads_what_takes_long_to_be_explained():
    heavy = {"torch", "fastai", "numpy", "PIL"}
    code = "import sys, cli.main, cli.colorize, cli.jobs, cli.local_stack; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)
    code = "import sys, cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert (heavy | {"httpx", "celery", "sqlalchemy", "pydantic", "rich"}).isdisjoint(loaded)
