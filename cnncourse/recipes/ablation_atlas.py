"""The ablation atlas: what depth, shortcuts, batch normalisation and width each do, in one grid of short runs.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, compare plain and residual
networks of 6n + 2 layers. The grid crosses their depths with shortcuts, batch norm and width, every network from
several seeds and with one setting for all.

Differs from the paper: images of 16 x 16 pixels, ten passes over a few hundred of them, no augmentation, a cosine
schedule, gradients shortened to length 1 (the networks without batch norm do not survive otherwise), widths of one
half, networks without batch norm. The numbers say which network learns faster at this scale, not how good it can be.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from cnncourse.datasets import LabelledImages
from cnncourse.models import CifarResNet
from cnncourse.progress import progress_bar
from cnncourse.recipes.cells import KeptCells, worked_through
from cnncourse.recipes.few_images import described, few_images
from cnncourse.recipes.plan import check_budget
from cnncourse.recipes.recording import short
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.records.atlas import NAME, Atlas, network_name
from cnncourse.training import TrainConfig, Trainer, TrainingError, resolve_device

TITLE = "Depth, shortcuts, batch norm and width: an atlas of short runs"

SIDE = 16
"""Height and width of the images in pixels."""


@dataclass(frozen=True)
class Scale:
    """Size of a grid and of its runs."""

    depths: tuple[int, ...]
    """Layers with weights, 6n + 2."""
    widths: tuple[float, ...]
    """Factors of the paper's filters."""
    train_images: int
    """Images to learn from."""
    test_images: int
    """Images to measure after each pass."""
    epochs: int
    """Passes."""


SCALES: dict[str, Scale] = {
    "smoke": Scale((8, 14), (0.5,), 60, 20, 2),
    "book": Scale((8, 20), (0.5,), 500, 200, 3),
    "full": Scale((8, 14, 20, 32, 44, 56), (0.5, 1.0), 640, 300, 10),
}
"""The grid at each budget."""


@dataclass(frozen=True)
class Network:
    """One cell of the grid, all but what every cell shares."""

    depth: int
    """Layers with weights."""
    residual: bool
    """With shortcuts."""
    batch_norm: bool
    """With batch normalisation."""
    width: float
    """Factor of the filters."""

    @property
    def name(self) -> str:
        """Name for people."""
        return network_name(self.depth, self.residual, self.batch_norm, self.width)

    def build(self, num_classes: int) -> CifarResNet:
        """Return the network with fresh weights."""
        return CifarResNet(num_classes=num_classes, **asdict(self))


def networks(scale: Scale) -> tuple[Network, ...]:
    """Return the networks of a grid, each once.

    Args:
        scale: depths and widths.

    Returns:
        Four networks for each depth and width.
    """
    return tuple(
        Network(depth, residual, batch_norm, width)
        for width in scale.widths
        for batch_norm in (True, False)
        for residual in (False, True)
        for depth in scale.depths
    )


def config(scale: Scale, *, seed: int = 0, device: str = "cpu") -> TrainConfig:
    """Return the settings that every cell of a grid shares.

    Args:
        scale: number of passes.
        seed: of the order.
        device: where to compute.

    Returns:
        The settings.
    """
    return TrainConfig(
        epochs=scale.epochs,
        batch_size=20,
        peak_lr=0.1,
        weight_decay=1e-4,
        warmup_epochs=1,
        clip_norm=1.0,
        precision="fp32",
        device=device,
        seed=seed,
    )


