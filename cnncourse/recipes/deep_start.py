"""The race of chapter ``gradients``: a plain stack of nineteen layers, from several starts.

The layers are counted as in VGG-19 (Simonyan & Zisserman 2015, table 1, column E): 16 convolutions and 3 linear
layers. Differs from the paper: 8 to 32 channels, three poolings instead of five, a mean over the map before
the linear layers, digits of 16 x 16 pixels, AdamW without decay at a constant rate. Whether such a stack starts to
learn depends on its first weights; the race says from which, and whether another learning rate would have helped.
"""

import os
from collections.abc import Callable, Sequence
from statistics import fmean
from time import perf_counter
from typing import Any

import torch
from torch import nn

from cnncourse.datasets import digits
from cnncourse.layers import glorot_normal_, he_normal_
from cnncourse.recipes.plan import check_budget
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import TrainConfig, Trainer, resolve_device

NAME = "deep-start"
TITLE = "A plain stack of nineteen layers, from seven starts"

Rule = Callable[[nn.Conv2d | nn.Linear], None]

WIDTHS = (8, 16, 24, 32, 32)
"""Channels of the five groups of convolutions; VGG-19 has 64, 128, 256, 512, 512."""
COUNTS = (2, 2, 4, 4, 4)
"""Convolutions of each group, as in VGG-19."""
POOLED = 3
"""Groups with a pooling behind them: side 16, 8, 4, 2."""
RATES = (0.0003, 0.001, 0.003)
"""Learning rates that every start may try."""
EPOCHS: dict[str, int] = {"smoke": 1, "book": 6, "full": 12}
"""Passes at each budget."""


def vgg_like(
    norm: Callable[[int], nn.Module] | None = None, widths: Sequence[int] = WIDTHS, in_channels: int = 1
) -> nn.Sequential:
    """Return sixteen 3 x 3 convolutions in five groups, then three linear layers, with ReLU between all.

    Simonyan & Zisserman (2015), table 1, column E. Differs from the paper: see this module.

    Args:
        norm: makes the layer between convolution and ReLU from a number of channels; ``None`` for no layer.
        widths: channels of the five groups.
        in_channels: channels of the images.

    Returns:
        The network, from (N, C, 16, 16) to (N, 10), with PyTorch's starting values.

    Raises:
        ValueError: if there are not five widths.

    Book: gradients
    """
    if len(widths) != len(COUNTS):
        raise ValueError(f"widths must be five numbers, one a group, got {list(widths)}")
    stack: list[nn.Module] = []
    channels = in_channels
    for group, (width, count) in enumerate(zip(widths, COUNTS, strict=True)):
        for _ in range(count):
            stack += [nn.Conv2d(channels, width, 3, padding=1), *([norm(width)] if norm else []), nn.ReLU()]
            channels = width
        if group < POOLED:
            stack.append(nn.MaxPool2d(2))
    stack += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 64), nn.ReLU()]
    return nn.Sequential(*stack, nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@torch.no_grad()
def naive_(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw a layer's weights with standard deviation 0.01, whatever its size; its bias becomes zero.

    Args:
        layer: a convolution or a linear layer.
    """
    layer.weight.normal_(0, 0.01)
    if layer.bias is not None:
        layer.bias.zero_()


STARTS: dict[str, tuple[Rule | None, Callable[[int], nn.Module] | None]] = {
    "naive": (naive_, None),
    "default": (None, None),
    "Xavier": (glorot_normal_, None),
    "He": (he_normal_, None),
    "naive + batch norm": (naive_, nn.BatchNorm2d),
    "default + batch norm": (None, nn.BatchNorm2d),
    "He + batch norm": (he_normal_, nn.BatchNorm2d),
}
"""Name to rule (``None`` leaves PyTorch's values) and normalisation."""


def started(name: str) -> nn.Sequential:
    """Return the network with the starting values of a racer, drawn from torch's own random numbers.

    Args:
        name: one of :data:`STARTS`.

    Returns:
        The network.
    """
    rule, norm = STARTS[name]
    model = vgg_like(norm)
    for layer in model if rule is not None else ():
        if rule is not None and isinstance(layer, nn.Conv2d | nn.Linear):
            rule(layer)
    return model


def run(
    budget: str = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Run the whole race and return the record.

    Args:
        budget: ``"smoke"`` (one pass over 128 digits), ``"book"`` (6 passes) or ``"full"`` (12 passes).
        seeds: one network for each, and start and rate; at least one, all different.
        root: not used; the digits ship with scikit-learn.
        device: where to compute.
        progress: show a bar.
        report: called with a line of text after each start.

    Returns:
        The record, not yet saved. Its curves have one row for each racer; ``best accuracy, NAME`` is the test accuracy
        at the rate with the lowest training loss, so that no rate is chosen by test images.

    Raises:
        ValueError: if the budget is unknown, or there is no seed, or one comes twice.

    Book: gradients
    """
    check_budget(budget)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    where = str(resolve_device(device))
    conditions = provenance(device=where, threads=torch.get_num_threads() if where == "cpu" else None)
    t_start = perf_counter()
    train, test = digits("train", side=16), digits("test", side=16)
    if budget == "smoke":
        train, test = train.select(slice(128)), test.select(slice(64))
    rows = [dict[str, list[Any]](start=[], peak_lr=[], train_loss=[], test_accuracy=[]) for _seed in seeds]
    results: dict[str, Any] = {}
    for name in STARTS:
        losses: dict[float, list[float]] = {rate: [] for rate in RATES}
        accuracies: dict[float, list[float]] = {rate: [] for rate in RATES}
        for rate in RATES:
            for seed, row in zip(seeds, rows, strict=True):
                torch.manual_seed(seed)
                trainer = Trainer(started(name), _config(budget, rate, seed, where), progress=progress)
                history = trainer.fit(train)
                losses[rate].append(float(f"{history['train_loss'][-1]:.4g}"))
                accuracies[rate].append(round(100 * trainer.evaluate(test).accuracy, 2))
                for column, value in zip(
                    row.values(), (name, rate, losses[rate][-1], accuracies[rate][-1]), strict=True
                ):
                    column.append(value)
        best = min(RATES, key=lambda rate: fmean(losses[rate]))
        results[f"best accuracy, {name}"] = accuracies[best]
        results[f"best rate, {name}"] = best
        report(f"{name}: {fmean(accuracies[best]):.1f} % at {best:g}, {perf_counter() - t_start:.0f} s")
    return Record(
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        settings={
            "epochs": EPOCHS[budget],
            "batch_size": 64,
            "optimiser": "adamw",
            "weight_decay": 0.0,
            "schedule": "constant",
            "peak_lr": list(RATES),
            "widths": list(WIDTHS),
            "side_pixels": 16,
        },
        seeds=list(seeds),
        data={
            "name": train.info.name,
            "title": train.info.title,
            "train_images": len(train),
            "test_images": len(test),
            "sha256": {**train.sha256, **test.sha256},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        wall_seconds=round(perf_counter() - t_start, 1),
        peak_memory_mib=peak_memory_mib(where),
        curves=rows,
        results=results,
    )


def _config(budget: str, rate: float, seed: int, device: str) -> TrainConfig:
    return TrainConfig(
        epochs=EPOCHS[budget],
        batch_size=64,
        optimiser="adamw",
        peak_lr=rate,
        schedule="constant",
        seed=seed,
        precision="fp32",
        device=device,
    )
