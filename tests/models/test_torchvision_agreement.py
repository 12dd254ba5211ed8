"""Where torchvision has the same network: its state dict, its logits, its gradients, to the last bit but rounding."""

import pytest
import torch
from torch import nn

from cnncourse.models import CATALOGUE, build, find

NAMES = [
    entry.name
    for entry in CATALOGUE
    if entry.weights and entry.weights.source.startswith("https://download.pytorch.org")
]

THEIRS = {"googlenet": {"aux_logits": False, "transform_input": True, "init_weights": False}}
"""torchvision's options: its weights of GoogLeNet are used without the heads, on images in [-1, 1]."""

SLIM = {name: {"hidden": 16} for name in NAMES if name.startswith(("alexnet", "vgg"))}
"""AlexNet and VGG with fully connected layers of 16 units: theirs hold nine tenths of all weights."""


def shapes(model):
    return [(key, value.shape) for key, value in model.state_dict().items()]


def numbers_of(model, images):
    """Return the logits and gradients of a training step, and then the logits in evaluation mode."""
    torch.manual_seed(1)  # dropout and stochastic depth draw the same numbers in the same order
    logits = model.train()(images)
    logits.square().sum().backward()
    with torch.inference_mode():
        return [logits, model.eval()(images), *(parameter.grad for parameter in model.parameters())]


def test_all_that_torchvision_has_are_compared():
    from torchvision import models

    assert set(NAMES) == {entry.name for entry in CATALOGUE} & set(models.list_models())
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", NAMES)
def test_same_state_dict_same_logits_same_gradients(name):
    from torchvision import models

    torch.manual_seed(0)
    with torch.device("meta"):
        theirs = models.get_model(name, num_classes=5, **THEIRS.get(name, {})).double()
        assert shapes(theirs) == shapes(build(name, num_classes=5))
    ours = build(name, num_classes=5, **SLIM.get(name, {})).double()
    if name in SLIM:
        for index, layer in enumerate(ours.classifier):
            if isinstance(layer, nn.Linear):
                theirs.classifier[index] = nn.Linear(layer.in_features, layer.out_features, device="meta")
    theirs.double().to_empty(device="cpu").load_state_dict(ours.state_dict())
    side = max(33, find(name).smallest_side)
    images = torch.randn(3, 3, side, side + 7, dtype=torch.float64)
    their_numbers = numbers_of(theirs, images)
    our_numbers = numbers_of(ours, images)
    ours.load_state_dict(theirs.state_dict())
    for mine, other in zip(our_numbers, their_numbers, strict=True):
        assert (mine - other).abs().max() <= 1e-9 * max(1, other.abs().max())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
