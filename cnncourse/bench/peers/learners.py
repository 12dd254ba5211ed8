"""The plain loop and ours on real images, for as many passes as they are told; they report an accuracy."""

from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.bench.peers import ours as our_trainer
from cnncourse.bench.peers.per_sample import ArrayDataset, course_transform
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import build_model, normalised, sgd


def digits(task: Task, split: Any) -> Any:
    """Return scikit-learn's digits, enlarged, in three channels.

    Args:
        task: ``settings["side"]`` is their height and width in pixels.
        split: ``train`` or ``test``.

    Returns:
        Labelled images.
    """
    from dataclasses import replace

    from cnncourse import datasets

    data = datasets.digits(split, side=int(task.settings["side"]))
    return replace(data, images=data.images.expand(-1, 3, -1, -1).contiguous())


def plain(task: Task, _clock: object) -> None:
    """Train with the course loop: PIL transforms image by image, NCHW, fp32; the rate falls like a cosine.

    Args:
        task: ``settings`` hold ``epochs`` and ``learning_rate``; takes the accuracy.
        _clock: not needed.
    """
    from torch.utils.data import DataLoader

    train = digits(task, "train")
    model = build_model(task)
    dataset = ArrayDataset(train.images, train.targets, course_transform(task, train.images.shape[-1]))
    torch.manual_seed(task.seed)
    loader = DataLoader(dataset, batch_size=task.batch_size, shuffle=True)
    optimiser = sgd(model, lr=float(task.settings["learning_rate"]))
    epochs = int(task.settings["epochs"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs * len(loader))
    for _ in range(epochs):
        for images, targets in loader:
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images), targets).backward()
            optimiser.step()
            schedule.step()
    _report(task, model)


def ours(task: Task, _clock: object, *, precision: str = "auto") -> None:
    """Train with the Trainer, with the same settings.

    Args:
        task: ``settings`` hold ``epochs`` and ``learning_rate``; takes the accuracy.
        _clock: not needed.
        precision: ``auto`` or ``fp32``.
    """
    model = build_model(task)
    trainer = our_trainer.trainer(task, model, precision, epochs=int(task.settings["epochs"]))
    trainer.fit(digits(task, "train"))
    _report(task, model)


@torch.no_grad()
def _report(task: Task, model: nn.Module) -> None:
    """Measure on the test images, in fp32 and by the same few lines for everybody."""
    test = digits(task, "test")
    model = model.eval().float()
    logits: Tensor = model(normalised(test.images))
    task.facts["accuracy"] = float((logits.argmax(1) == test.targets).float().mean())
