"""The parts of an embedded stack, and how to tell that they are ready."""

import sys
from pathlib import Path

import httpx
from celery import Celery
from celery.utils.nodenames import gethostname
from kombu.exceptions import OperationalError

from cli.process import Part

WORKER_NAMES = ("colorize", "intake")
LATE_NAMES = ("trainer",)
"""Parts that nobody waits for: they start once the others are ready."""

LEASE_HOLDERS = ("worker", "intake", "trainer")
"""Parts whose processes have work in hand."""

STOP_ORDER = (("web", "beat"), ("worker", "intake", "trainer"), ("redis",))


def python_parts(run_dir: Path) -> tuple[Part, ...]:
    """Everything but Redis: the web server, the workers, the trainer and the clock."""
    return (
        Part("web", _module("gunicorn", "--config", "python:web.gunicorn_config", "web.wsgi:app")),
        Part("worker", _worker("-Q", "express,maintenance,colorize", "-c", "1", "-n", "colorize@%h")),
        Part("intake", _worker("-Q", "ingest", "-c", "2", "-n", "intake@%h")),
        # Each run gets a process of its own, so that nothing of one is left in the next, torch included.
        Part("trainer", _worker("-Q", "train", "-c", "1", "--max-tasks-per-child", "1", "-n", "trainer@%h")),
        Part("beat", _celery("beat", "--schedule", str(run_dir / "beat-schedule"), "--pidfile", "")),
    )


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _celery(*arguments: str) -> tuple[str, ...]:
    return _module("celery", "-A", "worker.main:app", *arguments)


def _worker(*arguments: str) -> tuple[str, ...]:
    # Looking for other workers costs a second at each start, and hints need no order among them.
    return _celery("worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip", *arguments)


def web_answers(address: str) -> bool:
    """Whether the web server is up and reaches the database, the broker and the storage."""
    try:
        # A proxy of the person's environment is not for an address on this machine.
        return httpx.get(f"{address}/health", timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def workers_answer(broker_url: str) -> bool:
    """Whether a pool process of each worker is through its start, the model loaded.

    A worker answers long before that. What tells is how many pool processes have reported to it that they take work.
    """
    nodes = [f"{name}@{gethostname()}" for name in WORKER_NAMES]
    with Celery("gray2hue", broker=broker_url, set_as_current=False) as client:
        try:
            stats = client.control.inspect(nodes, timeout=1.0, limit=len(nodes)).stats() or {}
        except (OperationalError, OSError):
            return False
    return all(_pool_processes(stats.get(node, {})) > 0 for node in nodes)


def _pool_processes(stats: dict[str, dict[str, dict[str, dict[str, int]]]]) -> int:
    return int(stats.get("pool", {}).get("writes", {}).get("inqueues", {}).get("total", 0))