def train_cell(
    network: Network,
    seed: int,
    *,
    scale: Scale,
    train: LabelledImages,
    test: LabelledImages,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train one network once and return its row.

    Args:
        network: which.
        seed: of first weights and order.
        scale: number of passes.
        train: images to learn from.
        test: images to measure after each pass; no setting depends on them.
        device: where to compute.

    Returns:
        The values of a :class:`cnncourse.records.atlas.Cell` but the seed, and ``seconds``. The curves of a run whose
        loss became infinite end before that pass, and its last error is that of the last finite weights.
    """
    t_start = perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network.build(len(train.classes))
    trainer = Trainer(model, config(scale, seed=seed, device=device), progress=False)
    with suppress(TrainingError):  # an infinite loss is an answer, too: the rows so far stand in the history
        trainer.fit(train, test)
    history = trainer.history
    curves = {
        "train_loss": [short(loss) for loss in history["train_loss"]],
        "train_error": [round(1 - share, 4) for share in history["train_accuracy"]],
        "test_error": [round(1 - share, 4) for share in history["val_accuracy"]],
    }
    final = round(1 - trainer.evaluate(train).accuracy, 4)
    return {
        **asdict(network),
        **curves,
        "final_train_error": final,
        "seconds": round(perf_counter() - t_start, 2),
    }


def run(
    budget: str = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
    checkpoints: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    depths: Sequence[int] | None = None,
    widths: Sequence[float] | None = None,
) -> Record:
    """Train the whole grid and return the record.

    Args:
        budget: ``"smoke"`` (8 networks, seconds), ``"book"`` (8 networks) or ``"full"`` (48 networks).
        seeds: of every network; at least one, all different.
        root: folder with CIFAR-10's JPEG copies, for ``"full"``; ``None`` takes patches of photographs.
        device: where to compute.
        progress: show a bar.
        report: called with a line of text after each cell.
        checkpoints: folder that keeps every finished cell, so that a recording that was killed goes on.
        workers: processes with one thread each; 0 trains in this process. ``None`` takes two for ``"full"`` on the
            CPU, none elsewhere.
        depths: layers with weights; ``None`` takes the budget's.
        widths: factors of the filters; likewise.

    Returns:
        The record, not yet saved; :class:`cnncourse.records.atlas.Atlas` reads it.

    Raises:
        ValueError: if the budget is unknown, there is no seed, one comes twice, workers are below 0, or the folder
            keeps cells of other settings.
    """
    check_budget(budget)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    where = str(resolve_device(device))
    if workers is None:
        workers = 2 if budget == "full" and where == "cpu" else 0
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers=}")
    threads = (1 if workers else torch.get_num_threads()) if where == "cpu" else None
    conditions = provenance(device=where, threads=threads)
    chosen = {"depths": depths, "widths": widths}
    options: dict[str, Any] = {name: tuple(values) for name, values in chosen.items() if values is not None}
    scale = replace(SCALES[budget], **options)
    real = root if budget == "full" else None
    train, test = few_images(NAME, scale.train_images, scale.test_images, side=SIDE, root=real)
    common = {
        **{name: value for name, value in asdict(config(scale)).items() if name not in ("seed", "device")},
        "milestones": list(config(scale).milestones),
        "data": described(train, test),
        "side_pixels": SIDE,
        "augmentation": "none",
    }
    hashes = {**train.sha256, **test.sha256}
    made_by = {"settings": common, "sha256": hashes, "commit": conditions.commit, "device": conditions.device}
    kept = None if checkpoints is None else KeptCells(Path(checkpoints) / NAME, made_by)
    grid = {f"{network.name}, seed {seed}": (network, seed) for seed in seeds for network in networks(scale)}
    t_start = perf_counter()
    rows = {} if kept is None else kept.read(grid)
    missing = {name: cell for name, cell in grid.items() if name not in rows}
    work = partial(train_cell, scale=scale, train=train, test=test, device=where)
    with (
        progress_bar("cells", total=len(grid), unit="cell", show=progress) as advance,
        closing(worked_through(missing, work, workers)) as finished,
    ):
        advance(len(rows))
        for name, row in finished:
            rows[name] = row
            if kept is not None:
                kept.write(name, row)
            advance(1)
            report(f"{len(rows)} of {len(grid)}: {name}: {_summary(row)}")
    columns = [
        {
            column: [rows[f"{network.name}, seed {seed}"][column] for network in networks(scale)]
            for column in next(iter(rows.values()))
            if column != "seconds"
        }
        for seed in seeds
    ]
    seconds = sum(row["seconds"] for row in rows.values()) / max(1, workers)
    record = Record(
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        settings={**common, "options": {key: list(values) for key, values in options.items()}, "set": {}},
        seeds=list(seeds),
        data={
            "name": train.info.name,
            "title": train.info.title,
            "train_images": len(train),
            "test_images": len(test),
            "sha256": hashes,
        },
        device=conditions.device + (f" in each of {workers} processes" if workers else ""),
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        # Cells that were finished before a restart are known by their own clocks only.
        wall_seconds=round(max(perf_counter() - t_start, seconds), 1),
        peak_memory_mib=peak_memory_mib(where),
        curves=columns,
        results={
            f"training error, %: {network.name}": [
                round(100 * rows[f"{network.name}, seed {seed}"]["final_train_error"], 2) for seed in seeds
            ]
            for network in networks(scale)
        },
    )
    Atlas.of(record)  # what is written can be read
    return record


def _summary(row: Mapping[str, Any]) -> str:
    passes = len(row["train_loss"])
    last = f"test error {row['test_error'][-1]:.1%}" if passes else "the loss was infinite in the first pass"
    return f"training error {row['final_train_error']:.1%}, {last}, {passes} passes, {row['seconds']} s"
