"""Scale jitter: crops of images at one scale, or at scales drawn anew for each image.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, arXiv:1409.1556,
sections 3.1 and 4.1: trained on crops of images whose shorter side S is 256, configuration D has 27.0 % top-1 errors;
with S drawn from [256, 512], 25.6 %, measured at one scale (table 3).

Differs from the paper: the small VGG of :mod:`cnncourse.recipes.lrn_switch`, crops of 16 pixels out of images of 20
(S = 20, or the area of the crop drawn evenly so that S lies in [16, 32]), tested on the whole image in the size of the
crop (Q = 16) and on the middle of the image at Q = 20 and 26, a few hundred or thousand images, AdamW.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from cnncourse.augmentation import Compose, Flip, RandomResizedCrop, resized_crop
from cnncourse.datasets import LabelledImages
from cnncourse.recipes.few_images import few_images
from cnncourse.recipes.lrn_switch import small_vgg
from cnncourse.recipes.plan import check_budget
from cnncourse.recipes.race_records import recorder
from cnncourse.recipes.races import Race, Racer, Terms, race

NAME = "scale-jitter"
TITLE = "Scale jitter on and off, in a small VGG"

SIDE = 20
"""Height and width of the images in pixels."""
CROP = 16
"""Height and width of what the network sees in pixels."""
TEST_SIDES = (16, 20, 26)
"""Sides Q to which images are scaled for the test, of which the middle is shown."""

SIZES = {"smoke": (60, 20, 1), "book": (400, 200, 16), "full": (1000, 1000, 30)}
"""Images to learn from, images to test, passes at each budget."""
RATES = {"smoke": (0.003,), "book": (0.003,), "full": (0.001, 0.003)}
"""Learning rates that both may try."""


def _crops(smallest: float, largest: float) -> Compose:
    """Return mirrored square crops of images scaled to sides between two, as shares of the image's area."""
    areas = ((CROP / largest) ** 2, (CROP / smallest) ** 2)
    return Compose((RandomResizedCrop(CROP, scale=areas, ratio=(1.0, 1.0)), Flip()))


RACERS = {
    "one scale": Racer(build=small_vgg, augmentation=_crops(20, 20)),
    "jitter": Racer(build=small_vgg, augmentation=_crops(16, 32)),
}
"""S = 20, and S in [16, 32]."""


def middle(images: LabelledImages, side: int) -> LabelledImages:
    """Return the middle of images scaled to a side, as the network sees it in the test.

    Args:
        images: square ones.
        side: Q in pixels, at least that of the crop.

    Returns:
        The same labels with images of 16 x 16 pixels.
    """
    full = images.images.shape[-1]
    window = round(full * CROP / side)
    boxes = torch.tensor([[(full - window) // 2] * 2 + [window] * 2]).expand(len(images), 4)
    return replace(images, images=resized_crop(images.images, boxes, CROP))


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
        seeds: of both racers; at least one, all different.
        root: folder with CIFAR-10's JPEG copies, for ``"full"``; ``None`` takes patches of photographs.
        device: where to compute.
        workers: processes with one thread each; 0 trains in this process.
        report: called with a line of text after each run.

    Returns:
        The race: ``race.test_errors(NAME)`` at Q = 20, ``race.test_errors(NAME, "Q = 16")`` at another scale.

    Raises:
        ValueError: if the budget is unknown, or there is no seed, or one comes twice.

    Book: vgg
    """
    check_budget(budget)
    count, tests, epochs = SIZES[budget]
    train, test = few_images(NAME, count, tests, side=SIDE, root=root if budget == "full" else None)
    terms = Terms(
        train=train,
        test=middle(test, SIDE),
        epochs=epochs,
        rates=RATES[budget],
        optimiser="adamw",
        weight_decay=5e-4,
        device=device,
        views={f"Q = {side}": middle(test, side) for side in TEST_SIDES},
    )
    return race(RACERS, terms, seeds, workers=workers, report=report)


run = recorder(measure, name=NAME, title=TITLE)
