"""The entry point of workers and beat: `celery -A worker.main:app worker|beat`."""

from core.settings import Settings
from worker.app import create_app

app = create_app(Settings())
