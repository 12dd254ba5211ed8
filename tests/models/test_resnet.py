import pytest
import torch

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.layers import StochasticDepth
from cnncourse.models import ResNet


def shapes(model, side, channels=3):
    return {row.name: row.shape[1:] for row in shape_trace(model, (1, channels, side, side))}


def test_shapes_are_those_beside_the_forward_pass():
    # He et al. (2016), table 1, column of 50 layers: 112, 56, 56, 28, 14, 7
    traced = shapes(ResNet(50), 224)
    assert traced["conv1"] == (64, 112, 112)
    assert traced["maxpool"] == (64, 56, 56)
    for stage, (blocks, channels, side) in enumerate(
        [(3, 256, 56), (4, 512, 28), (6, 1024, 14), (3, 2048, 7)], 1
    ):
        assert traced[f"layer{stage}.{blocks - 1}.bn3"] == (channels, side, side)
        assert f"layer{stage}.{blocks}.bn3" not in traced
    assert traced["avgpool"] == (2048, 1, 1)
    assert traced["fc"] == (1000,)


def test_small_stem_keeps_the_side():
    traced = shapes(ResNet(18, 10, small_stem=True), 32)
    assert traced["conv1"] == traced["layer1.1.bn2"] == (64, 32, 32)
    assert traced["layer4.1.bn2"] == (512, 4, 4)
    assert ResNet(18, small_stem=True)(torch.zeros(2, 3, 8, 8)).shape == (2, 1000)
    with pytest.raises(ValueError, match=r"ResNet-18 takes .* at least 8, got \(2, 3, 7, 8\)"):
        ResNet(18, small_stem=True)(torch.zeros(2, 3, 7, 8))


@pytest.mark.parametrize("depth", [18, 50])
def test_with_zero_gamma_every_block_starts_as_its_shortcut(depth):
    torch.manual_seed(0)
    model = ResNet(depth, 10, small_stem=True, zero_gamma=True).eval()
    x = torch.randn(2, 64 if depth == 18 else 256, 8, 8).relu()
    block = model.layer1[1]
    assert torch.equal(block(x), x)
    assert not torch.equal(ResNet(depth, 10).eval().layer1[1](x), x)


@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (50, 16)])
def test_stochastic_depth_grows_to_the_last_block(depth, blocks):
    with torch.device("meta"):
        model = ResNet(depth, depth_drop_prob=0.4)
        without = ResNet(depth)
    drops = [m.drop_prob for m in model.modules() if isinstance(m, StochasticDepth)]
    assert drops == pytest.approx([0.4 * block / blocks for block in range(1, blocks + 1)])
    assert not any(isinstance(m, StochasticDepth) for m in without.modules())
    assert model.state_dict().keys() == without.state_dict().keys()


@pytest.mark.parametrize("depth", [18, 50])
def test_stochastic_depth_leaves_out_branches_of_images(depth):
    torch.manual_seed(0)
    block = ResNet(depth, 10, small_stem=True, depth_drop_prob=0.9).layer4[-1].train()
    x = torch.randn(32, 512 if depth == 18 else 2048, 2, 2)
    left_out = (block(x) == x.relu()).flatten(1).all(1)
    assert 16 < left_out.sum() < 32
    full = ResNet(depth, 10, small_stem=True).layer4[-1]
    full.load_state_dict(block.state_dict())
    assert torch.equal(block.eval()(x), full.eval()(x))


def test_shortcut_options_of_table_3():
    # ResNet-34: A has no parameters, B projects three times, C at all 16 blocks (1 x 1 weights, gamma and beta)
    counts = {option: count_parameters(ResNet(34, shortcut=option)) for option in "ABC"}
    projections = sum(a * b + 2 * b for a, b in [(64, 128), (128, 256), (256, 512)])
    assert counts["B"] - counts["A"] == projections
    rest = sum(n * (c * c + 2 * c) for n, c in [(3, 64), (3, 128), (5, 256), (2, 512)])
    assert counts["C"] - counts["B"] == rest


def test_where_the_stride_is():
    strides = {
        where: (model.layer2[0].conv1.stride, model.layer2[0].conv2.stride)
        for where, model in [("1x1", ResNet(50, stride_in_1x1=True)), ("3x3", ResNet(50))]
    }
    assert strides == {"1x1": ((2, 2), (1, 1)), "3x3": ((1, 1), (2, 2))}


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"one of \[18, 34, 50, 101, 152\] \(table 1\), got depth=19"):
        ResNet(19)
    with pytest.raises(ValueError, match=r"only bottlenecks .*depth=18 with groups=32"):
        ResNet(18, groups=32)
    with pytest.raises(ValueError, match="groups=0 and group_width=64"):
        ResNet(50, groups=0)
    with pytest.raises(ValueError, match=r"got depth_drop_prob=1\.5"):
        ResNet(50, depth_drop_prob=1.5)
    with pytest.raises(ValueError, match=r"got 'D'"):
        ResNet(18, shortcut="D")
