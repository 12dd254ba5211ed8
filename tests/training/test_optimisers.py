import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.training import TrainConfig, build_optimiser, parameter_groups


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def test_everything_decays_unless_asked_otherwise():
    (group,) = parameter_groups(network(), 0.1)
    assert (len(group["params"]), group["weight_decay"]) == (6, 0.1)
    decaying, spared = parameter_groups(network(), 0.1, decay_all=False)
    assert [tuple(p.shape) for p in decaying["params"]] == [(2, 1, 3, 3), (3, 2)]
    assert [tuple(p.shape) for p in spared["params"]] == [(2,), (2,), (2,), (3,)]
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_left_out_and_something_must_remain():
    model = network()
    model[0].requires_grad_(False)
    assert len(parameter_groups(model, 0.0)[0]["params"]) == 4
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="Sequential has no parameter with requires_grad=True; unfreeze"):
        parameter_groups(model, 0.0)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_fused_step_is_the_plain_one(kind):
    # oracle: PyTorch's own loop over the parameters, one at a time
    ours, theirs = network().double(), network().double()
    config = TrainConfig(epochs=1, optimiser=kind, peak_lr=0.1, weight_decay=0.01)
    fused = build_optimiser(ours, config)
    plain = (
        torch.optim.SGD(
            theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, foreach=False
        )
        if kind == "sgd"
        else torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.01, foreach=False)
    )
    for _ in range(4):
        images = torch.randn(5, 1, 3, 3, dtype=torch.float64)
        for model, optimiser in ((ours, fused), (theirs, plain)):
            optimiser.zero_grad()
            model(images).square().sum().backward()
            optimiser.step()
    assert_close(list(ours.parameters()), list(theirs.parameters()))
