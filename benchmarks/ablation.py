"""What each choice of the training recipe is worth, at a small budget: same photographs, seed and validation for all.

    python -m benchmarks.ablation PHOTOS... --validation PATH --steps 500 --size-px 64 --out benchmarks/results/ablation

Each variant differs from its base in one choice. All begin from --parent, so that they can be compared after a hundred
steps at all: what begins from nothing is near gray by then. Two rows repeat others with another seed: what lies within
their difference is noise. Rows that are in the results already are replaced by name, so --only may be given to add
some, as long as the other options are the same.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import Row, report
from core.checkpoints import read_metadata
from core.runtimes.torch_runtime import TorchRuntime
from core.settings import SOURCE_ROOT
from core.training.config import NO_AUGMENTATION, Schedule, StageConfig, StageKind, TrainingConfig
from core.training.data import PreparedPhotos
from core.training.evaluation import center_crop, evaluate, gray, model_predictor
from core.training.loop import train
from core.training.sources import find_photos
from core.training.watching import Measured

NO_AGING: Mapping[str, Any] = {"augmentation": NO_AUGMENTATION}
SCORES = ("de00", "cf", "dcf", "cf_error", "psnr", "ssim", "auc", "auc_balanced")
BASELINES = ("gray", "parent")


@dataclass(frozen=True)
class Variant:
    """One row.

    Args:
        name: of it.
        differs_by: what is said of it.
        kind: of its one stage.
        changes: to the plain config, the base's for all but the base itself.
        schedule: of the learning rate.
        seed_offset: added to the seed.
    """

    name: str
    differs_by: str
    kind: StageKind = "l1"
    changes: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = "cosine"
    seed_offset: int = 0


PLAIN: Mapping[str, Any] = {"chroma_weight": 0, "ema_decay": 0, **NO_AGING}
EMA: Mapping[str, Any] = {**PLAIN, "ema_decay": 0.95}
CHROMA: Mapping[str, Any] = {**EMA, "chroma_weight": 4}
GAN: Mapping[str, Any] = {**CHROMA, "spectral_norm": False, "critic_warmup_steps": 0}
WARM: Mapping[str, Any] = {**GAN, "critic_warmup_steps": 50}

VARIANTS = (
    Variant("seed", "the seed's first stage: plain L1, the last weights", changes=PLAIN),
    Variant("ema", "seed, with the average of the weights", changes=EMA),
    Variant("one-cycle", "ema, with one cycle in place of cosine", changes=EMA, schedule="one_cycle"),
    Variant("chroma", "ema, with strong colors weighted in L1 by up to 1 + 4 * 0.8", changes=CHROMA),
    Variant("chroma-again", "chroma, with another seed", changes=CHROMA, seed_offset=1),
    Variant("chroma-8", "ema, with them weighted by up to 1 + 8 * 0.8", changes={**EMA, "chroma_weight": 8}),
    Variant("aging", "chroma, with old photographs imitated", changes={**CHROMA, "augmentation": {}}),
    Variant("classes", "chroma, with the rebalanced head", changes={**CHROMA, "class_weight": 0.02}),
    Variant("gan", "the seed's second stage, lambda 100, with chroma's L1 and average", "adversarial", GAN),
    Variant("gan-warm", "gan, with the critic warmed up for half of the steps", "adversarial", WARM),
    Variant("gan-warm-again", "gan-warm, with another seed", "adversarial", WARM, seed_offset=1),
    Variant("gan-spectral", "gan-warm, with spectral norm", "adversarial", {**WARM, "spectral_norm": True}),
    Variant("gan-features", "gan-warm, with features matched", "adversarial", {**WARM, "feature_matching_weight": 10}),
    Variant("gan-lambda-30", "gan-warm, with lambda 30", "adversarial", {**WARM, "l1_weight": 30}),
)


class Quiet:
    """A Watcher that keeps the last point and tells of each validation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.speed = 0.0

    def progress(self, step: int, steps_total: int, measured: Measured) -> None:
        """See Watcher.progress."""
        self.speed = measured.get("images_per_s", self.speed)
        if "val_de00" in measured:
            scores = {name: round(measured[f"val_{name}"], 3) for name in SCORES}
            print(f"{self.name}: step {step}/{steps_total}, {self.speed:.1f} photographs/s, {scores}")  # noqa: T201 - progress

    def sample(self, step: int, number: int, kind: str, jpeg: bytes) -> None:
        """See Watcher.sample."""

    def should_stop(self) -> bool:
        """See Watcher.should_stop."""
        return False

    def yield_device(self) -> None:
        """See Watcher.yield_device."""


