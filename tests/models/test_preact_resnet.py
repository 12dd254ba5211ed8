import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import PreActCifarResNet, PreActResNet, find
from cnncourse.models.preact_resnet import IMAGENET_BLOCKS, TABLE_3, PreActBlock


def on_meta(builder, *arguments, **options):
    with torch.device("meta"):
        return builder(*arguments, **options)


def shapes(model, side):
    return {row.name: row.shape[1:] for row in shape_trace(model, (1, 3, side, side))}


@pytest.mark.parametrize(("bottleneck", "channels"), [(False, (16, 32, 64)), (True, (64, 128, 256))])
def test_shapes_for_small_images(bottleneck, channels):
    # He et al. (2016a), section 4.2: maps of 32, 16 and 8 pixels; bottlenecks give four times the channels
    model = PreActCifarResNet(20, bottleneck=bottleneck)
    traced, last = shapes(model, 32), "conv3" if bottleneck else "conv2"
    n = 2 if bottleneck else 3
    assert traced["conv1"] == (16, 32, 32)
    for stage, (width, side) in enumerate(zip(channels, (32, 16, 8), strict=True), 1):
        assert traced[f"layer{stage}.{n - 1}.{last}"] == (width, side, side)
        assert f"layer{stage}.{n}.{last}" not in traced
    assert traced["avgpool"] == (channels[2], 1, 1)
    assert traced["fc"] == (10,)


def test_shapes_for_photographs():
    # He et al. (2016a), table 1, with 3, 24, 36 and 3 blocks
    traced = shapes(on_meta(PreActResNet, 200), 224)
    assert traced["conv1"] == (64, 112, 112)
    assert traced["maxpool"] == (64, 56, 56)
    for stage, (blocks, channels, side) in enumerate(
        [(3, 256, 56), (24, 512, 28), (36, 1024, 14), (3, 2048, 7)], 1
    ):
        assert traced[f"layer{stage}.{blocks - 1}.conv3"] == (channels, side, side)
        assert f"layer{stage}.{blocks}.conv3" not in traced
    assert traced["avgpool"] == (2048, 1, 1)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("bottleneck", [False, True])
def test_counts_by_hand(n, bottleneck):
    widths, wider = (16, 32, 64), 4 if bottleneck else 1
    weights, norms, read = 9 * 3 * 16, 16, 16  # the first convolution and the norm behind it
    for stage, width in enumerate(widths):
        for block in range(n):
            norms += read if stage + block else 0  # the very first block has no norm of its own in front
            out = width * wider
            if bottleneck:
                weights += read * width + 9 * width * width + width * out
                weights += read * out if block == 0 else 0
                norms += 2 * width
            else:
                weights += 9 * (read * width + width * width)
                norms += width
            read = out
    model = on_meta(PreActCifarResNet, (9 if bottleneck else 6) * n + 2, bottleneck=bottleneck)
    assert count_parameters(model) == weights + 2 * (norms + read) + 10 * read + 10


def test_depth_is_the_number_of_layers_with_weights():
    # Projections are not counted, as in the paper.
    for depth, bottleneck, *_errors in TABLE_3:
        model = on_meta(PreActCifarResNet, depth, bottleneck=bottleneck)
        layers = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert sum("shortcut" not in name for name in layers) == depth
    for depth, (_kind, _blocks) in IMAGENET_BLOCKS.items():
        layers = [
            name
            for name, m in on_meta(PreActResNet, depth).named_modules()
            if isinstance(m, nn.Conv2d | nn.Linear)
        ]
        assert sum("shortcut" not in name for name in layers) == depth


def test_printed_parameters_of_1001_layers_are_those_without_batch_norm():
    # He et al. (2016b), table 4: 10.2 million; with the factors and offsets of the norms they are 10.3
    model = on_meta(PreActCifarResNet, 1001, bottleneck=True)
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert find("preact_resnet1001").parameters - norms == 10_178_490


def test_as_many_parameters_as_the_original():
    # The norm in front of the first block of a stage has the channels of the one that went with its first layer.
    assert find("preact_resnet110").parameters == find("resnet110").parameters
    assert find("preact_resnet110").multiply_adds == find("resnet110").multiply_adds


