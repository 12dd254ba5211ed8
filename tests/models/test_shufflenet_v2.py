"""ShuffleNet V2; its equality with torchvision's is tested for all networks in one place."""

import pytest
import torch

from cnncourse.inspection import shape_trace
from cnncourse.models.shufflenet_v2 import TABLE_5, InvertedResidual, ShuffleNetV2


@pytest.mark.parametrize("size", TABLE_5)
def test_shapes_are_those_of_table_5(size):
    with torch.device("meta"):
        model = ShuffleNetV2(size)
    traced = {row.name: row.shape for row in shape_trace(model, (1, 3, 224, 224))}
    assert traced["conv1.2"] == (1, 24, 112, 112)
    assert traced["maxpool"] == (1, 24, 56, 56)
    *widths, last = TABLE_5[size]
    for stage, side, channels, units in zip((2, 3, 4), (28, 14, 7), widths, (4, 8, 4), strict=True):
        assert len(getattr(model, f"stage{stage}")) == units
        assert traced[f"stage{stage}.0.branch1.4"] == (1, channels // 2, side, side)
        assert traced[f"stage{stage}.{units - 1}.branch2.7"] == (1, channels // 2, side, side)
    assert traced["conv5.2"] == (1, last, 7, 7)
    assert traced["fc"] == (1, 1000)


def test_half_of_the_channels_pass_a_unit_untouched():
    torch.manual_seed(0)
    unit, maps = InvertedResidual(8, 8, 1), torch.randn(2, 8, 3, 3)
    assert torch.equal(unit(maps)[:, ::2], maps[:, :4])  # shuffled: every second channel


def test_wrong_size_is_refused():
    with pytest.raises(ValueError, match="one of x0_5, x1_0, x1_5, x2_0, got 'x3_0'"):
        ShuffleNetV2("x3_0")
