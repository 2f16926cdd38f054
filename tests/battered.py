"""A stack that is hurt: killed where a test wants it, watched at its boundaries, and counted by a ledger of its own."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
from sqlalchemy import select

from benchmarks.soaking.outcomes import OutcomeLedger
from benchmarks.soaking.stored import differences
from boundaries import Armed
from cli.parts import web_answers
from core.boundaries import Boundary
from core.database import Database
from core.records import FINAL_JOB_STATES, Job, JobState, Photo, PhotoState
from stacks import FAST_RECOVERY, RunningStack, children_of

BATTERED = {
    **FAST_RECOVERY,
    "GRAY2HUE_RESTART_DELAY_S": "0",
    "GRAY2HUE_RESTART_DELAY_MAX_S": "1",
    "GRAY2HUE_RECEIVING_LEASE_S": "2",
}
OPTIONS = {"network_edge_px": "64"}
HEADERS = {"Content-Type": "application/octet-stream"}


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class Upload:
    """An upload in a thread of its own, since who takes it may be stopped half way. `job_id` is set once accepted."""

    def __init__(self, stack: RunningStack, name: str, content: bytes, options: dict[str, str]) -> None:
        self.job_id = ""
        self.status = 0
        self.body = b""
        self._stack = stack
        self._parameters = {"filename": name, **OPTIONS, **options}
        self._content = content
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    @property
    def answered(self) -> bool:
        """Whether it is over, one way or the other."""
        return not self._thread.is_alive()

    def wait(self) -> "Upload":
        self._thread.join(120)
        assert self.answered
        return self

    def _send(self) -> None:
        with self._stack.client() as client, contextlib.suppress(httpx.TransportError):
            answer = client.post("/api/v1/jobs", params=self._parameters, content=self._content, headers=HEADERS)
            self.status, self.body = answer.status_code, answer.content
            if self.status == 201:
                self.job_id = str(answer.json()["id"])


class BatteredStack:
    """`gray2hue up` with quick recovery and armed boundaries.

    Args:
        make_stack: starts stacks.
        faults_dir: for the boundaries.
        environment: further settings.
    """

    def __init__(self, make_stack, faults_dir: Path, environment: dict[str, str]) -> None:
        self.armed = Armed(faults_dir, Boundary.CLAIMED, Boundary.DECODED, Boundary.NETWORK_DONE)
        self.stack: RunningStack = make_stack(**{**BATTERED, "GRAY2HUE_FAULTS_DIR": str(faults_dir), **environment})
        default = f"sqlite:///{self.stack.data_dir / 'gray2hue.db'}"
        self.database = Database(environment.get("GRAY2HUE_DATABASE_URL", default))
        self.storage_dir = Path(environment.get("GRAY2HUE_STORAGE_DIR", self.stack.data_dir / "store"))
        self.ledger = OutcomeLedger(self.database)
        self.wait_until = self.stack.wait_until
        self.accepted: set[str] = set()
        """The jobs that were answered with 201."""
        self.killed: set[int] = set()

    def close(self) -> None:
        self.stack.stop()
        self.database.dispose()

    def await_web(self) -> None:
        self.wait_until(lambda: web_answers(self.stack.address), 120, "the web server's readiness")

    def send(self, name: str, content: bytes, **options: str) -> Upload:
        """Begin an upload. `name` begins with the number of its photographs, as in "3 photos.zip"."""
        return Upload(self.stack, name, content, options)

    def submit(self, name: str, content: bytes, **options: str) -> str:
        """Send an upload that must be accepted, and give its job's id."""
        upload = self.send(name, content, **options).wait()
        assert upload.job_id, upload.status
        self.accepted.add(upload.job_id)
        return upload.job_id

    def leader(self, name: str) -> int:
        """The process id of a part that runs, and that was not killed before."""

        def find() -> int | None:
            pid = self.stack.pids().get(name)
            return pid if pid is not None and pid not in self.killed and is_running(pid) else None

        return self.wait_until(find, 120, f"a running {name}")

    def child(self, leader_pid: int) -> int:
        """The process id of a pool child."""

        def find() -> int | None:
            return next((pid for pid in children_of(leader_pid) if is_running(pid)), None)

        return self.wait_until(find, 120, "a pool child")

    def kill(self, pid: int) -> None:
        """kill -9, and wait until the process is gone."""
        self.killed.add(pid)
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not is_running(pid), 30, "the end of a killed process")

    def job(self, job_id: str) -> Job | None:
        return self.database.look_patiently(lambda session: session.get(Job, job_id))

    def photos(self, job_id: str) -> list[Photo]:
        found = select(Photo).where(Photo.job_id == job_id).order_by(Photo.position)
        return self.database.look_patiently(lambda session: list(session.scalars(found)))

    def done(self, job_id: str) -> int:
        return sum(photo.state == PhotoState.DONE for photo in self.photos(job_id))

    def jobs(self) -> list[Job]:
        return self.database.look_patiently(lambda session: list(session.scalars(select(Job))))

    def await_drained(self, timeout_s: float = 240) -> None:
        """Wait until every job is over, and no upload is waited for any more."""

        def drained() -> bool:
            return all(job.state in FINAL_JOB_STATES for job in self.jobs())

        self.wait_until(drained, timeout_s, "the end of all jobs")

    def check_all_done(self) -> None:
        """Every photograph is done, with one committed result and one that is stored; nothing else is left.

        An upload whose answer got lost is there as a whole, or not at all.
        """
        self.await_drained()
        jobs = self.jobs()
        assert self.accepted <= {job.id for job in jobs}
        committed = self.ledger.committed()
        for job in jobs:
            photos = self.photos(job.id)
            found = Counter((photo.state, photo.code) for photo in photos)
            assert found == {(PhotoState.DONE, ""): int(job.name.split()[0])}, f"{job.id} {job.name}: {found}"
            assert job.state == JobState.COMPLETED
            times = {committed.pop(photo.id) for photo in photos}
            assert times == {1}, f"{job.id} {job.name}: results were committed {times} times"
        assert not committed, f"{len(committed)} results of no photograph"
        self.check_stored()

    def check_ledger(self, job_ids: list[str]) -> None:
        """All photographs of these jobs have their result committed once."""
        committed = self.ledger.committed()
        assert {committed[photo.id] for job_id in job_ids for photo in self.photos(job_id)} == {1}

    def check_stored(self, timeout_s: float = 20) -> None:
        """Nothing is missing in the storage, and nothing is left there that nobody refers to."""
        self._let_a_day_pass()
        deadline = time.monotonic() + timeout_s
        while (amiss := differences(self.database, self.storage_dir)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not amiss, "\n".join(amiss)

    def _let_a_day_pass(self) -> None:
        """For what was being written when its process died: it might be written to still, for all that one can see."""
        yesterday = time.time() - 25 * 3600
        for path in (self.storage_dir / ".aside").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (yesterday, yesterday))
