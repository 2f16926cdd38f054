"""What the tasks do: plain functions on a Context, callable without Celery."""

from worker.handlers.colorize import colorize_chunk
from worker.handlers.context import Context, IntakeLimits, PreviewSizes, TrainingSetup
from worker.handlers.ingest import ingest
from worker.handlers.sweep import sweep

__all__ = [
    "Context",
    "IntakeLimits",
    "PreviewSizes",
    "TrainingSetup",
    "colorize_chunk",
    "ingest",
    "sweep",
]
