import os
from pathlib import Path

import pytest
import torch

from cnncourse.inspection import count_multiply_adds, count_parameters, shape_trace
from cnncourse.models import CifarResNet, build, find

SHARED = Path(os.environ.get("CNNCOURSE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_shapes_are_those_beside_the_forward_pass():
    traced = {row.name: row.shape for row in shape_trace(CifarResNet(20), (7, 3, 32, 32))}
    assert traced["conv1"] == traced["layer1.2.bn2"] == (7, 16, 32, 32)
    assert traced["layer2.2.bn2"] == (7, 32, 16, 16)
    assert traced["layer3.2.bn2"] == (7, 64, 8, 8)
    assert traced["avgpool"] == (7, 64, 1, 1)
    assert traced["fc"] == (7, 10)


@pytest.mark.parametrize("n", [1, 2, 3, 18])
def test_counts_by_hand(n):
    # n blocks of two 3 x 3 convolutions a stage, gamma and beta behind each, one layer in front, one behind
    convolutions = 3 * 16 + 2 * n * (16**2 + 32**2 + 64**2) - (32**2 - 16 * 32) - (64**2 - 32 * 64)
    norms = 2 * (16 + 2 * n * (16 + 32 + 64))
    model = CifarResNet(6 * n + 2)
    assert count_parameters(model) == 9 * convolutions + norms + 650
    pixels = {16: 32**2, 32: 16**2, 64: 8**2}
    products = 9 * (3 * 16 * pixels[16] + sum(2 * n * c * c * p for c, p in pixels.items()))
    products -= 9 * ((32**2 - 16 * 32) * pixels[32] + (64**2 - 32 * 64) * pixels[64])
    assert count_multiply_adds(model, (1, 3, 32, 32)) == products + 640


def test_the_plain_twin_is_the_same_without_the_sum():
    torch.manual_seed(0)
    residual, plain = CifarResNet(20).eval(), CifarResNet(20, residual=False).eval()
    plain.load_state_dict(residual.state_dict())  # the same names, nothing missing
    block, twin = residual.layer2[0], plain.layer2[0]
    x = torch.randn(2, 16, 8, 8)
    branch = twin.bn2(twin.conv2(twin.relu(twin.bn1(twin.conv1(x)))))
    assert torch.equal(twin(x), branch.relu())
    shortcut = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
    torch.testing.assert_close(block(x), (branch + shortcut).relu())


def test_shortcut_options():
    # B: two projections (1 x 1 weights, gamma and beta); C: one at each of the nine blocks
    a, b, c = (count_parameters(CifarResNet(20, shortcut=option)) for option in "ABC")
    assert b - a == 16 * 32 + 64 + 32 * 64 + 128
    assert c - b == 3 * (16 * 16 + 32) + 2 * (32 * 32 + 64) + 2 * (64 * 64 + 128)


def test_with_zero_gamma_every_block_starts_as_its_shortcut():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8).relu()
    for training in (False, True):
        started = CifarResNet(20, zero_gamma=True).train(training)
        assert torch.equal(started.layer1(x), x)
        padded = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        assert torch.equal(started.layer2(x), padded)  # the next blocks add nothing to it
        assert not torch.equal(CifarResNet(20).train(training).layer1(x), x)
    names = {name for name, p in started.named_parameters() if name.endswith("bn2.weight") and not p.any()}
    assert names == {f"layer{stage}.{block}.bn2.weight" for stage in (1, 2, 3) for block in (0, 1, 2)}


def test_stochastic_depth_grows_to_the_last_block():
    # Huang et al. (2016), equation 4, with the paper's 0.5 at the last of 54 blocks
    model = CifarResNet(110, depth_drop_prob=0.5)
    blocks = [block for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    assert [b.stochastic_depth.drop_prob for b in blocks] == pytest.approx([n / 108 for n in range(1, 55)])
    assert all(b.stochastic_depth is None for b in CifarResNet(20).layer3)


def test_stochastic_depth_leaves_out_branches_of_images():
    torch.manual_seed(0)
    block = CifarResNet(8, depth_drop_prob=0.6).layer1[0].train()
    x = torch.randn(64, 16, 4, 4)
    assert block.stochastic_depth.drop_prob == pytest.approx(0.2)
    branch = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    out = block(x)
    left_out = (out == x.relu()).flatten(1).all(1)
    assert 0 < left_out.sum() < 32
    torch.testing.assert_close(out[~left_out], (x + branch / 0.8).relu()[~left_out])
    block.eval()
    branch = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (x + branch).relu())


def test_a_plain_network_has_no_branch_to_do_without():
    with pytest.raises(
        ValueError, match=r"residual=False with zero_gamma=True and depth_drop_prob=0\.0; leave"
    ):
        CifarResNet(20, residual=False, zero_gamma=True)
    with pytest.raises(ValueError, match=r"zero_gamma=False and depth_drop_prob=0\.5"):
        CifarResNet(20, residual=False, depth_drop_prob=0.5)
    with pytest.raises(ValueError, match=r"depth_drop_prob must lie in \[0, 1\), got depth_drop_prob=1"):
        CifarResNet(20, depth_drop_prob=1)


@pytest.mark.parametrize("n", [1, 3, 9])
@pytest.mark.parametrize("residual", [True, False])
def test_without_batch_norm_each_convolution_has_a_bias_instead(n, residual):
    # gamma and beta were two numbers a filter, a bias is one
    filters = 16 + 2 * n * (16 + 32 + 64)
    model = CifarResNet(6 * n + 2, residual=residual, batch_norm=False)
    assert count_parameters(CifarResNet(6 * n + 2)) - count_parameters(model) == filters
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    block = model.layer1[0]
    branch = block.conv2(block.conv1(x).relu())
    torch.testing.assert_close(block(x), (branch + x).relu() if residual else branch.relu())


@pytest.mark.parametrize(("width", "filters"), [(0.5, (8, 16, 32)), (1, (16, 32, 64)), (1.25, (20, 40, 80))])
def test_width_is_a_factor_of_the_filters(width, filters):
    a, b, c = filters
    model = CifarResNet(14, width=width)
    assert [stage[0].conv1.out_channels for stage in (model.layer1, model.layer2, model.layer3)] == [a, b, c]
    convolutions = 3 * a + 4 * a * a + (a * b + 3 * b * b) + (b * c + 3 * c * c)
    assert count_parameters(model) == 9 * convolutions + 2 * (a + 4 * (a + b + c)) + 10 * c + 10
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize(("width", "near"), [(0.3, "0.3125"), (0.0, "0.0625"), (-1.0, "0.0625")])
def test_a_part_of_a_filter_is_refused(width, near):
    with pytest.raises(ValueError, match=rf"whole number of filters, got width={width}; try {near}"):
        CifarResNet(20, width=width)


@pytest.mark.parametrize("wanted", [{"zero_gamma": True}, {"shortcut": "B"}])
def test_without_batch_norm_there_is_no_gamma(wanted):
    with pytest.raises(ValueError, match="no gamma to start at zero, nor a normalised projection"):
        CifarResNet(20, batch_norm=False, **wanted)


@pytest.mark.parametrize(("depth", "nearest"), [(19, "14 and 20"), (21, "20 and 26"), (1000, "998 and 1004")])
def test_other_depths_are_refused_with_the_nearest(depth, nearest):
    with pytest.raises(ValueError, match=rf"6n \+ 2 .*depth={depth}; the nearest depths are {nearest}"):
        CifarResNet(depth)


def test_too_shallow_and_too_small():
    with pytest.raises(ValueError, match="depth=2; the smallest depth is 8"):
        CifarResNet(2)
    with pytest.raises(ValueError, match=r"plain-20 takes .* at least 4, got \(1, 3, 3, 3\)"):
        CifarResNet(20, residual=False)(torch.zeros(1, 3, 3, 3))


@pytest.mark.parametrize(("depth", "right"), [(20, 915), (32, 928), (44, 933), (56, 926)])
def test_public_weights_reach_their_accuracy(depth, right):
    folder = SHARED / "weights"
    if not folder.is_dir():
        pytest.skip("the public CIFAR-10 weights are not on this machine; tests do not download")
    import numpy as np
    from PIL import Image

    with Image.open(SHARED / "cifar10" / "test_00000.png") as sprite:
        pixels = np.asarray(sprite.convert("RGB")).reshape(-1, 32, 32, 3)
    with np.load(SHARED / "cifar10" / "test_jpeg.npz") as packed:
        targets = torch.from_numpy(packed["labels"][:1000].astype(np.int64))
    (file,) = folder.glob(f"resnet{depth}-*.th")
    entry = find(f"resnet{depth}")
    assert entry.weights.source.endswith(file.name)
    model = build(entry.name, weights=file).eval()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (entry.preprocessing.mean, entry.preprocessing.std))
    images = (torch.tensor(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        found = torch.cat([model(part).argmax(1) for part in images.split(250)])
    assert abs((found == targets).sum().item() - right) <= 1  # one image may tip on another machine
