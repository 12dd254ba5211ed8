"""The loop itself: one pass that learns, one that measures."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (N, K) and targets (N,) to the mean loss of the batch."""

CHECK_EVERY = 50
"""Steps between two looks at the loss on an accelerator, where each look waits for the device."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to try."""


@dataclass(frozen=True)
class Evaluation:
    """Loss and accuracy over one pass."""

    loss: float
    """Mean loss an image."""
    accuracy: float
    """Share of right answers, 0 to 1."""
    images: int
    """Images seen."""
    seconds: float
    """Duration of the pass."""
    steps: int = 0
    """Optimiser steps; 0 when only measuring."""

    @property
    def errors(self) -> int:
        """Images with a wrong answer."""
        return self.images - round(self.accuracy * self.images)

    @property
    def images_per_second(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds > 0 else math.inf


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimiser: torch.optim.Optimizer,
    *,
    loss: Loss = functional.cross_entropy,
    before_step: Callable[[int], None] | None = None,
    after_step: Callable[[int], object] | None = None,
    first_step: int = 0,
) -> Evaluation:
    """Go through the batches once and take one optimiser step for each.

    Args:
        model: network from (N, C, H, W) to logits (N, K); left in training mode.
        batches: pairs of images (N, C, H, W) and targets (N,), on the model's device.
        optimiser: made for the model's parameters.
        loss: from logits and targets to the mean loss of a batch.
        before_step: called with the number of the step, such as to set the learning rate.
        after_step: called with 1 after each step, such as to move a progress bar.
        first_step: number of the first step.

    Returns:
        Loss and accuracy of the batches as they came, each before its own step.

    Raises:
        TrainingError: if the loss is infinite or not a number.
        ValueError: if there are no batches, or the targets do not fit the logits.

    Book: pooling_lenet
    """
    model.train()
    tally = _Tally()
    step = first_step
    t_start = perf_counter()
    for images, targets in batches:
        if before_step is not None:
            before_step(step)
        logits = model(images)
        tally.check_targets(logits, targets)
        batch_loss = loss(logits, targets)
        optimiser.zero_grad(set_to_none=True)
        batch_loss.backward()  # type: ignore[no-untyped-call]
        tally.add(batch_loss, logits, targets)
        if batch_loss.device.type == "cpu" or step % CHECK_EVERY == 0:
            _check_finite(batch_loss, step)  # before the step, so that the weights are still good
        optimiser.step()
        step += 1
        if after_step is not None:
            after_step(1)
    result = tally.result(t_start, steps=step - first_step)
    if not math.isfinite(result.loss):
        raise _not_finite(result.loss, step - 1)
    return result


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, loss: Loss = functional.cross_entropy
) -> Evaluation:
    """Go through the batches once in eval mode and measure.

    Args:
        model: network from (N, C, H, W) to logits (N, K); its mode comes back afterwards.
        batches: pairs of images (N, C, H, W) and targets (N,), on the model's device.
        loss: from logits and targets to the mean loss of a batch.

    Returns:
        Loss and accuracy.

    Raises:
        ValueError: if there are no batches, or the targets do not fit the logits.

    Book: pooling_lenet
    """
    was_training = model.training
    model.eval()
    try:
        tally = _Tally()
        t_start = perf_counter()
        for images, targets in batches:
            logits = model(images)
            tally.check_targets(logits, targets)
            tally.add(loss(logits, targets), logits, targets)
        return tally.result(t_start)
    finally:
        model.train(was_training)


@torch.no_grad()
def predict(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the logits of all batches, in order, in eval mode.

    Args:
        model: network from (N, C, H, W) to logits (N, K); its mode comes back afterwards.
        batches: pairs of images and targets, unshuffled if the order matters; targets are not looked at.

    Returns:
        (N, K): logits on the CPU.

    Raises:
        ValueError: if there are no batches.
    """
    was_training = model.training
    model.eval()
    try:
        logits = [model(images).cpu() for images, _ in batches]
    finally:
        model.train(was_training)
    if not logits:
        raise ValueError("there are no batches; the data set is empty or its iterator used up")
    return torch.cat(logits)


class _Tally:
    """Sums of one pass, kept on the device so that no step waits for them."""

    def __init__(self) -> None:
        self.loss: Tensor | float = 0.0
        self.right: Tensor | int = 0
        self.images = 0

    def check_targets(self, logits: Tensor, targets: Tensor) -> None:
        """Refuse what a loss function would turn into a riddle (on a GPU, into a dead process)."""
        if logits.ndim != 2 or targets.ndim != 1 or len(logits) != len(targets):
            raise ValueError(
                f"logits must have shape (N, K) and targets (N,), got {tuple(logits.shape)} and "
                f"{tuple(targets.shape)}"
            )
        if self.images == 0 or targets.device.type == "cpu":  # a look at each batch would make a GPU wait
            lowest, highest = int(targets.min()), int(targets.max())
            if not 0 <= lowest <= highest < logits.shape[1]:
                raise ValueError(
                    f"targets must lie in [0, {logits.shape[1]}), the number of logits, got {lowest} to "
                    f"{highest}; build the model with more classes or renumber the labels"
                )

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Count one batch."""
        wide = torch.float32 if loss.device.type == "mps" else torch.float64  # Apple's GPU has no doubles
        self.loss = self.loss + loss.detach().to(wide) * len(targets)
        self.right = self.right + (logits.detach().argmax(dim=1) == targets).sum()
        self.images += len(targets)

    def result(self, t_start: float, steps: int = 0) -> Evaluation:
        """Return the means; the first moment at which the device is waited for."""
        if self.images == 0:
            raise ValueError("there are no batches; the data set is empty or its iterator used up")
        loss, accuracy = float(self.loss) / self.images, int(self.right) / self.images
        return Evaluation(loss, accuracy, self.images, perf_counter() - t_start, steps)


def _check_finite(loss: Tensor, step: int) -> None:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise _not_finite(value, step)


def _not_finite(value: float, step: int) -> TrainingError:
    return TrainingError(
        f"the loss must be a finite number, got {value} at step {step}; lower the learning rate, lengthen "
        "the warm-up, or look for images that are not finite"
    )
