"""LeNet-5 on Fashion-MNIST: the network of the handwritten digits on a task as large, and harder.

Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747, table 3, lists what classical methods reach on the 10,000 test images:
at most 89.7 % (a support vector machine).
"""

import os
from dataclasses import replace
from functools import partial

from cnncourse.augmentation import Compose, Flip, PadCrop
from cnncourse.models import build
from cnncourse.recipes.in_memory import load_in_memory
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.training import TrainConfig

NAME = "lenet-fashion"
TITLE = "LeNet-5 on Fashion-MNIST"
SIDE = 32
"""Height and width of the images in pixels, as LeNet-5 reads them."""


def plan(budget: str = "full", *, root: str | os.PathLike[str] | None = None, device: str = "auto") -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"`` (200 drawn shapes), ``"book"`` (2,000 of them, in colour) or ``"full"`` (Fashion-MNIST).
        root: folder with ``FashionMNIST/raw``; ``None`` is the cache.
        device: where to compute.

    Returns:
        The plan. Its settings are those of the handwritten digits, but for the mirrored garments: a left shoe is as
        much a shoe as a right one.

    Raises:
        ValueError: if the budget is unknown.
    """
    check_budget(budget)
    config = TrainConfig(
        epochs=20, batch_size=256, peak_lr=0.1, weight_decay=5e-4, warmup_epochs=1, device=device
    )
    if budget == "full":
        train, test = (
            load_in_memory("fashion-mnist", split, root=root).padded(SIDE) for split in ("train", "test")
        )
    else:
        count, epochs = (200, 2) if budget == "smoke" else (2000, 15)
        train, test = (load_in_memory("shapes", split, side=SIDE, count=count) for split in ("train", "test"))
        config = replace(config, epochs=epochs, batch_size=32, peak_lr=0.05)
    model = partial(build, "lenet5", num_classes=len(train.classes), in_channels=train.images.shape[1])
    steps = Compose((PadCrop(2), Flip()))
    return Plan(build=model, train=train, test=test, config=config, augmentation=steps)
