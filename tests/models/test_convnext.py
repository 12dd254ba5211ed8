"""ConvNeXt; its equality with torchvision's is tested for all networks in one place."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.inspection import shape_trace
from cnncourse.models.convnext import SIZES, CNBlock, ConvNeXt


@pytest.mark.parametrize("size", SIZES)
def test_shapes_and_blocks_are_the_papers(size):
    with torch.device("meta"):
        model = ConvNeXt(size)
    traced = {row.name: row.shape for row in shape_trace(model, (1, 3, 224, 224))}
    channels, blocks, drop_prob = SIZES[size]
    for stage, (width, count, side) in enumerate(zip(channels, blocks, (56, 28, 14, 7), strict=True)):
        assert traced[f"features.{2 * stage}.{1 if stage else 0}"] == (1, width, side, side)
        assert len(model.features[2 * stage + 1]) == count
        assert traced[f"features.{2 * stage + 1}.0.block.3"] == (1, side, side, 4 * width)
    drops = [module.stochastic_depth.drop_prob for module in model.modules() if isinstance(module, CNBlock)]
    assert len(drops) == sum(blocks)
    assert (drops[0], drops[-1]) == (0, drop_prob)
    assert drops == sorted(drops)


def test_its_linear_layers_are_1_x_1_convolutions():
    torch.manual_seed(0)
    block = CNBlock(6, 0.5, 0.0).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    maps = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    depthwise, _, norm, widen, gelu, narrow, _ = block.block
    x = depthwise(maps)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    x = (x - mean) / deviation * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    x = nn.functional.conv2d(x, widen.weight[..., None, None], widen.bias)
    x = nn.functional.conv2d(gelu(x), narrow.weight[..., None, None], narrow.bias)
    assert_close(block(maps), maps + block.layer_scale * x)


def test_a_fresh_network_is_nearly_its_shortcuts():
    # every branch begins with a factor of 1e-6: between two reductions hardly anything changes
    torch.manual_seed(0)
    stage, maps = ConvNeXt("tiny").features[1], torch.randn(2, 96, 8, 8)
    stage.eval()
    change = (stage(maps) - maps).norm() / maps.norm()
    assert 0 < change < 1e-5


def test_with_branches_at_full_strength_it_is_torchvisions():
    # at the usual factor of 1e-6 an error in a branch would hide behind the shortcuts
    from torchvision.models import convnext_tiny

    torch.manual_seed(0)
    ours = ConvNeXt("tiny", 5, layer_scale=0.5).double().eval()
    with torch.device("meta"):
        theirs = convnext_tiny(num_classes=5).double().eval()
    theirs.to_empty(device="cpu").load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 37, 65, dtype=torch.float64)
    with torch.inference_mode():
        assert_close(ours(images), theirs(images), rtol=1e-10, atol=1e-10)


def test_every_weight_is_drawn():
    torch.manual_seed(0)
    for name, parameter in ConvNeXt("tiny", 5).state_dict().items():
        if "layer_scale" in name:
            assert (parameter == 1e-6).all()
        elif parameter.ndim > 1:
            assert parameter.abs().max() <= 0.04 + 1e-6, name
            assert parameter.std().item() == pytest.approx(0.02 * 0.88, rel=0.1), name
        else:  # a bias, or a norm's factor
            assert (parameter == (parameter[0] != 0)).all(), name


def test_the_drawing_of_branches_can_be_switched_off():
    assert ConvNeXt("tiny", depth_drop_prob=0.0).features[7][2].stochastic_depth.drop_prob == 0


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="one of tiny, small, base, got 'huge'"):
        ConvNeXt("huge")
    with pytest.raises(ValueError, match=r"\[0, 1\), got depth_drop_prob=1"):
        ConvNeXt(depth_drop_prob=1)
