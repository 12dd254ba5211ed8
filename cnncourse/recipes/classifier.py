"""Any network of the catalogue on any labelled images, with settings that are a fair start."""

import os
from functools import partial

from cnncourse.augmentation import Compose, Flip, PadCrop, generator_for
from cnncourse.models import build
from cnncourse.recipes.in_memory import load_in_memory
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.training import TrainConfig

NAME = "classifier"
TITLE = "A network of the catalogue on a data set of choice"


def plan(
    budget: str = "full",
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    model: str = "resnet20",
    data: str = "patches",
    epochs: int = 20,
    val_fraction: float = 0.1,
    flip: bool = True,
    side: int | None = None,
) -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"`` (256 images, 1 pass), ``"book"`` (2,000 images) or ``"full"`` (all images).
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        model: name of a network; see :func:`cnncourse.models.names`.
        data: name of a data set held in memory; see :func:`cnncourse.datasets.names`.
        epochs: passes.
        val_fraction: share of the training images to measure on after each pass, 0 for none.
        flip: mirror half of the images; switch it off where left and right differ, as in digits and letters.
        side: height and width of the images in pixels, where the data set can be had in several sizes; ``None`` is
            its usual one.

    Returns:
        The plan: SGD with a cosine schedule, shifts of an eighth of the side.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """
    check_budget(budget)
    sized = {} if side is None else {"side": side}
    train, test = (load_in_memory(data, split, root=root, **sized) for split in ("train", "test"))
    if budget != "full":
        count = 256 if budget == "smoke" else 2000
        train, test = train.select(slice(count)), test.select(slice(count))
        epochs = 1 if budget == "smoke" else epochs
    parts = (
        train.held_out(val_fraction, generator=generator_for(0, "hold-out"))
        if val_fraction
        else (train, None)
    )
    channels, _, width = train.images.shape[1:]
    steps = Compose((PadCrop(max(1, width // 8)), *([Flip()] if flip else [])))
    return Plan(
        build=partial(build, model, num_classes=len(train.classes), in_channels=channels),
        train=parts[0],
        val=parts[1],
        test=test,
        config=TrainConfig(
            epochs=epochs, peak_lr=0.1, weight_decay=5e-4, warmup_epochs=min(1, epochs / 2), device=device
        ),
        augmentation=steps,
        notes={"network": model},
    )
