import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision import models as public

from cnncourse.models import CATALOGUE, VGG, AlexNet2012, LeNet5, SpeedNet, build
from cnncourse.models.fully_convolutional import fully_convolutional

FULLY_CONNECTED = {
    "lenet5",
    "alexnet2012",
    "alexnet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg11_lrn",
    "vgg16_c",
}
FULLY_CONNECTED |= {"vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"}
REFUSED = {
    "mlp": "has no AdaptiveAvgPool2d",
    "speed_net": "has no AdaptiveAvgPool2d",
    "lenet5_1998": "has no AdaptiveAvgPool2d",
    "convnext": "LayerNorm2d stands behind its pooling",
}
# One network of each model file, and those whose heads are their own; the others with -m exhaustive.
EVERYDAY = {
    "mlp",
    "lenet5",
    "resnet20",
    "plain20",
    "speed_net",
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "alexnet",
}
EVERYDAY |= {
    "efficientnet_b0",
    "efficientnet_lite0",
    "alexnet2012",
    "vgg11",
    "preact_resnet110",
    "wide_resnet40_4",
}
EVERYDAY |= {
    "densenet121",
    "nasnet_a_mobile",
    "squeezenet1_0",
    "squeezenet1_1",
    "mobilenet_v1",
    "shufflenet_v1",
}
EVERYDAY |= {"shufflenet_v2_x0_5", "convnext_tiny", "googlenet", "googlenet2014", "lenet5_1998"}
SWEPT = [
    pytest.param(entry, id=entry.name, marks=() if entry.name in EVERYDAY else pytest.mark.exhaustive)
    for entry in CATALOGUE
]


def why_refused(name):
    return next((words for start, words in REFUSED.items() if name.startswith(start)), None)


def photographs(count, channels, height, width):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, height, width, dtype=torch.float64, generator=generator)


