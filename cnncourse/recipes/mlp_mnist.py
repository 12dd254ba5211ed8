"""A multilayer perceptron with as many parameters as LeNet-5, trained in the same way on the same digits."""

import os
from collections.abc import Callable, Sequence

from cnncourse.inspection import count_parameters
from cnncourse.models import MLP, LeNet5, hidden_width
from cnncourse.recipes.handwriting import SIDE, Budget, run_recorded
from cnncourse.records import Record

NAME = "mlp-mnist"
TITLE = "A multilayer perceptron of LeNet-5's size on handwritten digits"


def build() -> MLP:
    """Return an MLP with one hidden layer whose parameter count comes closest to LeNet-5's.

    Returns:
        1,024 inputs, 60 hidden units, 10 logits: 62,110 parameters against 61,706.

    Book: pooling_lenet
    """
    width = hidden_width(count_parameters(LeNet5()), in_features=SIDE * SIDE, out_features=10)
    return MLP((SIDE * SIDE, width, 10))


def run(
    budget: Budget = "full",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Record:
    """Train the perceptron once for each seed and return the record.

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
        build,
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
