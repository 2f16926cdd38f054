"""A run's folder: all that is needed to go on after the process was killed, and the checkpoints that may come out."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from core.machine import fsync
from core.training.config import TrainingConfig
from core.training.front import Checkpoint

STATE_NAME = "state.pt"
FRONT_NAME = "front"
FORMAT = 2

OTHERS = {
    "config": ("other_config", "another config"),
    "photos": ("other_photographs", "other photographs"),
    "parent": ("other_parent", "another parent"),
    "validation": ("other_validation", "other validation photographs"),
}
"""What makes a run another one: the code and the words for it, by the part of its identity."""


@dataclass
class RunState:
    """Where a run stands after some steps.

    Args:
        step: how many are done.
        threads: that computed on the CPU; with another number sums are rounded differently, so it is kept.
        learner: what Learner.state gives.
        parent_scores: what the parent scores on the validation photographs; empty without one.
        gray_scores: likewise gray.
        front: the checkpoints that may come out; their weights are in the folder.
        random: torch's state of its random numbers.
    """

    step: int
    threads: int
    learner: dict[str, Any]
    parent_scores: dict[str, float] = field(default_factory=dict)
    gray_scores: dict[str, float] = field(default_factory=dict)
    front: list[Checkpoint] = field(default_factory=list)
    random: torch.Tensor = field(default_factory=torch.get_rng_state)


class RunFolder:
    """The files of one run. What is written appears whole or not at all, and survives a power cut.

    Args:
        path: the folder; made where there is none.
        config: of the run.
        photos_sha256: of the photographs that it trains on.
        parent_sha256: of the weights that it began from; empty for none.
        validation_sha256: of the photographs that it chooses a checkpoint by.
    """

    def __init__(
        self, path: Path, config: TrainingConfig, photos_sha256: str, parent_sha256: str, validation_sha256: str
    ) -> None:
        self._path = path
        self._identity = {
            "config": config.model_dump_json(),
            "photos": photos_sha256,
            "parent": parent_sha256,
            "validation": validation_sha256,
        }
        (path / FRONT_NAME).mkdir(parents=True, exist_ok=True)

    def load(self) -> RunState | None:
        """The state that was saved last; None if there is none.

        Raises:
            CheckpointError: `other_config`, `other_photographs`, `other_parent` or `other_validation` (the folder is
                another run's); `damaged_state`.
        """
        content = _read(self._path)
        if content is None:
            return None
        _require_same(self._path, content["identity"], self._identity)
        front = [Checkpoint(step, scores) for step, scores in content["front"]]
        return RunState(**{**content["state"], "front": front})

    def save(self, state: RunState) -> None:
        """Replace the state, and forget the checkpoints that it does not name."""
        content = {
            "format": FORMAT,
            "identity": self._identity,
            "state": {name: value for name, value in vars(state).items() if name != "front"},
            "front": [(one.step, one.scores) for one in state.front],
        }
        aside = self._path / f"{STATE_NAME}.new"
        torch.save(content, aside)
        _put(aside, self._path / STATE_NAME)
        self._forget_all_but(state.front)

    def put_weights(self, step: int, weights: bytes) -> None:
        """Keep the weights of a checkpoint, a safetensors file's bytes."""
        path = self._weights_path(step)
        aside = path.with_suffix(".new")
        aside.write_bytes(weights)
        _put(aside, path)

    def weights(self, step: int) -> bytes:
        """What put_weights was given."""
        return self._weights_path(step).read_bytes()

    def _weights_path(self, step: int) -> Path:
        return self._path / FRONT_NAME / f"{step:08d}.safetensors"

    def _forget_all_but(self, front: Sequence[Checkpoint]) -> None:
        named = {self._weights_path(one.step) for one in front}
        for path in (self._path / FRONT_NAME).iterdir():
            if path not in named:
                path.unlink()


def is_begun(path: Path, config: TrainingConfig, parent_sha256: str) -> bool:
    """Whether a folder holds the state of a run; to be asked before its photographs are prepared. Changes nothing.

    Args:
        path: the folder; there may be none.
        config: as RunFolder says.
        parent_sha256: as RunFolder says.

    Raises:
        CheckpointError: `other_config` or `other_parent` (it is another run's); `damaged_state`.
    """
    content = _read(path, mapped=True)
    if content is not None:
        _require_same(path, content["identity"], {"config": config.model_dump_json(), "parent": parent_sha256})
    return content is not None


def refusal(path: Path, part: str) -> CheckpointError:
    """That a folder is another run's.

    Args:
        path: the folder.
        part: of OTHERS.
    """
    code, words = OTHERS[part]
    return CheckpointError(code, f"{path} holds a run with {words}; take another folder, or go on as it began.")


def _require_same(path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for part, value in wanted.items():
        if found[part] != value:
            raise refusal(path, part)


def _read(folder: Path, *, mapped: bool = False) -> dict[str, Any] | None:
    """What save wrote; None where it wrote nothing. Mapped, of its tensors only what is looked at is read."""
    path = folder / STATE_NAME
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        is_ours = content["format"] == FORMAT
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise CheckpointError("damaged_state", f"{path} cannot be read: {error}.") from error
    if not is_ours:
        raise CheckpointError("damaged_state", f"{path} was written by another version of this program.")
    return content


def _put(aside: Path, path: Path) -> None:
    fsync(aside)
    aside.rename(path)
    fsync(path.parent)
