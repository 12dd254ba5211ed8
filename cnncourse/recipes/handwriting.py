"""Training on handwritten digits at three scales: what the recipes for LeNet-5 and its rivals share."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.datasets import LabelledImages, digits, mnist
from cnncourse.inspection import count_parameters
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import History, TrainConfig, Trainer, resolve_device

SIDE = 32
"""Height and width of the images in pixels, as LeNet-5 reads them."""

Budget = Literal["smoke", "book", "full"]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Data and settings of one budget."""

    train: LabelledImages
    """Images to learn from, 32 x 32."""
    test: LabelledImages
    """Images for the final number, and for nothing else."""
    config: TrainConfig
    """Settings of the training."""
    max_shift: int
    """Largest random shift of a training image, in pixels; 0 for none."""


def draw_shifts(count: int, limit: int, generator: torch.Generator) -> Tensor:
    """Draw a shift for each image, evenly among all whole pixels.

    Args:
        count: number of images.
        limit: largest shift in each direction, in pixels, at least 0.
        generator: source of randomness, on the CPU.

    Returns:
        (count, 2), int64: rows down and columns to the right, each in [-limit, limit].
    """
    return torch.randint(-limit, limit + 1, (count, 2), generator=generator)


def shift_images(images: Tensor, shifts: Tensor) -> Tensor:
    """Move each image by whole pixels; what comes in from outside is black.

    Args:
        images: (N, C, H, W).
        shifts: (N, 2), int64: rows down and columns to the right.

    Returns:
        (N, C, H, W), of the same type.
    """
    height, width = images.shape[2:]
    limit = int(shifts.abs().max()) if len(shifts) else 0
    framed = functional.pad(images, [limit] * 4)
    views = framed.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2 limit + 1, 2 limit + 1, H, W), a view
    corners = (limit - shifts).to(images.device)
    return views[torch.arange(len(images), device=images.device), :, corners[:, 0], corners[:, 1]]


def setup(budget: Budget, *, root: str | os.PathLike[str] | None = None, device: str = "auto") -> Setup:
    """Return the data and settings of a budget.

    Args:
        budget: ``"smoke"`` (200 small digits, seconds), ``"book"`` (scikit-learn's 1,797 digits) or
            ``"full"`` (MNIST).
        root: folder with ``MNIST/raw``, for ``"full"``; ``None`` is the cache.
        device: where to compute; see :func:`cnncourse.training.resolve_device`.

    Returns:
        The set-up. Its settings were chosen on images held out of the training set.

    Raises:
        ValueError: if the budget is unknown.
    """
    config = TrainConfig(
        epochs=15, batch_size=256, peak_lr=0.1, weight_decay=5e-4, warmup_epochs=1, device=device
    )
    if budget == "full":
        train, test = (mnist(split, root=root).padded(SIDE) for split in ("train", "test"))
        return Setup(train=train, test=test, config=config, max_shift=2)
    if budget not in ("smoke", "book"):
        raise ValueError(f"budget must be 'smoke', 'book' or 'full', got {budget!r}")
    train, test = (digits(split, side=SIDE) for split in ("train", "test"))
    config = replace(config, epochs=20, batch_size=32, peak_lr=0.05)
    if budget == "smoke":
        train, test, config = train.select(slice(200)), test.select(slice(100)), replace(config, epochs=3)
    return Setup(train=train, test=test, config=config, max_shift=2)


def train_once(
    build: Callable[[], nn.Module],
    plan: Setup,
    seed: int,
    *,
    val: LabelledImages | None = None,
    progress: bool | None = None,
) -> tuple[Trainer, History]:
    """Draw the first weights and train once.

    Args:
        build: makes the network.
        plan: data and settings.
        seed: of the first weights, the order and the shifts.
        val: images to measure after each pass; not the test images.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Returns:
        The trainer with its network, and the history.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()

    def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
        return shift_images(images, draw_shifts(len(images), plan.max_shift, generator))

    trainer = Trainer(
        model,
        replace(plan.config, seed=seed),
        augmentation=shifted if plan.max_shift else None,
        progress=progress,
    )
    return trainer, trainer.fit(plan.train, val)


def run_recorded(
    build: Callable[[], nn.Module],
    *,
    name: str,
    title: str,
    recipe: str,
    budget: Budget,
    seeds: Sequence[int],
    root: str | os.PathLike[str] | None,
    device: str,
    progress: bool | None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Train once for each seed, look at the test images once each, and return the record.

    Args:
        build: makes the network.
        name: of the record.
        title: of the record.
        recipe: module that describes the set-up.
        budget: scale of data and training.
        seeds: one run each, at least one, all different.
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        progress: show a bar.
        report: called with a line of text after each run.

    Returns:
        The record, not yet saved.

    Raises:
        ValueError: if there is no seed, or one comes twice.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    where = str(resolve_device(device))
    plan = setup(budget, root=root, device=where)
    # Asked before the run: files may change while it lasts, but what was loaded does not.
    conditions = provenance(device=where, threads=torch.get_num_threads() if where == "cpu" else None)
    t_start = perf_counter()
    curves, results = [], dict[str, Any](test_accuracy=[], test_errors=[], test_loss=[], train_seconds=[])
    parameters = 0
    for seed in seeds:
        trainer, history = train_once(build, plan, seed, progress=progress)
        parameters = count_parameters(trainer.model)
        measured = trainer.evaluate(plan.test)
        columns = history.to_dict()
        curves.append(
            {key: [_short(v) for v in column] for key, column in columns.items() if column[0] is not None}
        )
        results["test_accuracy"].append(round(measured.accuracy, 6))
        results["test_errors"].append(measured.errors)
        results["test_loss"].append(_short(measured.loss))
        results["train_seconds"].append(round(sum(columns["train_seconds"]), 1))
        answers = f"{measured.accuracy:.2%} of {measured.images:,} test images"
        report(f"seed {seed}: {answers}, {measured.errors} errors")
    settings = {key: value for key, value in asdict(plan.config).items() if key not in ("seed", "device")}
    return Record(
        name=name,
        title=title,
        recipe=recipe,
        budget=budget,
        settings={**settings, "max_shift_pixels": plan.max_shift, "side_pixels": SIDE},
        seeds=list(seeds),
        data={
            "name": plan.train.info.name,
            "train_images": len(plan.train),
            "test_images": len(plan.test),
            "sha256": {**plan.train.sha256, **plan.test.sha256},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        wall_seconds=round(perf_counter() - t_start, 1),
        peak_memory_mib=peak_memory_mib(where),
        curves=curves,
        results={"parameters": parameters, **results},
    )


def _short(value: float) -> float:
    """Return five significant digits: more would be noise in a file that people read."""
    return float(f"{value:.5g}") if isinstance(value, float) else value
