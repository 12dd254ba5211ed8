"""Settings of a training run."""

import math
from dataclasses import dataclass
from typing import Literal

from cnncourse.training.schedules import SCHEDULES


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training run; what is left out has the value that suits most runs."""

    epochs: int
    """Passes over the training images, at least 1."""
    batch_size: int = 128
    """Images an optimiser step, at least 1, summed over all processes and micro-batches."""
    micro_batches: int = 1
    """Parts a process cuts its share of a batch into, at least 1; their gradients are added up before the step."""

    optimiser: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with Nesterov's momentum, or Adam with decoupled weight decay."""
    peak_lr: float = 0.05
    """Largest learning rate reached, above 0."""
    momentum: float = 0.9
    """Momentum of SGD, 0 <= momentum < 1; not used by AdamW."""
    weight_decay: float = 0.0
    """Factor of the squared weights in the loss (SGD) or of the decoupled decay (AdamW), at least 0."""
    decay_all: bool = True
    """Decay every parameter; ``False`` spares those with one axis: biases, and the factors of normalisations."""

    schedule: Literal["constant", "cosine", "one_cycle", "step", "plateau"] = "cosine"
    """Course of the learning rate; see :mod:`cnncourse.training.schedules`."""
    warmup_epochs: float = 0.0
    """Length of the linear rise, in passes, 0 <= warmup_epochs < epochs."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """``step`` only: shares of the run after which the rate is cut, rising, each in (0, 1)."""
    lr_factor: float = 0.1
    """``step`` and ``plateau``: what a cut multiplies the rate by, in (0, 1)."""
    lr_patience: int = 5
    """``plateau`` only: passes without a lower validation loss before a cut, at least 1."""

    label_smoothing: float = 0.0
    """Probability spread evenly over all classes, 0 <= label_smoothing < 1."""
    clip_norm: float | None = None
    """Longest gradient allowed, above 0; a longer one is shortened. ``None`` never shortens."""
    gradient_norm: bool = False
    """Measure the length of the gradient at each step; free when ``clip_norm`` is set."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights, 0 < ema_decay < 1, measured instead of the weights; ``None``
    keeps no average."""
    early_stopping: int | None = None
    """Passes without a lower validation loss after which training ends, at least 1; ``None`` never ends early."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the convolutions and products; ``auto`` takes bf16 where the processor is fast at it and
    the network large enough to gain, see :mod:`cnncourse.training.precision`."""
    channels_last: bool | Literal["auto"] = "auto"
    """Store the channels of a pixel side by side, which convolutions are faster with; the results agree up to
    rounding."""
    keep_memory: bool = True
    """Keep freed memory in the process instead of giving each large tensor back to the system and asking anew;
    see :mod:`cnncourse.training.allocator`."""
    compile: bool = False
    """Let ``torch.compile`` translate the network first; pays on a GPU in long runs."""
    deterministic: bool = False
    """Allow only deterministic kernels, so that runs on one GPU agree bit by bit; on the CPU they do anyway."""
    sync_batch_norm: bool = False
    """With several processes: batch normalisation over the whole batch instead of each process's share."""

    workers: int = 0
    """Processes that decode image files ahead of the network, at least 0; images held in memory need none."""
    seed: int = 0
    """Seed of order, augmentation and dropout; the first weights are drawn where the model is built."""
    device: str = "auto"
    """Where to compute: ``auto``, ``cpu``, ``cuda``, ``mps``."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "micro_batches", "lr_patience"):
            self._refuse(name, getattr(self, name) >= 1, "be at least 1")
        self._refuse("peak_lr", 0 < self.peak_lr < math.inf, "be above 0")
        self._refuse("weight_decay", self.weight_decay >= 0, "be at least 0")
        for name in ("momentum", "label_smoothing"):
            self._refuse(name, 0 <= getattr(self, name) < 1, "lie in [0, 1)")
        self._refuse("workers", self.workers >= 0, "be at least 0")
        self._refuse("lr_factor", 0 < self.lr_factor < 1, "lie between 0 and 1")
        self._refuse("ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "lie between 0 and 1")
        self._refuse("clip_norm", self.clip_norm is None or self.clip_norm > 0, "be above 0")
        self._refuse(
            "early_stopping", self.early_stopping is None or self.early_stopping >= 1, "be at least 1"
        )
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must lie in [0, epochs), got warmup_epochs={self.warmup_epochs}, "
                f"epochs={self.epochs}"
            )
        inner = (0.0, *self.milestones, 1.0)
        self._refuse("milestones", list(inner) == sorted(set(inner)), "rise within (0, 1)")
        self._choose("schedule", (*SCHEDULES, "plateau"))
        self._choose("optimiser", ("sgd", "adamw"))
        self._choose("precision", ("auto", "fp32", "bf16", "fp16"))
        self._choose("channels_last", ("auto", True, False))

    def _refuse(self, name: str, good: bool, rule: str) -> None:
        if not good:
            raise ValueError(f"{name} must {rule}, got {name}={getattr(self, name)}")

    def _choose(self, name: str, choices: tuple[object, ...]) -> None:
        if getattr(self, name) not in choices:
            raise ValueError(f"{name} must be one of {list(choices)}, got {getattr(self, name)!r}")
