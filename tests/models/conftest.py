"""Which networks the sweeps run: all that are cheap; of a model file with none, the cheapest; the others on demand."""

import inspect

import pytest
import torch
from torch import nn

from cnncourse.models import CATALOGUE, build
from cnncourse.models.catalogue import MODULES

MOST_MULTIPLY_ADDS = 0.35e9
"""Multiply-adds of one image at the sweep's side above which a network is run on demand only."""

MOST_PARAMETERS = 30e6
"""Parameters above which it is, fully connected layers that can be made narrow not counted."""


def side_of(entry):
    """Return the side of the sweep's images: 16 pixels, or more where the network wants it."""
    return max(entry.smallest_side, min(16, entry.side))


def cost(entry):
    return entry.multiply_adds * (side_of(entry) / entry.side) ** 2


def slim(entry):
    """Return options for narrow fully connected layers: AlexNet's and VGG's hold nine tenths of all weights."""
    wide = entry.parameters > MOST_PARAMETERS and "hidden" in inspect.signature(entry.builder).parameters
    return {"hidden": 64} if wide else {}


def is_light(entry):
    return cost(entry) <= MOST_MULTIPLY_ADDS and (entry.parameters <= MOST_PARAMETERS or bool(slim(entry)))


CHEAPEST = {min(module.ENTRIES, key=cost).name for module in MODULES}
"""Of each model file one network."""

LIGHT = {entry.name for entry in CATALOGUE if is_light(entry)} | CHEAPEST

SMALL = {"lenet5", "resnet20", "speed_net", "squeezenet1_1"}
"""For what takes several seconds with others."""

SMALLEST = {"lenet5", "resnet20"}
"""For what takes up to a minute with others."""


def swept(everyday):
    """Return all entries as parameters; those that are not for every day are marked."""
    return [
        pytest.param(entry, id=entry.name, marks=() if entry.name in everyday else pytest.mark.exhaustive)
        for entry in CATALOGUE
    ]


def pytest_collection_modifyitems(config, items):
    """Leave the exhaustive sweep out unless it is asked for: python -m pytest tests/models -m exhaustive."""
    if "exhaustive" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


def measure_statistics(model, images):
    """Let batch norms take their statistics from these images.

    With those they start with, a fresh network of a thousand layers overflows in evaluation mode: its maps grow from
    block to block.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def fresh(entry):
    """Return a network with 7 classes in evaluation mode, and four images for it."""
    torch.manual_seed(0)
    side = side_of(entry)
    images = torch.randn(4, entry.in_channels, side, side)
    model = build(entry.name, num_classes=7, **slim(entry)).eval()
    with torch.no_grad():
        overflows = not model(images).isfinite().all()
    return (measure_statistics(model, images) if overflows else model), images


@pytest.fixture(scope="module", params=swept(LIGHT))
def network(request):
    """Every network that is light, and images for it."""
    return fresh(request.param)


@pytest.fixture(scope="module", params=swept(CHEAPEST))
def representative(request):
    """The cheapest network of every model file, and images for it."""
    return fresh(request.param)


@pytest.fixture(scope="module", params=swept(SMALL))
def small_network(request):
    """Some small networks, and images for them."""
    return fresh(request.param)


@pytest.fixture(scope="module", params=swept(SMALLEST))
def smallest_network(request):
    """Two of the smallest networks, and images for them."""
    return fresh(request.param)
