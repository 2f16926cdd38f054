"""A training run that kills its own process after a step: `python killed_training.py FOLDER STEP`."""

import os
import signal
import sys
from pathlib import Path

from core.training.loop import train
from watching import RecordingWatcher, pictures, prepared, resumable_config


class Killer(RecordingWatcher):
    """Kills the process as kill -9 does, when a step was done and before it is known to anybody."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def progress(self, step, steps_total, measured):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, step: int) -> None:
    train(resumable_config(), prepared(folder / "photos"), pictures()[:1], folder / "run", None, Killer(step))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
