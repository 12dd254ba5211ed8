"""Medians, spreads and per-round ratios."""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Middle and ends of some figures."""

    median: float
    """Half of the figures are below."""
    low: float
    """The smallest."""
    high: float
    """The largest."""
    count: int
    """How many there are."""

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of at least one figure.

        Args:
            figures: the figures, in any order.

        Returns:
            Median, smallest, largest and number.

        Raises:
            ValueError: if there are no figures.
        """
        if not figures:
            raise ValueError("a spread needs at least one figure, got none")
        return cls(statistics.median(figures), min(figures), max(figures), len(figures))


def ratios_by_round(ours: Mapping[int, float], reference: Mapping[int, float]) -> list[float]:
    """Return figure over reference for each round that has both.

    The machine drifts by more than contestants differ; within one round it drifts least.

    Args:
        ours: figure of each round.
        reference: figure of the reference, of each round.

    Returns:
        The ratios, in order of the rounds.

    Raises:
        ValueError: if a figure of the reference is not above 0.
    """
    if any(not figure > 0 for figure in reference.values()):
        raise ValueError(f"the reference's figures must be above 0, got {dict(reference)}")
    return [ours[number] / reference[number] for number in sorted(set(ours) & set(reference))]


def differences_by_round(ours: Mapping[int, float], reference: Mapping[int, float]) -> list[float]:
    """Return figure less reference for each round that has both.

    Args:
        ours: figure of each round.
        reference: figure of the reference, of each round.

    Returns:
        The differences, in order of the rounds.
    """
    return [ours[number] - reference[number] for number in sorted(set(ours) & set(reference))]


def shuffled(names: Sequence[str], *, seed: int, number: int, workload: str) -> list[str]:
    """Return the order in which the contestants of one round run.

    Args:
        names: the contestants.
        seed: seed of the whole run.
        number: number of the round.
        workload: the workload; each has an order of its own.

    Returns:
        The same names; always in this order for the same arguments, so that a run can go on later.
    """
    order = sorted(names)
    random.Random(f"{seed}/{number}/{workload}").shuffle(order)
    return order
