"""Training on handwritten digits at three scales: what the recipes for LeNet-5 and its rivals share."""

import os
from collections.abc import Callable
from dataclasses import replace

from torch import nn

from cnncourse.augmentation import PadCrop
from cnncourse.recipes.in_memory import load_in_memory
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.training import TrainConfig

SIDE = 32
"""Height and width of the images in pixels, as LeNet-5 reads them."""


def plan_for(
    build: Callable[[], nn.Module],
    budget: str,
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
) -> Plan:
    """Return data and settings of a budget.

    Args:
        build: makes the network.
        budget: ``"smoke"`` (200 small digits, seconds), ``"book"`` (scikit-learn's 1,797 digits) or
            ``"full"`` (MNIST).
        root: folder with ``MNIST/raw``, for ``"full"``; ``None`` is the cache.
        device: where to compute; see :func:`cnncourse.training.resolve_device`.

    Returns:
        The plan. Its settings were chosen on images held out of the training set.

    Raises:
        ValueError: if the budget is unknown.
    """
    check_budget(budget)
    config = TrainConfig(
        epochs=15, batch_size=256, peak_lr=0.1, weight_decay=5e-4, warmup_epochs=1, device=device
    )
    if budget == "full":
        train, test = (load_in_memory("mnist", split, root=root).padded(SIDE) for split in ("train", "test"))
    else:
        train, test = (load_in_memory("digits", split, side=SIDE) for split in ("train", "test"))
        config = replace(config, epochs=20, batch_size=32, peak_lr=0.05)
    if budget == "smoke":
        train, test, config = train.select(slice(200)), test.select(slice(100)), replace(config, epochs=3)
    # Random shifts of up to two pixels: what comes in from outside is black, like the margin of a digit.
    return Plan(build=build, train=train, test=test, config=config, augmentation=PadCrop(2))
