"""Voting: one crop or ten of each image, one network or several.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012, sections
4.1 and 6: the mean over ten crops lowers the top-1 error from 39.0 % to 37.5 % on the test images of 2010; five
networks together have 38.1 % on the validation images of 2012, one has 40.7 %.

Differs from the paper: the small network of :mod:`cnncourse.recipes.alexnet_switches` (without dropout), crops of 16
pixels out of images of 20, a few hundred or thousand images, AdamW. The ensembles are all choices of k of the trained
networks, so the spread over choices understates that over independent ensembles.
"""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter

import torch
from torch import Tensor

from cnncourse.augmentation import Compose, Flip, RandomResizedCrop
from cnncourse.recipes.alexnet_switches import small_alexnet
from cnncourse.recipes.few_images import described, few_images
from cnncourse.recipes.plan import check_budget
from cnncourse.recipes.races import Racer, Terms, trained
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import resolve_device
from cnncourse.training.test_time import averaged_predict, ten_crop

NAME = "crop-ensembles"
TITLE = "Voting over crops and over networks, with a small AlexNet"

SIDE, CROP = 20, 16
"""Height and width of the images, and of what the network sees, in pixels."""
SIZES = {"smoke": (60, 40, 1), "book": (400, 400, 16), "full": (2000, 1000, 25)}
"""Images to learn from, images to test, passes at each budget."""
RATE = 0.003
"""Largest learning rate."""

NETWORK = Racer(
    build=small_alexnet,
    # A box with this share of the area is 16 x 16 pixels: nothing is resized.
    augmentation=Compose(
        (RandomResizedCrop(CROP, scale=((CROP / SIDE) ** 2,) * 2, ratio=(1.0, 1.0)), Flip())
    ),
)
"""What is trained, once for each seed."""


@dataclass(frozen=True, kw_only=True)
class Votes:
    """What each network says of each test image, and what is right."""

    one_crop: Tensor
    """(M, N, K): probabilities from the middle, of M networks."""
    ten_crops: Tensor
    """(M, N, K): mean probabilities of the four corners, the middle, and their mirror images."""
    targets: Tensor
    """(N,): the right classes."""
    terms: Terms
    """Images and settings."""

    def errors(self, k: int = 1, *, crops: int = 10) -> list[float]:
        """Return the test error of every ensemble of k of the networks.

        Args:
            k: networks whose probabilities are averaged, from 1 to all.
            crops: 1 or 10 of each image.

        Returns:
            Shares of wrong answers, one for each choice of k networks, in the order of the seeds.

        Raises:
            ValueError: if there are fewer networks, or it is another number of crops.
        """
        if not 1 <= k <= len(self.one_crop):
            raise ValueError(f"k must lie in [1, {len(self.one_crop)}], the number of networks, got {k=}")
        if crops not in (1, 10):
            raise ValueError(f"crops must be 1 or 10, got {crops=}")
        votes = self.one_crop if crops == 1 else self.ten_crops
        return [
            round((votes[list(chosen)].mean(0).argmax(1) != self.targets).double().mean().item(), 4)
            for chosen in combinations(range(len(votes)), k)
        ]


def measure(
    budget: str = "book",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    root: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    report: Callable[[str], object] = lambda _line: None,
) -> Votes:
    """Train one network for each seed and let all vote.

    Args:
        budget: ``"smoke"``, ``"book"`` (patches of photographs) or ``"full"``; see :data:`SIZES`.
        seeds: of the networks; at least one, all different.
        root: folder with CIFAR-10's JPEG copies, for ``"full"``; ``None`` takes patches of photographs.
        device: where to compute.
        report: called with a line of text after each network.

    Returns:
        The votes: ``votes.errors(5, crops=10)``.

    Raises:
        ValueError: if the budget is unknown, or there is no seed, or one comes twice.

    Book: alexnet
    """
    check_budget(budget)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    count, tests, epochs = SIZES[budget]
    train, test = few_images(NAME, count, tests, side=SIDE, root=root if budget == "full" else None)
    terms = Terms(
        train=train,
        test=test,
        epochs=epochs,
        rates=(RATE,),
        optimiser="adamw",
        weight_decay=5e-4,
        device=device,
    )
    one, ten = [], []
    for seed in seeds:
        t_start = perf_counter()
        trainer, _errors = trained(NETWORK, terms, RATE, seed)
        prepare = trainer.normalisation
        assert prepare is not None  # measured by the training
        crops = ten_crop(test.images, CROP).to(trainer.device)
        middle = crops[:, 4:5]
        one.append(averaged_predict(trainer.model, middle, batch_size=1000, prepare=prepare).cpu())
        ten.append(averaged_predict(trainer.model, crops, batch_size=1000, prepare=prepare).cpu())
        report(f"seed {seed}: {perf_counter() - t_start:.1f} s")
    return Votes(one_crop=torch.stack(one), ten_crops=torch.stack(ten), targets=test.targets, terms=terms)


def run(
    budget: str = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Train, vote and return the record; see :func:`measure`.

    Args:
        budget: scale of data and training.
        seeds: of the networks.
        root: folder with CIFAR-10's JPEG copies.
        device: where to compute.
        progress: not used: a line is reported after each network.
        report: called with a line of text after each network.

    Returns:
        The record, not yet saved: errors of single networks by seed, and mean and standard deviation over all
        ensembles of k.
    """
    where = str(resolve_device(device))
    conditions = provenance(device=where, threads=torch.get_num_threads() if where == "cpu" else None)
    t_start = perf_counter()
    votes = measure(budget, seeds=seeds, root=root, device=where, report=report)
    terms = votes.terms
    results: dict[str, float | list[float]] = {}
    for crops, words in ((1, "1 crop"), (10, "10 crops")):
        results[f"test error of one network, %: {words}"] = [100 * e for e in votes.errors(crops=crops)]
        for k in range(2, len(seeds) + 1):
            errors = [100 * error for error in votes.errors(k, crops=crops)]
            results[f"test error, %: {k} networks, {words}"] = round(statistics.fmean(errors), 3)
            if len(errors) > 1:
                spread = round(statistics.stdev(errors), 3)
                results[f"sd over the choices of networks: {k} networks, {words}"] = spread
    return Record(
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        settings={
            "epochs": terms.epochs,
            "batch_size": terms.batch_size,
            "peak_lr": RATE,
            "optimiser": terms.optimiser,
            "weight_decay": terms.weight_decay,
            "data": described(terms.train, terms.test),
            "crop_pixels": CROP,
        },
        seeds=list(seeds),
        data={
            "name": terms.train.info.name,
            "title": terms.train.info.title,
            "train_images": len(terms.train),
            "test_images": len(terms.test),
            "sha256": {**terms.train.sha256, **terms.test.sha256},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        wall_seconds=round(perf_counter() - t_start, 1),
        peak_memory_mib=peak_memory_mib(where),
        curves=[{"one_crop": [a], "ten_crops": [b]} for a, b in _pairs(votes)],
        results=results,
    )


def _pairs(votes: Votes) -> list[tuple[float, float]]:
    return list(zip(votes.errors(crops=1), votes.errors(crops=10), strict=True))
