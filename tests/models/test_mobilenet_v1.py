import pytest
import torch

from cnncourse.inspection import count_multiply_adds, count_parameters, shape_trace
from cnncourse.models.mobilenet_v1 import TABLE_1, MobileNetV1, depthwise_separable


def on_meta(**options):
    with torch.device("meta"):
        return MobileNetV1(**options)


def test_shapes_are_those_of_table_1():
    traced = {row.name: row.shape for row in shape_trace(on_meta(), (1, 3, 224, 224))}
    assert traced["features.0.2"] == (1, 32, 112, 112)
    # column "input size", rows "Conv / s1": what the 1 x 1 convolution of each pair reads
    read = [
        (32, 112),
        (64, 56),
        (128, 56),
        (128, 28),
        (256, 28),
        (256, 14),
        *[(512, 14)] * 5,
        (512, 7),
        (1024, 7),
    ]
    for index, ((channels, side), (out, _stride)) in enumerate(zip(read, TABLE_1, strict=True), start=1):
        assert traced[f"features.{index}.0.2"] == (1, channels, side, side)
        assert traced[f"features.{index}.1.2"] == (1, out, side, side)
    assert traced["avgpool"] == (1, 1024, 1, 1)
    assert traced["fc"] == (1, 1000)


def test_it_has_the_papers_28_layers():
    # section 3.2: depthwise and pointwise convolutions counted as separate layers
    layers = [m for m in MobileNetV1().modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == 28


@pytest.mark.parametrize(
    ("width", "side", "millions", "operations"),
    [
        *[(1.0, 224, 4.2, 569), (0.75, 224, 2.6, 325), (0.5, 224, 1.3, 149), (0.25, 224, 0.5, 41)],  # table 6
        *[(1.0, 192, 4.2, 418), (1.0, 160, 4.2, 290), (1.0, 128, 4.2, 186)],  # table 7
    ],
)
def test_narrower_networks_and_smaller_images_cost_what_the_paper_prints(width, side, millions, operations):
    model = on_meta(width=width)
    assert round(count_parameters(model) / 1e6, 1) == millions
    counted = count_multiply_adds(model, (1, 3, side, side)) / 1e6
    assert counted == pytest.approx(operations, abs=0.7)  # 290.7 is printed as 290


def test_a_pair_costs_the_share_of_a_full_convolution_that_section_3_1_derives():
    pair = depthwise_separable(64, 128, 1)
    full = torch.nn.Conv2d(64, 128, 3, padding=1, bias=False)
    costs = [count_multiply_adds(layer, (1, 64, 10, 10)) for layer in (pair, full)]
    assert costs[0] / costs[1] == pytest.approx(1 / 128 + 1 / 9)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="width must be above 0, got width=0"):
        MobileNetV1(width=0)
    assert on_meta(width=0.001)(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 1000)
