"""What a recipe is made of, and how it is trained once."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import nn

from cnncourse.augmentation import Augmentation, Mixing
from cnncourse.datasets import Normalisation
from cnncourse.training import Callback, CheckpointFolder, History, TrainConfig, Trainer
from cnncourse.training.trainer import Data

Budget = Literal["smoke", "book", "full"]
BUDGETS = ("smoke", "book", "full")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One training run of a recipe, all but the seed: network, data, random changes, settings."""

    build: Callable[[], nn.Module]
    """Makes the network; called with PyTorch's generator seeded."""
    train: Data
    """Images to learn from."""
    test: Data
    """Images for the final number, and for nothing else."""
    val: Data | None = None
    """Images to measure after each pass, held out of the training images; ``None`` measures nothing on the way."""
    config: TrainConfig
    """Settings of the training."""
    augmentation: Augmentation | None = None
    """Random change of each training image."""
    mixing: Mixing | None = None
    """Random mixture of the images of a batch."""
    normalisation: Normalisation | None = None
    """Mean and standard deviation of the channels; ``None`` measures the training images."""
    side: int | None = None
    """Images in files: height and width of the middle square that is measured, in pixels; ``None`` is 224."""
    short_side: int | None = None
    """Images in files: pixels to which the short side is scaled before that; ``None`` is as much as fits."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the recipe that stand nowhere else, for the record."""


def check_budget(budget: str) -> None:
    """Refuse a budget that no recipe knows.

    Args:
        budget: a name.

    Raises:
        ValueError: if it is not ``"smoke"``, ``"book"`` or ``"full"``.
    """
    if budget not in BUDGETS:
        raise ValueError(f"budget must be 'smoke', 'book' or 'full', got {budget!r}")


def train_once(
    plan: Plan,
    seed: int,
    *,
    checkpoints: CheckpointFolder | str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] = "auto",
    save_every: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> tuple[Trainer, History]:
    """Draw the first weights and train once.

    Args:
        plan: what to train, on what, how.
        seed: of the first weights, the order, the augmentation and dropout.
        checkpoints: folder for checkpoints; see :meth:`cnncourse.training.Trainer.fit`.
        resume: ``"auto"``, ``"never"`` or a checkpoint.
        save_every: optimiser steps between two checkpoints within a pass.
        callbacks: watchers of the run.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Returns:
        The trainer with its network, and the history.
    """
    trainer = make_trainer(plan, seed, callbacks=callbacks, progress=progress)
    return trainer, trainer.fit(
        plan.train, plan.val, checkpoints=checkpoints, resume=resume, save_every=save_every
    )


def make_trainer(
    plan: Plan, seed: int, *, callbacks: Sequence[Callback] = (), progress: bool | None = None
) -> Trainer:
    """Draw the first weights and return the trainer that will change them.

    Args:
        plan: what to train, on what, how.
        seed: of the first weights, the order, the augmentation and dropout.
        callbacks: watchers of the run.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Returns:
        The trainer, before its first step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = plan.build()
    return Trainer(
        model,
        replace(plan.config, seed=seed),
        augmentation=plan.augmentation,
        mixing=plan.mixing,
        normalisation=plan.normalisation,
        callbacks=callbacks,
        side=plan.side,
        short_side=plan.short_side,
        progress=progress,
    )
