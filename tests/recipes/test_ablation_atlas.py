"""The grid of short runs: its networks, its record, and that a killed recording goes on."""

import json

import pytest
import torch

from cnncourse.datasets import DataInfo, LabelledImages
from cnncourse.paths import course_root
from cnncourse.recipes import RECIPES, ablation_atlas
from cnncourse.recipes.ablation_atlas import SCALES, Network, Scale, networks, train_cell
from cnncourse.recipes.cells import KeptCells, worked_through
from cnncourse.recipes.few_images import few_images
from cnncourse.recipes.in_memory import load_in_memory
from cnncourse.recipes.recording import make_record
from cnncourse.records.atlas import Atlas

SHARED = course_root().parent / "shared" / "data"
TINY = Scale((8, 14), (0.5,), 20, 10, 2)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(SCALES, "smoke", TINY)


def test_the_full_grid_has_forty_eight_networks():
    grid = networks(SCALES["full"])
    assert len(grid) == len(set(grid)) == 6 * 2 * 2 * 2
    assert sum(network.residual for network in grid) == sum(network.batch_norm for network in grid) == 24
    assert {network.depth for network in grid} == {8, 14, 20, 32, 44, 56}


def test_a_network_is_what_its_name_says():
    network = Network(14, residual=False, batch_norm=False, width=0.5)
    assert network.name == "plain-14, no batch norm, width 0.5"
    model = network.build(7)
    assert (model.depth, model.residual, model.fc.out_features, model.fc.in_features) == (14, False, 7, 32)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())


def test_a_tiny_grid_is_recorded(tiny):
    lines = []
    record = make_record("ablation-atlas", budget="smoke", seeds=[0, 4], device="cpu", report=lines.append)
    assert RECIPES[record.name] == record.recipe == "cnncourse.recipes.ablation_atlas"
    assert len(lines) == 2 * len(networks(TINY))
    assert lines[-1].startswith("16 of 16: ResNet-14, no batch norm, width 0.5, seed 4: training error ")
    atlas = Atlas.of(record)
    assert atlas.data == "Patches of photographs, 16 px, 20 images to train and 10 to test"
    assert (atlas.depths, atlas.widths, atlas.seeds) == ((8, 14), (0.5,), (0, 4))
    cell = atlas.select(depth=14, residual=True, batch_norm=True, width=0.5, seed=4)[0]
    train, test = few_images("ablation-atlas", 20, 10)
    again = train_cell(Network(14, True, True, 0.5), 4, scale=TINY, train=train, test=test)
    assert again["train_loss"] == list(cell.train_loss)
    assert again["test_error"] == list(cell.test_error)
    assert record.results[f"training error, %: {cell.name}"][1] == round(100 * cell.final_train_error, 2)
    assert type(record).from_dict(record.to_dict()) == record


