"""A multilayer perceptron with as many parameters as LeNet-5, trained in the same way on the same digits."""

import os

from torch import nn

from cnncourse import models
from cnncourse.inspection import count_parameters
from cnncourse.models import LeNet5, hidden_width
from cnncourse.recipes.handwriting import SIDE, plan_for
from cnncourse.recipes.plan import Plan

NAME = "mlp-mnist"
TITLE = "A multilayer perceptron of LeNet-5's size on handwritten digits"


def build() -> nn.Module:
    """Return an MLP with one hidden layer whose parameter count comes closest to LeNet-5's.

    Returns:
        1,024 inputs, 60 hidden units, 10 logits: 62,110 parameters against 61,706.

    Book: pooling_lenet
    """
    width = hidden_width(count_parameters(LeNet5()), in_features=SIDE * SIDE, out_features=10)
    return models.build("mlp", hidden=(width,))


def plan(budget: str = "full", *, root: str | os.PathLike[str] | None = None, device: str = "auto") -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"``, ``"book"`` (scikit-learn's digits) or ``"full"`` (MNIST).
        root: folder with ``MNIST/raw``; ``None`` is the cache.
        device: where to compute.

    Returns:
        The plan.

    Book: pooling_lenet
    """
    return plan_for(build, budget, root=root, device=device)
