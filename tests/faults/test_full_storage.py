"""A storage that is full: what is too large is refused, what is under way waits for room, and nothing is lost."""

import contextlib
import errno
import http.client
import io
import json
import os
import subprocess

import pytest
from PIL import Image
from skimage import data

from core.boundaries import Boundary
from core.records import JobState, PausedBy
from stacks import RunningStack

SIZE_BYTES = 48 * 2**20
RESERVE_BYTES = 2 * 2**20
LEFT_BYTES = 300_000
PIECE = bytes(1 << 20)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A folder on a file system of its own, with little room."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def battered(batter, small_disk):
    found = batter(
        GRAY2HUE_STORAGE_DIR=str(small_disk / "store"),
        GRAY2HUE_STORAGE_RESERVE_BYTES=str(RESERVE_BYTES),
        GRAY2HUE_CHUNK_PHOTOS="4",
    )
    yield found
    found.close()


@pytest.fixture
def ballast(small_disk):
    """A file that takes the room that there is, but for a rest."""
    path = small_disk / "ballast"

    def fill(left_bytes):
        status = os.statvfs(small_disk)
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - left_bytes)
        return path

    yield fill
    path.unlink(missing_ok=True)


def post(stack: RunningStack, headers, pieces):
    """Status and code of what is answered to a body, of which only as much is sent as is taken."""
    key = (stack.data_dir / "run" / "cli.key").read_text().strip()
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/api/v1/jobs?filename=photos.zip")
        for name, value in {"Authorization": f"Bearer {key}", "Content-Type": "application/zip", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        with connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())["code"]


def test_an_upload_that_says_that_it_is_too_large_is_refused_unread(battered):
    assert post(battered.stack, {"Content-Length": str(SIZE_BYTES)}, []) == (507, "storage_full")


def test_an_upload_that_turns_out_too_large_is_refused_and_leaves_nothing(battered):
    endless = (PIECE for _ in range(2 * SIZE_BYTES // len(PIECE)))
    assert post(battered.stack, {"Transfer-Encoding": "chunked"}, endless) == (507, "storage_full")
    battered.wait_until(lambda: not battered.jobs(), 20, "the end of the refused job's row")
    assert [path for path in battered.storage_dir.rglob("*") if path.is_file()] == []


def test_a_job_that_fills_the_storage_waits_for_room_and_goes_on_by_itself(battered, ballast, make_zip, small_jpegs):
    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).convert("L").resize((800, 800)).save(buffer, "JPEG", quality=92)
    battered.armed.arm(Boundary.CLAIMED)
    contents = {f"{k}.jpg": buffer.getvalue() for k in range(6)}
    job_id = battered.submit("6 photos.zip", make_zip(contents), output_format="tiff")
    battered.armed.await_reached(Boundary.CLAIMED)
    battered.wait_until(lambda: battered.job(job_id).ingested_at, 30, "the end of the unpacking")
    path = ballast(LEFT_BYTES)
    battered.armed.let_go(Boundary.CLAIMED)

    battered.wait_until(lambda: battered.job(job_id).state == JobState.PAUSED, 60, "the pause")
    job = battered.job(job_id)
    assert (job.code, job.paused_by) == ("storage_full", PausedBy.SYSTEM)
    assert job.message
    assert battered.send("1 photo.jpg", small_jpegs[0]).wait().status == 507
    with battered.stack.client() as client:
        shown = client.get(f"/api/v1/jobs/{job_id}").raise_for_status().json()
    assert (shown["state"], shown["code"]) == ("paused", "storage_full")

    path.unlink()
    battered.wait_until(lambda: battered.job(job_id).finished_at, 60, "the job's end")
    battered.check_all_done()


def test_an_archive_that_does_not_fit_unpacked_waits_for_room(battered, ballast, make_zip, small_jpegs):
    battered.armed.arm(Boundary.JOB_COMMITTED)
    contents = {f"{k}.jpg": small_jpegs[0] for k in range(8)}
    upload = battered.send("8 photos.zip", make_zip(contents))
    battered.armed.await_reached(Boundary.JOB_COMMITTED)
    path = ballast(10_000)
    battered.armed.let_go(Boundary.JOB_COMMITTED)
    job_id = upload.wait().job_id
    battered.accepted.add(job_id)
    battered.wait_until(lambda: battered.job(job_id).state == JobState.PAUSED, 60, "the pause")
    assert battered.job(job_id).code == "storage_full"
    path.unlink()
    battered.check_all_done()


def test_the_disk_is_as_small_as_the_test_needs(small_disk):
    probe = small_disk / "probe"
    with probe.open("wb") as file, pytest.raises(OSError, match="No space left") as caught:
        os.posix_fallocate(file.fileno(), 0, SIZE_BYTES + 1)
    probe.unlink()
    assert caught.value.errno == errno.ENOSPC
