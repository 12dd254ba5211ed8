"""One training run in a folder of its own: what the command line trains and measures."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from cnncourse.datasets import FolderImages, load
from cnncourse.recipes.plan import make_trainer
from cnncourse.recipes.planning import load_recipe, make_plan
from cnncourse.recipes.restored import TrainedNetwork, trained_network
from cnncourse.training import (
    Callback,
    EpochRow,
    Evaluation,
    TensorBoard,
    TrainConfig,
    Trainer,
    process_group,
)
from cnncourse.training.device import resolve_device
from cnncourse.training.trainer import Data

ABOUT = "run.json"
"""File that says which recipe made a folder."""


class _Report(Callback):
    """Tells how each pass went."""

    def __init__(self, report: Callable[[str], object]) -> None:
        self.report = report

    def on_start(self, trainer: Trainer) -> None:
        self.report(repr(trainer))

    def on_epoch(self, trainer: Trainer, row: EpochRow) -> None:
        learnt = f"loss {row.train_loss:.4f}, accuracy {row.train_accuracy:.2%}"
        held = "" if row.val_accuracy is None else f"; held out {row.val_loss:.4f}, {row.val_accuracy:.2%}"
        speed = f"{row.images_per_second:,.0f} images/s"
        self.report(f"pass {row.epoch} of {trainer.config.epochs}: {learnt}{held}; {speed}")


def train_into(
    folder: Path | None,
    *,
    recipe: str,
    budget: str,
    seed: int,
    options: Mapping[str, Any],
    changes: Mapping[str, Any],
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: str = "auto",
    save_every: int | None = None,
    tensorboard: bool = False,
    report: Callable[[str], object] = lambda _line: None,
) -> dict[str, Any] | None:
    """Train a recipe once into a folder, or go on where an earlier call stopped.

    Started by ``torchrun``, every process calls this, and the first one writes.

    Args:
        folder: for ``run.json``, ``checkpoints/``, ``history.json`` and ``history.csv``; ``None`` is
            ``runs/RECIPE-BUDGET-seed-N``.
        recipe: name of a recipe.
        budget: scale of data and training.
        seed: of weights, order, augmentation, dropout.
        options: arguments of the recipe.
        changes: fields of ``TrainConfig`` to replace.
        root: folder with the data.
        device: where to compute.
        resume: ``"auto"``, ``"never"`` or a checkpoint.
        save_every: optimiser steps between two checkpoints within a pass.
        tensorboard: write events too.
        report: called with a line of text after each pass.

    Returns:
        What was measured on the test images; ``None`` in all processes but the first.

    Raises:
        ValueError: if a name is unknown or the folder holds another run.
        Interrupted: after SIGTERM or Ctrl-C.
    """
    module = load_recipe(recipe)
    with process_group(resolve_device(device)) as world:
        plan = make_plan(module, budget, root=root, device=device, options=options, changes=changes)
        place = folder or Path("runs") / f"{module.NAME}-{budget}-seed-{seed}"
        trainer = make_trainer(plan, seed)  # before the folder is claimed: what cannot be built claims none
        if world.is_first:
            _claim(
                place,
                {
                    "recipe": module.NAME,
                    "budget": budget,
                    "seed": seed,
                    "options": dict(options),
                    "set": dict(changes),
                },
            )
            events = [TensorBoard(place / "tensorboard")] if tensorboard else []
            trainer.callbacks = (_Report(report), *events)
        history = trainer.fit(
            plan.train, plan.val, checkpoints=place / "checkpoints", resume=resume, save_every=save_every
        )
        measured = trainer.evaluate(plan.test)
        if not world.is_first:
            return None
        history.save(place / "history.json")
        history.save(place / "history.csv")
        return {"folder": str(place), "weights": "last", **_outcome(measured, plan.test)}


def evaluate_run(
    place: str | os.PathLike[str],
    *,
    data: str | None = None,
    split: str = "test",
    options: Mapping[str, Any] | None = None,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    weights: Literal["best", "last"] | None = None,
) -> dict[str, Any]:
    """Measure the network of a run.

    Args:
        place: folder of a run, or a checkpoint file.
        data: name of a data set; ``None`` takes the test images of the run's recipe.
        split: of the data set.
        options: of the data set.
        root: folder with the data.
        device: where to compute.
        weights: which of the run; see :func:`cnncourse.recipes.restored.trained_network`.

    Returns:
        Loss, top-1, top-5 and what they were measured on.

    Raises:
        ValueError: if the data do not fit the network, or a checkpoint that lies in no run's folder comes without
            the name of a data set.
    """
    network = trained_network(place, weights)
    config = TrainConfig(epochs=1, device=device)
    side: int | None = network.input_shape[1]
    short_side = network.short_side
    if data is None:
        if options or split != "test":
            raise ValueError(
                "without --data the test images of the run are measured; name a data set with --data"
            )
        told = _run_of(Path(place))
        plan = make_plan(
            load_recipe(told["recipe"]),
            told["budget"],
            root=root,
            device=device,
            options=told["options"],
            changes=told["set"],
        )
        images, config, side, short_side = plan.test, plan.config, plan.side, plan.short_side
    else:
        images = load(data, split, root=root, **(options or {}))
    _refuse_unfit(network, images)
    trainer = Trainer(
        network.model, config, normalisation=network.normalisation, side=side, short_side=short_side
    )
    which = {} if network.weights is None else {"weights": network.weights}
    return {"network": network.name, **which, **_outcome(trainer.evaluate(images), images)}


def _run_of(place: Path) -> dict[str, Any]:
    """Return what the folder of a run, or the one around a checkpoint, says about itself."""
    for folder in (place, place.absolute().parent, place.absolute().parent.parent):
        if (folder / ABOUT).is_file():
            return _read(folder / ABOUT)
    raise ValueError(f"{place} does not say which data it was trained for; name them with --data")


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {name: told[name] for name in ("recipe", "budget", "seed", "options", "set")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is not what `cnncourse train` writes ({error}); restore it, or train into another --output"
        ) from error


def _refuse_unfit(network: TrainedNetwork, images: Data) -> None:
    """Compare classes and channels before the network meets the images."""
    title = images.info.title
    if len(images.classes) != len(network.classes):
        raise ValueError(
            f"the network tells {len(network.classes)} classes apart, {title} has {len(images.classes)}; "
            "choose other --data"
        )
    channels = 3 if isinstance(images, FolderImages) else images.images.shape[1]
    if channels != network.input_shape[0]:
        raise ValueError(
            f"the network takes {network.input_shape[0]} channel(s) an image, {title} has {channels}; "
            "choose other --data"
        )


def _outcome(measured: Evaluation, data: Data) -> dict[str, Any]:
    top5 = {} if measured.top5 is None else {"top5": measured.top5}
    return {
        "data": repr(data),
        "images": measured.images,
        "loss": measured.loss,
        "accuracy": measured.accuracy,
        **top5,
        "errors": measured.errors,
    }


def _claim(place: Path, about: Mapping[str, Any]) -> None:
    """Write down which run a folder belongs to; refuse another's that has been trained."""
    file = place / ABOUT
    if file.is_file() and any((place / "checkpoints").glob("*.safetensors")):
        earlier, now = _read(file), json.loads(json.dumps(about))
        differing = [
            f"{name} {earlier[name]!r}, not {now[name]!r}" for name in now if earlier[name] != now[name]
        ]
        if differing:
            raise ValueError(f"{place} holds another run, of {'; '.join(differing)}; choose another --output")
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise ValueError(
            f"{place} must be a folder that can be written ({error.strerror}); choose another --output"
        ) from error
