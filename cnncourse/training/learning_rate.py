"""The learning rate of a step: a function of the settings and of what was measured so far."""

from collections.abc import Sequence

from cnncourse.training.config import TrainConfig
from cnncourse.training.schedules import SCHEDULES, constant, plateau, step_decay


def learning_rate(config: TrainConfig, step: int, steps_a_pass: int, val_losses: Sequence[float]) -> float:
    """Return the learning rate of a step.

    Args:
        config: the settings.
        step: number of the step in the run, from 0.
        steps_a_pass: optimiser steps of one pass.
        val_losses: validation loss of each pass so far; only ``plateau`` looks at them.

    Returns:
        The rate, at most ``config.peak_lr``.
    """
    total = config.epochs * steps_a_pass
    warmup = min(round(config.warmup_epochs * steps_a_pass), total - 1)
    if config.schedule == "plateau":
        cuts = plateau(val_losses, patience=config.lr_patience, factor=config.lr_factor)
        factor = constant(step, total, warmup) * cuts
    elif config.schedule == "step":
        factor = step_decay(step, total, warmup, milestones=config.milestones, factor=config.lr_factor)
    else:
        factor = SCHEDULES[config.schedule](step, total, warmup)
    return config.peak_lr * factor
