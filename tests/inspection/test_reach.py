"""Receptive fields along any path, against published ones, chains followed by layer, and gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncourse.inspection import receptive_field
from cnncourse.inspection.reach import WHOLE, Reach, last_map_field
from cnncourse.layers import Conv2d
from cnncourse.models import build


@pytest.mark.parametrize(
    ("name", "size"),
    # Araujo, Norris & Sim (2019), the table of their section on modern networks, where the network is the same
    [("alexnet", 195), ("vgg16", 212), ("mobilenet_v1", 315), ("preact_resnet200", 1763)],
)
def test_published_fields(name, size):
    with torch.device("meta"):
        model = build(name)
    assert last_map_field(model, (1, 3, 224, 224)).size == size


@pytest.mark.parametrize(("name", "side"), [("lenet5", 32), ("plain20", 32), ("vgg13_bn", 224)])
def test_chains_are_as_followed_layer_by_layer(name, side):
    with torch.device("meta"):
        model = build(name)
    shape = (1, 1 if name == "lenet5" else 3, side, side)
    row = receptive_field(model, shape).rows[-1]
    field = last_map_field(model, shape)
    assert (field.size, field.jump) == (row.size, row.jump)
    assert field.first == row.centre - (row.size - 1) / 2


def test_shortcuts_see_no_more_than_the_branch():
    # plain and residual networks of a depth have the same field
    fields = set()
    for name in ("plain32", "resnet32"):
        with torch.device("meta"):
            fields.add(last_map_field(build(name), (1, 3, 32, 32)))
    assert len(fields) == 1


class Branches(nn.Module):
    """Two branches of different reach, joined, padded on one side, sub-sampled by a slice, and pooled."""

    def __init__(self):
        super().__init__()
        self.narrow = nn.Conv2d(1, 2, 1, stride=2)
        self.wide = nn.Conv2d(1, 2, 3, stride=2, padding=2, dilation=2)
        self.mix = nn.Conv2d(4, 1, (3, 3), padding=1)

    def forward(self, images):
        joined = torch.cat([self.narrow(images), self.wide(images)], dim=1)
        padded = functional.pad(self.mix(joined), (1, 0, 1, 0))
        thinned = padded[:, :, 1::2, ::2]
        return functional.max_pool2d(thinned, 2) + functional.avg_pool2d(thinned, 2)


def reached_rows(model, shape, unit):
    """Return the first and the last row of the image that a unit of the last map really depends on."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1.0)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).add_(1).requires_grad_(True)
    model.eval()(images)[0, 0, unit].sum().backward()
    rows = images.grad[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    return rows.min().item(), rows.max().item()


def test_the_gradient_reaches_exactly_the_field():
    model, shape, unit = Branches(), (1, 1, 64, 64), 3
    field = last_map_field(model, shape)
    assert field.jump == 8
    # The largest of a window sends its gradient to one pixel only; the mean beside it to all.
    assert reached_rows(model, shape, unit) == (8 * unit + field.first, 8 * unit + field.last)


def test_squeeze_and_excitation_lets_every_unit_see_everything():
    with torch.device("meta"):
        assert last_map_field(build("efficientnet_b0"), (1, 3, 224, 224)) == WHOLE
    assert WHOLE.size is None
    assert WHOLE.joined(Reach(0, 0, 1)) == WHOLE


def test_networks_without_maps_have_none():
    assert last_map_field(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (1, 3, 2, 2)) is None
    assert last_map_field(nn.Linear(4, 2), (3, 4)) is None


def test_windows_by_hand():
    # a 3 x 3 window with stride 2 and padding 1, then a 2 x 2 window
    first = Reach(0, 0, 1).through(3, 2, 1)
    assert first == Reach(-1, 1, 2)
    assert first.through(2, 2, 0) == Reach(-1, 3, 4)
    with pytest.raises(ValueError, match="one every 1 and one every 2 pixels"):
        Reach(0, 0, 1).joined(Reach(0, 0, 2))
    with pytest.raises(ValueError, match="at least 1"):
        last_map_field(nn.Conv2d(1, 1, 1), (1, 1, 0, 4))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.ConvTranspose2d(1, 1, 2, stride=2), "through a transposed convolution"),
        (nn.Upsample(scale_factor=2), "through upsample_nearest2d"),
        (Conv2d(1, 1, 3), "through as_strided"),  # the course's own: windows are a view of the same memory
    ],
)
def test_what_cannot_be_followed_is_refused(layer, words):
    with pytest.raises(ValueError, match=words):
        last_map_field(layer, (1, 1, 8, 8))