def settled(model):
    """Give batch norms statistics as after training, so that deep networks do not overflow."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(4.0)
            module.running_mean.uniform_(-0.1, 0.1)
    return model.double().eval()


def largest_change(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("entry", SWEPT)
def test_the_same_answers_at_the_training_size(entry):
    torch.manual_seed(0)
    narrow = {"hidden": 64} if entry.name in FULLY_CONNECTED - {"lenet5"} else {}
    model = entry.builder(num_classes=7, **narrow)
    if words := why_refused(entry.name):
        with pytest.raises(ValueError, match=words):
            fully_convolutional(model)
        return
    model = settled(model)
    fixed = entry.name in FULLY_CONNECTED
    side = entry.side if fixed else 2 * max(16, entry.smallest_side)
    images = photographs(1, entry.in_channels, side, side)
    converted = fully_convolutional(model)
    with torch.no_grad():
        logits, score_map = model(images), converted(images)
    assert converted.pooled is not fixed
    assert (score_map.shape[2:] == (1, 1)) is fixed
    assert largest_change(score_map.mean((2, 3)), logits) < 1e-10


def test_the_sweep_knows_every_refusal():
    refused = {entry.name for entry in CATALOGUE if why_refused(entry.name)}
    assert refused == {"mlp", "speed_net", "lenet5_1998", "convnext_tiny", "convnext_small", "convnext_base"}


@pytest.mark.parametrize(
    ("height", "width", "places"), [(224, 224, (1, 1)), (256, 320, (2, 4)), (230, 288, (1, 3))]
)
def test_a_vgg_gives_a_map_on_larger_images(height, width, places):
    model = VGG("A", 5, hidden=16).eval()
    with torch.no_grad():
        score_map = fully_convolutional(model)(torch.randn(1, 3, height, width))
    assert score_map.shape == (1, 5, *places)


def test_without_padding_each_place_is_one_crop():
    """LeNet-5 has no padding and steps of 4 pixels: all crops of 32 pixels at once."""
    model = LeNet5().double()
    images = photographs(2, 1, 44, 36)
    with torch.no_grad():
        score_map = fully_convolutional(model)(images)
        assert score_map.shape == (2, 10, 4, 2)
        for row in range(4):
            for column in range(2):
                crop = images[:, :, 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
                assert_close(score_map[:, :, row, column], model(crop), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: public.vgg11(num_classes=4, init_weights=False),
        lambda: public.alexnet(num_classes=4),
        lambda: public.resnet18(num_classes=4),
        lambda: public.efficientnet_b0(num_classes=4),
        lambda: public.squeezenet1_1(num_classes=4),
    ],
)
def test_torchvisions_networks_too(make):
    torch.manual_seed(0)
    model = make().eval()
    images = torch.randn(1, 3, 224, 224)
    converted = fully_convolutional(model, example=images)
    with torch.no_grad():
        assert largest_change(converted(images).mean((2, 3)), model(images)) < 1e-5


def test_nothing_is_copied_and_nothing_changed():
    model = VGG("A", 5, hidden=16)
    before = {name: (id(module), module.training) for name, module in model.named_modules()}
    converted = fully_convolutional(model)
    assert {name: (id(module), module.training) for name, module in model.named_modules()} == before
    assert converted.head[0].weight.data_ptr() == model.classifier[0].weight.data_ptr()
    assert converted.head[0].weight.shape == (16, 512, 7, 7)
    assert converted.head[0].bias is model.classifier[0].bias
    numbers = sum(parameter.numel() for parameter in converted.parameters())
    assert numbers == sum(parameter.numel() for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_learning_reaches_both():
    model = build("resnet20").eval()
    converted = fully_convolutional(model)
    images, targets = torch.randn(4, 3, 32, 32), torch.arange(4)
    optimiser = torch.optim.SGD(converted.parameters(), lr=0.1)
    nn.functional.cross_entropy(converted(images).mean((2, 3)), targets).backward()
    optimiser.step()
    with torch.no_grad():
        assert_close(converted(images).mean((2, 3)), model(images), rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_images():
    converted = fully_convolutional(build("resnet20").eval())
    images = torch.randn(1, 3, 32, 32, requires_grad=True)
    converted(images)[0, 3, 0, 0].backward()
    assert images.grad.abs().sum() > 0


def test_a_copy_stands_alone():
    model = build("resnet20").eval()
    images = torch.randn(1, 3, 48, 32)
    converted = copy.deepcopy(fully_convolutional(model))
    expected = converted(images).detach()
    nn.init.zeros_(model.fc.weight)
    nn.init.zeros_(model.conv1.weight)
    assert_close(converted(images), expected)


def test_a_window_says_what_a_crop_would():
    model = settled(build("resnet20"))
    images = photographs(2, 3, 32, 48)
    with torch.no_grad():
        sharp, smooth = fully_convolutional(model)(images), fully_convolutional(model, window=8)(images)
        assert sharp.shape[2:] == (8, 12)
        assert_close(smooth, nn.functional.avg_pool2d(sharp, 8, stride=1))
        at_size = fully_convolutional(model, window=8)(images[:, :, :, :32])
        assert_close(at_size.flatten(1), model(images[:, :, :, :32]))


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (lambda: AlexNet2012(5, hidden=8), {"window": 6}, "1 where no global mean is taken away, got window=6"),
        (lambda: build("resnet20"), {"window": 0}, "window must be at least 1"),
        (SpeedNet, {}, "SpeedNet has no AdaptiveAvgPool2d"),
        (
            lambda: VGG("A", 5, hidden=8),
            {"example": torch.zeros(1, 3, 256, 256)},
            r"answers otherwise: on 256 x 256 pixels the mean of its map of 2 x 2 places",
        ),
        (
            lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4), nn.ReLU()),
            {},
            "ReLU stands behind its pooling",
        ),
        (
            lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4)),
            {},
            "2 linear layers; one behind a global mean",
        ),
        (lambda: nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(18, 4)), {}, "a square of places"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), {}, "0 linear layers"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_refused(model, options, words):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=words):
        fully_convolutional(model(), **options)


def test_a_chain_of_modules_is_converted():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(144, 8), nn.Tanh(),
        nn.Linear(8, 2),
    )  # fmt: skip
    converted = fully_convolutional(model, example=torch.randn(2, 3, 8, 8))
    assert converted(torch.randn(1, 3, 10, 9)).shape == (1, 2, 3, 2)


# ---- a real network, real photographs

CATS, CUPS = slice(281, 286), slice(967, 969)


@pytest.fixture(scope="module")
def mosaic():
    """Cat and coffee above, rocket and astronaut below: 320 pixels each."""
    from skimage import data

    from cnncourse.training.fixed_crops import crop_grid, shorter_side

    tiles = []
    for picture in (data.chelsea(), data.coffee(), data.rocket(), data.astronaut()):
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
        tiles.append(crop_grid(shorter_side(pixels, 320), 320, 1, flip=False)[:, 0])
    above, below = torch.cat(tiles[:2], 3), torch.cat(tiles[2:], 3)
    return torch.cat([above, below], 2).float() / 127.5 - 1


def test_the_cat_is_where_the_cat_is(mosaic):
    model = build("efficientnet_lite0", weights="imagenet").eval()
    with torch.no_grad():
        probabilities = fully_convolutional(model)(mosaic).softmax(1)[0]
    assert probabilities.shape == (1000, 20, 20)  # a place every 32 pixels
    cat, cup = probabilities[CATS].sum(0), probabilities[CUPS].sum(0)
    row, column = divmod(int(cat.argmax()), 20)
    assert row < 10
    assert column < 10
    row, column = divmod(int(cup.argmax()), 20)
    assert row < 10
    assert column >= 10
    assert cat.max() > 0.9
    assert cat[:10, :10].mean() > 20 * torch.stack((cat[:10, 10:], cat[10:, :10], cat[10:, 10:])).mean()
