import pytest
import torch
from torch import nn

from cnncourse.inspection import captured


def test_captured_outputs_and_removed_hooks():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with captured(model, "0", model[1]) as kept:
        output = model(torch.randn(4, 2))
    assert set(kept) == {"0", "1"}
    assert kept["1"] is output
    assert not any(module._forward_hooks for module in model.modules())


def test_errors_come_out_and_hooks_go():
    model = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(IndexError), captured(model, "0"):
        raise IndexError
    with pytest.raises(RuntimeError), captured(model, "0"):
        model(torch.zeros(1, 5))
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(ValueError, match="Sequential has no layer ''"), captured(model, ""):
        pass
