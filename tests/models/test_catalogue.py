"""One test per property, swept over the catalogue: a new network is tested by being listed."""

import copy
import pickle
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnncourse.inspection import count_multiply_adds, count_parameters
from cnncourse.models import CATALOGUE, PrintedError, build, built_as, find, names
from cnncourse.paths import course_root

ELSEWHERE = {
    *("resnet1202", "resnet101", "resnet152", "wide_resnet50_2"),
    *("vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn"),
    *("densenet161", "densenet169", "densenet201", "densenet_bc250_24", "densenet_bc190_40"),
    *("preact_resnet200", "preact_resnet1001", "wide_resnet28_10"),
}
"""Built and counted here but not run: all run beside torchvision's but one, which takes as long as all others."""

SLIM = {entry.name: {"hidden": 64} for entry in CATALOGUE if entry.name.startswith(("alexnet", "vgg"))}
"""Options of networks whose fully connected layers alone would take most of the time and memory of the tests."""

RUN = [entry for entry in CATALOGUE if entry.name not in ELSEWHERE]


def on_meta(entry, **options):
    with torch.device("meta"):
        return build(entry.name, **options)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_counts_are_the_listed_and_the_printed_ones(entry):
    model = on_meta(entry)
    shape = (1, entry.in_channels, entry.side, entry.side)
    assert count_parameters(model) == entry.parameters
    assert count_multiply_adds(model, shape) == entry.multiply_adds
    for printed, counted in [
        (entry.printed_parameters, count_parameters),
        (entry.printed_operations, lambda model: count_multiply_adds(model, shape)),
    ]:
        if printed:
            papers = on_meta(entry, **printed.options) if printed.options else model
            assert counted(papers) == pytest.approx(printed.value, abs=printed.within)


