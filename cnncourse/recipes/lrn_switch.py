"""Local response normalisation in a small VGG: does it help?

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, arXiv:1409.1556,
section 4.1 and table 3: configuration A has 29.6 % top-1 errors, A-LRN 29.7 %.

Differs from the paper: the eight convolutions of configuration A with an eighth of the filters at most and two linear
layers, images of 16 x 16 pixels, a few hundred or thousand of them, no augmentation, no dropout,
AdamW on a cosine schedule, He's start.
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

NAME = "lrn-switch"
TITLE = "Local response normalisation on and off, in a small VGG"

SIZES = {"smoke": (60, 20, 1), "book": (400, 400, 16), "full": (1000, 1000, 25)}
"""Images to learn from, images to test, passes at each budget."""
RATES = {"smoke": (0.003,), "book": (0.003,), "full": (0.001, 0.003)}
"""Learning rates that both may try."""


def small_vgg(num_classes: int, lrn: bool = False, drop_prob: float = 0.0) -> nn.Sequential:
    """Return the eight 3 x 3 convolutions of VGG's configuration A, narrow, with two linear layers.

    Args:
        num_classes: number of logits.
        lrn: local response normalisation behind the first convolution, as in configuration A-LRN.
        drop_prob: of the dropout in front of the last layer, in [0, 1).

    Returns:
        The network, from (N, 3, H, W) of at least 16 pixels to (N, K).
    """
    layers: list[nn.Module] = []
    channels = 3
    for group in ((8,), (16,), (32, 32), (48, 48), (48, 48)):
        for filters in group:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            layers += [LocalResponseNorm()] if lrn and channels == 3 else []
            channels = filters
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 96), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(drop_prob), nn.Linear(96, num_classes))
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            he_normal_(layer)
    return model


RACERS = {"A": Racer(build=small_vgg), "A-LRN": Racer(build=partial(small_vgg, lrn=True))}
"""The two configurations, by the paper's names."""


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

    Book: vgg
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
