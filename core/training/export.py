"""From the weights that training left to a version that can be stored and compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from core.checkpoints import METADATA_NAME, Architecture, ModelMetadata, PreparedModel
from core.training.config import TrainingConfig
from core.training.watching import TrainingError

NAME = "res18-unet"
EDGE_RANGE_PX = (64, 512)
EDGE_FACTOR = 1.25
"""A model is best given to see a quarter more than it was trained on; see docs/decisions/0009-network-size.md."""

SCORES = {
    "cf": "colorfulness (CF)",
    "dcf": "difference in colorfulness from the truth (dCF, lower is better)",
    "psnr": "PSNR in dB (higher is better)",
    "ssim": "SSIM (higher is better)",
    "de00": "CIEDE2000 (lower is better)",
    "auc": "AuC (higher is better)",
    "auc_balanced": "AuC, balanced by class of color (higher is better)",
}


@dataclass(frozen=True)
class Origin:
    """What a model was made from.

    Args:
        config: of the run.
        parent: the version that it began from; None for nothing.
        photographs: how many it was trained on.
        photographs_sha256: over them, as PreparedPhotos says.
        architecture: of the generator.
    """

    config: TrainingConfig
    parent: ModelMetadata | None
    photographs: int
    photographs_sha256: str
    architecture: Architecture

    @property
    def network_edge_px(self) -> int:
        """Short side of what the model is best given to see: the parent's, or by the size of the last stage."""
        if self.parent is not None:
            return self.parent.network_edge_px
        low, high = EDGE_RANGE_PX
        return min(high, max(low, round(EDGE_FACTOR * self.config.stages[-1].size_px)))


@dataclass(frozen=True)
class TrainedModel:
    """What a run gives.

    Args:
        weights: of the generator alone, the bytes of a safetensors file, float16.
        metadata: what its model.json says.
        metrics: what it scored on the validation photographs, by the names that core.training.evaluation uses; empty
            without any.
        card: Markdown, for people.
    """

    weights: bytes
    metadata: ModelMetadata
    metrics: dict[str, Any]
    card: str

    @property
    def prepared(self) -> PreparedModel:
        """The form in which versions are stored."""
        return PreparedModel(self.metadata, self.weights, card=self.card)


def halved(state: dict[str, Tensor]) -> bytes:
    """A generator's weights as the bytes of a safetensors file: float16, but for counters, each contiguous.

    Raises:
        TrainingError: training_diverged, they hold values that float16 cannot.
    """
    tensors = {}
    for name, tensor in state.items():
        narrow = tensor.half() if tensor.is_floating_point() else tensor
        if not narrow.isfinite().all():
            raise TrainingError("training_diverged", f"The weights {name} grew beyond what a model's file can hold.")
        tensors[name] = narrow.detach().cpu().contiguous()
    content: bytes = safetensors.torch.save(tensors)
    return content


def averaged(states: Sequence[bytes]) -> dict[str, Tensor]:
    """The mean of several generators' weights and of what their normalization keeps, float32, on the CPU.

    Args:
        states: at least one, each as `halved` gives it.
    """
    loaded = [safetensors.torch.load(content) for content in states]
    means = {}
    for name, tensor in loaded[-1].items():
        # Counters are the last one's.
        same = torch.stack([state[name].float() for state in loaded]).mean(0)
        means[name] = same if tensor.is_floating_point() else tensor
    return means


def make_model(
    weights: bytes, origin: Origin, steps: Sequence[int], scores: dict[str, float], beside: dict[str, dict[str, float]]
) -> TrainedModel:
    """A version of its own name, with its metadata and its card.

    Args:
        weights: what `halved` gave.
        origin: what it was made from.
        steps: after how many of the run's steps; several, where they are the mean of the weights there.
        scores: on the validation photographs; may be empty.
        beside: the same for what it is compared with, by what that is called.
    """
    config, parent = origin.config, origin.parent
    sha256 = hashlib.sha256(weights).hexdigest()
    metadata = ModelMetadata(
        name=NAME,
        version=f"{config.recipe}-{datetime.now(UTC):%Y%m%d}-{sha256[:8]}",
        sha256=sha256,
        architecture=origin.architecture,
        input="L/50-1",
        output="ab/110",
        train_size=config.stages[-1].size_px,
        network_edge_px=origin.network_edge_px,
        parent=None if parent is None else parent.version,
        metrics=dict(scores),
    )
    card = _card(metadata, origin, steps, {**beside, metadata.version: scores})
    return TrainedModel(weights, metadata, dict(scores), card)


def _card(metadata: ModelMetadata, origin: Origin, steps: Sequence[int], scores: dict[str, dict[str, float]]) -> str:
    config = origin.config
    begun = f"version {origin.parent.version}" if origin.parent else "random weights"
    stages = [
        f"- {stage.steps} steps at {stage.size_px} pixels, {stage.batch_size} crops each, "
        + ("against a discriminator" if stage.kind == "adversarial" else "the generator alone")
        for stage in config.stages
    ]
    return "\n".join(
        [
            f"# {metadata.name}, {metadata.version}",
            "",
            f"A U-Net on a ResNet-18 body that gives chroma for lightness, as described in {METADATA_NAME}. "
            f"It sees a short side of {metadata.network_edge_px} pixels.",
            "",
            "## How it was trained",
            "",
            f"From {begun}, on {origin.photographs} color photographs (SHA-256 over their hashes: "
            f"`{origin.photographs_sha256}`), by the recipe `{config.recipe}`, seed {config.seed}:",
            "",
            *stages,
            "",
            f"These are the {'mean of the weights' if len(steps) > 1 else 'weights'} after "
            f"{', '.join(map(str, steps))} of {config.steps_total} steps. All options:",
            "",
            "```json",
            config.model_dump_json(),
            "```",
            "",
            *_score_table(scores),
            "## Terms",
            "",
            "The terms of the photographs hold for what was trained on them. If it began from another version, that "
            "one's terms hold too.",
            "",
        ]
    )


def _score_table(scores: dict[str, dict[str, float]]) -> list[str]:
    shown = {name: values for name, values in scores.items() if values}
    if not shown:
        return []
    count = int(next(iter(shown.values())).get("photographs", 0))
    rows = [
        f"| {title} | " + " | ".join(f"{values[key]:.4g}" for values in shown.values()) + " |"
        for key, title in SCORES.items()
        if all(key in values for values in shown.values())
    ]
    return [
        "## How well it does",
        "",
        f"On {count} validation photographs, which also chose the checkpoint:",
        "",
        "| | " + " | ".join(shown) + " |",
        "|---|" + "---|" * len(shown),
        *rows,
        "",
    ]
