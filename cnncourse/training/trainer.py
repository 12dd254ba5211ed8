"""A training run: settings, data, order, schedule, history."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.datasets import Batches, LabelledImages, Normalisation
from cnncourse.datasets.loader import Augmentation
from cnncourse.datasets.progress import progress_bar
from cnncourse.training.device import resolve_device
from cnncourse.training.history import EpochRow, History
from cnncourse.training.loop import Evaluation, evaluate, predict, train_epoch
from cnncourse.training.schedules import constant, cosine, one_cycle

SCHEDULES: dict[str, Callable[[int, int, int], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training run."""

    epochs: int
    """Passes over the training images, at least 1."""
    batch_size: int = 128
    """Images an optimiser step, at least 1."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with Nesterov's momentum, or Adam with decoupled weight decay."""
    peak_lr: float = 0.05
    """Largest learning rate reached, above 0."""
    momentum: float = 0.9
    """Momentum of SGD, 0 <= momentum < 1; not used by AdamW."""
    weight_decay: float = 0.0
    """Factor of the squared weights in the loss (SGD) or of the decoupled decay (AdamW), at least 0."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "cosine"
    """Course of the learning rate; see :mod:`cnncourse.training.schedules`."""
    warmup_epochs: float = 0.0
    """Length of the linear rise, in passes, 0 <= warmup_epochs < epochs."""
    label_smoothing: float = 0.0
    """Probability spread evenly over all classes, 0 <= label_smoothing < 1."""
    seed: int = 0
    """Seed of the order and the augmentation; the weights are drawn where the model is built."""
    device: str = "auto"
    """Where to compute: ``auto``, ``cpu``, ``cuda``, ``mps``."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"epochs and batch_size must be at least 1, got epochs={self.epochs}, "
                f"batch_size={self.batch_size}"
            )
        if not self.peak_lr > 0 or not self.weight_decay >= 0:
            raise ValueError(
                "peak_lr must be above 0 and weight_decay at least 0, got "
                f"peak_lr={self.peak_lr}, weight_decay={self.weight_decay}"
            )
        if not 0 <= self.momentum < 1 or not 0 <= self.label_smoothing < 1:
            raise ValueError(
                "momentum and label_smoothing must lie in [0, 1), got "
                f"momentum={self.momentum}, label_smoothing={self.label_smoothing}"
            )
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must lie in [0, epochs), got warmup_epochs={self.warmup_epochs}, "
                f"epochs={self.epochs}"
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {sorted(SCHEDULES)}, got {self.schedule!r}")
        if self.optimiser not in ("sgd", "adamw"):
            raise ValueError(f"optimiser must be 'sgd' or 'adamw', got {self.optimiser!r}")


class Trainer:
    """Train a network on labelled images, and remember how it went.

    Two runs with one seed and equal first weights are bit-identical on the CPU with one number of threads.

    Args:
        model: network from (N, C, H, W) to logits (N, K); moved to the device and trained in place.
        config: the settings.
        augmentation: random change of each uint8 training batch; see ``datasets.loader.Augmentation``.
        normalisation: ``None`` measures the training images.
        loss: from logits and targets to a mean loss; ``None`` is cross entropy with the configured smoothing.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Book: pooling_lenet
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        *,
        augmentation: Augmentation | None = None,
        normalisation: Normalisation | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        progress: bool | None = None,
    ) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.model = model.to(self.device)
        self.augmentation = augmentation
        self.normalisation = normalisation
        self.loss = loss or self._smoothed_cross_entropy
        self.progress = progress
        self.history = History()

    def fit(self, train: LabelledImages, val: LabelledImages | None = None) -> History:
        """Train for the configured number of passes, from the present weights.

        Args:
            train: images to learn from.
            val: images to measure after each pass; never the test images, if settings depend on the result.

        Returns:
            The history of this run, also kept as ``history``.

        Raises:
            TrainingError: if the loss is infinite or not a number.
            ValueError: if a data set is empty or its labels do not fit the model.
        """
        config = self.config
        if self.normalisation is None:
            self.normalisation = Normalisation.of(train)
        batches = Batches(
            train,
            config.batch_size,
            self.normalisation,
            device=self.device,
            shuffle=True,
            generator=torch.Generator().manual_seed(config.seed),
            augmentation=self.augmentation,
        )
        val_batches = None if val is None else self.batches(val)
        optimiser = self._optimiser()
        total_steps = config.epochs * len(batches)
        warmup_steps = min(round(config.warmup_epochs * len(batches)), total_steps - 1)
        factor = SCHEDULES[config.schedule]

        def set_learning_rate(step: int) -> None:
            for group in optimiser.param_groups:
                group["lr"] = config.peak_lr * factor(step, total_steps, warmup_steps)

        self.history = History()
        with progress_bar("training", total=total_steps, unit="step", show=self.progress) as advance:
            for epoch in range(1, config.epochs + 1):
                learnt = train_epoch(
                    self.model,
                    batches,
                    optimiser,
                    loss=self.loss,
                    before_step=set_learning_rate,
                    after_step=advance,
                    first_step=(epoch - 1) * len(batches),
                )
                measured = None if val_batches is None else evaluate(self.model, val_batches)
                row = EpochRow(
                    epoch=epoch,
                    learning_rate=optimiser.param_groups[0]["lr"],
                    train_loss=learnt.loss,
                    train_accuracy=learnt.accuracy,
                    train_seconds=learnt.seconds,
                    val_loss=None if measured is None else measured.loss,
                    val_accuracy=None if measured is None else measured.accuracy,
                )
                self.history = self.history.with_row(row)
        return self.history

    def evaluate(self, data: LabelledImages) -> Evaluation:
        """Measure the network: cross entropy without smoothing, and accuracy.

        Args:
            data: at least one image.

        Returns:
            Loss and accuracy.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        return evaluate(self.model, self.batches(data))

    def predict(self, data: LabelledImages) -> Tensor:
        """Return the logits (N, K) of a data set, on the CPU.

        Args:
            data: at least one image.

        Returns:
            (N, K): logits, in the order of the images.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        return predict(self.model, self.batches(data))

    def batches(self, data: LabelledImages, batch_size: int = 1000) -> Batches:
        """Return batches to measure with: normalised as in training, in order, unchanged.

        Args:
            data: at least one image.
            batch_size: images a batch.

        Returns:
            The batches, on the trainer's device.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        if self.normalisation is None:
            raise ValueError("the normalisation is measured in fit(); call it first, or give the Trainer one")
        return Batches(data, batch_size, self.normalisation, device=self.device)

    def _smoothed_cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)

    def _optimiser(self) -> torch.optim.Optimizer:
        config, weights = self.config, self.model.parameters()
        if config.optimiser == "adamw":
            return torch.optim.AdamW(weights, lr=config.peak_lr, weight_decay=config.weight_decay)
        return torch.optim.SGD(
            weights,
            lr=config.peak_lr,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
            weight_decay=config.weight_decay,
        )
