"""How a training run is watched and stopped from outside. Imports no torch."""

from typing import Literal, Protocol

from core.errors import Gray2HueError

SampleKind = Literal["gray", "before", "after", "truth"]
Measured = dict[str, float]


class TrainingError(Gray2HueError):
    """A run cannot go on: training_diverged, out_of_memory, no_photographs."""


class TrainingStoppedError(TrainingError):
    """The watcher wished the run to stop; it can be continued from its folder."""

    def __init__(self, code: str = "training_stopped", message: str = "The run was stopped; it can be continued."):
        super().__init__(code, message)


class Watcher(Protocol):
    """Who is told how a run goes, and may stop it. What its methods raise ends the run; it can be continued."""

    def progress(self, step: int, steps_total: int, measured: Measured) -> None:
        """Be told what was measured since the last time.

        Args:
            step: how many are done.
            steps_total: of the run.
            measured: `loss`, its parts (`l1`, `classes`, `gan_g`, `features`, `gan_d`, `real`, `fake`; the last two are
                how probable the discriminator thinks it, 0..1, that true and generated patches are true), `lr`,
                `stage`, `size_px`, `batch_size`, `part_size` (crops that the device takes at once), `images_per_s`,
                `wait_share` (0..1, of the time that passed waiting for batches), `memory_bytes`, `device_use` (0..1);
                where the validation photographs were scored, their scores as `val_de00`, `val_cf` and so on.
        """

    def sample(self, step: int, number: int, kind: SampleKind, jpeg: bytes) -> None:
        """Take a validation photograph: as it was (`truth`), as `gray`, as the parent colorized it (`before`), or as
        the model does after so many steps (`after`). The first three come once, at step 0."""

    def should_stop(self) -> bool:
        """Whether to stop now; asked before every step."""

    def yield_device(self) -> None:
        """Return as soon as the device is free for the next step; called before every step."""
