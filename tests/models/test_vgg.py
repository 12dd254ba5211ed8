from itertools import pairwise

import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.models import VGG
from cnncourse.models.vgg import TABLE_1


def on_meta(*settings, **options):
    with torch.device("meta"):
        return VGG(*settings, **options)


@pytest.mark.parametrize(
    ("column", "layers"), [("A", 11), ("A-LRN", 11), ("B", 13), ("C", 16), ("D", 16), ("E", 19)]
)
def test_shapes_and_layers_are_those_of_table_1(column, layers):
    rows = list(shape_trace(on_meta(column), (7, 3, 224, 224)))
    pools = [row.shape for row in rows if row.kind == "MaxPool2d"]
    channels_and_sides = [(64, 112), (128, 56), (256, 28), (512, 14), (512, 7)]
    assert pools == [(7, channels, side, side) for channels, side in channels_and_sides]
    convolutions = [row for row in rows if row.kind == "Conv2d"]
    assert {row.shape[2] for row in convolutions} == {224, 112, 56, 28, 14}  # none changes the side
    assert len(convolutions) + sum(row.kind == "Linear" for row in rows) == layers
    assert [row.shape for row in rows if row.kind == "Linear"] == [(7, 4096), (7, 4096), (7, 1000)]
    assert [row.name for row in rows if row.kind == "LocalResponseNorm"] == (
        ["features.2"] if column == "A-LRN" else []
    )


def test_the_columns_grow_as_the_paper_tells():
    for smaller, larger in [("A", "B"), ("B", "C"), ("B", "D"), ("D", "E")]:
        for few, more in zip(TABLE_1[smaller], TABLE_1[larger], strict=True):
            assert more[: len(few)] == few  # each stage keeps its layers and gains some behind them
    assert [k for stage in TABLE_1["C"] for k, _ in stage].count(1) == 3


def test_parameters_by_hand():
    # column A: 3 x 3 kernels between 3, 64, 128, 256, 256, 512, 512, 512, 512 channels, then three matrices
    chain = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in pairwise(chain))
    fc6, fc7, fc8 = 25_088 * 4096 + 4096, 4096 * 4096 + 4096, 4096 * 1000 + 1000
    model = on_meta("A")
    assert count_parameters(model) == convolutions + fc6 + fc7 + fc8 == 132_863_336
    assert model.classifier[0].weight.numel() == 102_760_448  # three quarters of the network in one layer
    assert count_parameters(on_meta("A", 10, small_head=True)) == convolutions + 5130
    norms = count_parameters(on_meta("A", batch_norm=True)) - count_parameters(model)
    assert norms == 2 * sum(chain[1:])


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("side", [32, 47])
def test_small_heads_take_small_images(batch_norm, side):
    torch.manual_seed(0)
    model = VGG("A", 7, 2, small_head=True, batch_norm=batch_norm)
    logits = model(torch.randn(3, 2, side, side))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_starting_values():
    torch.manual_seed(0)
    wide = "features.16.weight"  # 3 x 3 between 512 channels in column A: 2.4 million numbers
    deviations = {
        "he": (2 / (9 * 512)) ** 0.5,
        "glorot": (2 / (18 * 512)) ** 0.5,
        "paper": 0.1,
        0.03: 0.03,
    }
    for init, deviation in deviations.items():
        state = VGG("A", 1000, small_head=True, init=init).state_dict()
        assert state[wide].std().item() == pytest.approx(deviation, rel=0.005)
        assert abs(state[wide].mean().item()) < 5 * deviation / state[wide].numel() ** 0.5
        linear = {"he": 0.01, "glorot": (2 / 1512) ** 0.5}.get(init, deviation)
        assert state["classifier.0.weight"].std().item() == pytest.approx(linear, rel=0.01)
        assert not any(tensor.any() for key, tensor in state.items() if key.endswith("bias"))
    uniform = VGG("A", 10, small_head=True, init="glorot").state_dict()[wide]
    assert uniform.abs().max() <= (6 / (18 * 512)) ** 0.5


def test_full_heads_are_drawn_too():
    torch.manual_seed(0)
    classifier = VGG("A", 5).classifier
    for layer in (classifier[0], classifier[3], classifier[6]):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.02)
        assert not layer.bias.any()


def test_dropout_is_the_settings():
    model = on_meta("A", drop_prob=0.3)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.3, 0.3]


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ValueError, match=r"one of A, A-LRN, B, C, D, E \(table 1\), got 'F'"):
        VGG("F")
    with pytest.raises(ValueError, match=r"hidden=4096 and drop_prob=1"):
        VGG("A", drop_prob=1)
    for init in ("xavier", 0, -0.1):
        with pytest.raises(ValueError, match=rf"standard deviation above 0, got init={init!r}"):
            VGG("A", init=init)
    with pytest.raises(ValueError, match="num_classes=0 and in_channels=3"):
        VGG("A", 0)
    model = VGG("A", 10, small_head=True)
    with pytest.raises(ValueError, match=r"VGG-A takes .* at least 32, got \(1, 3, 31, 32\)"):
        model(torch.zeros(1, 3, 31, 32))
    with pytest.raises(ValueError, match=r"got \(1, 1, 32, 32\); resize the images, or build the model"):
        model(torch.zeros(1, 1, 32, 32))
