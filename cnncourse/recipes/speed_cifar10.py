"""CIFAR-10 to a target accuracy, as fast as plain code of this course gets there.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv:2404.00498: a small network whose first layer
whitens patches and stays as it is, alternating mirror images, shifts of 2 pixels with mirrored borders, smoothed
labels, one cycle of the learning rate, ten passes.

Differs from the paper: trained by the public ``Trainer`` (a moving average of the weights instead of Lookahead, one
learning rate for all parameters instead of a 64 times larger one for the shifts of the normalisations), and measured
without averaging over mirrored and shifted copies of the test images.
"""

import os
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from cnncourse.augmentation import AlternatingFlip, Compose, PadCrop
from cnncourse.datasets import LabelledImages, Normalisation
from cnncourse.models import SpeedNet, build
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.recipes.small_photographs import small_photographs
from cnncourse.training import History, TrainConfig, Trainer

NAME = "speed-cifar10"
TITLE = "CIFAR-10 to a target accuracy in the shortest time"

TARGET = 0.94
"""Accuracy on held-out images at which the clock stops."""


def plan(
    budget: str = "full",
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    epochs: int = 10,
    data: str = "cifar10",
    hold_out: int = 5000,
    target: float = TARGET,
    peak_lr: float = 0.2,
) -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"`` (256 patches of photographs, 1 pass), ``"book"`` (2,000, 8 passes) or ``"full"``.
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        epochs: passes, for ``"full"``.
        data: for ``"full"``; see :func:`~cnncourse.recipes.small_photographs.small_photographs`.
        hold_out: training images that stop the clock, at least 1: the test images are looked at once, at the end.
        target: accuracy at which the clock stops, in (0, 1).
        peak_lr: largest learning rate reached.

    Returns:
        The plan.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """
    check_budget(budget)
    if not 0 < target < 1 or hold_out < 1:
        raise ValueError(f"target must lie in (0, 1) and hold_out be at least 1, got {target=}, {hold_out=}")
    parts = small_photographs(budget, data=data, hold_out=hold_out, root=root)
    config = TrainConfig(
        epochs=epochs,
        batch_size=512,
        peak_lr=peak_lr,
        weight_decay=5e-4,
        decay_all=False,
        schedule="one_cycle",
        warmup_epochs=0.2 * epochs,
        label_smoothing=0.2,
        ema_decay=0.99,
        device=device,
    )
    if budget != "full":
        few = 1 if budget == "smoke" else 8
        config = replace(config, epochs=few, batch_size=64, warmup_epochs=0.2 * few, ema_decay=0.95)
    return Plan(
        build=partial(_whitened, parts.train),
        train=parts.train,
        val=parts.val,
        test=parts.test,
        config=config,
        augmentation=Compose((PadCrop(2, mode="reflect"), AlternatingFlip())),
        notes={"network": "speed_net", "target": target},
    )


def _whitened(train: LabelledImages) -> nn.Module:
    """Build the network, its first layer measured on 5,000 training images as it will see them."""
    model = build("speed_net", num_classes=len(train.classes))
    assert isinstance(model, SpeedNet)
    model.whiten(Normalisation.of(train)(train.images[:5000]))
    return model


def results(trainer: Trainer, history: History, plan: Plan) -> dict[str, Any]:
    """Return when the held-out images first reached the target.

    Args:
        trainer: not looked at.
        history: of the run.
        plan: of the run.

    Returns:
        ``seconds_to_target`` (training only, without measuring) and ``passes_to_target``; None if it was not reached.
    """
    seconds = 0.0
    for row in history:
        seconds += row.train_seconds
        if row.val_accuracy is not None and row.val_accuracy >= plan.notes["target"]:
            return {"seconds_to_target": round(seconds, 1), "passes_to_target": row.epoch}
    return {"seconds_to_target": None, "passes_to_target": None}
