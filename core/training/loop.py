"""A training run from its first step, or from where it was cut off, to its model.

After kill -9 the continued run gives the very same weights on a CPU, as long as its kind of processor and torch's
version stay the same; the number of threads is kept with the state. On a GPU sums are added in varying order, so there
the result is another sample of the same distribution.
"""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.checkpoints import Architecture, ModelMetadata, read_metadata
from core.checkpoints.loading import read_state
from core.machine import usable_cores
from core.runtimes.torch_runtime import TorchRuntime
from core.training.config import TrainingConfig
from core.training.data import Batches, PreparedPhotos
from core.training.devices import UseMeter, choose_device, computes_half, keep_freed_memory, loaders
from core.training.evaluation import center_crop, evaluate, gray, model_predictor
from core.training.export import Origin, TrainedModel, averaged, halved, make_model
from core.training.front import Checkpoint, chosen, worth_keeping
from core.training.learner import Learner
from core.training.meter import Meter
from core.training.samples import Samples
from core.training.stages import Place, is_due, is_warmup, place_of, report_every
from core.training.state import RunFolder, RunState
from core.training.watching import Measured, TrainingError, TrainingStoppedError, Watcher

__all__ = ["TrainedModel", "TrainingError", "TrainingStoppedError", "Watcher", "train"]

SCORED_EDGE_PX = 256
BALANCE_BATCHES = 32
"""So many of the first batches tell how often each color is seen."""


def train(
    config: TrainingConfig,
    photos: PreparedPhotos,
    validation: Sequence[NDArray[np.uint8]],
    run_dir: Path,
    parent_dir: Path | None,
    watcher: Watcher,
) -> TrainedModel:
    """Train to the end; what is in run_dir already is not done again.

    Changes how this process allocates memory, see devices.keep_freed_memory, and how cuDNN chooses its algorithms.

    Args:
        config: of the run.
        photos: to train on.
        validation: photographs to choose the checkpoint by, uint8 (H, W, 3) in sRGB; none of them should be among
            photos. Without any the last weights come out.
        run_dir: the run's own folder.
        parent_dir: the folder of the model to begin from, if the config says so; None to begin from nothing.
        watcher: see Watcher.

    Raises:
        TrainingStoppedError: the watcher wished it; everything done so far is saved.
        TrainingError: training_diverged, out_of_memory, no_photographs.
        CheckpointError: as read_metadata, read_state and RunFolder.load say.
        SetupError: no_cuda.
        OSError: run_dir cannot be written.
    """
    if not len(photos):
        raise TrainingError("no_photographs", "There are no photographs to train on.")
    keep_freed_memory()
    # Pictures come in so few sizes that it pays to try which algorithm is fastest for each.
    torch.backends.cudnn.benchmark = True
    threads = torch.get_num_threads()
    try:
        begins_from = parent_dir if config.from_parent else None
        return _Run(config, photos, validation, run_dir, begins_from, watcher).to_end()
    finally:
        torch.set_num_threads(threads)


