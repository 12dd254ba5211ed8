"""One test per property, swept over the layers: gradients, types, memory formats, compilers.

A new layer is tested by being listed. That each layer computes what it should is tested in the file of its name.
"""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import (
    BatchNorm2d,
    BlurPool,
    ChannelShuffle,
    Conv2d,
    DropBlock,
    Dropout,
    GroupNorm,
    InvertedDropout,
    LayerNorm2d,
    LocalResponseNorm,
    MaxPool,
    MeanPool,
    PadShortcut,
    SameConv2d,
    SqueezeExcitation,
    StochasticDepth,
    shortcut,
)

SHAPES = {"odd": (3, 6, 5, 7), "even": (2, 6, 8, 6), "one image": (1, 6, 9, 4)}

LAYERS = {
    "conv": lambda: Conv2d(6, 4, 3, stride=2, padding=1, groups=2),
    "dilated conv": lambda: Conv2d(6, 6, (3, 2), dilation=2, padding=2, groups=3, bias=False),
    "same conv": lambda: SameConv2d(6, 4, 3, 2, groups=2),
    "max pool": lambda: MaxPool(3, 2, 1),
    "mean pool": lambda: MeanPool(2, 2),
    "blur pool": lambda: BlurPool(2, 3),
    "even blur pool": lambda: BlurPool(3, 4),
    "batch norm": lambda: BatchNorm2d(6),
    "batch norm without averages": lambda: BatchNorm2d(6, track_running_stats=False, affine=False),
    "group norm": lambda: GroupNorm(3, 6),
    "layer norm": lambda: LayerNorm2d(6),
    "local response": lambda: LocalResponseNorm(3, 1.0, 0.3),
    "channel shuffle": lambda: ChannelShuffle(3),
    "squeeze": lambda: SqueezeExcitation(6, 2),
    "shortcut A": lambda: PadShortcut(9, 2),
    "shortcut B": lambda: shortcut("B", 6, 8, 2),
    "dropout": lambda: Dropout(0.4),
    "inverted dropout": lambda: InvertedDropout(0.4),
    "drop block": lambda: DropBlock(0.3, 3),
    "stochastic depth": lambda: StochasticDepth(0.4),
}

USUAL_ORDER = {"conv", "dilated conv", "max pool", "mean pool", "channel shuffle", "shortcut A"}
"""Layers that write their output in the usual order of the axes whatever the input's is."""

DRAWING = {"dropout", "inverted dropout", "drop block", "stochastic depth"}
"""Layers that draw in training, in the order of the memory, as torch's do."""


@pytest.fixture(params=LAYERS)
def layer(request):
    """A layer in float64 with weights that are not its first ones, in training mode."""
    torch.manual_seed(0)
    made = LAYERS[request.param]().double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0.1, 0.5)
    made.listed_as = request.param
    return made


def drawn(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(layer, maps):
    """Return what a fresh copy of a layer gives, with the same draws each time."""
    torch.manual_seed(1)
    return copy.deepcopy(layer)(maps)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients_are_those_of_finite_differences(layer, shape, mode):
    layer.train(mode == "train")
    names, values = zip(*[("", drawn(shape)), *layer.named_parameters()], strict=True)
    inputs = [value.detach().clone().requires_grad_() for value in values]

    def function(maps, *parameters):
        torch.manual_seed(1)
        twin = copy.deepcopy(layer)
        given = dict(zip(names[1:], parameters, strict=True))
        return torch.func.functional_call(twin, given, (maps,))

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_memory_format_does_not_matter(layer, shape):
    maps, results = drawn(shape), []
    if layer.listed_as in DRAWING:
        layer.eval()
    for memory_format in (torch.contiguous_format, torch.channels_last):
        given = maps.clone(memory_format=memory_format).requires_grad_()
        out = run(layer.to(memory_format=memory_format), given)
        (out * drawn(out.shape, 2)).sum().backward()
        results.append((out.detach(), given.grad))
    assert_close(*results, rtol=1e-10, atol=1e-10)
    if layer.listed_as not in USUAL_ORDER:
        assert results[1][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.06)], ids=["float32", "bfloat16"]
)
def test_other_types_agree_within_their_digits(layer, dtype, tolerance):
    # exactly representable inputs and weights, so that only the layer's own roundings differ
    maps = drawn((4, 6, 6, 6)).to(dtype)
    rounded = copy.deepcopy(layer).to(dtype)
    exact = copy.deepcopy(rounded).double()
    if layer.listed_as in DRAWING:
        rounded, exact = rounded.eval(), exact.eval()
    out, expected = run(rounded, maps), run(exact, maps.double())
    assert out.dtype == dtype
    assert (out.double() - expected).abs().max() <= tolerance * expected.abs().max()


def test_it_leaves_its_input_alone(layer):
    maps = drawn((2, 6, 6, 6))
    before = maps.clone()
    run(layer, maps)
    assert torch.equal(maps, before)


def test_it_exports_and_gives_the_same(layer):
    maps = drawn((2, 6, 8, 6))
    layer.eval()
    with torch.no_grad():
        program = torch.export.export(layer, (maps,))
        assert_close(program.module()(maps), layer(maps), rtol=1e-10, atol=1e-10)


def test_it_runs_without_data(layer):
    expected = layer(drawn((2, 6, 8, 6))).shape
    assert layer.to("meta")(torch.empty(2, 6, 8, 6, dtype=torch.float64, device="meta")).shape == expected
