"""LeNet-5 on handwritten digits.

LeCun, Bottou, Bengio & Haffner (1998), section III. Differs from the paper: today's LeNet-5 (see
:class:`cnncourse.models.LeNet5`), stochastic gradient descent with momentum, weight decay and a cosine
schedule instead of stochastic diagonal Levenberg-Marquardt, and random shifts of up to two pixels instead of
the paper's distortions. The paper reports 99.05 % on the 10,000 test images, 99.2 % with distortions.
"""

import os
from collections.abc import Callable, Sequence

from cnncourse.models import LeNet5
from cnncourse.recipes.handwriting import Budget, run_recorded
from cnncourse.records import Record

NAME = "lenet-mnist"
TITLE = "LeNet-5 on handwritten digits"


def run(
    budget: Budget = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Train LeNet-5 once for each seed and return the record.

    Args:
        budget: ``"smoke"``, ``"book"`` (scikit-learn's digits) or ``"full"`` (MNIST).
        seeds: one run each.
        root: folder with ``MNIST/raw``; ``None`` is the cache.
        device: where to compute.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.
        report: called with a line of text after each run.

    Returns:
        The record, not yet saved.

    Book: pooling_lenet
    """
    return run_recorded(
        LeNet5,
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        seeds=seeds,
        root=root,
        device=device,
        progress=progress,
        report=report,
    )
