"""Three ways to convolve, against torch's: values and gradients, over sizes, strides, groups and dilations."""

import copy
import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.inspection import layer_costs, receptive_field
from cnncourse.layers import (
    Conv2d,
    conv1d_loops,
    conv2d_im2col,
    conv2d_input_gradient,
    conv2d_loops,
    conv2d_toeplitz,
    conv2d_weight_gradient,
    conv_output_size,
)

# The package's name "im2col" is the function; this is the module.
columns_module = importlib.import_module("cnncourse.layers.im2col")

WAYS = {"loops": conv2d_loops, "toeplitz": conv2d_toeplitz, "im2col": conv2d_im2col}
each_way = pytest.mark.parametrize("convolve", WAYS.values(), ids=WAYS)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@each_way
def test_the_worked_example(convolve):
    x = torch.tensor([[1.0, 2, 2, -2], [1, 0, 2, 4], [2, -1, -1, 3], [0, 0, -3, -2]]).view(1, 1, 4, 4)
    w = torch.tensor([[1.0, 0, 3], [2, -1, -1], [0, 1, -3]]).view(1, 1, 3, 3)
    # top left: 1·1 + 0·2 + 3·2 + 2·1 - 1·0 - 1·2 + 0·2 + 1·(-1) - 3·(-1) = 9
    assert convolve(x, w).tolist() == [[[[9, -20], [22, 11]]]]
    assert convolve(x, w, torch.tensor([0.5])).tolist() == [[[[9.5, -19.5], [22.5, 11.5]]]]


@given(
    size=st.integers(1, 20),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 5),
    padding=st.integers(0, 6),
    dilation=st.integers(1, 4),
)
def test_the_output_size_counts_the_windows(size, kernel, stride, padding, dilation):
    # A window that starts at `first` and reads `kernel` pixels must lie between -padding and size + padding.
    starts = range(-padding, size + padding, stride)
    windows = sum(first + dilation * (kernel - 1) <= size + padding - 1 for first in starts)
    if windows == 0:
        with pytest.raises(ValueError, match="a window must fit into the padded image"):
            conv_output_size(size, kernel, stride, padding, dilation)
    else:
        assert conv_output_size(size, kernel, stride, padding, dilation) == windows
        meta = torch.empty(1, 1, size, device="meta")
        weight = torch.empty(1, 1, kernel, device="meta")
        theirs = functional.conv1d(meta, weight, stride=stride, padding=padding, dilation=dilation)
        assert theirs.shape[2] == windows


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ((6, 3, 1, 1), 6),
        ((7, 3, 2), 3),
        ((7, 3), 5),
        ((227, 11, 4), 55),
        ((224, 7, 2, 3), 112),
        ((5, 3, 1, 0, 2), 1),
    ],
)
def test_output_sizes_by_hand(arguments, output):
    assert conv_output_size(*arguments) == output


