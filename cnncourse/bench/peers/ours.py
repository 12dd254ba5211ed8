"""This library's Trainer, with the settings it chooses itself."""

from typing import Any

from torch import nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import (
    CLASSES,
    LEARNING_RATE,
    MEAN,
    MOMENTUM,
    STD,
    WEIGHT_DECAY,
    ReadyBatches,
    build_model,
    sgd,
    training_images,
    watch,
)

FOR_EVER = 100_000
"""Passes, more than any trial lasts."""


def train(task: Task, clock: Clock, *, precision: str = "auto") -> None:
    """Train with :class:`cnncourse.training.Trainer`.

    Args:
        task: what to train.
        clock: times it.
        precision: ``auto`` or ``fp32``.
    """
    data = labelled(task)
    model = build_model(task)
    fitted = trainer(task, model, precision, epochs=FOR_EVER, channels=data.images.shape[1])
    watch(task, clock, model, **choices(fitted))
    fitted.fit(data)


def labelled(task: Task) -> Any:
    """Return the task's images as :class:`cnncourse.datasets.LabelledImages`.

    Args:
        task: the images.

    Returns:
        The images, their labels and a description.
    """
    from cnncourse.datasets import LabelledImages
    from cnncourse.datasets.labelled import DataInfo

    images, targets = training_images(task)
    info = DataInfo("noise", "Noise", "none", "", "", tuple(map(str, range(CLASSES))))
    return LabelledImages(images, targets, info, "train")


def trainer(task: Task, model: nn.Module, precision: str, *, epochs: int, channels: int = 3) -> Any:
    """Return a Trainer with everybody's settings and nothing switched off.

    Args:
        task: names batch size, augmentation and device.
        model: what to train.
        precision: ``auto`` or ``fp32``.
        epochs: passes.
        channels: of the images.

    Returns:
        The trainer.
    """
    from cnncourse.augmentation import Compose, Flip, PadCrop
    from cnncourse.datasets import Normalisation
    from cnncourse.training import TrainConfig, Trainer

    augmentation: Any = None
    if task.settings.get("padding"):
        crop = PadCrop(int(task.settings["padding"]))
        augmentation = Compose((crop, Flip())) if task.settings["flip"] else crop
    config = TrainConfig(
        epochs=epochs,
        batch_size=task.batch_size,
        peak_lr=task.settings.get("learning_rate", LEARNING_RATE),
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        schedule=task.settings.get("schedule", "constant"),
        seed=task.seed,
        device=task.device,
        precision=precision,  # type: ignore[arg-type]
    )
    return Trainer(
        model,
        config,
        augmentation=augmentation,
        normalisation=Normalisation(MEAN[:channels], STD[:channels]),
        progress=False,
    )


def choices(fitted: Any) -> dict[str, str]:
    """Return which precision and layout a trainer has chosen.

    Args:
        fitted: the trainer.

    Returns:
        ``precision`` and ``layout``, as facts.
    """
    return {"precision": fitted.precision, "layout": "NHWC" if fitted.channels_last else "NCHW"}


def epoch(task: Task, clock: Clock) -> None:
    """Train with :func:`cnncourse.training.train_epoch` on ready batches: one call is the whole trial.

    Args:
        task: what to train.
        clock: times it.
    """
    from cnncourse.training import train_epoch

    model = build_model(task).to(task.device)
    watch(task, clock, model)
    while True:
        train_epoch(model, ReadyBatches(task), sgd(model, fused=True))
