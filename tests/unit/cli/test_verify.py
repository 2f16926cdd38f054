import io
import json

import pytest
from click.testing import CliRunner

from cli.main import main
from core.database import Database
from core.migrate import migrate
from core.records import Job, JobState, Photo, PhotoState, User, utc_now
from core.settings import Settings
from core.storage import LocalStorage
from shipped import SHIPPED_VERSION


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A data folder with a finished job of two photographs, which the command finds by the environment."""
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "data"))
    made = Settings()
    migrate(made)
    database, storage = Database(made.database_url), LocalStorage(made.storage_dir)
    with database.write() as session:
        session.add(User(id="ada", name="ada"))
        done = {"state": JobState.COMPLETED, "ingested_at": utc_now()}
        session.add(Job(id="job", owner_id="ada", name="a.zip", model_version=SHIPPED_VERSION, **done))
        session.flush()
        for position in range(2):
            session.add(photo(storage, position))
    database.dispose()
    return made


def photo(storage, position):
    original_key, result_key = f"jobs/job/originals/p{position}", f"jobs/job/results/p{position}-1"
    original = storage.put(original_key, io.BytesIO(b"gray" * 1000))
    result = storage.put(result_key, io.BytesIO(b"colored" * 1000))
    return Photo(
        id=f"p{position}",
        job_id="job",
        position=position,
        path=f"letters/{position}.jpg",
        state=PhotoState.DONE,
        original_key=original_key,
        size_bytes=original.size_bytes,
        sha256=original.sha256,
        result_key=result_key,
        result_path=f"letters/{position}.png",
        result_size_bytes=result.size_bytes,
        result_sha256=result.sha256,
    )


def run(*arguments):
    return CliRunner().invoke(main, ["verify", *arguments])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[1234] ^= 1
    path.write_bytes(content)


def test_with_nothing_wrong_a_summary_says_so_and_the_exit_code_is_0(settings):
    result = run()
    assert result.exit_code == 0, result.output
    assert result.output.startswith("4 files looked at, 0.0 MB read in 0 s")
    assert result.output.endswith("all is as it was recorded.\n")
    assert run("--quiet").output == ""


def test_what_is_wrong_is_told_by_name_and_the_exit_code_is_1(settings):
    flip_a_bit(settings.storage_dir / "jobs/job/results/p0-1")
    flip_a_bit(settings.storage_dir / "jobs/job/originals/p1")
    (settings.storage_dir / "jobs/job/originals/p0").unlink()
    result = run()
    assert result.exit_code == 1
    missing, damaged_result, damaged_original, summary = result.output.splitlines()
    assert missing.startswith("missing: original letters/0.jpg of job job (nothing is stored under jobs/job/originals")
    assert damaged_result.startswith("damaged: result letters/0.png of job job (jobs/job/results/p0-1 has the SHA-256")
    assert damaged_original.startswith("damaged: original letters/1.jpg of job job")
    assert summary.endswith("1 missing, 2 damaged.")
    assert run("--quiet").output.splitlines() == [missing, damaged_result, damaged_original]


def test_files_left_over_are_listed_and_are_no_fault(settings):
    LocalStorage(settings.storage_dir).put("jobs/job/originals/nobody", io.BytesIO(b"x"))
    result = run()
    assert result.exit_code == 0
    assert "left over: jobs/job/originals/nobody\n" in result.output
    assert "1 files belong to no record" in result.output
    assert run("--quiet").output == ""


def test_json_is_an_object_a_line_the_summary_last(settings):
    flip_a_bit(settings.storage_dir / "jobs/job/results/p0-1")
    LocalStorage(settings.storage_dir).put("jobs/job/originals/nobody", io.BytesIO(b"x"))
    result = run("--json")
    assert result.exit_code == 1
    fault, orphan, last = map(json.loads, result.output.splitlines())
    message = fault.pop("message")
    assert fault == {
        "fault": "damaged",
        "part": "result",
        "job": "job",
        "path": "letters/0.png",
        "key": "jobs/job/results/p0-1",
    }
    assert "SHA-256" in message
    assert orphan == {"orphan": "jobs/job/originals/nobody"}
    counts = {"files": 4, "read_bytes": 22000, "missing": 0, "damaged": 1, "unreadable": 0, "orphans": 1}
    assert last["summary"] == {**counts, "seconds": last["summary"]["seconds"], "sound": False}


def test_a_job_is_looked_at_by_itself(settings):
    assert "4 files" in run("--job", "job").output
    result = run("--job", "none")
    assert result.exit_code == 1
    assert "[not_found]" in result.output


def test_a_database_without_tables_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAY2HUE_DATA_DIR", str(tmp_path / "empty"))
    result = run()
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "[database_unusable]" in result.output
