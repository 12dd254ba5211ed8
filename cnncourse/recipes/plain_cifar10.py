"""The same layers as the residual network's, without shortcuts, trained in the same way.

He, Zhang, Ren & Sun (2016), section 4.2 and figure 6 (left): the deeper plain networks have the higher *training*
error, which is the degradation that shortcuts cure.
"""

import os
from functools import partial

from cnncourse.recipes import resnet_cifar10
from cnncourse.recipes.plan import Plan

NAME = "plain-cifar10"
TITLE = "Plain network (no shortcuts) on CIFAR-10"


def plan(
    budget: str = "full",
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    depth: int = 20,
    epochs: int | None = None,
    data: str = "cifar10",
    hold_out: int = 0,
) -> Plan:
    """Return network, data and settings: those of the residual network but for the shortcuts.

    Args:
        budget: ``"smoke"``, ``"book"`` or ``"full"``.
        root: folder with the data; ``None`` is the cache.
        device: where to compute.
        depth: layers with weights, 6n + 2.
        epochs: passes, for ``"full"``; ``None`` is the paper's 164.
        data: for ``"full"``.
        hold_out: training images to measure on after each pass instead of learning from them.

    Returns:
        The plan.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """
    twin = partial(resnet_cifar10.plan, budget, root=root, device=device)
    return twin(depth=depth, epochs=epochs, data=data, hold_out=hold_out, architecture="plain")
