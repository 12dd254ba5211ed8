"""A race as a record."""

import math
import os
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch

from cnncourse.recipes.few_images import described
from cnncourse.recipes.races import Race
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import resolve_device


def recorder(
    measure: Callable[..., Race], *, name: str, title: str, compared: tuple[str, str] | None = None
) -> Callable[..., Record]:
    """Return the function ``run`` of a recipe that is a race.

    Args:
        measure: runs the race; a function of the recipe's module.
        name: of the record.
        title: what is done, for people.
        compared: slow and fast racer, whose ratio of passes is a result where all runs of both reach the target.

    Returns:
        The function, from scale and seeds to a record.
    """

    def run(
        budget: str = "full",
        *,
        seeds: Sequence[int] = (0, 1, 2, 3, 4),
        root: str | os.PathLike[str] | None = None,
        device: str = "auto",
        progress: bool | None = None,
        report: Callable[[str], object] = lambda _line: None,
        workers: int = 0,
    ) -> Record:
        """Run the race and return its record.

        Args:
            budget: scale of data and training.
            seeds: one run each of every racer and rate.
            root: folder with CIFAR-10's JPEG copies.
            device: where to compute.
            progress: not used: a line is reported after each run.
            report: called with a line of text after each run.
            workers: processes with one thread each; 0 trains in this process.

        Returns:
            The record, not yet saved. Its curves have one row for each racer and rate; results are those at each
            racer's best rate.
        """
        where = str(resolve_device(device))
        threads = (1 if workers else torch.get_num_threads()) if where == "cpu" else None
        conditions = provenance(device=where, threads=threads)
        t_start = perf_counter()
        race = measure(budget, seeds=seeds, root=root, device=where, workers=workers, report=report)
        terms = race.terms
        curves: list[dict[str, list[Any]]] = [
            {
                "racer": [run.racer for run in race.runs if run.seed == seed],
                "rate": [run.rate for run in race.runs if run.seed == seed],
                "train_error": [list(run.train_error) for run in race.runs if run.seed == seed],
                "held_out_error": [run.held_out_error for run in race.runs if run.seed == seed],
                "test_error": [run.test_error for run in race.runs if run.seed == seed],
            }
            for seed in seeds
        ]
        return Record(
            name=name,
            title=title,
            recipe=measure.__module__,
            budget=budget,
            settings={
                "epochs": terms.epochs,
                "batch_size": terms.batch_size,
                "rates": list(terms.rates),
                "optimiser": terms.optimiser,
                "schedule": terms.schedule,
                "weight_decay": terms.weight_decay,
                "target": terms.target,
                "data": described(terms.train, terms.test),
            },
            seeds=list(seeds),
            data={
                "name": terms.train.info.name,
                "title": terms.train.info.title,
                "train_images": len(terms.train),
                "test_images": len(terms.test),
                "sha256": {**terms.train.sha256, **terms.test.sha256},
            },
            device=conditions.device + (f" in each of {workers} processes" if workers else ""),
            versions=conditions.versions,
            commit=conditions.commit,
            date=conditions.date,
            wall_seconds=round(perf_counter() - t_start, 1),
            peak_memory_mib=peak_memory_mib(where),
            curves=curves,
            results=_results(race, compared),
        )

    return run


def _results(race: Race, compared: tuple[str, str] | None) -> dict[str, Any]:
    results: dict[str, Any] = {}
    names = list(dict.fromkeys(run.racer for run in race.runs))
    for name in names:
        results[f"test error, %: {name}"] = [round(100 * error, 2) for error in race.test_errors(name)]
        for view in race.terms.views:
            errors = race.test_errors(name, view)
            results[f"test error, %, {view}: {name}"] = [round(100 * error, 2) for error in errors]
        if race.terms.target is not None:
            passes = race.passes(name)
            # A run that did not arrive has no number of passes, and a mean over the others would flatter.
            arrived = sum(math.isfinite(count) for count in passes)
            if arrived == len(passes):
                results[f"passes to {race.terms.target:.0%} training error: {name}"] = [
                    round(p, 3) for p in passes
                ]
            results[f"runs that arrived, of {len(passes)}: {name}"] = arrived
        results[f"best rate: {name}"] = race.best_rate(name)
    if compared is not None:
        ratios = race.ratios(*compared)
        if all(math.isfinite(ratio) for ratio in ratios):
            results[f"passes, {compared[0]} over {compared[1]}"] = [round(ratio, 3) for ratio in ratios]
    return results
