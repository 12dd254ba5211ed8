"""Learning-rate schedules: pure functions of the step, as a factor of the peak learning rate."""

import math


def _check(step: int, total_steps: int, warmup_steps: int) -> None:
    if total_steps < 1 or not 0 <= warmup_steps < total_steps:
        raise ValueError(
            "total_steps must be at least 1 and warmup_steps lie in [0, total_steps), got "
            f"total_steps={total_steps}, warmup_steps={warmup_steps}"
        )
    if not 0 <= step < total_steps:
        raise ValueError(f"step must lie in [0, {total_steps}), got step={step}")


def constant(step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Rise linearly during the warm-up, then stay at 1.

    Args:
        step: number of the optimiser step, 0 <= step < total_steps.
        total_steps: optimiser steps of the whole run.
        warmup_steps: steps of the linear rise, 0 <= warmup_steps < total_steps.

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: if an argument is out of its range.
    """
    _check(step, total_steps, warmup_steps)
    return min(1.0, (step + 1) / (warmup_steps + 1))


def cosine(step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Rise linearly during the warm-up, then fall along half a cosine towards 0.

    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983, equation 5 with one period. The peak is reached at step ``warmup_steps``; the step
    after the last would have factor 0.

    Args:
        step: number of the optimiser step, 0 <= step < total_steps.
        total_steps: optimiser steps of the whole run.
        warmup_steps: steps of the linear rise, 0 <= warmup_steps < total_steps.

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: if an argument is out of its range.
    """
    _check(step, total_steps, warmup_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))


def one_cycle(step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Rise linearly during the warm-up, then fall linearly towards 0.

    Smith & Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2017, arXiv:1708.07120. Differs from the paper: one fall to 0 instead of a fall and a short tail; momentum
    stays as it is.

    Args:
        step: number of the optimiser step, 0 <= step < total_steps.
        total_steps: optimiser steps of the whole run.
        warmup_steps: steps of the linear rise, 0 <= warmup_steps < total_steps.

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: if an argument is out of its range.
    """
    _check(step, total_steps, warmup_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    return 1 - (step - warmup_steps) / (total_steps - warmup_steps)
