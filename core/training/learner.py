"""The networks in training and how one step changes them."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from core.checkpoints.metadata import Architecture
from core.networks.patchgan import PatchGan
from core.networks.unet import build_generator, last_features
from core.training import losses
from core.training.config import StageConfig, TrainingConfig
from core.training.devices import is_out_of_memory
from core.training.watching import TrainingError

BETAS = {"l1": (0.9, 0.99), "adversarial": (0.5, 0.999)}
WEIGHT_DECAY = 0.01
Losses = dict[str, Tensor]


class Average:
    """The exponential moving average of a generator's weights, and of the statistics that its normalization keeps.

    Both are averaged over the same steps, so that they fit each other. At first it follows faster, by
    min(decay, (1 + t) / (10 + t)) after t updates, so that the random first weights are forgotten.

    Args:
        generator: that is followed; the average begins as a copy of it.
        architecture: of the generator.
        decay: 0..1.
    """

    def __init__(self, generator: nn.Module, architecture: Architecture, decay: float) -> None:
        self.updates = 0
        self._decay = decay
        state = {name: tensor.detach().clone() for name, tensor in generator.state_dict().items()}
        # A copy of DynamicUnet needs hooks of its own, so it is built, not copied.
        with torch.device("meta"):
            self.generator = _build(architecture)
        self.generator.load_state_dict(state, strict=True, assign=True)
        self.generator.eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """Take in the generator's present weights."""
        self.updates += 1
        weight = 1 - min(self._decay, (1 + self.updates) / (10 + self.updates))
        current = generator.state_dict()
        mine, theirs = [], []
        for name, tensor in self.generator.state_dict().items():
            if tensor.is_floating_point():
                mine.append(tensor)
                theirs.append(current[name])
            else:
                tensor.copy_(current[name])
        torch._foreach_lerp_(mine, theirs, weight)


