"""Sums over a pass: loss, top-1, top-5, gradient norm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

REDUCE_EVERY = 32
"""Steps whose answers are counted together: counting each alone would cost a small network a tenth of its time."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to try."""


@dataclass(frozen=True)
class Evaluation:
    """Loss and accuracy over one pass."""

    loss: float
    """Mean loss an image."""
    accuracy: float
    """Share of right answers (top-1), 0 to 1."""
    images: int
    """Images seen."""
    seconds: float
    """Duration of the pass."""
    steps: int = 0
    """Optimiser steps; 0 when only measuring."""
    top5: float | None = None
    """Share of images whose class is among the five largest logits; None with five classes or fewer."""
    gradient_norm: float | None = None
    """Mean length of the gradient before clipping; None if it was not measured."""

    @property
    def errors(self) -> int:
        """Images with a wrong answer."""
        return self.images - round(self.accuracy * self.images)

    @property
    def images_per_second(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds > 0 else math.inf


def check_labels(targets: Tensor, num_classes: int) -> None:
    """Refuse labels that no logit stands for.

    Args:
        targets: (N,), class indices.
        num_classes: number of logits.

    Raises:
        ValueError: if a label is out of range.
    """
    lowest, highest = int(targets.min()), int(targets.max())
    if not 0 <= lowest <= highest < num_classes:
        raise ValueError(
            f"targets must lie in [0, {num_classes}), the number of logits, got {lowest} to {highest}; build the "
            "model with more classes or renumber the labels"
        )


class Tally:
    """Sums of one pass; they can be saved in the middle of it, and added up over processes.

    Losses and answers stay on the device until some steps have come together, so that no step waits for them. The
    sums themselves are Python numbers, added in the order of the steps: when they are taken does not change
    them.
    """

    def __init__(self) -> None:
        self.loss = 0.0
        self.right = 0
        self.right5: int | None = 0
        self.images = 0
        self.steps = 0
        self.norm = 0.0
        self.norms = 0
        self.seconds = 0.0
        self._started = perf_counter()
        self._open: list[tuple[Tensor | float, Tensor, Tensor]] = []
        self._open_norms: list[Tensor] = []

    def add(self, loss: Tensor | float, logits: Tensor, targets: Tensor, norm: Tensor | None = None) -> None:
        """Count one batch.

        Args:
            loss: mean loss of the batch, detached if a tensor.
            logits: (N, K), detached.
            targets: (N,) class indices or (N, K) probabilities.
            norm: length of the gradient.
        """
        self._open.append((loss, logits, targets))
        self.images += len(logits)
        if norm is not None:
            self._open_norms.append(norm)
        if len(self._open) >= REDUCE_EVERY:
            self.reduce()

    def reduce(self) -> None:
        """Add what is still on the device to the sums."""
        if not self._open:
            return
        losses, all_logits, all_targets = zip(*self._open, strict=True)
        for value, logits in zip(_numbers(losses), all_logits, strict=True):
            self.loss += value * len(logits)
        logits, targets = torch.cat(all_logits), torch.cat(all_targets)
        labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
        check_labels(labels, logits.shape[1])  # a loss may ignore negative ones
        self.right += int((logits.argmax(dim=1) == labels).sum())
        if logits.shape[1] <= 5 or self.right5 is None:
            self.right5 = None
        else:
            larger = (logits > logits.gather(1, labels.unsqueeze(1))).sum(dim=1)
            self.right5 += int((larger < 5).sum())
        for value in _numbers(self._open_norms):
            self.norm += value
            self.norms += 1
        self._open.clear()
        self._open_norms.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far, as plain numbers."""
        self.reduce()
        names = ("loss", "right", "right5", "images", "steps", "norm", "norms")
        return {name: getattr(self, name) for name in names} | {"seconds": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from saved sums.

        Args:
            state: what :meth:`state_dict` returned.
        """
        for name, value in state.items():
            setattr(self, name, value)
        self._started = perf_counter()

    @staticmethod
    def merged(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the sums of several processes as one.

        Args:
            states: what :meth:`state_dict` returned in each process.

        Returns:
            What :meth:`load_state_dict` needs.
        """
        total = {name: sum(state[name] or 0 for state in states) for name in states[0]}
        alike = {name: states[0][name] for name in ("steps", "norm", "norms", "seconds")}
        return total | alike | ({"right5": None} if states[0]["right5"] is None else {})

    def result(self, added_up: Callable[[Sequence[float]], Sequence[float]] | None = None) -> Evaluation:
        """Return the means; a moment at which the device is waited for.

        Args:
            added_up: adds numbers over all processes; ``None`` when there is one.

        Returns:
            Loss and accuracy of all images.

        Raises:
            ValueError: if there was no batch.
        """
        self.reduce()
        right5 = -1 if self.right5 is None else self.right5
        sums = (self.loss, self.right, right5, self.images)
        loss, right, right5_sum, images = sums if added_up is None else added_up(sums)
        if images == 0:
            raise ValueError("there are no batches; the data set is empty or its iterator used up")
        return Evaluation(
            loss=loss / images,
            accuracy=right / images,
            images=round(images),
            seconds=self._elapsed(),
            steps=self.steps,
            top5=None if right5 < 0 else right5_sum / images,
            gradient_norm=self.norm / self.norms if self.norms else None,
        )

    def _elapsed(self) -> float:
        return self.seconds + perf_counter() - self._started


def _numbers(values: Sequence[Tensor | float]) -> list[float]:
    """Read numbers from the device, waiting for it once."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(value, Tensor) else value for value in values]
