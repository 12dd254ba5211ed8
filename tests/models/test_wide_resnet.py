import pytest
import torch
from torch import nn

from cnncourse.inspection import count_multiply_adds, count_parameters, shape_trace
from cnncourse.models import WideResNet, build
from cnncourse.models.wide_resnet import WideBlock


def on_meta(*arguments, **options):
    with torch.device("meta"):
        return WideResNet(*arguments, **options)


@pytest.mark.parametrize(("depth", "width", "blocks"), [(28, 10, 4), (16, 8, 2), (40, 4, 6)])
def test_shapes_are_those_of_table_1(depth, width, blocks):
    traced = {row.name: row.shape for row in shape_trace(on_meta(depth, width), (5, 3, 32, 32))}
    assert traced["conv1"] == (5, 16, 32, 32)
    for group, channels, side in [("conv2", 16, 32), ("conv3", 32, 16), ("conv4", 64, 8)]:
        assert traced[f"{group}.{blocks - 1}.conv2"] == (5, channels * width, side, side)
        assert f"{group}.{blocks}.conv2" not in traced
    assert traced["avgpool"] == (5, 64 * width, 1, 1)
    assert traced["fc"] == (5, 10)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 3), (2, 8)])
def test_counts_by_hand(n, k):
    weights, norms, products, read = 27 * 16, 0, 27 * 16 * 32**2, 16
    for channels, side in [(16, 32), (32, 16), (64, 8)]:
        for block in range(n):
            out = channels * k
            layer = 9 * (read * out + out * out) + (read * out if read != out and block == 0 else 0)
            weights, products, norms, read = (
                weights + layer,
                products + layer * side**2,
                norms + read + out,
                out,
            )
    model = on_meta(6 * n + 4, k)
    assert count_parameters(model) == weights + 2 * (norms + read) + 10 * read + 10
    assert count_multiply_adds(model, (1, 3, 32, 32)) == products + 10 * read


def test_depth_is_the_number_of_convolutions():
    # Zagoruyko & Komodakis (2016), section 2.3: n convolutions, the three projections among them
    for depth in (16, 28, 40):
        assert sum(isinstance(m, nn.Conv2d) for m in on_meta(depth, 2).modules()) == depth


def test_a_projection_reads_the_activated_input_an_identity_the_input():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 6, 6)
    for out, stride in [(32, 2), (32, 1), (16, 1)]:
        block = WideBlock(16, out, stride, 0.0, 0.0).eval()
        active = block.bn1(x).relu()
        branch = block.conv2(block.bn2(block.conv1(active)).relu())
        past = x if out == 16 else block.shortcut(active)
        torch.testing.assert_close(block(x), branch + past)


def test_dropout_is_between_the_convolutions():
    torch.manual_seed(0)
    block = WideBlock(16, 16, 1, 0.5, 0.0).train()
    seen = []
    block.conv1.register_forward_hook(lambda _m, inputs, _o: seen.append((inputs[0] == 0).float().mean()))
    block.conv2.register_forward_hook(lambda _m, inputs, _o: seen.append((inputs[0] == 0).float().mean()))
    block(torch.randn(64, 16, 8, 8))
    assert seen[0] == pytest.approx(0.5, abs=0.03)  # cut off by the ReLU
    assert seen[1] == pytest.approx(0.75, abs=0.03)  # half of the rest dropped
    assert "dropout" not in dict(WideBlock(16, 16, 1, 0.0, 0.0).named_children())


def test_dropout_changes_no_parameter_and_nothing_in_eval():
    torch.manual_seed(0)
    without, having = WideResNet(10, 2).eval(), build("wide_resnet16_8", drop_prob=0.3)
    assert all(block.dropout.p == 0.3 for block in having.modules() if isinstance(block, WideBlock))
    dropping = WideResNet(10, 2, drop_prob=0.3).eval()
    dropping.load_state_dict(without.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(dropping(images), without(images))


def test_stochastic_depth_grows_to_the_last_block():
    model = on_meta(16, 1, depth_drop_prob=0.6)
    drops = [m.stochastic_depth.drop_prob for m in model.modules() if isinstance(m, WideBlock)]
    assert drops == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"6n \+ 4 .*depth=26; the nearest depths are 22 and 28"):
        WideResNet(26, 10)
    with pytest.raises(ValueError, match=r"depth=4; the smallest depth is 10"):
        WideResNet(4, 10)
    with pytest.raises(ValueError, match=r"width=0 and drop_prob=0\.0"):
        WideResNet(28, 0)
    with pytest.raises(ValueError, match=r"width=1 and drop_prob=1\.0"):
        WideResNet(10, 1, drop_prob=1.0)
    with pytest.raises(ValueError, match=r"WRN-10-1 takes .* at least 4, got \(1, 3, 3, 4\)"):
        WideResNet(10, 1)(torch.zeros(1, 3, 3, 4))
