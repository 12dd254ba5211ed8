"""Times by layer: their order, their sums, and a layer that sleeps; no clock is judged."""

import json
import time

import pytest
import torch
from torch import nn

from cnncourse.inspection import layer_times


class Sleeps(nn.Module):
    def forward(self, x):
        time.sleep(0.05)
        return x


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.slow, self.norm = nn.Linear(3, 3), Sleeps(), nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(self.slow(self.lin(self.lin(x))))


def test_the_layer_that_sleeps_takes_the_time():
    times = layer_times(Twice(), torch.randn(2, 3), repeats=3)
    assert [(row.name, row.call) for row in times] == [
        ("lin", 1), ("lin", 2), ("slow", 1), ("norm", 1), ("(outside layers)", 1),
    ]  # fmt: skip
    assert max(times, key=lambda row: row.seconds).name == "slow"
    assert times["slow"].seconds >= 0.05
    assert times.total_seconds >= 0.05
    assert all(row.seconds > 0 for row in times.rows[:-1])
    assert sum(row.share for row in times) == pytest.approx(1)
    assert times.sum_seconds == pytest.approx(sum(times.column("seconds")))
    assert (times.repeats, times.images) == (3, 2)


def test_one_image_once_and_nothing_is_changed():
    model = Twice().train()
    model.norm.eval()
    modes = [module.training for module in model.modules()]
    times = layer_times(model, torch.randn(1, 3), repeats=1)
    assert len(times) == 5
    assert [module.training for module in model.modules()] == modes
    assert model.norm.num_batches_tracked == 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.raises(RuntimeError):
        layer_times(model, torch.randn(1, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_larger_parts_can_be_timed():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), Sleeps()), nn.Linear(3, 2))
    times = layer_times(model, torch.randn(2, 3), 1, layers=["0", "1"])
    assert times.column("name") == ["0", "1", "(outside layers)"]
    assert times["0"].seconds > times["1"].seconds
    with pytest.raises(ValueError, match=r"must not lie inside each other, got 0.1 inside 0"):
        layer_times(model, torch.randn(2, 3), 1, layers=["0", "0.1"])


def test_tables():
    times = layer_times(Twice(), torch.randn(2, 3), 1)
    assert str(times).splitlines()[-1].startswith("whole pass")
    assert 'class="cnn-table cnn-times"' in times._repr_html_()
    plain = json.loads(json.dumps(times.to_dict()))
    assert [row["name"] for row in plain["rows"]] == times.column("name")
    assert plain["total_seconds"] == times.total_seconds


def test_bad_input():
    with pytest.raises(ValueError, match="at least 1, got repeats=0"):
        layer_times(Twice(), torch.randn(2, 3), 0)
    with pytest.raises(ValueError, match=r"at least one image, got shape \(0, 3\)"):
        layer_times(Twice(), torch.zeros(0, 3))

    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.never = nn.Linear(1, 1)

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match="no layer of Functions took part"):
        layer_times(Functions(), torch.zeros(1, 3))