@st.composite
def convolutions(draw):
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in "yx") for _ in range(3))
    padding = tuple(draw(st.integers(0, 2)) for _ in "yx")
    groups = draw(st.integers(1, 3))
    in_channels, out_channels = (groups * draw(st.integers(1, 2)) for _ in "io")
    # Enough pixels for one window, and up to three more, so that strides leave a rest.
    size = [
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    seed = draw(st.integers(0, 2**20))
    images = random(draw(st.integers(1, 2)), in_channels, *size, seed=seed)
    if draw(st.booleans()):
        images = images.contiguous(memory_format=torch.channels_last)
    weight = random(out_channels, in_channels // groups, *kernel, seed=seed + 1)
    bias = random(out_channels, seed=seed + 2) if draw(st.booleans()) else None
    setting = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return images, weight, bias, setting


def value_and_gradients(convolve, images, weight, bias, setting):
    inputs = [
        None if tensor is None else tensor.detach().clone().requires_grad_(True)
        for tensor in (images, weight, bias)
    ]
    output = convolve(*inputs, **setting)
    # Another weight for each output, so that a gradient which lands in the wrong place is seen.
    (output * torch.arange(1, output.numel() + 1, dtype=output.dtype).view_as(output)).sum().backward()
    return [output.detach(), *(tensor.grad for tensor in inputs if tensor is not None)]


@each_way
@settings(max_examples=40)
@given(case=convolutions())
def test_value_and_gradients_are_torchs(convolve, case):
    expected = value_and_gradients(functional.conv2d, *case[:3], case[3])
    ours = value_and_gradients(convolve, *case[:3], case[3])
    for mine, theirs in zip(ours, expected, strict=True):
        assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


@each_way
@pytest.mark.parametrize(
    "setting",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": (2, 0)}, {"groups": 2, "stride": (1, 3)}],
    ids=str,
)
def test_gradcheck(convolve, setting):
    images = random(2, 2, 5, 4, seed=1).requires_grad_(True)
    kernel = (2, 2) if setting.get("dilation") == 2 else (3, 2)
    weight = random(4, 2 // setting.get("groups", 1), *kernel, seed=2).requires_grad_(True)
    bias = random(4, seed=3).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda *inputs: convolve(*inputs, **setting), (images, weight, bias))


@settings(max_examples=60)
@given(case=convolutions())
def test_the_gradients_written_out_are_torchs(case):
    images, weight, _, setting = case
    gradient = random(*functional.conv2d(images, weight, **setting).shape, seed=7)
    assert_close(
        conv2d_input_gradient(gradient, weight, *images.shape[2:], **setting),
        nn.grad.conv2d_input(images.shape, weight, gradient, **setting),
    )
    assert_close(
        conv2d_weight_gradient(images, gradient, tuple(weight.shape[2:]), **setting),
        nn.grad.conv2d_weight(images, weight.shape, gradient, **setting),
    )


def test_the_input_gradient_by_hand():
    # Two windows of the kernel (1 2 3) on four pixels, output gradient (10 1):
    # 10 · (1 2 3 0) + 1 · (0 1 2 3) = (10 21 32 3)
    weight = torch.tensor([1.0, 2, 3]).view(1, 1, 1, 3)
    gradient = torch.tensor([10.0, 1]).view(1, 1, 1, 2)
    assert conv2d_input_gradient(gradient, weight, 1, 4).flatten().tolist() == [10, 21, 32, 3]
    # and with pixels (1 2 3 4) the weights' gradient is 10 · (1 2 3) + 1 · (2 3 4)
    images = torch.tensor([1.0, 2, 3, 4]).view(1, 1, 1, 4)
    assert conv2d_weight_gradient(images, gradient, (1, 3)).flatten().tolist() == [12, 23, 34]


@settings(max_examples=25)
@given(case=convolutions())
def test_one_dimension_is_torchs(case):
    images, weight, bias, setting = case
    along = {name: value if isinstance(value, int) else value[1] for name, value in setting.items()}
    signals, kernel = images[:, :, 0], weight[:, :, 0]
    assert_close(
        conv1d_loops(signals, kernel, bias, **along), functional.conv1d(signals, kernel, bias, **along)
    )


@pytest.mark.parametrize("bytes_of_buffer", [1, 1000, 4000, 10**9])
def test_the_size_of_the_buffer_changes_nothing(monkeypatch, bytes_of_buffer):
    monkeypatch.setattr(columns_module, "BUFFER_BYTES", bytes_of_buffer)
    setting = {"stride": (2, 1), "padding": 1, "dilation": 1, "groups": 2}
    case = random(5, 4, 9, 8, seed=1), random(6, 2, 3, 3, seed=2), random(6, seed=3), setting
    expected = value_and_gradients(functional.conv2d, *case)
    for mine, theirs in zip(value_and_gradients(conv2d_im2col, *case), expected, strict=True):
        assert_close(mine, theirs)


def test_the_blocks_cover_each_row_once():
    for images, rows, row_bytes in [(7, 5, 2**18), (3, 40, 2**20), (2, 3, 2**30), (1, 1, 1), (64, 32, 73728)]:
        covered = torch.zeros(images, rows)
        for some, strip in columns_module._blocks(images, rows, row_bytes):
            covered[some, strip] += 1
            count = covered[some, strip].numel()
            assert count == 1 or count * row_bytes <= columns_module.BUFFER_BYTES
        assert torch.equal(covered, torch.ones(images, rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_types_are_as_close_to_the_truth_as_torchs(dtype):
    images, weight = random(4, 6, 11, 9, seed=1, dtype=dtype), random(8, 3, 3, 3, seed=2, dtype=dtype)
    setting = {"stride": 2, "padding": 1, "groups": 2}
    truth = value_and_gradients(functional.conv2d, images.double(), weight.double(), None, setting)
    ours = value_and_gradients(conv2d_im2col, images, weight, None, setting)
    for mine, exact in zip(ours, truth, strict=True):
        assert mine.dtype == dtype
        scale = exact.abs().max()
        assert ((mine.double() - exact).abs().max() / scale) < 4 * torch.finfo(dtype).eps


def test_no_images_and_no_gradient_asked_for():
    assert conv2d_im2col(torch.zeros(0, 3, 8, 8), torch.zeros(4, 3, 3, 3)).shape == (0, 4, 6, 6)
    images, weight = random(1, 2, 4, 4), random(2, 2, 3, 3).requires_grad_(True)
    conv2d_im2col(images, weight).sum().backward()
    assert images.grad is None
    assert weight.grad.shape == weight.shape


def test_the_layer_takes_the_weights_of_torchs():
    theirs = nn.Conv2d(6, 9, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=3).double()
    ours = Conv2d(6, 9, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=3).double()
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    images = random(2, 6, 7, 9)
    assert_close(ours(images), theirs(images))
    theirs.load_state_dict(ours.state_dict())
    assert_close(copy.deepcopy(ours)(images), theirs(images))
    assert list(Conv2d(3, 4, 5, bias=False).state_dict()) == ["weight"]
    for name in ("kernel_size", "stride", "padding", "dilation", "groups", "in_channels", "out_channels"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert "kernel_size=(3, 2), stride=(2, 2), padding=(1, 0)" in repr(ours)


def test_the_layer_in_channels_last():
    theirs, ours = (kind(4, 6, 3, padding=1, groups=2).double() for kind in (nn.Conv2d, Conv2d))
    ours.load_state_dict(theirs.state_dict())
    ours.to(memory_format=torch.channels_last)
    images = random(2, 4, 5, 7).contiguous(memory_format=torch.channels_last)
    found = value_and_gradients(
        lambda x, w, b: functional.conv2d(x, w, b, padding=1, groups=2),
        images,
        theirs.weight,
        theirs.bias,
        {},
    )
    images.requires_grad_(True)
    output = ours(images)
    (output * torch.arange(1, output.numel() + 1).view_as(output)).sum().backward()
    for mine, other in zip([output, images.grad, ours.weight.grad, ours.bias.grad], found, strict=True):
        assert_close(mine, other)


def test_the_layer_is_counted_as_torchs():
    theirs, ours = (
        nn.Sequential(kind(3, 8, 3, padding=1, stride=2), nn.ReLU(), kind(8, 8, 5, groups=2))
        for kind in (nn.Conv2d, Conv2d)
    )
    shape = (2, 3, 64, 48)
    assert layer_costs(ours, shape).multiply_adds == layer_costs(theirs, shape).multiply_adds
    assert str(receptive_field(ours, shape)) == str(receptive_field(theirs, shape))


def test_the_initial_weights_are_drawn_as_torchs():
    ours, theirs = Conv2d(8, 64, 3), nn.Conv2d(8, 64, 3)
    bound = 1 / 72**0.5
    for mine, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert mine.abs().max() <= bound
        assert other.abs().max() <= bound  # a bound of torch's, not only of ours
        assert mine.abs().max() > 0.9 * bound
    first, second = (Conv2d(3, 4, 3, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_a_network_of_our_layers_learns():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(32, 1, 8, 8, generator=generator)
    targets = (images[:, 0, 2:6, 2:6].mean((1, 2)) > images.mean((1, 2, 3))).long()
    network = nn.Sequential(
        Conv2d(1, 8, 3, padding=1, generator=generator),
        nn.ReLU(),
        Conv2d(8, 2, 3, stride=2, generator=generator),
    )
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3, momentum=0.9)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(images).mean((2, 3)), targets)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@each_way
def test_bad_input(convolve):
    images, weight = random(2, 4, 5, 5), random(6, 4, 3, 3)
    with pytest.raises(ValueError, match=r"span of 5 pixels \(kernel=3, dilation=2\) and 4 pixels"):
        convolve(images[:, :, :4], weight, dilation=2)
    with pytest.raises(ValueError, match="groups=3 with 4 channels read and 6 given"):
        convolve(images, weight, groups=3)
    with pytest.raises(ValueError, match="groups=0"):
        convolve(images, weight, groups=0)
    with pytest.raises(ValueError, match=r"with groups=2 read 8 channels, got images of shape .* with 4"):
        convolve(images, weight, groups=2)
    with pytest.raises(ValueError, match="read 4 channels, got images"):
        convolve(images[:, :3], weight)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\) and weights"):
        convolve(images[0], weight)
    with pytest.raises(ValueError, match=r"bias must have shape \(6,\), got \(4,\)"):
        convolve(images, weight, torch.zeros(4).double())
    with pytest.raises(ValueError, match=r"torch.float32, torch.float64; convert with .to"):
        convolve(images, weight.float())
    with pytest.raises(ValueError, match="stride=\\(0, 0\\)"):
        convolve(images, weight, stride=0)
    with pytest.raises(ValueError, match="padding=\\(-1, 0\\)"):
        convolve(images, weight, padding=(-1, 0))


def test_bad_input_elsewhere():
    with pytest.raises(ValueError, match=r"at least 1 and padding at least 0, got size=0"):
        conv_output_size(0, 1)
    with pytest.raises(ValueError, match="pad more or choose a smaller kernel"):
        conv_output_size(4, 7, padding=1)
    with pytest.raises(ValueError, match=r"\(N, C, L\) and weights"):
        conv1d_loops(torch.zeros(2, 5), torch.zeros(1, 1, 3))
    with pytest.raises(ValueError, match="groups=2 with in_channels=3"):
        Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match=r"kernel=\(0, 0\)"):
        Conv2d(3, 4, 0)
    weight = torch.zeros(4, 3, 3, 3)
    with pytest.raises(ValueError, match=r"= \(2, 4, 6, 6\), got \(2, 4, 5, 5\)"):
        conv2d_input_gradient(torch.zeros(2, 4, 5, 5), weight, 8, 8)
    with pytest.raises(ValueError, match="groups=3 with 4"):
        conv2d_input_gradient(torch.zeros(2, 4, 6, 6), weight, 8, 8, groups=3)
    with pytest.raises(ValueError, match=r"= \(2, 4, 6, 6\), got \(1, 4, 6, 6\)"):
        conv2d_weight_gradient(torch.zeros(2, 3, 8, 8), torch.zeros(1, 4, 6, 6), 3)
    with pytest.raises(ValueError, match="groups=2 with 3"):
        conv2d_weight_gradient(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 6, 6), 3, groups=2)


def test_a_second_derivative_is_refused():
    images = random(1, 1, 3, 3).requires_grad_(True)
    weight = random(1, 1, 2, 2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(conv2d_im2col(images, weight).square().sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
