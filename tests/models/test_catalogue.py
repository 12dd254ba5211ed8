"""One test per property, swept over the catalogue: a new network is tested by being listed."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnncourse.inspection import count_multiply_adds, count_parameters
from cnncourse.models import CATALOGUE, PrintedError, build, built_as, find, names
from cnncourse.paths import course_root


def on_meta(entry, **options):
    with torch.device("meta"):
        return build(entry.name, **options)


@pytest.fixture(scope="module", params=CATALOGUE, ids=lambda entry: entry.name)
def listed(request):
    """An entry and its network, in evaluation mode and without numbers; one is kept at a time."""
    return request.param, on_meta(request.param).eval()


def test_counts_are_the_listed_and_the_printed_ones(listed):
    entry, model = listed
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


def test_the_smallest_side_is_the_smallest(listed):
    entry, model = listed
    channels, side = entry.in_channels, entry.smallest_side
    assert model(torch.empty(2, channels, side, side, device="meta")).shape == (2, entry.num_classes)
    for height, width in [(side - 1, side), (side, side - 1)]:
        with pytest.raises(ValueError, match=rf"got \(2, {channels}, {height}, {width}\); "):
            model(torch.empty(2, channels, height, width, device="meta"))


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


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_any_channels_and_classes(entry):
    model = on_meta(entry, num_classes=1, in_channels=2).eval()
    side = entry.smallest_side
    assert model(torch.empty(2, 2, side, side, device="meta")).shape == (2, 1)
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
