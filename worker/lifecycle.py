"""What one pool child holds from its birth to its end: connections, and the models it colorizes with."""

import logging
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from core import lease_owners, registry
from core.archives import ArchiveLimits
from core.boundaries import OPEN, Boundaries, Boundary, boundaries
from core.checkpoints import read_metadata
from core.colorizer import Colorizer
from core.database import Database
from core.engine import Engine, MemoryGate, photo_threads
from core.errors import CheckpointError, NotFoundError, SetupError, TransientError
from core.imaging.codec import ImageLimits
from core.jobs import JobLimits
from core.model_store import provide_model
from core.queue import COLORIZE_QUEUE, Queue
from core.records import AliasName
from core.runtimes import choose_runtime
from core.settings import Settings
from core.storage import LocalStorage
from worker.active_model import ActiveModelWatch
from worker.colorizers import Colorizers
from worker.handlers import Context, IntakeLimits, PreviewSizes
from worker.handlers.colorize import Workshop

log = logging.getLogger(__name__)


class WorkerProcess:
    """One process of a worker's pool."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context: Context | None = None
        self._colorizers: Colorizers | None = None
        self._workshop: Workshop | None = None
        self._watch: ActiveModelWatch | None = None

    def start(self, consumes: set[str]) -> None:
        """Open connections of its own; load the active model, and watch it, if the worker takes chunks to colorize.

        Runtimes are loaded in the child alone: CUDA does not survive a fork, nor do an engine's threads.
        """
        self._context = context = open_context(self._settings)
        free_dead_siblings(context)
        if COLORIZE_QUEUE in consumes:
            self._colorizers = Colorizers(self._load)
            version = self._version_at_start()
            context.boundaries.reach(Boundary.MODEL_LOADING)
            active = self._colorizers.get(version)
            log.info("model version %s is loaded", version)
            engine = open_engine(self._settings, context.boundaries)
            self._workshop = Workshop(engine, self._colorizers, photo_threads(active))
            self._watch = ActiveModelWatch(
                self._active_version, self._upcoming, self._prepare, self._colorizers, self._settings.model_poll_s
            )
            self._watch.start()

    def stop(self) -> None:
        """Free the models and close the connections."""
        if self._watch is not None:
            self._watch.stop()
        if self._colorizers is not None:
            self._colorizers.close()
        if self._context is not None:
            self._context.database.dispose()

    @property
    def context(self) -> Context:
        """The connections; SetupError (`not_started`) before `start`."""
        if self._context is None:
            raise SetupError("not_started", "This worker process has no connections yet.")
        return self._context

    @property
    def workshop(self) -> Workshop:
        """Engine and models; SetupError (`no_model_loaded`) where the worker was not started to colorize."""
        if self._workshop is None:
            raise SetupError("no_model_loaded", "This worker does not consume the colorize queue and holds no model.")
        return self._workshop

    def _load(self, version: str) -> Colorizer:
        settings = self._settings
        folder = self._folder(version)
        runtime = choose_runtime(folder, settings.runtimes_dir, settings.device, settings.runtime)
        return Colorizer(runtime, version, read_metadata(folder).network_edge_px)

    def _folder(self, version: str) -> Path:
        """Where a version's weights are, as the registry knows them; the shipped ones are had without asking it.

        Raises:
            CheckpointError: as provide_model says.
            TransientError: the database or the storage is away; nothing is known about the version.
        """
        settings = self._settings
        if read_metadata(settings.models_dir).version == version:
            return settings.models_dir
        try:
            with self.context.database.read() as session:
                registered = registry.get_version(session, version)
        except NotFoundError as error:
            raise CheckpointError("model_version_missing", f"There is no model version {version}.") from error
        except OperationalError as error:
            raise TransientError("database_away", "The database does not answer.") from error
        return provide_model(self.context.storage, registered, settings.models_dir, settings.imported_models_dir)

    def _active_version(self) -> str:
        with self.context.database.read() as session:
            return registry.active_version(session).version

    def _upcoming(self) -> list[str]:
        """The candidate, and what was imported or trained last and not rejected."""
        with self.context.database.read() as session:
            candidate = registry.aliased(session, AliasName.CANDIDATE)
            newest = registry.newest_version(session)
        return [version.version for version in (candidate, newest) if version is not None]

    def _prepare(self, version: str) -> None:
        self._load(version).runtime.close()

    def _version_at_start(self) -> str:
        """The version that new jobs get, or the shipped one while the database cannot tell."""
        try:
            return self._active_version()
        except (CheckpointError, DatabaseError):
            return read_metadata(self._settings.models_dir).version


def free_dead_siblings(context: Context) -> None:
    """Let what a process that this one takes the place of had in hand be taken back at once."""
    try:
        with context.database.write() as session:
            freed = lease_owners.free_dead_siblings(session)
    except SQLAlchemyError as error:
        log.warning("leases of dead processes were left to run out: %s", error)
    else:
        if freed:
            log.info("ended %d leases of dead processes", freed)


def image_limits(settings: Settings) -> ImageLimits:
    """What may be decoded, from settings."""
    return ImageLimits(max_pixels=settings.max_pixels, max_bytes=settings.max_entry_bytes)


def open_engine(settings: Settings, watched: Boundaries = OPEN) -> Engine:
    """The engine for photographs, from settings."""
    gate = MemoryGate(settings.photo_memory_bytes)
    return Engine(image_limits(settings), gate, _software(), settings.preview_edge_px, watched)


def _software() -> str:
    try:
        return f"Gray2Hue {version('gray2hue')}"
    except PackageNotFoundError:
        return "Gray2Hue"


def open_context(settings: Settings) -> Context:
    """Connections and limits for handlers, from settings."""
    watched = boundaries(settings.faults_dir)
    return Context(
        database=Database(settings.database_url),
        storage=LocalStorage(settings.storage_dir, watched),
        hints=Queue(settings.broker_url, settings.ingest_time_limit_s),
        owner=lease_owners.own_name(),
        job_limits=JobLimits(
            chunks_in_flight=settings.chunks_in_flight,
            lease_s=settings.lease_s,
            resend_after_s=settings.resend_after_s,
            max_deaths=settings.max_deaths,
        ),
        archive_limits=ArchiveLimits(
            max_entries=settings.max_archive_entries,
            max_total_bytes=settings.max_archive_bytes,
            max_entry_bytes=settings.max_entry_bytes,
            max_entry_ratio=settings.max_entry_ratio,
            max_path_depth=settings.max_path_depth,
        ),
        image_limits=image_limits(settings),
        intake_limits=IntakeLimits(chunk_pixels=settings.chunk_pixels, chunk_photos=settings.chunk_photos),
        preview_sizes=PreviewSizes(settings.preview_edge_px, settings.thumbnail_edge_px),
        heartbeat_s=settings.heartbeat_s,
        boundaries=watched,
        sweep_interval_s=settings.sweep_interval_s,
        storage_reserve_bytes=settings.storage_reserve_bytes,
        incoming_dir=settings.incoming_dir,
    )
