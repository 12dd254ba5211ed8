"""AlexNet of 2012 and in one tower."""

import pytest
import torch
from torch import nn

from cnncourse.inspection import count_multiply_adds, count_parameters, shape_trace
from cnncourse.models import AlexNet2012, AlexNetOneTower


def on_meta(kind, *settings, **options):
    with torch.device("meta"):
        return kind(*settings, **options)


SHAPES = {
    "conv1": (96, 55, 55),
    "norm1": (96, 55, 55),
    "pool1": (96, 27, 27),
    "conv2": (256, 27, 27),
    "pool2": (256, 13, 13),
    "conv3": (384, 13, 13),
    "conv4": (384, 13, 13),
    "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}


@pytest.mark.parametrize("overlapping", [True, False])
def test_shapes_are_the_papers(overlapping):
    # section 3.4: pooling without overlap gives maps of the same sizes
    traced = {
        row.name: row.shape
        for row in shape_trace(on_meta(AlexNet2012, overlapping=overlapping), (7, 3, 227, 227))
    }
    assert {name: traced[name][1:] for name in SHAPES} == SHAPES


def test_neurons_are_the_papers():
    # section 3.5 prints 253,440 for the first layer, where its own 55 x 55 maps of 96 channels give 290,400
    traced = {row.name: row.shape for row in shape_trace(on_meta(AlexNet2012), (1, 3, 227, 227))}
    layers = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    neurons = [torch.Size(traced[name]).numel() for name in layers]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(neurons) == 659_272  # "650,000 neurons"


def test_parameters_and_multiply_adds_by_hand():
    grouped = {
        "conv1": 96 * 3 * 121 + 96,
        "conv2": 256 * 48 * 25 + 256,
        "conv3": 384 * 256 * 9 + 384,
        "conv4": 384 * 192 * 9 + 384,
        "conv5": 256 * 192 * 9 + 256,
        "fc6": 9216 * 4096 + 4096,
        "fc7": 4096 * 4096 + 4096,
        "fc8": 4096 * 1000 + 1000,
    }
    model = on_meta(AlexNet2012)
    counted = {row.name: row.parameters for row in shape_trace(model, (1, 3, 227, 227)) if row.parameters}
    assert counted == grouped
    assert sum(grouped.values()) == 60_965_224
    # without groups the second, fourth and fifth convolution have twice the weights
    assert count_parameters(on_meta(AlexNet2012, groups=1)) == 60_965_224 + 307_200 + 663_552 + 442_368
    places = {"conv1": 55**2, "conv2": 27**2, "conv3": 13**2, "conv4": 13**2, "conv5": 13**2}
    biases = dict(zip(grouped, (96, 256, 384, 384, 256, 4096, 4096, 1000), strict=True))
    products = sum((grouped[name] - biases[name]) * places.get(name, 1) for name in grouped)
    assert count_multiply_adds(model, (1, 3, 227, 227)) == products == 724_406_816


def test_starting_values_are_those_of_section_5():
    torch.manual_seed(0)
    state = AlexNet2012(10, hidden=64, side=67).state_dict()
    for key, tensor in state.items():
        if key.endswith("weight"):
            assert tensor.std().item() == pytest.approx(0.01, rel=0.1)
    ones = {
        key.removesuffix(".bias") for key, tensor in state.items() if "bias" in key and (tensor == 1).all()
    }
    zeros = {key.removesuffix(".bias") for key, tensor in state.items() if "bias" in key and not tensor.any()}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}


def plain(model):
    """Return a sequential network of torch's own layers with a model's weights, for the model's settings."""
    norm = [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)]
    pool = [nn.MaxPool2d(3, 2)]
    return nn.Sequential(
        *(model.conv1, nn.ReLU(), *norm, *pool, model.conv2, nn.ReLU(), *norm, *pool),
        *(model.conv3, nn.ReLU(), model.conv4, nn.ReLU(), model.conv5, nn.ReLU(), *pool, nn.Flatten()),
        *(model.fc6, nn.ReLU(), model.fc7, nn.ReLU(), model.fc8),
    )


def test_same_function_as_torchs_own_layers():
    torch.manual_seed(0)
    model = AlexNet2012(5, hidden=32, side=99).double().eval()
    for parameter in model.parameters():  # values that make the normalisation and all layers count
        nn.init.normal_(parameter, 0, 0.1)
    images = 20 * torch.randn(2, 3, 99, 99, dtype=torch.float64)
    with torch.inference_mode():
        logits, expected = model(images), plain(model)(images)
        assert (logits - expected).abs().max() < 1e-9 * expected.abs().max()
        without = AlexNet2012(5, hidden=32, side=99, local_response=False).double().eval()
        without.load_state_dict(model.state_dict())
        assert (without(images) - expected).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("overlapping", [True, False])
def test_choices(activation, overlapping):
    torch.manual_seed(0)
    model = AlexNet2012(7, 1, side=67, hidden=32, groups=1, activation=activation, overlapping=overlapping)
    logits = model(torch.randn(4, 1, 67, 67))
    assert logits.shape == (4, 7)
    kinds = {type(module) for module in model.modules()}
    assert (nn.Tanh in kinds) == (activation == "tanh") == (nn.ReLU not in kinds)
    assert model.conv2.groups == 1
    assert model.pool1.kernel_size == (3 if overlapping else 2)
    model.eval()(torch.randn(4, 1, 67, 67)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_one_tower_shapes():
    traced = {row.name: row.shape[1:] for row in shape_trace(on_meta(AlexNetOneTower), (2, 3, 224, 224))}
    assert traced["features.0"] == (64, 55, 55)
    assert [traced[f"features.{index}"] for index in (2, 5, 12)] == [(64, 27, 27), (192, 13, 13), (256, 6, 6)]
    assert [traced[f"classifier.{index}"] for index in (1, 4, 6)] == [(4096,), (4096,), (1000,)]


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ValueError, match=r"groups must be 1 or 2, .*got groups=3"):
        AlexNet2012(groups=3)
    with pytest.raises(ValueError, match=r"one of \['relu', 'tanh'\], got 'gelu'"):
        AlexNet2012(activation="gelu")
    with pytest.raises(ValueError, match=r"side=66, hidden=4096 and drop_prob=0.5"):
        AlexNet2012(side=66)
    with pytest.raises(ValueError, match=r"hidden=0 and drop_prob=0.5"):
        AlexNetOneTower(hidden=0)
    model = on_meta(AlexNet2012)
    with pytest.raises(
        ValueError, match=r"\(N, 3, 227, 227\), got \(1, 3, 224, 224\); .*the 224 pixels that"
    ):
        model(torch.empty(1, 3, 224, 224, device="meta"))
    with pytest.raises(ValueError, match=r"\(one tower\) takes .* at least 63, got \(1, 3, 64, 62\)"):
        on_meta(AlexNetOneTower)(torch.empty(1, 3, 64, 62, device="meta"))
