import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import SameConv2d
from cnncourse.training.fold_pairs import Pair, foldable_pairs
from cnncourse.training.inference import inference_copy


def randomise(model):
    """Give batch norms statistics and factors as after training, so that leaving one out is seen."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    return model.eval()


def norms(model):
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class Net(nn.Module):
    """One convolution, one batch norm, and a way to use them."""

    def __init__(self, use, conv=None, norm=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False) if conv is None else conv
        self.norm = nn.BatchNorm2d(3) if norm is None else norm
        self.use = use
        randomise(self)

    def forward(self, images):
        return self.use(self, images).mean((2, 3))


USES = {
    "one after the other": (lambda net, x: net.norm(net.conv(x)), 1),
    "activation after": (lambda net, x: net.norm(net.conv(x)).relu_(), 1),
    "shape looked at": (lambda net, x: net.norm(y := net.conv(x))[: y.shape[0]], 1),
    "read twice": (lambda net, x: (y := net.conv(x)) + net.norm(y), 0),
    "read before": (lambda net, x: (y := net.conv(x)).relu() + net.norm(y), 0),
    "changed in place": (lambda net, x: net.norm(net.conv(x).relu_()), 0),
    "activation between": (lambda net, x: net.norm(net.conv(x).relu()), 0),
    "norm first": (lambda net, x: net.conv(net.norm(x)), 0),
    "convolution twice": (lambda net, x: net.conv(net.norm(net.conv(x))), 0),
    "norm twice": (lambda net, x: net.norm(net.norm(net.conv(x))), 0),
    "a part of it": (lambda net, x: net.norm(net.conv(x)[:, :, 1:]), 0),
    "no norm": (lambda net, x: net.conv(x), 0),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("error")
def test_only_a_norm_that_alone_reads_a_convolution_is_folded(use):
    torch.manual_seed(0)
    forward, folded = USES[use]
    model, images = Net(forward), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images, precision="fp32")
    assert ready.folded == ((Pair("conv", "norm"),) if folded else ())
    assert_close(ready(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("conv", "folded"),
    [
        (nn.Conv2d(3, 6, 3, bias=True), True),
        (nn.Conv2d(3, 6, 3, stride=2, padding=2, dilation=2, groups=3), True),
        (nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), True),
        (SameConv2d(3, 6, 3, stride=2), True),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3)), False),
        (
            type("Doubled", (nn.Conv2d,), {"forward": lambda s, x: 2 * nn.Conv2d.forward(s, x)})(3, 6, 3),
            False,
        ),
        (nn.ConvTranspose2d(3, 6, 3), False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_only_plain_convolutions_are_folded(conv, folded):
    torch.manual_seed(0)
    model, images = Net(USES["one after the other"][0], conv, nn.BatchNorm2d(6)), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images, precision="fp32")
    assert len(ready.folded) == folded
    assert_close(ready(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{"track_running_stats": False}, {"affine": False}, {"momentum": None}])
def test_norms_without_statistics_stay_and_others_need_no_factors(settings):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, **settings)
    if norm.running_mean is not None:
        norm.running_mean.normal_()
    model = Net(USES["one after the other"][0], norm=nn.Identity())
    model.norm, images = norm.eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images, precision="fp32")
    assert len(ready.folded) == (norm.running_mean is not None)
    assert_close(ready(images), expected, rtol=1e-5, atol=1e-5)


def test_a_layer_somebody_hooked_into_is_left_alone():
    model, images = Net(USES["one after the other"][0]), torch.randn(1, 3, 8, 8)
    model.norm.register_forward_hook(lambda _m, _i, out: out + 1)
    ready = inference_copy(model, images, precision="fp32")
    assert ready.folded == ()
    assert_close(ready(images), model(images).detach())


def test_fully_connected_layers_are_folded_where_channels_are_their_axis():
    torch.manual_seed(0)
    flat = randomise(nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU()))
    images = torch.randn(4, 3, 2, 2)
    ready = inference_copy(flat, images, precision="fp32")
    assert ready.folded == (Pair("1", "2"),)
    assert_close(ready(images), flat(images).detach(), rtol=1e-5, atol=1e-6)
    # After (N, L, C) -> (N, L, 3) the norm's channels are the L = 3 positions, not the 3 numbers.
    rows = randomise(nn.Sequential(nn.Flatten(2), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Flatten()))
    ready = inference_copy(rows, images, precision="fp32")
    assert ready.folded == ()
    assert_close(ready(images), rows(images).detach())


def test_one_layer_under_two_names_is_folded_under_both():
    torch.manual_seed(0)
    model = Net(lambda net, x: net.alias[1](net.conv(x)))
    model.alias = nn.Sequential(model.conv, model.norm)
    images = torch.randn(1, 3, 8, 8)
    ready = inference_copy(model, images, precision="fp32")
    assert norms(ready) == 0
    assert ready.network.alias[0] is ready.network.conv
    assert_close(ready(images), model(images).detach(), rtol=1e-5, atol=1e-5)


def test_no_hook_is_left_when_the_forward_fails():
    model = Net(lambda net, x: net.norm(net.conv(x)).view(7))
    with pytest.raises(RuntimeError, match="shape"):
        inference_copy(model, torch.randn(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match="shape"):
        foldable_pairs(model, torch.randn(1, 3, 8, 8))
    assert hooks(model) == 0
    model.use = USES["one after the other"][0]
    assert foldable_pairs(model, torch.randn(1, 3, 8, 8)) == [Pair("conv", "norm")]
    assert hooks(model) == 0
