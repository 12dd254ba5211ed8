"""Races of short runs: who is judged at which rate, the ratios, and the records of the smallest budget."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnncourse.inspection import count_parameters, shape_trace
from cnncourse.recipes import (
    RECIPES,
    alexnet_switches,
    crop_ensembles,
    lrn_switch,
    relu_tanh_race,
    scale_jitter,
)
from cnncourse.recipes.crop_ensembles import Votes
from cnncourse.recipes.few_images import described, few_images
from cnncourse.recipes.planning import load_recipe
from cnncourse.recipes.races import Race, Racer, Run, Terms, passes_to, race, trained

RACES = (relu_tanh_race, alexnet_switches, lrn_switch, scale_jitter)


@pytest.fixture(scope="module")
def parts():
    return few_images("test", 40, 20)


def made(terms, *rows):
    """Return a race of runs (racer, rate, seed, errors of the passes, held-out error, test error)."""
    names = ("racer", "rate", "seed", "train_error", "held_out_error", "test_error")
    runs = (Run(**dict(zip(names, row, strict=True)), view_errors={"wide": 0.9}, seconds=1.0) for row in rows)
    return Race(terms=terms, runs=tuple(runs))


@pytest.mark.parametrize(
    ("errors", "passes"),
    [
        ([0.5, 0.3, 0.2], 2.0),  # middles 0.5, 1.5, 2.5; 0.25 lies halfway between the last two
        ([0.9, 0.6, 0.2, 0.1], 1.5 + 0.35 / 0.4),
        ([0.25], 0.5),
        ([0.9, 0.3], math.inf),
        ([], math.inf),
    ],
)
def test_passes_by_hand(errors, passes):
    assert passes_to(errors, 0.25) == pytest.approx(passes)


def test_each_is_judged_at_the_rate_that_gets_there_first(parts):
    terms = Terms(train=parts[0], test=parts[1], epochs=2, rates=(0.1, 0.01), target=0.25)
    both = made(
        terms,
        ("a", 0.1, 0, (0.5, 0.3, 0.2), None, 0.1),
        ("a", 0.1, 1, (0.5, 0.5, 0.5), None, 0.1),  # does not arrive: the rate is out
        ("a", 0.01, 0, (0.6, 0.5, 0.4, 0.3, 0.2), None, 0.6),
        ("a", 0.01, 1, (0.6, 0.5, 0.4, 0.3, 0.2), None, 0.7),
        ("b", 0.1, 0, (0.2,), None, 0.3),
        ("b", 0.1, 1, (0.5, 0.3, 0.2), None, 0.4),
        ("b", 0.01, 0, (0.6, 0.5), None, 0.0),
        ("b", 0.01, 1, (0.6, 0.5), None, 0.0),
    )
    assert (both.best_rate("a"), both.best_rate("b")) == (0.01, 0.1)
    assert both.passes("a") == pytest.approx([4, 4])
    assert both.ratios("a", "b") == pytest.approx([8, 2])
    assert both.test_errors("a") == [0.6, 0.7]
    assert both.test_errors("a", "wide") == [0.9, 0.9]
    with pytest.raises(ValueError, match="no racer 'c'; there are: a, b"):
        both.best_rate("c")


def test_without_a_target_held_out_images_choose_the_rate(parts):
    terms = Terms(train=parts[0], test=parts[1], epochs=2, rates=(0.1, 0.01))
    one = made(terms, ("a", 0.1, 0, (0.1,), 0.5, 0.1), ("a", 0.01, 0, (0.2,), 0.4, 0.8))
    assert one.test_errors("a") == [0.8]  # though the other's test error is lower
    with pytest.raises(ValueError, match="the race has no target"):
        one.passes("a")


def test_a_race_trains_what_it_says(parts):
    terms = Terms(
        train=parts[0], test=parts[1], epochs=2, rates=(0.01, 0.02), target=0.5, views={"x": parts[1]}
    )
    lines = []
    both = race({"a": Racer(build=relu_tanh_race.four_layers)}, terms, [3, 4], report=lines.append)
    assert [(run.rate, run.seed) for run in both.runs] == [(0.01, 3), (0.01, 4), (0.02, 3), (0.02, 4)]
    assert lines[3].startswith("4 of 4: a, rate 0.02, seed 4: test error ")
    trainer, errors = trained(Racer(build=relu_tanh_race.four_layers), terms, 0.02, 4)
    assert errors == both.runs[3].train_error
    assert both.runs[3].test_error == round(1 - trainer.evaluate(parts[1]).accuracy, 4)
    assert both.runs[3].view_errors == {"x": both.runs[3].test_error}
    assert both.runs[0].held_out_error is None
    choosing = race({"a": Racer(build=relu_tanh_race.four_layers)}, replace(terms, target=None), [3])
    assert choosing.runs[0].train_error != both.runs[0].train_error  # a fifth was held out
    assert 0 <= choosing.runs[0].held_out_error <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": ()}, "rates must be different numbers"),
        ({"rates": (0.1, 0.1)}, "rates must be different"),
        ({"target": 1.0}, r"in \(0, 1\), got target=1"),
    ],
)
def test_terms_are_checked(parts, change, message):
    with pytest.raises(ValueError, match=message):
        Terms(**{"train": parts[0], "test": parts[1], "epochs": 1, "rates": (0.1,), **change})


def test_seeds_are_different(parts):
    terms = Terms(train=parts[0], test=parts[1], epochs=1, rates=(0.1,))
    for seeds in ([], [1, 1]):
        with pytest.raises(ValueError, match="different"):
            race({}, terms, seeds)
        with pytest.raises(ValueError, match="different"):
            crop_ensembles.measure("smoke", seeds=seeds)


@pytest.mark.parametrize("recipe", [*RACES, crop_ensembles])
def test_the_smallest_budget_is_recorded(recipe):
    record = recipe.run("smoke", seeds=[0, 2], device="cpu")
    assert RECIPES[recipe.NAME] == record.recipe
    assert load_recipe(recipe.NAME) is recipe
    assert type(record).from_dict(record.to_dict()) == record
    assert record.seeds == [0, 2]
    assert record.settings["data"].startswith("Patches of photographs, ")
    if recipe in RACES:
        names = [key.split(": ")[1] for key in record.results if key.startswith("test error, %: ")]
        assert names == list(recipe.RACERS)
        for row, rate in enumerate(itertools.chain(*[recipe.RATES["smoke"]] * len(names))):
            assert record.curves[1]["rate"][row] == rate
            errors = [100 * curve["test_error"][row] for curve in record.curves]
            assert record.results[f"test error, %: {record.curves[0]['racer'][row]}"] == pytest.approx(errors)
    with pytest.raises(ValueError, match="budget must be"):
        recipe.measure("huge")


def test_a_ratio_is_recorded_when_all_arrive(monkeypatch):
    monkeypatch.setattr(relu_tanh_race, "TARGET", 0.95)
    results = relu_tanh_race.run("smoke", seeds=[0], device="cpu").results
    assert results["runs that arrived, of 1: ReLU"] == 1
    assert results["passes, tanh over ReLU"] == [1.0]  # both in the first pass
    monkeypatch.setattr(relu_tanh_race, "TARGET", 0.01)
    results = relu_tanh_race.run("smoke", seeds=[0], device="cpu").results
    assert results["runs that arrived, of 1: tanh"] == 0
    assert not any("over" in key for key in results)


def test_the_networks_by_hand():
    four = relu_tanh_race.four_layers(10)
    assert count_parameters(four) == 25 * (3 * 16 + 16 * 16 + 16 * 32) + 64 + 128 * 10 + 10
    tanh = relu_tanh_race.four_layers(10, tanh=True)
    assert (
        sum(isinstance(layer, nn.Tanh) for layer in tanh)
        == sum(isinstance(layer, nn.ReLU) for layer in four)
        == 3
    )
    shapes = []
    for overlapping in (True, False):
        rows = shape_trace(alexnet_switches.small_alexnet(10, overlapping=overlapping), (1, 3, 16, 16))
        shapes.append([row.shape for row in rows])
    assert shapes[0] == shapes[1]  # the comparison is of windows, not of sizes
    lrn = lrn_switch.small_vgg(10, lrn=True)
    assert sum(isinstance(layer, nn.Conv2d) for layer in lrn) == 8
    assert count_parameters(lrn) == count_parameters(lrn_switch.small_vgg(10))
    assert type(lrn[2]).__name__ == "LocalResponseNorm"


def test_the_middle_at_a_scale():
    _, test = few_images("test", 10, 10, side=20)
    assert torch.equal(
        scale_jitter.middle(test, 20).images, test.images[:, :, 2:18, 2:18]
    )  # nothing is resized
    assert scale_jitter.middle(test, 16).images.shape == (10, 3, 16, 16)  # the whole image, smaller
    closer = scale_jitter.middle(test, 26).images.float().flatten(1)
    inner = nn.functional.interpolate(test.images[:, :, 4:16, 4:16].float(), 16, mode="bilinear").flatten(1)
    assert (closer - inner).abs().max() <= 1


def test_votes_by_hand(parts):
    terms = Terms(train=parts[0], test=parts[1], epochs=1, rates=(0.1,))
    right = torch.tensor([0, 1])
    sure, wrong, unsure = [[0.9, 0.1], [0.1, 0.9]], [[0.2, 0.8], [0.8, 0.2]], [[0.4, 0.6], [0.4, 0.6]]
    votes = Votes(
        one_crop=torch.tensor([sure, wrong, unsure]),
        ten_crops=torch.tensor([wrong, wrong, wrong]),
        targets=right,
        terms=terms,
    )
    assert votes.errors(crops=1) == [0, 1, 0.5]
    assert votes.errors(2, crops=1) == [0, 0, 1]  # the sure one outvotes each of the others
    assert votes.errors(3, crops=10) == [1]
    with pytest.raises(ValueError, match=r"k must lie in \[1, 3\]"):
        votes.errors(4)
    with pytest.raises(ValueError, match="crops must be 1 or 10"):
        votes.errors(crops=5)


def test_few_images_are_always_the_same():
    first, again, other = few_images("a", 20, 10), few_images("a", 20, 10), few_images("a", 20, 10, side=20)
    assert torch.equal(first[0].images, again[0].images)
    assert other[1].images.shape == (10, 3, 20, 20)
    assert described(*other) == "Patches of photographs, 20 px, 20 images to train and 10 to test"
