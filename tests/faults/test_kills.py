"""A worker's processes are killed in the middle of a job; every photograph still comes out, once."""

import os
import signal
from collections import Counter

from sqlalchemy import func, select

from core.database import Database
from core.records import Photo
from stacks import FAST_RECOVERY, children_of


def done(client, job_id):
    return client.get(f"/api/v1/jobs/{job_id}").raise_for_status().json()["counts"]["done"]


def test_parent_and_child_of_the_worker_may_die_twice(make_stack, gray_jpegs, make_zip, wait_until):
    stack = make_stack(**FAST_RECOVERY, GRAY2HUE_CHUNK_PHOTOS="4")
    pictures = list(gray_jpegs.values())
    contents = {f"{k:03}.jpg": pictures[k % len(pictures)] for k in range(60)}

    with stack.client() as client:
        job_id = stack.submit(client, "photos.zip", make_zip(contents))
        for threshold in (2, 20):
            wait_until(lambda: done(client, job_id) >= threshold, 120, "some photographs")  # noqa: B023 - used at once
            child = wait_until(lambda: children_of(stack.pids()["worker"]), 120, "a pool child")
            os.kill(child[0], signal.SIGKILL)
            more = done(client, job_id) + 3
            wait_until(lambda: done(client, job_id) >= more, 120, "work after the child's death")  # noqa: B023
            parent = stack.pids()["worker"]
            os.kill(parent, signal.SIGKILL)
            wait_until(lambda: stack.pids()["worker"] != parent, 120, "a new worker")  # noqa: B023
        job = stack.finished(client, job_id)
        photos = stack.photos(client, job_id)

    assert job["state"] == "completed"
    assert Counter(photo["state"] for photo in photos) == {"done": 60}
    assert sorted(photo["path"] for photo in photos) == sorted(contents)
    results = [path.name for path in (stack.data_dir / "store" / "jobs" / job_id / "results").iterdir()]
    committed = {photo["id"] for photo in photos}
    assert {name.split("-")[0] for name in results} == committed


def test_a_second_start_takes_up_unfinished_jobs(make_stack, gray_jpegs, make_zip, wait_until):
    stack = make_stack(**FAST_RECOVERY)
    picture = next(iter(gray_jpegs.values()))
    with stack.client() as client:
        content = make_zip({f"{k:03}.jpg": picture for k in range(40)})
        job_id = stack.submit(client, "photos.zip", content)
        wait_until(lambda: done(client, job_id) >= 1, 120, "the first photograph")
    stack.stop()
    database = Database(f"sqlite:///{stack.data_dir / 'gray2hue.db'}")
    with database.read() as session:
        rows = session.execute(select(Photo.state, func.count()).group_by(Photo.state))
        counts = dict(rows.all())
    database.dispose()
    assert counts.get("done", 0) < 40

    stack.start()
    with stack.client() as client:
        job = stack.finished(client, job_id)
    assert (job["state"], job["counts"]["done"]) == ("completed", 40)
