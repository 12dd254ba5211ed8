"""Races of short runs: several variants of a network, several learning rates for each, several seeds.

A comparison at one learning rate favours the variant that it suits. Here every variant may try all rates, and is
judged at its own best one, which is chosen without the test images.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Literal

import torch
from torch import nn

from cnncourse.augmentation import Augmentation, generator_for
from cnncourse.datasets import LabelledImages
from cnncourse.recipes.cells import worked_through
from cnncourse.training import TrainConfig, Trainer


@dataclass(frozen=True, kw_only=True)
class Racer:
    """A variant that takes part."""

    build: Callable[[int], nn.Module]
    """From the number of classes to the network, drawn from torch's own random numbers."""
    augmentation: Augmentation | None = None
    """Random change of each training image."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is equal for all who race."""

    train: LabelledImages
    """Images to learn from and, without ``target``, to hold a fifth out of, by which the rates are chosen."""
    test: LabelledImages
    """Images for the final number."""
    epochs: int
    """Passes, at least 1."""
    rates: tuple[float, ...]
    """Learning rates that every racer may try, at least one."""
    batch_size: int = 32
    """Images a step."""
    target: float | None = None
    """Share of wrong answers on the training images that ends the race; the rate is then the one that gets there
    first. ``None`` races to the end, and the rate is the one with the lowest error on held-out images."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with momentum 0.9, or Adam with decoupled decay."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Course of the learning rate."""
    weight_decay: float = 0.0
    """Factor of the squared weights in the loss."""
    device: str = "cpu"
    """Where to compute."""
    views: Mapping[str, LabelledImages] = field(default_factory=dict)
    """More test images, such as the same ones at other scales, by name."""

    def __post_init__(self) -> None:
        if not self.rates or len(set(self.rates)) != len(self.rates):
            raise ValueError(f"rates must be different numbers, at least one, got {list(self.rates)}")
        if self.target is not None and not 0 < self.target < 1:
            raise ValueError(f"target must be a share of wrong answers in (0, 1), got target={self.target}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network, trained once."""

    racer: str
    """Name of the variant."""
    rate: float
    """Largest learning rate."""
    seed: int
    """Seed of first weights, order and augmentation."""
    train_error: tuple[float, ...]
    """Share of wrong answers while each pass learns."""
    held_out_error: float | None
    """Share of wrong answers on the held-out images at the end; ``None`` where none are held out."""
    test_error: float
    """Share of wrong answers on the test images at the end."""
    view_errors: Mapping[str, float]
    """The same on each of the other views."""
    seconds: float
    """Duration."""


@dataclass(frozen=True, kw_only=True)
class Race:
    """All runs, and what they say."""

    terms: Terms
    """What was equal for all."""
    runs: tuple[Run, ...]
    """Every racer with every rate and seed."""

    def best_rate(self, racer: str) -> float:
        """Return the rate at which a racer is judged.

        Args:
            racer: name of the variant.

        Returns:
            The rate with the least mean passes to the target, or mean error on held-out images; of equal ones the
            smallest.

        Raises:
            ValueError: if there is no such racer.
        """
        scores = {
            rate: statistics.fmean(self._score(run) for run in self._of(racer, rate))
            for rate in sorted(self.terms.rates)
        }
        return min(scores, key=lambda rate: scores[rate])

    def best(self, racer: str) -> tuple[Run, ...]:
        """Return a racer's runs at its best rate, one for each seed.

        Args:
            racer: name of the variant.

        Returns:
            The runs, by seed.
        """
        return self._of(racer, self.best_rate(racer))

    def test_errors(self, racer: str, view: str | None = None) -> list[float]:
        """Return the test error of each seed at the best rate.

        Args:
            racer: name of the variant.
            view: name of another view of the test images; ``None`` is the test images themselves.

        Returns:
            Shares of wrong answers.
        """
        return [run.test_error if view is None else run.view_errors[view] for run in self.best(racer)]

    def passes(self, racer: str, target: float | None = None) -> list[float]:
        """Return how many passes each seed took to a training error, at the best rate.

        Args:
            racer: name of the variant.
            target: share of wrong answers; ``None`` takes that of the race.

        Returns:
            Passes, interpolated between two; ``inf`` for a run that did not get there.

        Raises:
            ValueError: if there is no target.
        """
        goal = self.terms.target if target is None else target
        if goal is None:
            raise ValueError("the race has no target; say which training error counts")
        return [passes_to(run.train_error, goal) for run in self.best(racer)]

    def ratios(self, slow: str, fast: str) -> list[float]:
        """Return for each seed how many times as many passes one racer takes as another.

        Args:
            slow: name of the one in the numerator.
            fast: name of the other.

        Returns:
            Ratios; ``inf`` where only the fast one arrives.
        """
        return [a / b for a, b in zip(self.passes(slow), self.passes(fast), strict=True)]

    def _of(self, racer: str, rate: float) -> tuple[Run, ...]:
        found = tuple(run for run in self.runs if (run.racer, run.rate) == (racer, rate))
        if not found:
            names = ", ".join(dict.fromkeys(run.racer for run in self.runs))
            raise ValueError(f"there is no racer {racer!r}; there are: {names}")
        return found

    def _score(self, run: Run) -> float:
        if self.terms.target is not None:
            return passes_to(run.train_error, self.terms.target)
        assert run.held_out_error is not None
        return run.held_out_error


def passes_to(errors: Sequence[float], target: float) -> float:
    """Return after how many passes an error curve reaches a target.

    The error of a pass is that of its middle on average; between two middles the curve is taken as straight.

    Args:
        errors: one for each pass.
        target: error to reach.

    Returns:
        Passes; half of the first one if that is low enough already, ``inf`` if none is.

    Book: alexnet
    """
    for number, error in enumerate(errors):
        if error <= target:
            if number == 0:
                return 0.5
            before = errors[number - 1]
            return number - 0.5 + (before - target) / (before - error)
    return math.inf


def race(
    racers: Mapping[str, Racer],
    terms: Terms,
    seeds: Sequence[int],
    *,
    workers: int = 0,
    report: Callable[[str], object] = lambda _line: None,
) -> Race:
    """Train every racer at every rate from every seed.

    Args:
        racers: name to variant.
        terms: what is equal for all.
        seeds: at least one, all different.
        workers: processes with one thread each; 0 trains in this process.
        report: called with a line of text after each run.

    Returns:
        The race.

    Raises:
        ValueError: if there is no seed, or one comes twice.

    Book: vgg
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    grid = {
        f"{name}, rate {rate:g}, seed {seed}": (name, racer, rate, seed)
        for name, racer in racers.items()
        for rate in terms.rates
        for seed in seeds
    }
    rows: dict[str, dict[str, Any]] = {}
    with closing(worked_through(grid, partial(_run, terms=terms), workers)) as finished:
        for name, row in finished:
            rows[name] = row
            report(
                f"{len(rows)} of {len(grid)}: {name}: test error {row['test_error']:.1%}, {row['seconds']} s"
            )
    return Race(terms=terms, runs=tuple(Run(**rows[name]) for name in grid))


def trained(racer: Racer, terms: Terms, rate: float, seed: int) -> tuple[Trainer, tuple[float, ...]]:
    """Train one network once.

    Args:
        racer: the variant.
        terms: images and settings.
        rate: largest learning rate.
        seed: of first weights, order and augmentation.

    Returns:
        The trainer with its network, and the training error of each pass.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = racer.build(len(terms.train.classes))
    settings = TrainConfig(
        epochs=terms.epochs,
        batch_size=terms.batch_size,
        peak_lr=rate,
        optimiser=terms.optimiser,
        schedule=terms.schedule,
        weight_decay=terms.weight_decay,
        clip_norm=5.0,
        precision="fp32",
        device=terms.device,
        seed=seed,
    )
    trainer = Trainer(model, settings, augmentation=racer.augmentation, progress=False)
    history = trainer.fit(terms.train)
    return trainer, tuple(round(1 - share, 4) for share in history["train_accuracy"])


def _run(name: str, racer: Racer, rate: float, seed: int, *, terms: Terms) -> dict[str, Any]:
    t_start = perf_counter()
    held_out = None
    if terms.target is None:
        learn, held_out = terms.train.held_out(0.2, generator=generator_for(0, "hold-out"))
        terms = replace(terms, train=learn)
    trainer, errors = trained(racer, terms, rate, seed)
    return {
        "racer": name,
        "rate": rate,
        "seed": seed,
        "train_error": errors,
        "held_out_error": None if held_out is None else round(1 - trainer.evaluate(held_out).accuracy, 4),
        "test_error": round(1 - trainer.evaluate(terms.test).accuracy, 4),
        "view_errors": {
            view: round(1 - trainer.evaluate(images).accuracy, 4) for view, images in terms.views.items()
        },
        "seconds": round(perf_counter() - t_start, 2),
    }
