"""A residual network on CIFAR-10, trained as its paper says.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 4.2:
batches of 128, 64,000 steps of SGD with momentum 0.9, learning rate 0.1 divided by 10 after 32,000 and 48,000 steps,
weight decay 1e-4, pictures shifted by up to 4 pixels and mirrored, shortcuts without parameters (A). The paper
reports 8.75 % errors with 20 layers, 6.97 % with 56 (table 6).

Differs from the paper: Nesterov's form of the momentum; batch normalisation in the precision of the run (repr of the
trainer, settings of the record); networks of 110 layers and more would need its first steps at 0.01, which this
recipe does not take.
"""

import os
from dataclasses import replace
from functools import partial

from cnncourse.augmentation import Compose, Flip, PadCrop
from cnncourse.models import build
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.recipes.small_photographs import small_photographs
from cnncourse.training import TrainConfig

NAME = "resnet-cifar10"
TITLE = "Residual network on CIFAR-10"

PAPER = TrainConfig(
    epochs=164,  # 64,000 steps of 128 images on 50,000
    batch_size=128,
    peak_lr=0.1,
    weight_decay=1e-4,
    schedule="step",
    milestones=(0.5, 0.75),
    lr_factor=0.1,
)
"""The settings of section 4.2."""


def plan(
    budget: str = "full",
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    depth: int = 20,
    epochs: int | None = None,
    data: str = "cifar10",
    hold_out: int = 0,
    architecture: str = "resnet",
) -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"`` (256 patches of photographs, 1 pass), ``"book"`` (2,000, 12 passes) or ``"full"``.
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        depth: layers with weights, 6n + 2.
        epochs: passes, for ``"full"``; ``None`` is the paper's 164. The cuts of the rate move along.
        data: for ``"full"``; see :func:`~cnncourse.recipes.small_photographs.small_photographs`.
        hold_out: training images to measure on after each pass instead of learning from them; the paper held out
            5,000 to find its settings, and trained on all for its results.
        architecture: ``"resnet"``, or ``"plain"`` for the same layers without shortcuts.

    Returns:
        The plan.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """
    check_budget(budget)
    parts = small_photographs(budget, data=data, hold_out=hold_out, root=root)
    config = replace(PAPER, device=device, epochs=PAPER.epochs if epochs is None else epochs)
    if budget != "full":
        config = replace(config, epochs=1 if budget == "smoke" else 12, batch_size=64)
    return Plan(
        build=partial(build, f"{architecture}{depth}", num_classes=len(parts.train.classes)),
        train=parts.train,
        val=parts.val,
        test=parts.test,
        config=config,
        augmentation=Compose((PadCrop(4), Flip())),
        notes={"network": f"{architecture}{depth}", "depth": depth},
    )
