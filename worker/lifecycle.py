"""What one pool child holds from its birth to its end: connections, and the model, loaded once."""

import os
import socket
from typing import TYPE_CHECKING

from core.archives import ArchiveLimits
from core.database import Database
from core.errors import SetupError
from core.imaging.codec import ImageLimits
from core.jobs import JobLimits
from core.queue import COLORIZE_QUEUE, Queue
from core.settings import Settings
from core.storage import LocalStorage
from worker.handlers import Context, IntakeLimits, PreviewSizes

if TYPE_CHECKING:
    from core.colorizer import Colorizer


class WorkerProcess:
    """One process of a worker's pool."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context: Context | None = None
        self._colorizer: Colorizer | None = None

    def start(self, consumes: set[str]) -> None:
        """Open connections of its own; load the model if the worker takes chunks to colorize."""
        self._context = open_context(self._settings)
        if COLORIZE_QUEUE in consumes:
            # Torch is loaded in the child alone: CUDA does not survive a fork.
            from core.colorizer import Colorizer

            settings = self._settings
            self._colorizer = Colorizer.load(settings.models_dir, settings.device, settings.network_edge_px)

    def stop(self) -> None:
        """Close the connections."""
        if self._context is not None:
            self._context.database.dispose()

    @property
    def context(self) -> Context:
        """The connections; SetupError (`not_started`) before `start`."""
        if self._context is None:
            raise SetupError("not_started", "This worker process has no connections yet.")
        return self._context

    @property
    def colorizer(self) -> "Colorizer":
        """The loaded model; SetupError (`no_model_loaded`) where the worker was not started to colorize."""
        if self._colorizer is None:
            raise SetupError("no_model_loaded", "This worker does not consume the colorize queue and holds no model.")
        return self._colorizer


def open_context(settings: Settings) -> Context:
    """Connections and limits for handlers, from settings."""
    return Context(
        database=Database(settings.database_url),
        storage=LocalStorage(settings.storage_dir),
        hints=Queue(settings.broker_url, settings.ingest_time_limit_s),
        owner=f"{socket.gethostname()}:{os.getpid()}",
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
        image_limits=ImageLimits(max_pixels=settings.max_pixels, max_bytes=settings.max_entry_bytes),
        intake_limits=IntakeLimits(chunk_pixels=settings.chunk_pixels, chunk_photos=settings.chunk_photos),
        preview_sizes=PreviewSizes(settings.preview_edge_px, settings.thumbnail_edge_px),
        heartbeat_s=settings.heartbeat_s,
    )
