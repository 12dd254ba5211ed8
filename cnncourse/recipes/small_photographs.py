"""Training on photographs of 32 x 32 pixels at three scales: what the recipes on CIFAR-10 share."""

import os
from dataclasses import dataclass

from cnncourse.augmentation import generator_for
from cnncourse.datasets import LabelledImages
from cnncourse.recipes.in_memory import load_in_memory


@dataclass(frozen=True)
class SmallPhotographs:
    """The three parts of a data set."""

    train: LabelledImages
    """Images to learn from."""
    val: LabelledImages | None
    """Held out of the training images; ``None`` when all are learnt from."""
    test: LabelledImages
    """Images for the final number."""


def small_photographs(
    budget: str, *, data: str = "cifar10", hold_out: int = 0, root: str | os.PathLike[str] | None = None
) -> SmallPhotographs:
    """Return the data of a budget.

    Args:
        budget: ``"smoke"`` (256 patches of photographs that installed packages carry), ``"book"`` (2,000 of them) or
            ``"full"`` (``data``).
        data: ``"cifar10"``, ``"cifar10-jpeg"`` (copies that were compressed again: results are not comparable with
            those on the originals) or any set of 32 x 32 pixels that :func:`cnncourse.datasets.load` knows.
        hold_out: training images to measure on while training, at ``"full"``; a tenth of them elsewhere, if not 0.
        root: folder with the data; ``None`` is the cache.

    Returns:
        The parts.
    """
    if budget == "full":
        train, test = (load_in_memory(data, split, root=root) for split in ("train", "test"))
    else:
        count = 256 if budget == "smoke" else 2000
        train, test = (load_in_memory("patches", split, side=32, count=count) for split in ("train", "test"))
    if not hold_out:
        return SmallPhotographs(train, None, test)
    fraction = hold_out / len(train) if budget == "full" else 0.1
    learn, val = train.held_out(fraction, generator=generator_for(0, "hold-out"))
    return SmallPhotographs(learn, val, test)
