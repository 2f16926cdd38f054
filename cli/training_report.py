"""Telling how a local training run goes: a live line, a file of curves, a folder of pictures."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from core.training.watching import Measured, SampleKind

LINE_EVERY_S = 5.0


class TrainingReport:
    """A Watcher that writes curves.jsonl and samples/, and tells a person how far it is. A context manager.

    A line of curves.jsonl is a point: `step`, `at` and what was measured. Steps that were done again after the process
    was killed stand there twice; the later line counts.

    Args:
        out: the run's folder.
        should_stop: whether the person wishes to stop.
    """

    def __init__(self, out: Path, should_stop: Callable[[], bool]) -> None:
        self.should_stop = should_stop
        self._samples_dir = out / "samples"
        self._samples_dir.mkdir(exist_ok=True)
        self._curves = (out / "curves.jsonl").open("a")
        self._live = sys.stderr.isatty()
        self._width = 0
        self._quiet_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._clear()
        self._curves.close()

    def progress(self, step: int, steps_total: int, measured: Measured) -> None:
        """See Watcher.progress."""
        point = {"step": step, "at": datetime.now(UTC).isoformat(timespec="seconds"), **measured}
        self._curves.write(json.dumps(point) + "\n")
        self._curves.flush()
        line = f"step {step}/{steps_total}  {describe(measured)}"
        is_kept = "val_de00" in measured or step == steps_total
        if self._live and not is_kept:
            self._clear()
            click.echo(line, nl=False, err=True)
            self._width = len(line)
        elif is_kept or time.monotonic() >= self._quiet_until:
            self._clear()
            click.echo(line, err=True)
            self._quiet_until = time.monotonic() + LINE_EVERY_S

    def _clear(self) -> None:
        if self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
        self._width = 0

    def sample(self, step: int, number: int, kind: SampleKind, jpeg: bytes) -> None:
        """See Watcher.sample."""
        name = f"{number:02d}-{kind}-{step:07d}.jpg" if kind == "after" else f"{number:02d}-{kind}.jpg"
        (self._samples_dir / name).write_bytes(jpeg)

    def yield_device(self) -> None:
        """See Watcher.yield_device; a local run has the device to itself."""


def describe(measured: Measured) -> str:
    """The numbers that a person follows, those that there are, in one line."""
    shown = (
        ("loss", "loss {:.4g}"),
        ("l1", "L1 {:.4f}"),
        ("gan_d", "D {:.3f}"),
        ("images_per_s", "{:.1f} photographs/s"),
        ("val_de00", "dE00 {:.2f}"),
        ("val_cf", "CF {:.1f}"),
        ("val_dcf", "dCF {:.1f}"),
    )
    return "  ".join(form.format(measured[name]) for name, form in shown if name in measured)
