"""ReLU against tanh: passes to a training error of 25 %.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012, section
3.1 and figure 1: a convolutional network of four layers reaches 25 % training error on CIFAR-10 six times faster with
ReLU than with tanh; the learning rates were chosen independently, each as fast as possible, without regularisation.

Differs from the paper: three convolutions of 16, 16 and 32 filters and a linear layer (the paper does not print its
four), images of 16 x 16 pixels, a few hundred or thousand of them, starting values that suit each function (He and
Glorot), gradients no longer than 5.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from cnncourse.layers import glorot_normal_, he_normal_
from cnncourse.recipes.few_images import few_images
from cnncourse.recipes.plan import check_budget
from cnncourse.recipes.race_records import recorder
from cnncourse.recipes.races import Race, Racer, Terms, race

NAME = "relu-tanh-race"
TITLE = "ReLU against tanh: passes to 25 % training error"

TARGET = 0.25
"""Training error that ends the race, as in the paper's figure 1."""

SIZES = {"smoke": (60, 20, 1), "book": (360, 100, 12), "full": (1000, 500, 30)}
"""Images to learn from, images to test, passes at each budget."""
RATES = {"smoke": (0.02,), "book": (0.01, 0.05), "full": (0.005, 0.01, 0.02, 0.05)}
"""Learning rates that both may try."""


def four_layers(num_classes: int, tanh: bool = False) -> nn.Sequential:
    """Return three convolutions and a linear layer, with one function between them.

    Args:
        num_classes: number of logits.
        tanh: hyperbolic tangent instead of ReLU.

    Returns:
        The network, from (N, 3, 16, 16) to (N, K).
    """
    layers: list[nn.Module] = []
    channels = 3
    for filters in (16, 16, 32):
        layers += [nn.Conv2d(channels, filters, 5, padding=2), nn.Tanh() if tanh else nn.ReLU()]
        layers.append(nn.MaxPool2d(3, 2, padding=1))
        channels = filters
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 4, num_classes))
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            (glorot_normal_ if tanh else he_normal_)(layer)
    return model


RACERS = {"ReLU": Racer(build=four_layers), "tanh": Racer(build=partial(four_layers, tanh=True))}
"""The two who race."""


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
        budget: ``"smoke"`` (60 patches, 1 pass), ``"book"`` (400 patches, 12 passes) or ``"full"`` (1,000 images).
        seeds: of both racers; at least one, all different.
        root: folder with CIFAR-10's JPEG copies, for ``"full"``; ``None`` takes patches of photographs.
        device: where to compute.
        workers: processes with one thread each; 0 trains in this process.
        report: called with a line of text after each run.

    Returns:
        The race: ``race.passes("ReLU")``, ``race.ratios("tanh", "ReLU")``.

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
        target=TARGET,
        schedule="constant",
        device=device,
    )
    return race(RACERS, terms, seeds, workers=workers, report=report)


run = recorder(measure, name=NAME, title=TITLE, compared=("tanh", "ReLU"))
