"""What a training run does, in full: the record keeps it, and the same config and seed train the same model.

Imports nothing heavy, so that the web and the command line may check options before any worker sees them.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import OptionsError

Probability = Annotated[float, Field(ge=0, le=1)]
StageKind = Literal["l1", "adversarial"]
Schedule = Literal["one_cycle", "cosine"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AugmentationConfig(_Frozen):
    """How often each fault of old photographs is imitated, on lightness alone: the share of crops that get it.

    Args:
        grain: of the emulsion.
        blur: of the lens, or of a print that was scanned.
        fade: less contrast, blacks that turned gray.
        gamma: another tone curve.
        scratches: light and dark ones, and dust.
        jpeg: the traces of a strong JPEG compression.
    """

    grain: Probability = 0.2
    blur: Probability = 0.15
    fade: Probability = 0.2
    gamma: Probability = 0.3
    scratches: Probability = 0.05
    jpeg: Probability = 0.1


NO_AUGMENTATION = AugmentationConfig(grain=0, blur=0, fade=0, gamma=0, scratches=0, jpeg=0)


class StageConfig(_Frozen):
    """A part of a run at one picture size, under one kind of loss, with optimizers of its own.

    Args:
        kind: "l1" trains the generator alone, "adversarial" against the discriminator.
        size_px: edge of the square crops.
        steps: updates of the weights.
        batch_size: crops per update; on a device with too little memory they are taken in several parts.
        learning_rate: the highest one.
        schedule: how it changes during the stage; see core.training.stages.
    """

    kind: StageKind
    size_px: int = Field(ge=32, le=512, multiple_of=32)
    steps: int = Field(ge=1, le=10_000_000)
    batch_size: int = Field(default=16, ge=2, le=512)
    learning_rate: float = Field(gt=0, le=0.1)
    schedule: Schedule = "cosine"


class TrainingConfig(_Frozen):
    """A training run. What the losses mean is said in core.training.losses.

    Args:
        recipe: the name of the recipe that it came from.
        from_parent: whether it begins from its parent's weights, if it has a parent; otherwise from nothing.
        seed: of the first weights, the order of the photographs, the crops and their faults.
        stages: one after the other.
        l1_weight: lambda in L_G = L_GAN + lambda * L1.
        chroma_weight: how much more strong colors count in L1; 0 counts all alike.
        class_weight: of the rebalanced classification of ab bins, by a head that only training has; 0 for none.
        feature_matching_weight: of the distance between the discriminator's features; 0 for none.
        spectral_norm: whether the discriminator is normalized by its spectral norm, instead of over the batch.
        critic_warmup_steps: at the beginning of the first adversarial stage only the discriminator learns, for so many
            steps, or half the stage if that is less.
        ema_decay: of the moving average of the weights, which is what comes out; 0 for the last weights themselves.
        augmentation: see AugmentationConfig.
        checkpoint_every_steps: how much is lost at most when the process is killed.
        validate_every_steps: how often the validation photographs are colorized and scored; always at the end.
        validation_count: how many of them, at most.
        sample_count: how many of these are shown to people.
        precision: "auto" is bf16 where the device computes it fast.
        device: "auto" is CUDA where there is one.
        last_cross: whether a generator made from nothing joins its input to the last block; one with a parent is built
            like that.
    """

    recipe: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    from_parent: bool = True
    seed: int = Field(default=0, ge=0, lt=2**32)
    stages: tuple[StageConfig, ...] = Field(min_length=1, max_length=16)
    l1_weight: float = Field(default=100.0, ge=0, le=10_000)
    chroma_weight: float = Field(default=4.0, ge=0, le=100)
    class_weight: float = Field(default=0.0, ge=0, le=100)
    feature_matching_weight: float = Field(default=0.0, ge=0, le=1000)
    spectral_norm: bool = True
    critic_warmup_steps: int = Field(default=50, ge=0)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    augmentation: AugmentationConfig = AugmentationConfig()
    checkpoint_every_steps: int = Field(default=500, ge=1)
    validate_every_steps: int = Field(default=500, ge=1)
    validation_count: int = Field(default=64, ge=0, le=10_000)
    sample_count: int = Field(default=4, ge=0, le=32)
    precision: Precision = "auto"
    device: Device = "auto"
    last_cross: bool = False

    @property
    def steps_total(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)


class _Shorthand(_Frozen):
    """Options that concern all stages at once.

    Args:
        steps: of the whole run; the stages keep their shares of it.
        size_px: no stage works at a larger size.
        batch_size: of every stage.
    """

    steps: int | None = Field(default=None, ge=1, le=10_000_000)
    size_px: int | None = Field(default=None, ge=32, le=512, multiple_of=32)
    batch_size: int | None = Field(default=None, ge=2, le=512)

    def applied(self, stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        """The stages, changed."""
        shares = [stage.steps for stage in stages] if self.steps is None else _shares(stages, self.steps)
        return tuple(
            stage.model_copy(
                update={
                    "steps": steps,
                    "size_px": min(stage.size_px, self.size_px or stage.size_px),
                    "batch_size": self.batch_size or stage.batch_size,
                }
            )
            for stage, steps in zip(stages, shares, strict=True)
        )


def _shares(stages: tuple[StageConfig, ...], steps: int) -> list[int]:
    total, done, before = sum(stage.steps for stage in stages), 0, 0
    shares = []
    for stage in stages:
        done += stage.steps
        end = round(steps * done / total)
        shares.append(max(1, end - before))
        before = end
    return shares


RECIPES: Mapping[str, TrainingConfig] = {
    "default": TrainingConfig(
        recipe="default",
        from_parent=False,
        stages=(
            StageConfig(kind="l1", size_px=64, steps=2_500, batch_size=256, learning_rate=1e-3, schedule="one_cycle"),
            StageConfig(kind="l1", size_px=128, steps=3_000, batch_size=256, learning_rate=5e-4, schedule="one_cycle"),
            StageConfig(kind="l1", size_px=128, steps=7_000, batch_size=256, learning_rate=4e-4, schedule="one_cycle"),
            StageConfig(kind="adversarial", size_px=128, steps=600, batch_size=256, learning_rate=1e-4),
        ),
        class_weight=0.05,
        critic_warmup_steps=100,
        ema_decay=0.998,
        checkpoint_every_steps=1_000,
        validate_every_steps=1_000,
        validation_count=320,
    ),
    "fine-tune": TrainingConfig(
        recipe="fine-tune",
        stages=(
            StageConfig(kind="l1", size_px=128, steps=400, learning_rate=1e-4, schedule="one_cycle"),
            StageConfig(kind="adversarial", size_px=128, steps=200, learning_rate=2e-5),
        ),
        ema_decay=0.99,
        checkpoint_every_steps=100,
        validate_every_steps=100,
    ),
    "quick": TrainingConfig(
        recipe="quick",
        stages=(
            StageConfig(kind="l1", size_px=64, steps=80, learning_rate=2e-4, schedule="one_cycle"),
            StageConfig(kind="adversarial", size_px=64, steps=20, learning_rate=2e-5),
        ),
        critic_warmup_steps=5,
        ema_decay=0.95,
        checkpoint_every_steps=25,
        validate_every_steps=25,
        validation_count=24,
    ),
}
"""What there is to choose from: "default" trains from nothing, "fine-tune" goes on gently from a parent, "quick" is a
trial of a minute or two on a CPU."""

SHORTHAND_NAMES = tuple(_Shorthand.model_fields)


def parse_config(recipe: str, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """A recipe with some of its options changed.

    Args:
        recipe: a key of RECIPES.
        overrides: values, or their texts, by name: a field of TrainingConfig; one within it, such as
            `augmentation.grain` or `stages.0.steps` (a text that stands for several values is JSON); or `steps`,
            `size_px` and `batch_size` for all stages at once.

    Raises:
        OptionsError: `bad_training_option`, naming the recipe or the option.
    """
    if recipe not in RECIPES:
        message = f"There is no recipe {recipe!r}; there are {', '.join(RECIPES)}."
        raise OptionsError("bad_training_option", message)
    given = dict(overrides or {})
    short = {name: given.pop(name) for name in SHORTHAND_NAMES if name in given}
    content = RECIPES[recipe].model_dump(mode="json")
    for name in sorted(given, key=lambda name: name.count(".")):
        _set(content, name, given[name])
    try:
        config = TrainingConfig.model_validate(content)
        return config.model_copy(update={"stages": _Shorthand.model_validate(short).applied(config.stages)})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise OptionsError("bad_training_option", f"{name}: {fault['msg']}.") from error


def _set(content: dict[str, Any], name: str, value: Any) -> None:
    """Put a value at a dotted name; OptionsError (`bad_training_option`) if there is no such place."""
    *path, last = name.split(".")
    place: Any = content
    try:
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        key = int(last) if isinstance(place, list) else last
        before = place[key]
    except (LookupError, ValueError, TypeError):
        before = None
    if before is None or name == "recipe":
        raise OptionsError("bad_training_option", f"There is no option {name}.")
    place[key] = _structure(name, value) if isinstance(before, list | dict) else value


def _structure(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise OptionsError("bad_training_option", f"{name} must be written as JSON.") from error
