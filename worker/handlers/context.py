"""What every handler is given: connections, limits, and a heart that beats for its leases."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.archives import ArchiveLimits
from core.boundaries import Boundaries
from core.database import Database
from core.imaging.codec import ImageLimits
from core.jobs import JobLimits
from core.queue import HintSender
from core.runtimes.choice import Device, RuntimeKind
from core.storage import Storage
from worker.handlers.housekeeping import Housekeeping

log = logging.getLogger(__name__)

RETRY_S = 1.0


@dataclass(frozen=True)
class IntakeLimits:
    """How much makes one chunk: so many pixels or photos, whichever is reached first."""

    chunk_pixels: int
    chunk_photos: int


@dataclass(frozen=True)
class PreviewSizes:
    """Longest edges in pixels of the two sizes that pages show."""

    preview_edge_px: int
    thumbnail_edge_px: int


@dataclass(frozen=True)
class Context:
    """Connections and limits of one worker process, and where its housekeeping stands. `owner` names it in leases.

    Uploads come in in `incoming_dir`, a folder for each; there is none on a machine that has no web server.
    """

    database: Database
    storage: Storage
    hints: HintSender
    owner: str
    job_limits: JobLimits
    archive_limits: ArchiveLimits
    image_limits: ImageLimits
    intake_limits: IntakeLimits
    preview_sizes: PreviewSizes
    heartbeat_s: float
    boundaries: Boundaries
    sweep_interval_s: float
    storage_reserve_bytes: int
    incoming_dir: Path
    housekeeping: Housekeeping = field(default_factory=Housekeeping)


@dataclass(frozen=True)
class TrainingSetup:
    """Where and how this machine trains.

    Args:
        training_dir: for the runs' work, a folder each; emptied when they end.
        models_dir: the model that comes with the program.
        imported_dir: this machine's copies of other versions.
        runtimes_dir: where converted models are kept.
        device: as choose_runtime takes it; also what is trained on where a run's config leaves it open.
        kind: as choose_runtime takes it.
        min_photos: a run with fewer to train on fails.
        yields: whether photographs that wait to be colorized have a GPU first.
        is_leaving: whether this process has to end.
    """

    training_dir: Path
    models_dir: Path
    imported_dir: Path
    runtimes_dir: Path
    device: Device
    kind: RuntimeKind
    min_photos: int
    yields: bool
    is_leaving: Callable[[], bool]


@contextmanager
def heartbeat(interval_s: float, beat: Callable[[], None]) -> Iterator[None]:
    """Call `beat` every interval from a thread of its own until the block ends.

    A beat that fails is tried again soon, so that a database that comes back finds the lease renewed before anybody
    takes it for a dead one's: if it stays away, the lease runs out, and that is noticed by its epoch.
    """
    over = threading.Event()

    def run() -> None:
        pause_s = interval_s
        while not over.wait(pause_s):
            try:
                beat()
            except Exception as error:
                if pause_s == interval_s:
                    log.warning("a lease could not be renewed: %s", error)
                pause_s = min(RETRY_S, interval_s / 2)
            else:
                pause_s = interval_s

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
