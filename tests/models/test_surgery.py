import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision import models as public

from cnncourse.models import VGG, CifarResNet, ResNet, build
from cnncourse.models.surgery import deepened, removable_blocks, without_block


def images(count=2, side=16, seed=1):
    return torch.randn(
        count, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def trained(model):
    """Batch norms as after training: nothing is the identity by chance."""
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5), (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.0), (module.bias.data, -0.5, 0.5),
            ):  # fmt: skip
                tensor.uniform_(low, high, generator=generator)
    return model.double().eval()


def branch_ends(block):
    """Return the layers whose zeros silence the residual branch."""
    names = [name for name in ("bn3", "conv3", "bn2", "conv2") if getattr(block, name, None) is not None]
    last = "bn3" if "bn3" in names else "bn2"
    preact = type(block).__name__ in ("PreActBlock", "WideBlock")
    return getattr(block, ("conv3" if "conv3" in names else "conv2") if preact else last)


def silenced(model, name):
    """Return a copy whose block adds nothing: the same as no block, in another way."""
    twin = copy.deepcopy(model)
    block = twin.get_submodule(name)
    if hasattr(block, "layer_scale"):
        layer = block
        nn.init.zeros_(block.layer_scale)
        return twin
    if hasattr(block, "residual"):  # MBConv, InvertedResidual
        layer = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    else:
        layer = branch_ends(block)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return twin


NETWORKS = {
    "A": lambda: CifarResNet(20),
    "B": lambda: CifarResNet(20, shortcut="B"),
    "C": lambda: CifarResNet(20, shortcut="C"),
    "basic": lambda: ResNet(18, small_stem=True, num_classes=5),
    "bottleneck": lambda: ResNet(50, small_stem=True, num_classes=5),
    "torchvision": lambda: public.resnet18(num_classes=5),
    "preact": lambda: build("preact_resnet110"),
    "preact50": lambda: build("preact_resnet164"),
    "wide": lambda: build("wide_resnet40_4"),
    "mobilenet_v2": lambda: build("mobilenet_v2", 5),
    "efficientnet_b0": lambda: build("efficientnet_b0", 5),
    "convnext": lambda: build("convnext_tiny", 5),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_without_a_block_its_branch_adds_nothing(make):
    torch.manual_seed(0)
    model = trained(make())
    batch = images(1, 32 if type(model).__name__ in ("MobileNetV2", "EfficientNet", "ConvNeXt") else 16)
    names = removable_blocks(model)
    assert len(names) > 5
    with torch.no_grad():
        whole = model(batch)
        for name in dict.fromkeys([*names[:2], names[len(names) // 2], names[-1], *changing(model, names)]):
            with without_block(model, name) as rest:
                found = rest(batch)
            expected = silenced(model, name)(batch)
            scale = expected.abs().max()
            assert_close(found / scale, expected / scale, rtol=0, atol=1e-12)
            assert not torch.equal(found, whole)
        assert torch.equal(model(batch), whole)


def changing(model, names):
    """Return a name of a block whose shortcut changes the shape."""
    stages = [name for name in names if name in ("layer2.0", "layer3.0")]
    return stages[:1]


def test_every_block_of_a_resnet_can_go_and_also_all_at_once():
    model = trained(CifarResNet(20))
    names = removable_blocks(model)
    assert names == tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3))
    with torch.no_grad(), without_block(model, *names):
        x = model.relu(model.bn1(model.conv1(images())))
        for number in (2, 3):
            x = getattr(model, f"layer{number}")[0][0](x)  # the shortcuts with padding remain
        assert_close(model(images()), model.fc(x.mean((2, 3))))


def test_plain_blocks_that_change_the_shape_are_refused():
    model = CifarResNet(20, residual=False)
    kept = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3)]
    assert removable_blocks(model) == tuple(name for name in kept if name not in ("layer2.0", "layer3.0"))
    with (
        pytest.raises(
            ValueError, match=r"layer2.0 is a Block without a shortcut .*16 to 32 channels, stride 2"
        ),
        without_block(model, "layer2.0"),
    ):
        pass


def test_a_plain_block_is_passed_by():
    model = trained(CifarResNet(14, residual=False))
    with torch.no_grad():
        x = model.relu(model.bn1(model.conv1(images())))
        x = model.layer3(model.layer2(model.layer1[0](x)))
        expected = model.fc(x.mean((2, 3)))
        with without_block(model, "layer1.1"):
            assert_close(model(images()), expected)


def test_layers_of_a_vgg_are_passed_by():
    model = VGG("A", 5, small_head=True, batch_norm=True).double().eval()
    names = removable_blocks(model)
    # A has four convolutions that keep their channels: 256, 512, and both of the last stage.
    convolutions = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    assert names == tuple(convolutions[i] for i in (3, 5, 6, 7))
    position = int(names[0].split(".")[1])
    with torch.no_grad():
        x = images(1, 32)
        for number, layer in enumerate(model.features):
            x = x if number in (position, position + 1) else layer(x)
        expected = model.classifier(x.mean((2, 3)))
        with without_block(model, names[0], f"features.{position + 1}"):
            assert_close(model(images(1, 32)), expected)