class _Run:
    """One run in this process. Arguments as `train` says."""

    def __init__(
        self,
        config: TrainingConfig,
        photos: PreparedPhotos,
        validation: Sequence[NDArray[np.uint8]],
        run_dir: Path,
        parent_dir: Path | None,
        watcher: Watcher,
    ) -> None:
        parent = None if parent_dir is None else read_metadata(parent_dir)
        self._config, self._photos, self._watcher = config, photos, watcher
        self._origin = Origin(config, parent, len(photos), photos.sha256, _architecture(config, parent))
        looked_at = _spread(validation, config.validation_count)
        parent_sha256 = parent.sha256 if parent else ""
        self._folder = RunFolder(run_dir, config, photos.sha256, parent_sha256, _pixels_sha256(looked_at))
        self._device = choose_device(config.device)
        half = computes_half(config.precision, self._device)
        weights = None if parent is None or parent_dir is None else read_state(parent_dir, parent)
        self._learner = Learner(config, self._origin.architecture, weights, self._device, half)
        runtime = TorchRuntime([self._learner.average.generator], self._device, half=half)
        self._predict = model_predictor(runtime, self._origin.network_edge_px)
        self._validation = [center_crop(photograph, SCORED_EDGE_PX) for photograph in looked_at]
        self._samples = Samples(_spread(looked_at, config.sample_count), watcher)
        self._meter = Meter()
        self._saved_step = -1

    def to_end(self) -> TrainedModel:
        """See train."""
        saved = self._folder.load()
        self._state = self._begun() if saved is None else self._resumed(saved)
        self._use = UseMeter(self._device, self._state.threads)
        while self._state.step < self._config.steps_total:
            self._stage(place_of(self._config.stages, self._state.step))
        steps, weights, scores = self._best()
        beside = {"gray": self._state.gray_scores}
        if self._origin.parent is not None:
            beside[self._origin.parent.version] = self._state.parent_scores
        return make_model(weights, self._origin, steps, scores, beside)

    def _best(self) -> tuple[list[int], bytes, dict[str, float]]:
        """What comes out: after which steps, weights and scores. One of the front, or the mean of all of it."""
        front = self._state.front
        best = chosen(front)
        if len(front) > 1:
            weights = averaged([self._folder.weights(one.step) for one in front])
            self._learner.average.generator.load_state_dict(weights, strict=True)
            mean = Checkpoint(self._state.step, self._scores())
            if chosen([*front, mean]) is mean:
                self._samples.show(mean.step, self._predict)
                return [one.step for one in front], halved(weights), mean.scores
        return [best.step], self._folder.weights(best.step), best.scores

    def _begun(self) -> RunState:
        """The state before the first step."""
        self._learner.begin(self._config.stages[0])
        if self._learner.classifier is not None:
            batches = self._batches(place_of(self._config.stages, 0))
            seen = [real_ab for _, real_ab in batches.stream(0, BALANCE_BATCHES)]
            self._learner.classifier.balance(torch.cat(seen).to(self._device))
        state = RunState(0, torch.get_num_threads(), {})
        has_parent = self._origin.parent is not None
        if self._validation:
            state.gray_scores = evaluate(gray, self._validation).summary()
            state.parent_scores = self._scores() if has_parent else {}
        self._samples.begin(self._predict if has_parent else None)
        measured = {f"val_{name}": value for name, value in state.parent_scores.items()}
        self._watcher.progress(0, self._config.steps_total, measured)
        return state

    def _resumed(self, state: RunState) -> RunState:
        torch.set_num_threads(state.threads)
        torch.set_rng_state(state.random)
        last = place_of(self._config.stages, max(0, state.step - 1))
        self._learner.load(state.learner, last.stage)
        # Its tensors have been copied into the networks.
        state.learner = {}
        self._saved_step = state.step
        return state

    def _batches(self, place: Place) -> Batches:
        seed = self._config.seed + (place.index << 32)
        stage = place.stage
        aging = self._config.augmentation
        workers, apart = loaders(self._device), self._device == "cuda"
        return Batches(self._photos, stage.size_px, stage.batch_size, seed, aging, workers, apart=apart)

    def _stage(self, place: Place) -> None:
        """The steps from a place to the end of its stage."""
        if place.step == 0:
            self._learner.begin(place.stage)
        batches = self._batches(place)
        waited_s = 0.0
        self._meter.start()
        with closing(batches.stream(place.step, place.stage.steps)) as stream:  # type: ignore[type-var]  # a generator
            for lightness, real_ab in stream:
                self._heed_watcher()
                self._step(lightness, real_ab, batches.waited_s - waited_s)
                waited_s = batches.waited_s
        self._meter.stop()

    def _heed_watcher(self) -> None:
        self._meter.stop()
        if self._watcher.should_stop():
            self._save()
            raise TrainingStoppedError
        self._watcher.yield_device()
        self._meter.start()

    def _step(self, lightness: Tensor, real_ab: Tensor, waited_s: float) -> None:
        place = place_of(self._config.stages, self._state.step)
        losses = self._learner.update(
            place.stage.kind,
            place.learning_rate,
            lightness,
            real_ab,
            critic_only=is_warmup(self._config.stages, place, self._config.critic_warmup_steps),
        )
        self._meter.add(losses, len(lightness), waited_s)
        self._state.step += 1
        self._after(place)

    def _after(self, place: Place) -> None:
        """Report, validate and save, each where it is due."""
        config, step, total = self._config, self._state.step, self._config.steps_total
        validates = is_due(step, config.validate_every_steps, total)
        saves = is_due(step, config.checkpoint_every_steps, total)
        if not (validates or saves or is_due(step, report_every(total), total)):
            return
        self._meter.stop()
        measured = self._measured(place)
        if validates and (self._validation or step == total):
            measured |= self._validate()
        self._watcher.progress(step, total, measured)
        if saves:
            self._save()
        self._meter.start()

    def _measured(self, place: Place) -> Measured:
        stage = place.stage
        return {
            **self._meter.take(self._state.step),
            "lr": place.learning_rate,
            "stage": float(place.index + 1),
            "size_px": float(stage.size_px),
            "batch_size": float(stage.batch_size),
            "part_size": float(self._learner.part_size),
            **self._use.look(),
        }

    def _validate(self) -> Measured:
        """Score the averaged weights, show the samples, and keep the weights if they may come out."""
        step = self._state.step
        scores = self._scores() if self._validation else {}
        self._samples.show(step, self._predict)
        checkpoint = Checkpoint(step, scores)
        front = worth_keeping([*(one for one in self._state.front if one.step < step), checkpoint])
        if checkpoint in front:
            self._folder.put_weights(step, halved(self._learner.average.generator.state_dict()))
        self._state.front = front
        return {f"val_{name}": value for name, value in scores.items()}

    def _scores(self) -> Measured:
        if self._device == "cuda":
            # The runtime computes in a stream of its own, which does not wait for the last step's.
            torch.cuda.synchronize()
        # Threads that wait for a GPU cost the network nothing; on a CPU they would take its cores.
        threads = usable_cores() if self._device == "cuda" else 1
        return evaluate(self._predict, self._validation, threads).summary()

    def _save(self) -> None:
        if self._state.step not in (0, self._saved_step):
            self._meter.take(self._state.step)
            learner, random = self._learner.state(), torch.get_rng_state()
            self._folder.save(replace(self._state, learner=learner, random=random))
            self._saved_step = self._state.step


def _spread(photographs: Sequence[NDArray[np.uint8]], count: int) -> list[NDArray[np.uint8]]:
    """So many of them at most, evenly from all over, since they are often sorted by where they come from."""
    wanted = min(count, len(photographs))
    return [photographs[index * len(photographs) // wanted] for index in range(wanted)]


def _pixels_sha256(photographs: Sequence[NDArray[np.uint8]]) -> str:
    """One hash for photographs: of their sizes and pixels, in order."""
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(repr(photograph.shape).encode())
        digest.update(np.ascontiguousarray(photograph).data)
    return digest.hexdigest()


def _architecture(config: TrainingConfig, parent: ModelMetadata | None) -> Architecture:
    """The parent's, or what the config asks for."""
    if parent is not None:
        return parent.architecture
    return Architecture(
        builder="fastai DynamicUnet",
        body="resnet18",
        n_in=1,
        n_out=2,
        img_size=(256, 256),
        last_cross=config.last_cross,
    )
