"""The database or the broker restarts, dies, or stays away: nothing is lost by it but time."""

import itertools
import json
import subprocess
import time

import pytest

from cli import redis_server

LEASE_S = 4.0
AWAY_S = 3 * LEASE_S
"""For leases of 30 s this is a minute and a half."""
PAUSE_S = 1.0
"""Before a client that was told to come back later does so."""


class OwnRedis:
    """A broker that a test may stop and start."""

    def __init__(self, folder, wait_until):
        self._path = folder / "redis.sock"
        self._wait_until = wait_until
        self._part = redis_server.redis_part(redis_server.find_redis_server(), self._path)
        self.url = redis_server.broker_url(self._path)
        self.start()

    def start(self):
        self._process = subprocess.Popen(self._part.command, stdout=subprocess.DEVNULL)
        self._wait_until(lambda: redis_server.answers(self._path), 20, "Redis")

    def stop(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory, wait_until):
    server = OwnRedis(tmp_path_factory.mktemp("redis"), wait_until)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def battered(batter, own_postgres, own_redis):
    found = batter(GRAY2HUE_DATABASE_URL=own_postgres.url, GRAY2HUE_BROKER_URL=own_redis.url, GRAY2HUE_CHUNK_PHOTOS="4")
    yield found
    found.close()


def send_for(battered, duration_s, content):
    """Uploads one after another, as long as that takes; at least two."""
    begin = time.monotonic()
    uploads = []
    while len(uploads) < 2 or time.monotonic() - begin < duration_s:
        uploads.append(battered.send("1 photo.jpg", content).wait())
        battered.accepted.update(upload.job_id for upload in uploads if upload.job_id)
        time.sleep(PAUSE_S)
    return uploads


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_database_that_falls_in_the_middle_of_a_job(how, battered, own_postgres, small_zip):
    job_id = battered.submit("40 photos.zip", small_zip(40))
    for threshold in (3, 15):
        battered.wait_until(lambda: battered.done(job_id) >= threshold, 90, "some photographs")  # noqa: B023 - used at once
        getattr(own_postgres, how)()
    battered.check_all_done()


def test_a_database_that_stays_away(battered, own_postgres, small_zip, small_jpegs):
    job_id = battered.submit("24 photos.zip", small_zip(24))
    battered.wait_until(lambda: battered.done(job_id) >= 3, 90, "some photographs")
    own_postgres.stop()
    refused = send_for(battered, AWAY_S, small_jpegs[0])
    assert {upload.status for upload in refused} == {503}
    assert all(json.loads(upload.body)["code"] for upload in refused)
    own_postgres.start()
    battered.await_web()
    battered.submit("1 photo.jpg", small_jpegs[0])
    battered.check_all_done()


def test_a_broker_that_stays_away(battered, own_redis, small_zip, small_jpegs):
    job_id = battered.submit("24 photos.zip", small_zip(24))
    battered.wait_until(lambda: battered.done(job_id) >= 3, 90, "some photographs")
    own_redis.stop()
    accepted = send_for(battered, AWAY_S, small_jpegs[0])
    assert {upload.status for upload in accepted} == {201}
    own_redis.start()
    battered.check_all_done()


def test_both_in_turns(battered, own_postgres, own_redis, small_zip, small_jpegs):
    job_id = battered.submit("40 photos.zip", small_zip(40))
    for blow in itertools.islice(itertools.cycle((own_postgres.kill, own_redis.stop)), 4):
        before = battered.done(job_id)
        battered.wait_until(lambda: battered.done(job_id) > before, 90, "some photographs")  # noqa: B023 - used at once
        blow()
        if blow == own_redis.stop:
            own_redis.start()
    battered.check_all_done()
