"""Train a recipe once for each seed, and write down what came out."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import torch

from cnncourse.inspection import count_parameters
from cnncourse.recipes.plan import Plan, train_once
from cnncourse.recipes.planning import load_recipe, make_plan
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import Evaluation, History, Trainer, resolve_device


def run_recorded(
    recipe: ModuleType,
    plan: Plan,
    *,
    name: str,
    budget: str,
    seeds: Sequence[int],
    options: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Train a plan once for each seed, look at the test images once each, and return the record.

    Args:
        recipe: module with ``TITLE``, and ``results(trainer, history, plan)`` if it measures more than accuracy.
        plan: what to train.
        name: of the record.
        budget: scale of data and training.
        seeds: one run each, at least one, all different.
        options: arguments of the recipe that made the plan, for whoever reproduces the record.
        changes: fields of ``TrainConfig`` that were replaced, likewise.
        checkpoints: folder in which each seed's run keeps its state, so that it may die and go on.
        progress: show a bar.
        report: called with a line of text after each run.

    Returns:
        The record, not yet saved.

    Raises:
        ValueError: if there is no seed, or one comes twice.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    where = str(resolve_device(plan.config.device))
    # Asked before the run: files may change while it lasts, but what was loaded does not.
    conditions = provenance(device=where, threads=torch.get_num_threads() if where == "cpu" else None)
    t_start = perf_counter()
    curves: list[dict[str, list[Any]]] = []
    results: dict[str, list[Any]] = {}
    for seed in seeds:
        place = None if checkpoints is None else Path(checkpoints) / f"{name}-seed-{seed}"
        trainer, history = train_once(plan, seed, checkpoints=place, progress=progress)
        measured = trainer.evaluate(plan.test)
        curves.append(_curves(history))
        own: Mapping[str, Any] = getattr(recipe, "results", lambda *_: {})(trainer, history, plan)
        for key, value in {**_results(history, measured), **own}.items():
            results.setdefault(key, []).append(value)
        answers = f"{measured.accuracy:.2%} of {measured.images:,} test images"
        report(f"seed {seed}: {answers}, {measured.errors} errors")
    return Record(
        name=name,
        title=recipe.TITLE,
        recipe=recipe.__name__,
        budget=budget,
        settings={**_settings(plan, trainer), "options": dict(options or {}), "set": dict(changes or {})},
        seeds=list(seeds),
        data={
            "name": plan.train.info.name,
            "title": plan.train.info.title,
            "train_images": len(plan.train),
            "test_images": len(plan.test),
            "sha256": {**plan.train.sha256, **plan.test.sha256},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        # Passes made before a restart are known by their own clocks only.
        wall_seconds=round(max(perf_counter() - t_start, sum(results["train_seconds"])), 1),
        peak_memory_mib=peak_memory_mib(where),
        curves=curves,
        results={"parameters": count_parameters(trainer.model), **results},
    )


def _results(history: History, measured: Evaluation) -> dict[str, Any]:
    top5 = {} if measured.top5 is None else {"test_top5": round(measured.top5, 6)}
    return {
        "test_accuracy": round(measured.accuracy, 6),
        **top5,
        "test_errors": measured.errors,
        "test_loss": short(measured.loss),
        "train_seconds": round(sum(history["train_seconds"]), 1),
    }


def _curves(history: History) -> dict[str, list[Any]]:
    columns = history.to_dict()
    return {
        key: [short(value) for value in column] for key, column in columns.items() if column[0] is not None
    }


def _settings(plan: Plan, trainer: Trainer) -> dict[str, Any]:
    """Return what was set, and what the automatic settings stood for on this machine."""
    chosen = {"precision": trainer.precision, "channels_last": trainer.channels_last}
    config: Mapping[str, Any] = {**asdict(plan.config), "milestones": list(plan.config.milestones), **chosen}
    mixing = {} if plan.mixing is None else {"mixing": repr(plan.mixing)}
    return {
        **{key: value for key, value in config.items() if key not in ("seed", "device")},
        "augmentation": "none" if plan.augmentation is None else repr(plan.augmentation),
        **mixing,
        **plan.notes,
    }


def short(value: Any) -> Any:
    """Return five significant digits of a float: more would be noise in a file that people read.

    Args:
        value: a number, or anything else, which stays as it is.

    Returns:
        The rounded number.
    """
    return float(f"{value:.5g}") if isinstance(value, float) else value


def make_record(
    name: str,
    *,
    budget: str = "full",
    seeds: Sequence[int] = (0, 1, 2),
    label: str | None = None,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Run a recipe by name and return its record, not yet saved.

    Args:
        name: of the recipe.
        budget: ``"smoke"``, ``"book"`` or ``"full"``.
        seeds: one run each.
        label: name of the record; ``None`` is the recipe's.
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        options: arguments of the recipe's plan.
        changes: fields of ``TrainConfig`` to replace.
        checkpoints: folder in which each seed's run keeps its state.
        progress: show a bar.
        report: called with a line of text after each run.

    Returns:
        The record.

    Raises:
        ValueError: if a name is unknown.
    """
    recipe = load_recipe(name)
    if not hasattr(recipe, "plan"):  # a measurement with a loop of its own
        record: Record = recipe.run(
            budget,
            seeds=seeds,
            root=root,
            device=device,
            progress=progress,
            report=report,
            **_own_arguments(recipe, options, changes, checkpoints),
        )
        return record
    return run_recorded(
        recipe,
        make_plan(recipe, budget, root=root, device=device, options=options, changes=changes),
        name=label or recipe.NAME,
        budget=budget,
        seeds=seeds,
        options=options,
        changes=changes,
        checkpoints=checkpoints,
        progress=progress,
        report=report,
    )


_EVERY_RUN = ("budget", "seeds", "root", "device", "progress", "report", "checkpoints")
"""Arguments of a measurement that are no options of it."""


def _own_arguments(
    recipe: ModuleType,
    options: Mapping[str, Any] | None,
    changes: Mapping[str, Any] | None,
    checkpoints: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """Return what a measurement with a loop of its own takes besides the usual arguments."""
    taken = signature(recipe.run).parameters
    known = [name for name in taken if name not in _EVERY_RUN]
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        raise ValueError(
            f"there is no option of {recipe.NAME} named {', '.join(unknown)}; there are: {', '.join(known) or 'none'}"
        )
    if changes:
        raise ValueError(f"{recipe.NAME} has settings of its own, got {', '.join(changes)}; leave them out")
    if checkpoints and "checkpoints" not in taken:
        raise ValueError(f"{recipe.NAME} keeps no checkpoints, got {checkpoints}; leave them out")
    return {**(options or {}), **({"checkpoints": checkpoints} if checkpoints else {})}