def test_a_killed_recording_goes_on(tiny, tmp_path, monkeypatch):
    whole = ablation_atlas.run("smoke", seeds=[0], device="cpu")
    trained = []

    def until_the_third(network, seed, **rest):
        trained.append(network.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train_cell(network, seed, **rest)

    monkeypatch.setattr(ablation_atlas, "train_cell", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        ablation_atlas.run("smoke", seeds=[0], device="cpu", checkpoints=tmp_path)
    record = ablation_atlas.run("smoke", seeds=[0], device="cpu", checkpoints=tmp_path)
    assert trained[2] == trained[3]  # the two finished cells were not trained again
    assert len(set(trained)) == 8
    assert len(trained) == 9
    assert record.curves == whole.curves
    monkeypatch.setattr(ablation_atlas, "train_cell", pytest.fail)  # nothing is left to train
    assert ablation_atlas.run("smoke", seeds=[0], device="cpu", checkpoints=tmp_path).curves == whole.curves
    part = ablation_atlas.run(
        "smoke", seeds=[0], device="cpu", checkpoints=tmp_path, depths=[8], widths=[0.5]
    )
    assert part.curves[0]["depth"] == [8] * 4
    assert part.settings["options"] == {"depths": [8], "widths": [0.5]}


def test_cells_of_another_recording_are_refused(tmp_path):
    KeptCells(tmp_path, {"commit": "a", "settings": {"epochs": 2}}).write("one, two", {"x": 1})
    kept = KeptCells(tmp_path, {"commit": "a", "settings": {"epochs": 2}})
    assert kept.read({"one, two": 0, "three": 0}) == {"one, two": {"x": 1}}
    with pytest.raises(ValueError, match=r"made by other commit; go on from the same commit"):
        KeptCells(tmp_path, {"commit": "b", "settings": {"epochs": 2}})


def test_workers_find_the_same(tmp_path):
    train, test = few_images("ablation-atlas", 20, 10)
    cells = {str(seed): (Network(8, True, True, 0.5), seed) for seed in (0, 1)}
    work = ablation_atlas.partial(train_cell, scale=TINY, train=train, test=test)
    here, there = (dict(worked_through(cells, work, workers)) for workers in (0, 2))
    for row in (*here.values(), *there.values()):
        assert row.pop("seconds") >= 0
    assert here == there


def test_an_infinite_loss_ends_a_cell_and_is_told():
    grey = torch.zeros(50, 3, 16, 16, dtype=torch.uint8)
    grey[::2] = 255
    info = DataInfo("toy", "Toy", "none", "nobody", "nowhere", ("a", "b"))
    data = LabelledImages(grey, torch.arange(50) % 2, info, "train")
    network = Network(56, True, False, 1.0)
    scale = Scale((56,), (1.0,), 50, 50, 2)
    real = Network.build

    def huge(self, num_classes):
        model = real(self, num_classes)
        torch.nn.init.constant_(model.fc.weight, 1e38)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "build", huge)
        row = train_cell(network, 0, scale=scale, train=data, test=data)
    assert row["train_loss"] == row["test_error"] == []
    assert 0 <= row["final_train_error"] <= 1
    assert "infinite in the first pass" in ablation_atlas._summary(row)


@pytest.mark.skipif(not (SHARED / "cifar10").is_dir(), reason="the CIFAR-10 copies are not on this machine")
def test_real_images_are_a_fixed_part_made_smaller():
    whole = load_in_memory("cifar10-jpeg", "test", root=SHARED)
    _, part = few_images("atlas", 10, 30, root=SHARED)
    assert part.images.shape == (30, 3, 16, 16)
    assert torch.equal(part.images, few_images("atlas", 10, 30, root=SHARED)[1].images)
    means = whole.images.reshape(-1, 3, 16, 2, 16, 2).double().mean((3, 5))
    distance = (means.flatten(1)[:, None, :64] - part.images.flatten(1)[None, :, :64].double()).abs().amax(2)
    assert (distance.min(0).values <= 0.5).all()
    assert torch.equal(whole.targets[distance.argmin(0)], part.targets)
    assert "JPEG copies" in part.info.title


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": []}, "different numbers, at least one"),
        ({"seeds": [1, 1]}, "different"),
        ({"budget": "huge"}, "budget must be"),
        ({"workers": -1}, "at least 0, got workers=-1"),
    ],
)
def test_what_cannot_run_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ablation_atlas.run(arguments.pop("budget", "smoke"), **arguments)


def test_options_of_a_measurement_are_refused_by_name(tmp_path):
    with pytest.raises(
        ValueError, match="no option of ablation-atlas named depht; there are: workers, depths, widths"
    ):
        make_record("ablation-atlas", budget="smoke", options={"depht": (8,)})
    with pytest.raises(ValueError, match="settings of its own, got epochs"):
        make_record("ablation-atlas", budget="smoke", changes={"epochs": 3})
    with pytest.raises(ValueError, match="sawtooth-race keeps no checkpoints"):
        make_record("sawtooth-race", budget="smoke", checkpoints=tmp_path)


def test_a_cell_is_kept_whole_or_not_at_all(tmp_path):
    kept = KeptCells(tmp_path, {})
    (tmp_path / "two.part").write_text('{"x": ')
    assert kept.read({"two": 0}) == {}
    kept.write("two", {"x": 3})
    assert json.loads((tmp_path / "two.json").read_text()) == {"x": 3}
