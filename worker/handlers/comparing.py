"""A run's model beside the one in use, photograph by photograph, as the product would colorize them."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.checkpoints import PreparedModel, read_metadata
from core.runtimes import choose_runtime
from core.runtimes.choice import Device, RuntimeKind
from core.training.evaluation import Pixels, Predict, Scores, center_crop, evaluate, gray, model_predictor
from core.training.gate import Decision, Tolerances, decide
from core.training.preparing import PreparedPhotos


@dataclass(frozen=True)
class Comparison:
    """What came out of a comparison.

    Args:
        decision: whether the candidate is better, and why.
        scores: by set, and in it by "candidate", "active" and "gray".
    """

    decision: Decision
    scores: Mapping[str, Mapping[str, Scores]]

    def as_json(self, candidate: str, active: str) -> dict[str, Any]:
        """The whole of it as plain values, with the names of the two versions."""
        numbers = {name: {who: scores.summary() for who, scores in rows.items()} for name, rows in self.scores.items()}
        return {**self.decision.as_json(), "candidate": candidate, "active": active, "scores": numbers}

    @property
    def candidate_metrics(self) -> dict[str, float]:
        """The candidate's numbers on the first set that has any."""
        return next((rows["candidate"].summary() for rows in self.scores.values()), {})


@dataclass(frozen=True)
class Comparing:
    """How models are run for a comparison.

    Args:
        folder: the run's own, for what is made of the candidate.
        runtimes_dir: where the converted model in use is kept.
        device: as choose_runtime takes it.
        kind: likewise.
        heeded: passes photographs on until it is time to stop.
    """

    folder: Path
    runtimes_dir: Path
    device: Device
    kind: RuntimeKind
    heeded: Callable[[Iterable[Pixels]], Iterable[Pixels]]

    def compare(
        self, candidate: PreparedModel, active_dir: Path, sets: Mapping[str, PreparedPhotos], seed: int
    ) -> Comparison:
        """Score both models and gray on every set that has photographs, and decide.

        Raises:
            TrainingStoppedError: it is time to stop.
            CheckpointError: a model cannot be run.
        """
        full = {name: photos for name, photos in sets.items() if len(photos)}
        rows: dict[str, dict[str, Scores]] = {name: {"gray": self._scores(gray, full[name], 1)} for name in full}
        folders = {
            "candidate": (candidate.store(self.folder / "models"), self.folder / "runtimes"),
            "active": (active_dir, self.runtimes_dir),
        }
        for who, (model_dir, cache_dir) in folders.items():
            with closing(choose_runtime(model_dir, cache_dir, self.device, self.kind)) as runtime:
                predict = model_predictor(runtime, read_metadata(model_dir).network_edge_px)
                for name, photos in full.items():
                    rows[name][who] = self._scores(predict, photos, runtime.concurrency)
        pairs = {name: (scores["candidate"], scores["active"]) for name, scores in rows.items()}
        return Comparison(decide(pairs, Tolerances(), seed), rows)

    def _scores(self, predict: Predict, photos: PreparedPhotos, threads: int) -> Scores:
        crops = (center_crop(photos.rgb(number)) for number in range(len(photos)))
        return evaluate(predict, self.heeded(crops), threads)
