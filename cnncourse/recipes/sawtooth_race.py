"""The race of chapter ``depth_separation``: many small ReLU networks learn the iterates of the tent map.

Expressivity is not learnability. Shallow networks of 2 to 512 units and deep narrow ones start from random
weights, and copies of the exact deep network start from weights that were shaken a little.
"""

import os
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Literal

import torch

from cnncourse.recipes.sawtooth_networks import (
    StackedNetworks,
    measured,
    random_networks,
    shaken_networks,
    train_stacked,
)
from cnncourse.records import Record, peak_memory_mib, provenance

NAME = "sawtooth-race"
TITLE = "Shallow and deep networks learn the iterates of the tent map"

Budget = Literal["smoke", "book", "full"]

SHALLOW = tuple((2**j,) for j in range(1, 10))
"""Hidden widths of the shallow racers: 2, 4, …, 512 units."""
DEEP = ((2,) * 8, (16,) * 8)
"""Hidden widths of the deep racers; eight layers of two units can represent every target exactly."""
ITERATES = (4, 5, 6, 7, 8)
"""Targets: m^(4) with 16 pieces to m^(8) with 256."""
NOISES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Standard deviations of what is added to every weight and bias of the exact network."""

STEPS: dict[str, int] = {"smoke": 20, "book": 400, "full": 10_000}
"""Updates at each budget."""


def race(
    hidden: Sequence[int],
    *,
    seeds: Sequence[int],
    steps: int,
    iterates: Sequence[int] = ITERATES,
    peak_lr: float = 0.01,
) -> dict[str, dict[int, list[Any]]]:
    """Train one shape from random starts on all targets, one network for each target and seed.

    Args:
        hidden: widths of the hidden layers.
        seeds: one network for each, and target.
        steps: updates.
        iterates: the targets, n for m^(n).
        peak_lr: largest learning rate.

    Returns:
        ``"l1"`` and ``"pieces"``; for each target a list with one number a seed.

    Book: depth_separation
    """
    starts = [random_networks(hidden, len(iterates), torch.Generator().manual_seed(seed)) for seed in seeds]
    networks = StackedNetworks(
        [torch.cat(parts) for parts in zip(*(start.weights for start in starts), strict=True)],
        [torch.cat(parts) for parts in zip(*(start.biases for start in starts), strict=True)],
    )
    which = [n for _seed in seeds for n in iterates]
    generator = torch.Generator().manual_seed(min(seeds) + 1)
    train_stacked(networks, which, steps=steps, peak_lr=peak_lr, generator=generator)
    distances, pieces = measured(networks, which)
    return {
        "l1": {n: distances[position :: len(iterates)] for position, n in enumerate(iterates)},
        "pieces": {n: pieces[position :: len(iterates)] for position, n in enumerate(iterates)},
    }


def shaken_race(
    n: int, *, seeds: Sequence[int], steps: int, noises: Sequence[float] = NOISES, peak_lr: float = 0.001
) -> dict[str, dict[float, list[float]]]:
    """Shake the exact network of m^(n), train it, and see whether it comes back.

    Args:
        n: which iterate.
        seeds: one network for each, and noise.
        steps: updates.
        noises: standard deviations.
        peak_lr: largest learning rate.

    Returns:
        ``"before"`` and ``"after"``: for each noise the L1 distances, one a seed.

    Book: depth_separation
    """
    each = [noise for noise in noises for _seed in seeds]
    generator = torch.Generator().manual_seed(min(seeds))
    networks = shaken_networks(n, each, generator)
    iterates = [n] * len(each)
    before = measured(networks, iterates)[0]
    train_stacked(networks, iterates, steps=steps, peak_lr=peak_lr, generator=generator)
    after = measured(networks, iterates)[0]

    def by_noise(distances: list[float]) -> dict[float, list[float]]:
        return {noise: distances[i * len(seeds) : (i + 1) * len(seeds)] for i, noise in enumerate(noises)}

    return {"before": by_noise(before), "after": by_noise(after)}


def run(
    budget: Budget = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Run the whole race and return the record.

    Args:
        budget: ``"smoke"`` (20 steps), ``"book"`` (400) or ``"full"`` (10,000).
        seeds: one network for each, and shape and target; at least one, all different.
        root: not used; the race needs no data.
        device: not used; networks this small are quickest on a CPU.
        progress: not used.
        report: called with a line of text after each shape.

    Returns:
        The record, not yet saved; its curves have one row for each racer.

    Raises:
        ValueError: if the budget is unknown, or there is no seed, or one comes twice.

    Book: depth_separation
    """
    if budget not in STEPS:
        raise ValueError(f"budget must be one of {', '.join(STEPS)}, got {budget!r}")
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    steps, t_start = STEPS[budget], perf_counter()
    rows = [dict[str, list[Any]](width=[], layers=[], n=[], noise=[], l1=[], pieces=[]) for _seed in seeds]
    results: dict[str, Any] = {}
    for hidden in (*SHALLOW, *DEEP):
        outcome = race(hidden, seeds=seeds, steps=steps)
        for n in ITERATES:
            distances, pieces = outcome["l1"][n], outcome["pieces"][n]
            for row, l1, count in zip(rows, distances, pieces, strict=True):
                entry = (hidden[0], len(hidden), n, 0.0, float(f"{l1:.4g}"), count)
                for column, value in zip(row.values(), entry, strict=True):
                    column.append(value)
            if hidden in ((512,), *DEEP) and n in (4, 8):
                results[f"l1_m{n}_width_{hidden[0]}_layers_{len(hidden)}"] = [round(x, 4) for x in distances]
        report(f"{len(hidden)} x {hidden[0]} units: {perf_counter() - t_start:.0f} s")
    for n in (4, 6, 8):
        outcome_near = shaken_race(n, seeds=seeds, steps=steps)
        for noise, distances in outcome_near["after"].items():
            for row, l1 in zip(rows, distances, strict=True):
                for column, value in zip(row.values(), (2, n, n, noise, float(f"{l1:.4g}"), 0), strict=True):
                    column.append(value)
        report(f"shaken m^({n}): {perf_counter() - t_start:.0f} s")
    conditions = provenance(device="cpu", threads=torch.get_num_threads())
    return Record(
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        settings={"steps": steps, "batch_size": 256, "peak_lr": 0.01, "peak_lr_shaken": 0.001},
        seeds=list(seeds),
        data={
            "name": "points drawn from [0, 1] for each network, tested by exact integration",
            "train_images": steps * 256,
            "test_images": 0,
            "sha256": {},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        wall_seconds=round(perf_counter() - t_start, 1),
        peak_memory_mib=peak_memory_mib(),
        curves=rows,
        results=results,
    )