def test_every_entry_is_complete():
    bibliography = (course_root() / "book" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", bibliography, re.M))
    assert {entry.paper for entry in CATALOGUE} <= keys
    assert len(set(names())) == len(names()) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert (entry.weights is None) == (entry.preprocessing is None), entry.name
        if entry.preprocessing:
            assert entry.preprocessing.side == entry.side
            assert len(entry.preprocessing.mean) == entry.in_channels


def test_weights_are_the_files_torchvision_names():
    from torchvision import models

    for entry in CATALOGUE:
        if entry.weights and "download.pytorch.org" in entry.weights.source:
            first = models.get_model_weights(entry.name)["IMAGENET1K_V1"]
            steps = first.transforms()
            ours = entry.preprocessing
            assert entry.weights.source == first.url
            assert ([ours.side], [ours.resize]) == (steps.crop_size, steps.resize_size)
            assert (list(ours.mean), list(ours.std)) == (steps.mean, steps.std)
            assert ours.interpolation == steps.interpolation.value
            stated = first.meta["_metrics"]["ImageNet-1K"]
            assert entry.public_accuracy == (stated["acc@1"], stated["acc@5"])


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_the_smallest_side_is_the_smallest(entry):
    model = on_meta(entry).eval()
    side = entry.smallest_side
    assert model(torch.empty(2, entry.in_channels, side, side, device="meta")).shape == (2, entry.num_classes)
    with pytest.raises(ValueError, match=rf"got \(2, {entry.in_channels}, {side - 1}, {side}\); "):
        model(torch.empty(2, entry.in_channels, side - 1, side, device="meta"))


def test_entries_refuse_what_cannot_be():
    entry = find("resnet18")
    for wrong, words in [
        ({"smallest_side": 225}, "smallest_side=225 and side=224"),
        ({"preprocessing": None}, "resnet18: public weights need their preprocessing"),
        ({"public_accuracy": (89.0, 69.0)}, r"0 < top-1 <= top-5 < 100, got \(89.0, 69.0\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            replace(entry, **wrong)
    with pytest.raises(ValueError, match="lenet5: public_accuracy needs public weights"):
        replace(find("lenet5"), public_accuracy=(99.0, 100.0))
    for errors, words in [
        (("svhn", 3.0), "'imagenet', 'cifar10' or 'mnist', got 'svhn'"),
        (("imagenet", None), "one of top1 and top5 must be a number"),
        (("imagenet", 5.0, 25.0), "top5 not above top1, got top1=5.0 and top5=25.0"),
        (("cifar10", 100.0), "between 0 and 100 per cent"),
    ]:
        with pytest.raises(ValueError, match=words):
            PrintedError(*errors)


@pytest.fixture(scope="module", params=RUN, ids=lambda entry: entry.name)
def network(request):
    """A network with 7 classes and four images for it."""
    entry = request.param
    torch.manual_seed(0)
    model = build(entry.name, num_classes=7, **SLIM.get(entry.name, {})).eval()
    return model, torch.randn(4, entry.in_channels, *[max(32, entry.smallest_side)] * 2)


def logits_of(model, images):
    with torch.inference_mode():
        return model.eval()(images)


def distance(logits, exact):
    """Return how far logits are from others, relative to those; fresh networks may give large or small ones."""
    assert exact.isfinite().all()
    assert exact.std() > 0
    return ((logits.float() - exact).norm() / exact.norm()).item()


def test_every_parameter_gets_a_gradient(network):
    model, images = network
    trained = copy.deepcopy(model).train()
    logits = trained(images)
    assert logits.shape == (4, 7)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    without = [
        name
        for name, parameter in trained.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert without == []
    assert all(
        parameter.grad.isfinite().all() for parameter in trained.parameters() if parameter.requires_grad
    )
    frozen = [name for name, parameter in trained.named_parameters() if not parameter.requires_grad]
    assert frozen == (["whitening.weight"] if built_as(model)["name"] == "speed_net" else [])


def test_in_eval_an_image_does_not_see_its_batch(network):
    model, images = network
    alone = torch.cat([logits_of(model, image[None]) for image in images])
    assert distance(alone, logits_of(model, images)) < 1e-4


def test_memory_format_does_not_matter(network):
    model, images = network
    turned = copy.deepcopy(model).to(memory_format=torch.channels_last)
    ours = logits_of(turned, images.to(memory_format=torch.channels_last))
    assert distance(ours, logits_of(model, images)) < 1e-4


def test_bfloat16_agrees_within_its_eight_bits(network):
    model, images = network
    exact = logits_of(model, images)
    rounded = logits_of(copy.deepcopy(model).bfloat16(), images.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert distance(rounded, exact) < 0.1  # 2^-9 a rounding, added up over as many as 150 layers


def test_copies_are_the_same_network(network):
    model, images = network
    exact = logits_of(model, images)
    how = built_as(model)
    assert how["options"]["num_classes"] == 7
    again = build(how["name"], **how["options"])
    again.load_state_dict(model.state_dict())
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(logits_of(twin, images), exact)
        assert built_as(twin) == how


def test_wrong_images_are_refused(network):
    model, images = network
    if built_as(model)["name"] == "mlp":
        with pytest.raises(ValueError, match=r"1024 numbers an image, got \(4, 2, 32, 32\)"):
            model(torch.zeros(4, 2, 32, 32))
        return
    channels = images.shape[1]
    with pytest.raises(ValueError, match=rf"shape \(N, {channels}, .*got \(4, {channels + 1}, 32, 32\); "):
        model(torch.zeros(4, channels + 1, 32, 32))
    with pytest.raises(ValueError, match=rf"got \(1, {channels}, 3, 32\); "):
        model(torch.zeros(1, channels, 3, 32))
    with pytest.raises(ValueError, match=r"got \(3, 32, 32\); "):
        model(torch.zeros(3, 32, 32))
    with pytest.raises(ValueError, match=r"floating-point images, got torch.uint8; divide by 255"):
        model(images.byte())


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "speed_net", "efficientnet_lite0"])
def test_the_checks_leave_the_batch_open_to_compilers(name):
    torch.manual_seed(0)
    model, channels = build(name, 7).eval(), find(name).in_channels
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.randn(2, channels, 32, 32),), dynamic_shapes=({0: batch},))
    images = torch.randn(5, channels, 32, 32)
    with torch.no_grad():
        assert distance(program.module()(images), model(images)) < 1e-5


def test_any_channels_and_classes():
    for entry in RUN:
        model = on_meta(entry, num_classes=1, in_channels=2)
        side = max(32, entry.smallest_side)
        assert model(torch.empty(2, 2, side, side, device="meta")).shape == (2, 1)
        if entry.name != "mlp":
            with pytest.raises(ValueError, match="num_classes=0 and in_channels=2"):
                build(entry.name, 0, 2)


def test_names_are_found_as_people_write_them():
    for written, name in [
        ("ResNet-18", "resnet18"),
        ("LeNet_5", "lenet5"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("MobileNetV2", "mobilenet_v2"),
    ]:
        assert find(written).name == name
    with pytest.raises(ValueError, match=r"unknown model 'resnet19'; did you mean .*resnet18"):
        build("resnet19")
    with pytest.raises(ValueError, match="unknown model 'xyz'; there are mlp, lenet5"):
        build("xyz")


def test_options_are_passed_on_and_checked():
    assert built_as(build("resnet20", 5, shortcut="B")) == {
        "name": "resnet20",
        "options": {"num_classes": 5, "in_channels": 3, "shortcut": "B"},
    }
    assert build("mlp", hidden=(3, 4)).sizes == (1024, 3, 4, 10)
    assert built_as(nn.Linear(1, 1)) is None
    with pytest.raises(ValueError, match="resnet20 has no option depth; its options are shortcut, residual"):
        build("resnet20", depth=3)