def config_of(variant: Variant, options: argparse.Namespace) -> TrainingConfig:
    """The variant's config at the budget that is asked for."""
    stage = StageConfig(
        kind=variant.kind,
        size_px=options.size_px,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        schedule=variant.schedule,
    )
    plain = {
        "recipe": "ablation",
        "seed": options.seed + variant.seed_offset,
        "stages": (stage,),
        "validate_every_steps": options.steps,
        "checkpoint_every_steps": options.steps,
        "validation_count": options.validation_count,
        "sample_count": 0,
    }
    return TrainingConfig.model_validate({**plain, **variant.changes})


def measured_row(variant: Variant, photos: PreparedPhotos, validation: list[Any], options: argparse.Namespace) -> Row:
    """Train the variant and score it."""
    watcher = Quiet(variant.name)
    folder = Path(tempfile.mkdtemp(prefix="ablation-", dir=options.work))
    try:
        model = train(config_of(variant, options), photos, validation, folder, options.parent, watcher)
    finally:
        shutil.rmtree(folder)
    scores = {name: model.metrics[name] for name in SCORES}
    return {"variant": variant.name, "differs by": variant.differs_by, **scores, "photographs/s": watcher.speed}


def baseline_rows(validation: list[Any], parent_dir: Path) -> dict[str, Row]:
    """What gray and the parent score."""
    metadata = read_metadata(parent_dir)
    runtime = TorchRuntime.load(parent_dir, "cpu")
    crops = [center_crop(photograph) for photograph in validation]
    rows = {}
    for name, predict in (("gray", gray), ("parent", model_predictor(runtime, metadata.network_edge_px))):
        scores = evaluate(predict, crops).summary()
        differs_by = "no color at all" if name == "gray" else f"{metadata.version} as it is"
        chosen = {key: scores[key] for key in SCORES}
        rows[name] = {"variant": name, "differs by": differs_by, **chosen, "photographs/s": ""}
    runtime.close()
    return rows


def earlier_rows(out: Path | None) -> dict[str, Row]:
    """What an earlier call has written, by variant."""
    path = out.with_suffix(".json") if out else None
    if path is None or not path.is_file():
        return {}
    return {row["variant"]: row for row in json.loads(path.read_text())["rows"]}


def parse_arguments() -> argparse.Namespace:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="folders or archives of color photographs")
    parser.add_argument("--validation", type=Path, required=True, help="likewise, none of them among the others")
    parser.add_argument("--validation-count", type=int, default=200, help="photographs of it at most")
    parser.add_argument("--parent", type=Path, default=SOURCE_ROOT / "models", help="folder of the model to tune")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--size-px", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[variant.name for variant in VARIANTS])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "gray2hue-ablation")
    parser.add_argument("--out", type=Path, help="results as PATH.json and PATH.md")
    return parser.parse_args()


def main() -> None:
    """See the module."""
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    edge_px = round(1.5 * options.size_px)
    photos = PreparedPhotos.build(options.work / f"photos-{edge_px}", find_photos(options.photos), edge_px)
    held_out = PreparedPhotos.build(options.work / "validation", find_photos([options.validation]), 256, filtered=False)
    count = min(options.validation_count, len(held_out))
    validation = [held_out.rgb(number * len(held_out) // count) for number in range(count)]
    parent = read_metadata(options.parent).version
    notes = [
        f"{options.steps} steps of {options.batch_size} crops at {options.size_px} pixels, "
        f"learning rate {options.learning_rate:g}, seed {options.seed}; {len(photos)} photographs; parent {parent}; "
        f"scored on {count}."
    ]
    rows = earlier_rows(options.out) or baseline_rows(validation, options.parent)
    names = [*BASELINES, *(variant.name for variant in VARIANTS)]
    for variant in VARIANTS:
        if options.only is None or variant.name in options.only:
            rows[variant.name] = measured_row(variant, photos, validation, options)
            ordered = [rows[name] for name in names if name in rows]
            report("What the choices of the training recipe are worth", ordered, options.out, notes)


if __name__ == "__main__":
    main()