class Learner:
    """Generator, its average, discriminator and head, with their optimizers.

    Args:
        config: of the run.
        architecture: of the generator.
        state: the parent's weights; None to begin from nothing.
        device: "cpu" or "cuda".
        half: whether convolutions are computed in bfloat16.
    """

    def __init__(
        self,
        config: TrainingConfig,
        architecture: Architecture,
        state: dict[str, Tensor] | None,
        device: str,
        half: bool,
    ) -> None:
        self._config = config
        self._device = device
        self._half = half
        # On a CPU without wide units for it, no gain of channels last was measured.
        self._layout = torch.channels_last if device == "cuda" else torch.contiguous_format
        self._features: list[Tensor] = []
        self.part_size = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            generator = _build(architecture)
            critic = PatchGan(spectral=config.spectral_norm)
            layer, channels = last_features(generator)
            classifier = losses.ColorClassifier(channels) if config.class_weight else None
        if state is not None:
            generator.load_state_dict(state, strict=True)
        self.generator = self._placed(generator)
        self.critic = self._placed(critic)
        self.classifier = None if classifier is None else cast(losses.ColorClassifier, self._placed(classifier))
        self.average = Average(self.generator, architecture, config.ema_decay)
        if self.classifier is not None:
            layer.register_forward_hook(lambda _layer, _inputs, output: self._features.append(output))

    def _placed(self, network: nn.Module) -> nn.Module:
        moved: nn.Module = network.to(self._device, memory_format=self._layout).train()  # type: ignore[call-overload]  # torch's stub lacks it
        return moved

    def begin(self, stage: StageConfig) -> None:
        """Make the optimizers of a stage, without any memory of the stage before."""
        self.part_size = stage.batch_size
        betas, rate = BETAS[stage.kind], stage.learning_rate
        learning = [*self.generator.parameters(), *(self.classifier.parameters() if self.classifier else ())]
        self._optimizer = torch.optim.AdamW(learning, rate, betas, weight_decay=WEIGHT_DECAY, fused=True)
        self._critic_optimizer = torch.optim.AdamW(self.critic.parameters(), rate, betas, weight_decay=0, fused=True)

    def update(
        self, kind: str, learning_rate: float, lightness: Tensor, real_ab: Tensor, *, critic_only: bool = False
    ) -> Losses:
        """One step on a batch, in as many parts as the device's memory asks for.

        Generator and discriminator learn from the same pictures and from each other's weights before the step.

        Args:
            kind: of the stage.
            learning_rate: for this step.
            lightness: L/50-1, float32 (N, 1, S, S), on the CPU.
            real_ab: ab/110, float32 (N, 2, S, S), likewise.
            critic_only: whether the generator stays as it is.

        Returns:
            The losses by the names that Watcher.progress uses, on the device.

        Raises:
            TrainingError: out_of_memory, not even one picture fits.
        """
        while (found := self._try(kind, lightness, real_ab, critic_only)) is None:
            self.part_size = (self.part_size + 1) // 2
        for optimizer in (self._optimizer, self._critic_optimizer):
            optimizer.param_groups[0]["lr"] = learning_rate
        if kind == "adversarial":
            self._critic_optimizer.step()
        if not critic_only:
            self._optimizer.step()
            self.average.update(self.generator)
        return found

    def _try(self, kind: str, lightness: Tensor, real_ab: Tensor, critic_only: bool) -> Losses | None:
        """Gradients and losses of the batch; None, and nothing kept, if memory ran out for parts of this size."""
        self._optimizer.zero_grad()
        self._critic_optimizer.zero_grad()
        try:
            return self._accumulate(kind, lightness, real_ab, critic_only)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self.part_size == 1:
                message = "Not even one picture at once fits into the device's memory."
                raise TrainingError("out_of_memory", message) from error
        self._features.clear()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        return None

    def _accumulate(self, kind: str, lightness: Tensor, real_ab: Tensor, critic_only: bool) -> Losses:
        sums: Losses = {}
        for begin in range(0, len(lightness), self.part_size):
            rows = slice(begin, begin + self.part_size)
            part, truth = lightness[rows], real_ab[rows]
            share = len(part) / len(lightness)
            for name, value in self._gradients(kind, self._moved(part), self._moved(truth), critic_only, share).items():
                sums[name] = sums.get(name, torch.zeros((), device=self._device)) + value.detach() * share
        return sums

    def _moved(self, batch: Tensor) -> Tensor:
        return batch.to(self._device, memory_format=self._layout, copy=True, non_blocking=True)

    def _gradients(self, kind: str, lightness: Tensor, real_ab: Tensor, critic_only: bool, share: float) -> Losses:
        """Add a share of the gradients of some pictures to those that are there, and give the losses."""
        with self._precision(), torch.set_grad_enabled(not critic_only):
            fake_ab = self.generator(lightness).as_subclass(Tensor)
        found: Losses = {}
        if kind == "adversarial":
            # Its gradients must be there before it is frozen for the generator's: frozen weights take none.
            self.critic.requires_grad_(True)
            with self._precision():
                found.update(self._critic_losses(lightness, real_ab, fake_ab.detach()))
            (found["gan_d"] * share).backward()  # type: ignore[no-untyped-call]  # torch's own
        if not critic_only:
            self.critic.requires_grad_(False)
            with self._precision():
                found.update(self._generator_losses(kind, lightness, real_ab, fake_ab))
            (found["loss"] * share).backward()  # type: ignore[no-untyped-call]  # torch's own
        self._features.clear()
        return found

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device, torch.bfloat16, enabled=self._half)

    def _critic_losses(self, lightness: Tensor, real_ab: Tensor, fake_ab: Tensor) -> Losses:
        real, _ = self.critic(lightness, real_ab)
        fake, _ = self.critic(lightness, fake_ab)
        return {
            "gan_d": losses.gan_discriminator(real, fake),
            "real": real.detach().float().sigmoid().mean(),
            "fake": fake.detach().float().sigmoid().mean(),
        }

    def _generator_losses(self, kind: str, lightness: Tensor, real_ab: Tensor, fake_ab: Tensor) -> Losses:
        config = self._config
        found = {"l1": losses.l1(fake_ab, real_ab, config.chroma_weight)}
        loss = found["l1"]
        if self.classifier is not None:
            found["classes"] = self.classifier(self._features[-1], real_ab)
            loss = loss + config.class_weight * found["classes"]
        if kind == "adversarial":
            logits, features = self.critic(lightness, fake_ab)
            found["gan_g"] = losses.gan_generator(logits)
            loss = found["gan_g"] + config.l1_weight * loss
            if config.feature_matching_weight:
                with torch.no_grad():
                    _, real_features = self.critic(lightness, real_ab)
                found["features"] = losses.feature_matching(real_features, features)
                loss = loss + config.feature_matching_weight * found["features"]
        return {"loss": loss, **found}

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on: tensors, numbers, and dicts and lists of them."""
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.generator.state_dict(),
            "average_updates": self.average.updates,
            "critic": self.critic.state_dict(),
            "classifier": None if self.classifier is None else self.classifier.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "critic_optimizer": self._critic_optimizer.state_dict(),
            "part_size": self.part_size,
        }

    def load(self, state: dict[str, Any], stage: StageConfig) -> None:
        """Go on from what `state` gave during that stage."""
        self.begin(stage)
        self.generator.load_state_dict(state["generator"], strict=True)
        self.average.generator.load_state_dict(state["average"], strict=True)
        self.average.updates = state["average_updates"]
        self.critic.load_state_dict(state["critic"], strict=True)
        if self.classifier is not None:
            self.classifier.load_state_dict(state["classifier"], strict=True)
        self._optimizer.load_state_dict(state["optimizer"])
        self._critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.part_size = state["part_size"]


def _build(architecture: Architecture) -> nn.Module:
    built = architecture
    return build_generator(built.n_in, built.n_out, built.img_size, last_cross=built.last_cross)
