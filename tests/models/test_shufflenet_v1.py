import pytest
import torch
from torch import nn

from cnncourse.inspection import count_multiply_adds, count_parameters, shape_trace
from cnncourse.models.shufflenet_v1 import TABLE_1, ShuffleNetV1, ShuffleUnit


def on_meta(**options):
    with torch.device("meta"):
        return ShuffleNetV1(**options)


@pytest.mark.parametrize("groups", TABLE_1)
def test_shapes_are_those_of_table_1(groups):
    model = on_meta(groups=groups)
    traced = {row.name: row.shape for row in shape_trace(model, (1, 3, 224, 224))}
    assert traced["conv1.2"] == (1, 24, 112, 112)
    assert traced["maxpool"] == (1, 24, 56, 56)
    for stage, side, channels, units in zip((2, 3, 4), (28, 14, 7), TABLE_1[groups], (4, 8, 4), strict=True):
        modules = getattr(model, f"stage{stage}")
        assert len(modules) == units
        # the branch gives what the shortcut does not bring along
        read = 24 if stage == 2 else TABLE_1[groups][stage - 3]
        assert traced[f"stage{stage}.0.expand.1"] == (1, channels - read, side, side)
        assert traced[f"stage{stage}.0.shortcut"] == (1, read, side, side)
        assert traced[f"stage{stage}.{units - 1}.expand.1"] == (1, channels, side, side)
        assert traced[f"stage{stage}.1.depthwise.1"] == (1, channels // 4, side, side)
    assert traced["fc"] == (1, 1000)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    pointwise = [conv.groups for conv in convolutions if conv.kernel_size == (1, 1)]
    assert pointwise == [1] + [groups] * 31  # the first reads 24 channels only (section 3.3)


@pytest.mark.parametrize(("groups", "printed"), [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])
def test_complexities_of_table_1_leave_the_last_layer_out(groups, printed):
    model = on_meta(groups=groups)
    operations = count_multiply_adds(model, (1, 3, 224, 224)) - model.fc.in_features * model.fc.out_features
    assert round(operations / 1e6) == printed


def test_a_scale_of_two_costs_what_table_5_prints_and_small_scales_a_square_less():
    assert round(count_multiply_adds(on_meta(scale=2.0), (1, 3, 224, 224)) / 1e6) == 524
    whole = count_multiply_adds(on_meta(), (1, 3, 224, 224))
    assert count_multiply_adds(on_meta(scale=0.5), (1, 3, 224, 224)) / whole == pytest.approx(1 / 4, abs=0.03)
    assert count_parameters(on_meta(groups=8, scale=0.25)) == 454_504


def test_groups_meet_after_the_shuffle():
    # without the shuffle the first third of the outputs would read the first third of the inputs only
    torch.manual_seed(0)
    unit = ShuffleUnit(48, 48, 1, 3).double().eval()
    maps = torch.randn(1, 48, 4, 4, dtype=torch.float64, requires_grad=True)
    branch = unit(maps) - torch.relu(maps)
    branch[:, :16].square().sum().backward()
    assert all(third.abs().max() > 0 for third in maps.grad.chunk(3, dim=1))


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_shortcut_of_a_unit_with_stride_is_torchs_mean(side):
    unit = ShuffleUnit(12, 24, 2, 3).eval()
    maps = torch.randn(2, 12, side, side, generator=torch.Generator().manual_seed(0)).relu()
    out = unit(maps)
    assert out.shape == (2, 24, (side + 1) // 2, (side + 1) // 2)
    assert torch.equal(out[:, :12], nn.functional.avg_pool2d(maps, 3, 2, 1))
    assert out.min() == 0


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="one of 1, 2, 3, 4, 8 and scale above 0, got groups=5 and scale=1"):
        ShuffleNetV1(groups=5)
    with pytest.raises(ValueError, match="got groups=3 and scale=0"):
        ShuffleNetV1(scale=0)
