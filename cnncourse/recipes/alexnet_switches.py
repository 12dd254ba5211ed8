"""What AlexNet's own inventions each do in a small network: LRN, overlapping pooling, dropout.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012: sections
3.3 (local response normalisation lowers the top-1 error by 1.4 points), 3.4 (overlapping pooling by 0.4) and 4.2
(without dropout the network overfits substantially).

Differs from the paper: three convolutions of 16, 32 and 32 filters and two linear layers, images of 16 x 16 pixels, a
few hundred or thousand of them, no augmentation, AdamW on a cosine schedule.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from cnncourse.layers import LocalResponseNorm, he_normal_
from cnncourse.recipes.few_images import few_images
from cnncourse.recipes.plan import check_budget
from cnncourse.recipes.race_records import recorder
from cnncourse.recipes.races import Race, Racer, Terms, race

NAME = "alexnet-switches"
TITLE = "LRN, overlapping pooling and dropout, each switched, in a small AlexNet"

SIZES = {"smoke": (60, 20, 1), "book": (320, 300, 9), "full": (1000, 1000, 25)}
"""Images to learn from, images to test, passes at each budget."""
RATES = {"smoke": (0.003,), "book": (0.003,), "full": (0.001, 0.003)}
"""Learning rates that all may try."""


def small_alexnet(
    num_classes: int, lrn: bool = True, overlapping: bool = True, drop_prob: float = 0.0
) -> nn.Sequential:
    """Return three convolutions and two linear layers in AlexNet's order: ReLU, LRN, pooling; dropout between.

    Args:
        num_classes: number of logits.
        lrn: local response normalisation behind the first two ReLUs.
        overlapping: pool windows of 3 x 3 at distance 2, or of 2 x 2; the maps have the same sizes.
        drop_prob: of the dropout in front of each linear layer, in [0, 1).

    Returns:
        The network, from (N, 3, 16, 16) to (N, K).
    """
    window = 3 if overlapping else 2
    layers: list[nn.Module] = []
    channels = 3
    for filters in (16, 32):
        layers += [nn.Conv2d(channels, filters, 5, padding=2), nn.ReLU()]
        layers += [LocalResponseNorm()] if lrn else []
        layers.append(nn.MaxPool2d(window, 2, ceil_mode=True))
        channels = filters
    layers += [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(window, 2, ceil_mode=True)]
    layers += [nn.Flatten(), nn.Dropout(drop_prob), nn.Linear(32 * 4, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(drop_prob), nn.Linear(64, num_classes))
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            he_normal_(layer)
    return model


RACERS = {
    "LRN and overlap": Racer(build=small_alexnet),
    "without LRN": Racer(build=partial(small_alexnet, lrn=False)),
    "without overlap": Racer(build=partial(small_alexnet, overlapping=False)),
    "with dropout": Racer(build=partial(small_alexnet, drop_prob=0.5)),
}
"""A network with local response normalisation and overlapping windows, and with one thing changed. It has no dropout,
because with dropout runs as short as these end before the network has begun to overfit."""


def measure(
    budget: str = "book",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    root: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    workers: int = 0,
    report: Callable[[str], object] = lambda _line: None,
) -> Race:
    """Run the race.

    Args:
        budget: ``"smoke"``, ``"book"`` (patches of photographs) or ``"full"``; see :data:`SIZES`.
        seeds: of all racers; at least one, all different.
        root: folder with CIFAR-10's JPEG copies, for ``"full"``; ``None`` takes patches of photographs.
        device: where to compute.
        workers: processes with one thread each; 0 trains in this process.
        report: called with a line of text after each run.

    Returns:
        The race: ``race.test_errors(NAME)`` has one number for each seed.

    Raises:
        ValueError: if the budget is unknown, or there is no seed, or one comes twice.

    Book: alexnet
    """
    check_budget(budget)
    count, tests, epochs = SIZES[budget]
    train, test = few_images(NAME, count, tests, root=root if budget == "full" else None)
    terms = Terms(
        train=train,
        test=test,
        epochs=epochs,
        rates=RATES[budget],
        optimiser="adamw",
        weight_decay=5e-4,
        device=device,
    )
    return race(RACERS, terms, seeds, workers=workers, report=report)


run = recorder(measure, name=NAME, title=TITLE)