def test_the_network_comes_back_after_an_error_with_its_modes():
    model = CifarResNet(20).train()
    before = dict(model.named_modules())
    with pytest.raises(ValueError, match="takes images"), without_block(model, "layer1.1"):
        model.eval()(torch.zeros(1))
    assert dict(model.named_modules()) == before
    assert not any(module.training for module in model.modules())


def test_state_dicts_are_whole_afterwards():
    model = CifarResNet(14)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with without_block(model, "layer3.1"):
        assert len(model.state_dict()) < len(before)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "name at least one block"),
        (("layer9.0",), "no layer 'layer9.0'"),
        (("layer1.0", "layer1.0"), "taken out twice"),
        (("layer1", "layer1.0"), "taken out twice"),
        (("fc",), r"fc is a Linear without a shortcut .*64 to 10 numbers"),
        (("conv1",), "3 to 16 channels"),
        (("avgpool",), "avgpool is a AdaptiveAvgPool2d"),
    ],
)
def test_what_cannot_be_taken_out_is_refused(names, words):
    model = CifarResNet(14)
    before = dict(model.named_modules())
    with pytest.raises(ValueError, match=words), without_block(model, *names):
        pass
    assert dict(model.named_modules()) == before


def test_convolutions_that_change_the_side_are_refused():
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3, padding="same"), nn.Conv2d(3, 3, 5, padding=1)
    )
    assert removable_blocks(model) == ("1",)


def test_blocks_that_must_change_the_shape_are_not_listed():
    model = build("mobilenet_v2")
    names = removable_blocks(model)
    assert len(names) == 10  # table 2: the repetitions in each of the stages
    with (
        pytest.raises(ValueError, match="InvertedResidual without a shortcut"),
        without_block(model, "features.2"),
    ):
        pass


# ---- deeper networks that compute the same


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("depth", "deeper"), [(8, 20), (14, 14), (20, 56)])
def test_a_deeper_network_computes_the_same(depth, deeper, residual, batch_norm):
    torch.manual_seed(0)
    model = trained(CifarResNet(depth, 7, residual=residual, batch_norm=batch_norm, width=0.5))
    twin = deepened(model, deeper)
    assert twin.depth == deeper
    fresh = CifarResNet(deeper, 7, residual=residual, batch_norm=batch_norm, width=0.5)
    assert {key: t.shape for key, t in twin.state_dict().items()} == {
        key: t.shape for key, t in fresh.state_dict().items()
    }
    with torch.no_grad():
        expected = model(images(4, 32))
        assert float((twin(images(4, 32)) - expected).abs().max()) < 1e-12
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("depth", [8, 20])
def test_all_kinds_of_shortcuts(option, depth):
    model = trained(CifarResNet(depth, shortcut=option))
    twin = deepened(model, 26)
    assert list(twin.state_dict()) == list(CifarResNet(26, shortcut=option).state_dict())
    with torch.no_grad():
        assert float((twin(images()) - model(images())).abs().max()) < 1e-12


@pytest.mark.parametrize(("depth", "deeper"), [(18, 34), (50, 101)])
def test_resnets_for_photographs(depth, deeper):
    model = trained(ResNet(depth, 5, small_stem=True))
    twin = deepened(model, deeper)
    with torch.no_grad():
        expected = model(images(1))
        change = (twin(images(1)) - expected).abs().max() / expected.abs().max()
    assert float(change) < 1e-12
    assert sum(p.numel() for p in twin.parameters()) == sum(
        p.numel() for p in ResNet(deeper, 5, small_stem=True).parameters()
    )


def test_residual_twins_agree_in_training_mode_plain_ones_do_not():
    changes = {}
    for residual in (True, False):
        model = trained(CifarResNet(14, residual=residual))
        twin = deepened(model, 20)
        with torch.no_grad():
            changes[residual] = float((twin.train()(images()) - model.train()(images())).abs().max())
    assert changes[True] < 1e-12
    assert changes[False] > 1e-3


def test_the_twin_can_learn_and_the_model_stays():
    torch.manual_seed(0)
    model = trained(CifarResNet(14))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    twin = deepened(model, 20).train()
    nn.functional.cross_entropy(twin(images()), torch.tensor([1, 2])).backward()
    assert twin.layer1[2].bn2.weight.grad.abs().sum() > 0
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_the_twin_forgets_how_the_smaller_one_was_built():
    from cnncourse.models import built_as

    model = build("resnet20")
    assert built_as(model) is not None
    assert built_as(deepened(model, 32)) is None
    assert built_as(model) is not None


@pytest.mark.parametrize(
    ("model", "depth", "words"),
    [
        (lambda: CifarResNet(20), 14, "at least the model's 20, got depth=14"),
        (lambda: CifarResNet(20), 21, r"depth must be 6n \+ 2"),
        (lambda: ResNet(18, small_stem=True), 50, r"ResNet-18 can be deepened to \[18, 34\], got depth=50"),
        (lambda: VGG("A", small_head=True), 16, "VGG cannot be deepened"),
    ],
)
def test_what_cannot_be_deepened_is_refused(model, depth, words):
    with pytest.raises(ValueError, match=words):
        deepened(model(), depth)
