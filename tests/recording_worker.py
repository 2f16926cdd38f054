"""A Celery worker whose tasks note, in Redis, that they were asked for, and wait as long as a file is there."""

import os
import time
from pathlib import Path

import redis
from celery import Celery

from core.queue import COLORIZE_CHUNK, INGEST, celery_config

BROKER_URL = os.environ["GRAY2HUE_BROKER_URL"]
NOTES = "notes"

app = Celery("recording")
app.conf.update(celery_config(BROKER_URL, 60))
app.conf.worker_consumer = "worker.consumer:Consumer"
hold = Path(os.environ.get("RECORDING_HOLD", "/nowhere"))
notes = redis.Redis.from_url(BROKER_URL)


@app.task(name=INGEST)
def ingest(job_id: str) -> None:
    notes.rpush(NOTES, f"ingest {job_id}")


@app.task(name=COLORIZE_CHUNK)
def colorize_chunk(job_id: str, number: int) -> None:
    notes.rpush(NOTES, f"colorize {job_id} {number}")
    while hold.exists():
        time.sleep(0.01)
