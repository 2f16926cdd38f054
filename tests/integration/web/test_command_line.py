"""`gray2hue jobs` against a server that is really asked over HTTP."""

import json
import threading
from datetime import timedelta

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from cli.main import main
from core.records import Chunk, JobState, PausedBy, PhotoState, utc_now


@pytest.fixture
def ada(site):
    return site.user("ada")


@pytest.fixture
def gray2hue(site, ada):
    """Runs a command as ada; gives its exit code and all that it told."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    access = ["--address", f"http://127.0.0.1:{server.server_port}", "--key", site.key(ada)]

    def run(*arguments, answer=None):
        result = CliRunner().invoke(main, ["jobs", *arguments, *access], input=answer)
        return result.exit_code, result.output

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def running(site, ada):
    now = utc_now()
    job = site.job(ada, state=JobState.RUNNING, started_at=now, ingested_at=now)
    with site.database.write() as records:
        records.add(Chunk(job_id=job.id, number=0, sent_at=now))
    site.photo(job, 0, chunk=0)
    return job


def test_a_job_is_paused_resumed_and_put_behind_others(gray2hue, running):
    assert gray2hue("pause", running.id[:8]) == (0, "photos.zip: paused\n")
    code, told = gray2hue("show", running.id[:8])
    assert (code, "state   paused; it goes on after: gray2hue jobs resume" in told) == (0, True)
    assert gray2hue("resume", running.id[:8]) == (0, "photos.zip: running\n")
    assert gray2hue("priority", running.id, "low") == (0, "photos.zip: low priority\n")
    assert "low priority" in gray2hue("show", running.id)[1]
    code, told = gray2hue("priority", running.id, "high")
    assert (code, "[admin_only]" in told) == (1, True)
    code, told = gray2hue("resume", running.id)
    assert (code, "[not_paused]" in told) == (1, True)


def test_a_job_is_deleted_only_by_who_says_so_twice(site, ada, gray2hue):
    job = site.finished_job(ada)
    code, told = gray2hue("delete", job.id, answer="n\n")
    assert (code, "lost for good" in told, site.jobs()[0].state) == (1, True, JobState.COMPLETED)
    assert gray2hue("delete", job.id, "--yes") == (0, "photos.zip: deleted\n")
    assert site.jobs()[0].state == JobState.EXPIRED


def test_what_failed_is_tried_again(site, ada, gray2hue):
    job = site.finished_job(ada)
    with site.database.write() as records:
        records.add(Chunk(job_id=job.id, number=0, sent_at=utc_now(), finished_at=utc_now()))
        records.merge(job).state = JobState.COMPLETED_WITH_ERRORS
    site.photo(job, 0, PhotoState.FAILED, chunk=0, finished_at=utc_now())
    assert gray2hue("retry", job.id) == (0, "photos.zip: running\n")


def test_the_list_shows_every_state(site, ada, gray2hue):
    site.job(ada, state=JobState.RECEIVING)
    site.job(ada, state=JobState.PAUSED, paused_by=PausedBy.SYSTEM)
    site.finished_job(ada, expires_at=utc_now() + timedelta(days=3))
    expired = site.finished_job(ada)
    gray2hue("delete", expired.id, "--yes")
    code, told = gray2hue("list")
    assert code == 0
    assert [line.split()[1] for line in told.splitlines()] == ["STATE", "expired", "completed", "paused", "receiving"]
    told = [gray2hue("show", job.id)[1] for job in site.jobs()]
    assert "no room left on the server" in told[1]
    assert "then originals and results are deleted" in told[2]


def test_the_log_is_told_in_lines_or_as_json(gray2hue, running):
    gray2hue("pause", running.id)
    gray2hue("cancel", running.id)
    code, told = gray2hue("events", running.id)
    lines = told.splitlines()
    assert code == 0
    assert lines[-3].endswith("running -> paused by ada")
    assert lines[-2].endswith("paused -> canceling by ada")
    assert "photo" not in told
    assert "pending -> canceled by ada" in gray2hue("events", running.id, "--photos")[1]
    objects = [json.loads(line) for line in gray2hue("events", running.id, "--json")[1].splitlines()]
    assert [one["to_state"] for one in objects[-3:]] == ["paused", "canceling", "canceled"]
