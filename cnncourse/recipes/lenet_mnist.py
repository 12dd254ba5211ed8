"""LeNet-5 on handwritten digits.

LeCun, Bottou, Bengio & Haffner (1998), section III. Differs from the paper: today's LeNet-5 (see
:class:`cnncourse.models.LeNet5`), stochastic gradient descent with momentum, weight decay and a cosine
schedule instead of stochastic diagonal Levenberg-Marquardt, and random shifts of up to two pixels instead of
the paper's distortions. The paper reports 99.05 % on the 10,000 test images, 99.2 % with distortions.
"""

import os
from functools import partial

from cnncourse.models import build
from cnncourse.recipes.handwriting import plan_for
from cnncourse.recipes.plan import Plan

NAME = "lenet-mnist"
TITLE = "LeNet-5 on handwritten digits"


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
    return plan_for(partial(build, "lenet5"), budget, root=root, device=device)
