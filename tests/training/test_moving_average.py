import copy

import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.training import MovingAverage


def test_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = MovingAverage(model, 0.5)
    expected = 0.0
    for t, weight in enumerate((10.0, 10.0, 20.0, 30.0)):
        model.weight.data.fill_(weight)
        average.update(model)
        decay = min(0.5, (1 + t) / (10 + t))  # 0.1, 2/11, 3/12, 4/13
        expected = decay * expected + (1 - decay) * weight
    assert_close(average.model.weight.item(), expected)


def test_buffers_are_copied_and_the_network_is_left_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    average = MovingAverage(model, 0.9)
    before = copy.deepcopy(model.state_dict())
    model(torch.randn(4, 1, 5, 5))
    weights = [p.clone() for p in model.parameters()]
    average.update(model)
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)
    assert int(average.model[1].num_batches_tracked) == 1
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert not torch.equal(before["1.running_mean"], model[1].running_mean)
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())


def test_goes_on_from_a_saved_state():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    whole, first = MovingAverage(model, 0.9), MovingAverage(model, 0.9)
    later = MovingAverage(nn.Linear(3, 2), 0.9)
    for step in range(6):
        model.weight.data += torch.randn(2, 3)
        whole.update(model)
        if step < 3:
            first.update(model)
            later.load_state_dict(copy.deepcopy(first.state_dict()))
        else:
            later.update(model)
    assert torch.equal(whole.model.weight, later.model.weight)
    assert later.updates == 6
