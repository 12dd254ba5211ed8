"""Learning-rate schedules: pure functions of the step, as a factor of the peak learning rate."""

import math
from collections.abc import Callable, Sequence


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


def step_decay(
    step: int,
    total_steps: int,
    warmup_steps: int = 0,
    *,
    milestones: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> float:
    """Rise linearly during the warm-up, then stay at 1 and fall by a factor at each milestone.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 4.2: cut by 10
    after 32,000 and 48,000 of 64,000 steps, the shares 0.5 and 0.75.

    Args:
        step: number of the optimiser step, 0 <= step < total_steps.
        total_steps: optimiser steps of the whole run.
        warmup_steps: steps of the linear rise, 0 <= warmup_steps < total_steps.
        milestones: shares of the run after which the rate is cut, rising, each in (0, 1).
        factor: what a cut multiplies the rate by, in (0, 1).

    Returns:
        Factor in (0, 1].

    Raises:
        ValueError: if a step is out of its range.
    """
    _check(step, total_steps, warmup_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    cuts = sum(step >= round(share * total_steps) for share in milestones)
    return float(factor**cuts)


def plateau(losses: Sequence[float], *, patience: int = 5, factor: float = 0.1) -> float:
    """Fall by a factor whenever the validation loss has not reached a new low for some passes.

    A function of all losses so far instead of an object with a memory, so that a resumed run goes on as if it had
    not stopped. After a cut the passes are counted from there, as in ``torch.optim.lr_scheduler``.

    Args:
        losses: validation loss of each pass so far.
        patience: passes without a new low before a cut, at least 1.
        factor: what a cut multiplies the rate by, in (0, 1).

    Returns:
        Factor in (0, 1] for the next pass.
    """
    lowest, waited, cuts = math.inf, 0, 0
    for loss in losses:
        lowest, waited = (loss, 0) if loss < lowest else (lowest, waited + 1)
        if waited >= patience:
            cuts, waited = cuts + 1, 0
    return float(factor**cuts)


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "step": step_decay,
}
"""Schedules that need nothing but the number of the step."""
