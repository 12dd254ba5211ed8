import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import LeNet5


def test_shapes_are_those_beside_the_forward_pass():
    shapes = {row.name: row.shape for row in shape_trace(LeNet5(), (7, 1, 32, 32))}
    assert shapes == {
        "c1": (7, 6, 28, 28),
        "act1": (7, 6, 28, 28),
        "s2": (7, 6, 14, 14),
        "c3": (7, 16, 10, 10),
        "act3": (7, 16, 10, 10),
        "s4": (7, 16, 5, 5),
        "flatten": (7, 400),
        "c5": (7, 120),
        "act5": (7, 120),
        "f6": (7, 84),
        "act6": (7, 84),
        "output": (7, 10),
    }


def test_parameters_layer_by_layer():
    # weights + biases: 6 filters of 1 x 5 x 5, 16 of 6 x 5 x 5, then three matrices
    by_hand = {
        "c1": 6 * 25 + 6,
        "c3": 16 * 150 + 16,
        "c5": 400 * 120 + 120,
        "f6": 120 * 84 + 84,
        "output": 850,
    }
    counted = {row.name: row.parameters for row in shape_trace(LeNet5(), (1, 1, 32, 32)) if row.parameters}
    assert counted == by_hand
    assert count_parameters(LeNet5()) == sum(by_hand.values()) == 61_706


def test_same_function_as_a_plain_sequential_network():
    torch.manual_seed(0)
    model = LeNet5()
    plain = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
    images = torch.randn(3, 1, 32, 32)
    assert_close(model(images), plain(images))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("pool", ["max", "mean"])
def test_choices_classes_and_channels(activation, pool):
    model = LeNet5(7, 3, activation=activation, pool=pool)
    logits = model(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    kinds = {type(module) for module in model.modules()}
    assert (nn.MaxPool2d in kinds) == (pool == "max")
    assert (nn.Tanh in kinds) == (activation == "tanh")


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (1, 3, 32, 32), (1, 32, 32), (2, 1, 64, 64)])
def test_wrong_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(N, 1, 32, 32\), got .*pad 28 x 28 digits"):
        LeNet5()(torch.zeros(shape))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="at least 1, got num_classes=0"):
        LeNet5(0)
    with pytest.raises(ValueError, match=r"activation must be one of .*got 'gelu'"):
        LeNet5(activation="gelu")
    with pytest.raises(ValueError, match=r"pool must be one of .*got 'min'"):
        LeNet5(pool="min")
