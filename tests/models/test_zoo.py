"""The zoo table: what it takes from the catalogue, from the file of measurements, and from records."""

import dataclasses
import json

import pytest
import torch

from cnncourse.models import CATALOGUE, find
from cnncourse.models.zoo import FILE, RecordedAccuracy, measure, trained_network, zoo
from cnncourse.records import Record

KEPT = json.loads(FILE.read_text(encoding="utf-8"))


DEEP = ("resnet1", "preact", "plain110", "densenet", "nasnet", "convnext_small", "convnext_base", "googlenet")
EACH = [
    pytest.param(entry, id=entry.name, marks=[pytest.mark.exhaustive] if entry.name.startswith(DEEP) else [])
    for entry in CATALOGUE
]


@pytest.mark.parametrize("entry", EACH)
def test_the_file_holds_what_is_measured(entry):
    again = "run python -m cnncourse.models.zoo and commit its file"
    assert KEPT.get(entry.name) == measure(entry), again


def test_the_file_holds_no_network_that_is_gone():
    assert list(KEPT) == [entry.name for entry in CATALOGUE]


def test_a_row_by_hand():
    (row,) = zoo(["vgg16"])
    assert (row.paper, row.side, row.num_classes) == ("simonyan2015", 224, 1000)
    assert row.weight_bytes == 4 * 138_357_544
    assert row.receptive_field == 212  # Araujo, Norris & Sim (2019)
    assert row.printed_accuracy == 73.0  # 27.0 % errors, table 3
    assert row.weights == "imagenet"
    assert row.licence == "BSD-3-Clause"
    assert row.recorded == ()
    assert json.loads(json.dumps(row.to_dict()))["printed_error"]["top1"] == 27.0
    assert [row.name for row in zoo()] == [entry.name for entry in CATALOGUE]


def test_accuracies_are_per_cent_and_near_each_other():
    for row in zoo():
        if row.printed_accuracy is not None and row.public_accuracy is not None:
            # Crops and training differ, the network does not: a larger distance would be a slip of the pen.
            assert abs(row.printed_accuracy - row.public_accuracy[0]) < 3, row.name


def test_a_network_that_is_not_in_the_file_is_measured(monkeypatch):
    from cnncourse.models import zoo as module

    monkeypatch.setattr(module, "_measured", dict)
    (row,) = zoo(["lenet5"])
    assert row.activation_bytes == KEPT["lenet5"]["activation_bytes"]


def record(recipe, parameters=61_706, budget="full", **settings):
    return Record(
        name="run",
        title="A run",
        recipe=f"cnncourse.recipes.{recipe}",
        budget=budget,
        settings=settings,
        seeds=[0, 1],
        data={"name": "mnist", "train_images": 1, "test_images": 1, "sha256": {}},
        device="",
        versions={},
        commit="",
        date="2026-01-01",
        wall_seconds=1.0,
        peak_memory_mib=1.0,
        curves=[{}, {}],
        results={"parameters": parameters, "test_accuracy": [0.5, 0.7]},
    )


def test_records_belong_to_the_network_they_trained():
    assert trained_network(record("lenet_mnist")) == "lenet5"
    twenty, plain = find("resnet20").parameters, find("plain56").parameters
    assert trained_network(record("resnet_cifar10", twenty)) == "resnet20"
    options = {"options": {"depth": 56, "architecture": "plain"}}
    assert trained_network(record("resnet_cifar10", plain, **options)) == "plain56"


def test_other_records_belong_to_none():
    assert trained_network(record("lenet_mnist", budget="smoke")) is None
    assert trained_network(record("lenet_mnist", parameters=61_000)) is None  # another network of that name
    assert trained_network(record("mlp_mnist")) is None
    assert trained_network(record("resnet_cifar10", options={"depth": 26})) is None
    without = dataclasses.replace(record("lenet_mnist"), results={"parameters": 61_706})
    assert trained_network(without) is None


def test_what_was_recorded_is_in_the_row():
    (row,) = zoo(["lenet5"])
    by_record = {one.record: one for one in row.recorded}
    assert isinstance(by_record["lenet-mnist"], RecordedAccuracy)
    assert 99 < by_record["lenet-mnist"].mean < 100
    assert by_record["lenet-mnist"].seeds == 3


def test_measuring_allocates_nothing_and_leaves_the_generator_alone():
    before = torch.random.get_rng_state()
    measure(find("vgg19"))
    assert torch.equal(torch.random.get_rng_state(), before)