@pytest.mark.parametrize("bottleneck", [False, True])
def test_nothing_is_done_on_the_way_past_the_blocks(bottleneck):
    # With last convolutions of zeros, equation 4: a stage's last block gives what its first block gave, negative
    # numbers too.
    torch.manual_seed(0)
    model = PreActCifarResNet(29 if bottleneck else 20, bottleneck=bottleneck).eval()
    for module in model.modules():
        if isinstance(module, PreActBlock):
            nn.init.zeros_((module.conv3 if bottleneck else module.conv2).weight)
    stage = model.layer2
    x = torch.randn(2, 64 if bottleneck else 16, 8, 8)
    entered = stage[0](x)
    assert (entered < 0).any()
    assert torch.equal(stage(x), entered)


def test_a_projection_reads_the_activated_input_and_padding_the_input():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8)
    how = {"first": False, "drop_prob": 0.0}
    for bottleneck, projection in [(True, True), (False, True), (False, False)]:
        block = PreActBlock(16, 32, 2, bottleneck=bottleneck, projection=projection, **how).eval()
        branch = block.conv2(block.bn2(block.conv1(block.bn1(x).relu())).relu())
        if bottleneck:
            branch = block.conv3(block.bn3(branch).relu())
        if projection:
            past = block.shortcut(block.bn1(x).relu())
        else:
            past = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        torch.testing.assert_close(block(x), branch + past)


def test_small_stem_keeps_the_side():
    traced = shapes(PreActResNet(18, 10, small_stem=True), 32)
    assert traced["conv1"] == traced["layer1.1.conv2"] == (64, 32, 32)
    assert traced["layer4.1.conv2"] == (512, 4, 4)
    with pytest.raises(ValueError, match=r"ResNet-18 takes .* at least 8, got \(2, 3, 7, 8\)"):
        PreActResNet(18, small_stem=True)(torch.zeros(2, 3, 7, 8))
    with pytest.raises(
        ValueError, match=r"pre-activation ResNet-18 takes .* at least 32, got \(2, 3, 31, 32\)"
    ):
        PreActResNet(18)(torch.zeros(2, 3, 31, 32))


def test_stochastic_depth_grows_to_the_last_block():
    model = PreActCifarResNet(20, depth_drop_prob=0.45)
    drops = [m.stochastic_depth.drop_prob for m in model.modules() if isinstance(m, PreActBlock)]
    assert drops == pytest.approx([0.05 * block for block in range(1, 10)])
    x = torch.randn(3, 3, 16, 16)
    assert torch.equal(model.eval()(x), model(x))
    images = torch.randn(64, 16, 4, 4)
    block = PreActBlock(16, 16, 1, bottleneck=False, first=False, projection=False, drop_prob=0.9).train()
    torch.manual_seed(0)
    past = (block(images) == images).flatten(1).all(1)
    assert 0 < past.sum() < 64


@pytest.mark.parametrize(
    ("depth", "bottleneck", "words"),
    [
        (111, False, r"6n \+ 2 .*depth=111; the nearest depths are 110 and 116"),
        (166, True, r"9n \+ 2 .*depth=166; the nearest depths are 164 and 173"),
        (2, True, r"9n \+ 2 .*depth=2; the smallest depth is 11"),
    ],
)
def test_other_depths_are_refused_with_the_nearest(depth, bottleneck, words):
    with pytest.raises(ValueError, match=words):
        PreActCifarResNet(depth, bottleneck=bottleneck)


def test_other_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"one of \[18, 34, 50, 101, 152, 200\], got depth=20"):
        PreActResNet(20)
    with pytest.raises(ValueError, match=r"depth_drop_prob must lie in \[0, 1\), got depth_drop_prob=1"):
        PreActCifarResNet(20, depth_drop_prob=1)
    with pytest.raises(ValueError, match=r"at least 4, got \(1, 3, 4, 3\)"):
        PreActCifarResNet(20)(torch.zeros(1, 3, 4, 3))
