"""Where torchvision has the same network: its state dict, its logits, its gradients, to the last bit but rounding."""

import pytest
import torch
from torch import nn

from cnncourse.models import build, find

NAMES = [
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d"),
    *("mobilenet_v2", "efficientnet_b0"),
    *("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("squeezenet1_0", "squeezenet1_1"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("convnext_tiny", "convnext_small", "convnext_base"),
]


SLIM = {name: {"hidden": 16} for name in NAMES if name.startswith(("alexnet", "vgg"))}
"""AlexNet and VGG with fully connected layers of 16 units: theirs hold nine tenths of all weights."""


def shapes(model):
    return {key: value.shape for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", NAMES)
def test_same_state_dict_same_logits_same_gradients(name):
    from torchvision import models

    torch.manual_seed(0)
    ours = build(name, num_classes=5, **SLIM.get(name, {})).double()
    with torch.device("meta"):
        theirs = models.get_model(name, num_classes=5).double()
        assert shapes(theirs) == shapes(build(name, num_classes=5))
        if name in SLIM:
            for index, layer in enumerate(ours.classifier):
                if isinstance(layer, nn.Linear):
                    theirs.classifier[index] = nn.Linear(layer.in_features, layer.out_features).double()
    theirs.to_empty(device="cpu").load_state_dict(ours.state_dict())
    assert list(theirs.state_dict()) == list(ours.state_dict())
    side = max(33, find(name).smallest_side)
    images = torch.randn(3, 3, side, side + 7, dtype=torch.float64)
    results = []
    for model in (ours, theirs):
        torch.manual_seed(1)  # dropout and stochastic depth draw the same numbers in the same order
        logits = model.train()(images)
        logits.square().sum().backward()
        results.append((logits, [parameter.grad for parameter in model.parameters()]))
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        results = [
            (*result, model.eval()(images)) for result, model in zip(results, (ours, theirs), strict=True)
        ]
    (logits, gradients, evaluated), (logits_, gradients_, evaluated_) = results
    assert (logits - logits_).abs().max() < 1e-9
    assert (evaluated - evaluated_).abs().max() < 1e-9 * max(1, evaluated_.abs().max())
    for mine, other in zip(gradients, gradients_, strict=True):
        assert (mine - other).abs().max() <= 1e-9 * max(1, other.abs().max())
