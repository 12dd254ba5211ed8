import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace


class Twice(nn.Module):
    """Uses one layer two times, and starts in a mixture of modes."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.drop = nn.Dropout()
        self.drop.eval()

    def forward(self, x):
        return self.drop(self.lin(self.lin(x)))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_a_layer_met_twice_has_two_rows_and_counts_once():
    trace = shape_trace(Twice(), (2, 3))
    assert [(row.name, row.parameters) for row in trace] == [("lin", 12), ("lin", 0), ("drop", 0)]
    assert trace.parameters == count_parameters(Twice()) == 12
    assert len(trace) == 3


def test_leaves_no_trace_in_the_model():
    model = Twice()
    before = [module.training for module in model.modules()]
    shape_trace(model, (1, 3))
    assert [module.training for module in model.modules()] == before
    assert hooks(model) == 0
    with pytest.raises(RuntimeError):
        shape_trace(model, (1, 4))
    assert hooks(model) == 0
    assert [module.training for module in model.modules()] == before


def test_runs_in_the_models_own_type():
    assert shape_trace(nn.Linear(3, 2).double(), (1, 3)).rows[0].shape == (1, 2)


def test_a_network_on_the_meta_device_costs_nothing():
    with torch.device("meta"):
        large = nn.Sequential(nn.Conv2d(3, 10**6, 3), nn.Flatten())
    assert shape_trace(large, (1, 3, 1002, 1002)).rows[1].shape == (1, 10**12)


def test_dictionary():
    trace = shape_trace(Twice(), (2, 3))
    assert trace.to_dict()["input_shape"] == [2, 3]
    assert trace.to_dict()["rows"][0] == {"name": "lin", "kind": "Linear", "shape": [2, 3], "parameters": 12}
    assert trace["drop"].shape == (2, 3)


def test_blocks_are_one_row():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 5), nn.Linear(5, 3)

        def forward(self, x):
            return x + self.b(self.a(x))

    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(Block(), nn.ReLU()))
    trace = shape_trace(model, (1, 2), blocks=True)
    assert [(row.name, row.kind, row.parameters) for row in trace] == [
        *(("0", "Linear", 9), ("1.0", "Block", 38), ("1.1", "ReLU", 0))
    ]
    assert [row.name for row in shape_trace(nn.ReLU(), (1, 2), blocks=True)] == ["relu"]


def test_shared_and_frozen_parameters():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert count_parameters(tied) == 16 + 4 + 4
    assert [row.parameters for row in shape_trace(tied, (1, 4))] == [20, 4]
    tied[0].bias.requires_grad_(False)
    assert count_parameters(tied, trainable_only=True) == 16 + 4


def test_table_as_text_and_html():
    trace = shape_trace(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()), (1, 1, 32, 32))
    lines = str(trace).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[3].split() == ["0", "Conv2d", "1", "×", "6", "×", "28", "×", "28", "156"]
    assert lines[-1].split() == ["sum", "156"]
    page = trace._repr_html_()
    assert page.startswith('<table class="cnn-table cnn-shapes">')
    assert "<td>1 × 6 × 28 × 28</td>" in page


def test_bad_input():
    with pytest.raises(ValueError, match=r"at least 1, batch first, got \(1, 0\)"):
        shape_trace(nn.ReLU(), (1, 0))

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(ValueError, match="returns tuple"):
        shape_trace(nn.Sequential(Pair()), (1, 1))
    assert torch.is_grad_enabled()
