"""The loop itself: one step, one pass that learns, one that measures."""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from cnncourse.training.metrics import Evaluation, Tally, TrainingError, check_labels

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (N, K) and targets (N,) or (N, K) to the mean loss of the batch."""

CHECK_EVERY = 50
"""Steps between two looks at the loss on an accelerator, where each look waits for the device."""


class StepResult(NamedTuple):
    """What one optimiser step leaves to be counted."""

    loss: Tensor | float
    """Mean loss of the batch before the step; a tensor where reading it would mean waiting for the device."""
    logits: Tensor
    """(N, K), detached."""
    gradient_norm: Tensor | None
    """Length of the gradient before clipping, if it was measured."""


def train_step(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    optimiser: torch.optim.Optimizer,
    *,
    loss: Loss = functional.cross_entropy,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    scaler: torch.amp.GradScaler | None = None,
    micro_batches: int = 1,
    clip_norm: float | None = None,
    weight: float = 1.0,
    step: int = 0,
) -> StepResult:
    """Learn from one batch: forward, backward, one step of the optimiser.

    Args:
        model: network from (N, C, H, W) to logits (N, K), in training mode.
        images: (N, C, H, W), on the model's device.
        targets: (N,) class indices or (N, K) probabilities.
        optimiser: made for the model's parameters.
        loss: from logits and targets to the mean loss of a batch.
        autocast: makes the context in which the network and the loss compute.
        scaler: keeps small float16 gradients from vanishing; ``None`` for other precisions.
        micro_batches: parts the batch is cut into to save memory; their gradients are added up, so that only batch
            normalisation sees a difference.
        clip_norm: longest gradient allowed; ``math.inf`` only measures it, ``None`` does neither.
        weight: factor of the loss, where this batch is a share of a larger one.
        step: number of the step, for messages; on an accelerator every 50th step looks whether all is well.

    Returns:
        Loss, logits and gradient norm.

    Raises:
        TrainingError: if the loss is infinite or not a number; the weights are then as before.
        ValueError: if the targets do not fit the logits.
    """
    check = step % CHECK_EVERY == 0
    optimiser.zero_grad(set_to_none=True)
    if micro_batches == 1:
        with autocast():
            logits = model(images)
            mean_loss = _computed(loss, logits, targets, check=check)
        _backward(mean_loss, weight, scaler)
        logits = logits.detach()
    else:
        done: list[tuple[Tensor, Tensor]] = []
        parts = min(micro_batches, len(images))
        for some, theirs in zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with _exchange_gradients(model, now=len(done) + 1 == parts), autocast():
                logits = model(some)
                part_loss = _computed(loss, logits, theirs, check=check)
            _backward(part_loss, weight * len(some) / len(images), scaler)
            done.append((part_loss, logits.detach()))
        mean_loss, logits = _joined(done)
    value = mean_loss.item() if check or mean_loss.is_cpu else mean_loss.detach()
    if isinstance(value, float) and not math.isfinite(value):
        raise _not_finite(value, step)  # before the step, so that the weights are still good
    norm = None
    if clip_norm is not None:
        if scaler is not None:
            scaler.unscale_(optimiser)
        weights = [p for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(weights, clip_norm)
    if scaler is None:
        optimiser.step()
    else:
        scaler.step(optimiser)
        scaler.update()
    return StepResult(value, logits, norm)


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
        batches: pairs of images (N, C, H, W) and targets, on the model's device.
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
    tally = Tally()
    step = first_step
    for images, targets in batches:
        if before_step is not None:
            before_step(step)
        done = train_step(model, images, targets, optimiser, loss=loss, step=step)
        tally.add(done.loss, done.logits, targets)
        tally.steps += 1
        step += 1
        if after_step is not None:
            after_step(1)
    result = tally.result()
    if not math.isfinite(result.loss):
        raise _not_finite(result.loss, step - 1)
    return result


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    loss: Loss = functional.cross_entropy,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    added_up: Callable[..., object] | None = None,
) -> Evaluation:
    """Go through the batches once in eval mode and measure; one batch of activations is held at a time.

    Args:
        model: network from (N, C, H, W) to logits (N, K); its mode comes back afterwards.
        batches: pairs of images (N, C, H, W) and targets (N,), on the model's device.
        loss: from logits and targets to the mean loss of a batch.
        autocast: makes the context in which the network and the loss compute.
        added_up: adds numbers over all processes, each of which measures its share; ``None`` when there is one.

    Returns:
        Loss and accuracy.

    Raises:
        ValueError: if there are no batches, or the targets do not fit the logits.

    Book: pooling_lenet
    """
    was_training = model.training
    model.eval()
    try:
        tally = Tally()
        for images, targets in batches:
            with autocast():
                logits = model(images)
                batch_loss = _computed(loss, logits, targets, check=tally.images == 0)
            tally.add(batch_loss, logits, targets)
        return tally.result(added_up)  # type: ignore[arg-type]
    finally:
        model.train(was_training)


def _computed(loss: Loss, logits: Tensor, targets: Tensor, *, check: bool) -> Tensor:
    """Compute the loss; say in words what a loss function would turn into a riddle."""
    if check:
        shapes = (tuple(logits.shape), tuple(targets.shape))
        if logits.ndim != 2 or len(logits) != len(targets) or shapes[1] not in (shapes[0], shapes[0][:1]):
            raise ValueError(
                f"logits must have shape (N, K) and targets (N,) or (N, K), got {shapes[0]} and {shapes[1]}"
            )
        if targets.ndim == 1 and not targets.is_cpu:  # on a GPU a bad label kills the process
            check_labels(targets, logits.shape[1])
    if logits.dtype is torch.bfloat16 or logits.dtype is torch.float16:
        logits = logits.float()
    try:
        return loss(logits, targets)
    except IndexError:  # the CPU's way to say that a class is out of range
        check_labels(targets, logits.shape[1])
        raise


def _backward(loss: Tensor, weight: float, scaler: torch.amp.GradScaler | None) -> None:
    weighted = loss if weight == 1 else loss * weight
    (weighted if scaler is None else scaler.scale(weighted)).backward()  # type: ignore[no-untyped-call]


def _joined(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return mean loss and logits of a batch from those of its parts."""
    losses, logits = zip(*parts, strict=True)
    images = sum(map(len, logits))
    mean = sum(
        part_loss.detach() * (len(part) / images) for part_loss, part in zip(losses, logits, strict=True)
    )
    return torch.as_tensor(mean), torch.cat(logits)


def _exchange_gradients(model: nn.Module, *, now: bool) -> AbstractContextManager[object]:
    """Let processes exchange gradients after the last part of a batch only."""
    return nullcontext() if now or not isinstance(model, DistributedDataParallel) else model.no_sync()


def _not_finite(value: float, step: int) -> TrainingError:
    return TrainingError(
        f"the loss must be a finite number, got {value} at step {step}; lower the learning rate, lengthen "
        "the warm-up, clip the gradient, or look for images that are not finite"
    )
