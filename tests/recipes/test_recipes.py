import importlib
from dataclasses import replace

import pytest
import torch

from cnncourse.paths import course_root
from cnncourse.recipes import RECIPES
from cnncourse.recipes.plan import Plan, train_once
from cnncourse.recipes.planning import load_recipe, make_plan
from cnncourse.recipes.recording import make_record
from cnncourse.recipes.speed_cifar10 import results
from cnncourse.records import RecordError
from cnncourse.records.comparison import compare
from cnncourse.training import EpochRow, History

TRAINED = [name for name in RECIPES if hasattr(load_recipe(name), "plan")]
SHARED = course_root().parent / "shared" / "data"


@pytest.mark.parametrize("name", RECIPES)
def test_every_listed_recipe_says_what_it_is(name):
    recipe = importlib.import_module(RECIPES[name])
    assert name == recipe.NAME
    assert recipe.TITLE
    assert callable(recipe.plan) if name in TRAINED else callable(recipe.run)
    assert load_recipe(name.replace("-", "_")) is recipe


@pytest.mark.parametrize("name", TRAINED)
def test_every_recipe_trains_at_the_smallest_budget(name):
    plan = make_plan(load_recipe(name), "smoke", device="cpu", changes={"precision": "fp32"})
    assert isinstance(plan, Plan)
    trainer, history = train_once(plan, 0)
    measured = trainer.evaluate(plan.test)
    assert measured.images == len(plan.test)
    assert 0 < measured.loss < 100
    assert len(history) == plan.config.epochs
    assert trainer.model.built_as if name not in ("lenet-mnist", "mlp-mnist") else True


def test_the_paper_s_recipe():
    recipe = load_recipe("resnet-cifar10")
    config = recipe.PAPER
    # 64,000 steps of 128 images on 50,000; rates 0.1, 0.01, 0.001 from steps 32,000 and 48,000 on
    assert config.epochs * -(-50_000 // 128) == pytest.approx(64_000, rel=0.005)
    residual, plain = (
        make_plan(load_recipe(f"{kind}-cifar10"), "smoke", device="cpu") for kind in ("resnet", "plain")
    )
    assert residual.config == plain.config
    counts = [sum(p.numel() for p in plan.build().parameters()) for plan in (residual, plain)]
    assert counts == [269_722, 269_722]  # shortcuts A have no parameters


def test_options_and_settings_are_refused_by_name():
    recipe = load_recipe("resnet-cifar10")
    with pytest.raises(
        ValueError, match="no option of resnet-cifar10 named width; there are: depth, epochs, data"
    ):
        make_plan(recipe, "smoke", options={"width": 3})
    with pytest.raises(ValueError, match="no setting named learning_rate; there are: epochs, batch_size"):
        make_plan(recipe, "smoke", changes={"learning_rate": 3})
    with pytest.raises(ValueError, match="wrong kind"):
        make_plan(recipe, "smoke", changes={"peak_lr": "high"})
    with pytest.raises(
        ValueError, match=r"there is no recipe 'lenet'; choose one of ablation-atlas, .*classifier"
    ):
        load_recipe("lenet")
    with pytest.raises(
        ValueError, match="sawtooth-race is a measurement, not a training run; use: cnncourse record"
    ):
        make_plan(load_recipe("sawtooth-race"), "smoke")
    with pytest.raises(ValueError, match="needs photographs: --option path=FOLDER"):
        make_plan(load_recipe("folder-finetune"), "full")
    with pytest.raises(ValueError, match="plain20 has no public ImageNet weights"):
        make_plan(load_recipe("folder-finetune"), "smoke", options={"model": "plain20"})
    assert make_plan(recipe, "smoke", changes={"peak_lr": 0.3}).config.peak_lr == 0.3


def test_the_clock_stops_at_the_target():
    plan = make_plan(load_recipe("speed-cifar10"), "smoke", options={"target": 0.5})
    rows = [
        EpochRow(
            epoch=i, learning_rate=0.1, train_loss=1, train_accuracy=0, train_seconds=10.0, val_accuracy=a
        )
        for i, a in ((1, 0.3), (2, 0.5), (3, 0.9))
    ]
    assert results(None, History(tuple(rows)), plan) == {"seconds_to_target": 20.0, "passes_to_target": 2}
    assert results(None, History(tuple(rows[:1])), plan)["seconds_to_target"] is None
    with pytest.raises(ValueError, match=r"target=1\.5"):
        make_plan(load_recipe("speed-cifar10"), "smoke", options={"target": 1.5})


def test_only_the_new_layer_of_a_fine_tuned_network_learns():
    plan = make_plan(load_recipe("folder-finetune"), "smoke", device="cpu")
    model = plan.build()
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(learning) == 2
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    with torch.no_grad():
        model(torch.randn(2, 3, 64, 64))
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == []  # statistics of the frozen normalisations too


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs are not on this machine")
@pytest.mark.slow
def test_fine_tuning_tells_ants_from_bees():
    plan = make_plan(
        load_recipe("folder-finetune"),
        "full",
        device="cpu",
        options={"path": str(SHARED / "hymenoptera"), "epochs": 1},
        changes={"workers": 0, "peak_lr": 0.01},
    )
    plan = replace(plan, train=plan.train.select(slice(0, None, 4)), test=plan.test.select(slice(0, None, 4)))
    trainer, _ = train_once(plan, 0)
    assert trainer.evaluate(plan.test).accuracy > 0.7  # chance is 0.54


def test_a_rerun_agrees_with_its_record_and_another_run_does_not():
    record = make_record("lenet-mnist", budget="smoke", seeds=[0, 1, 2], device="cpu")
    same = make_record("lenet-mnist", budget="smoke", seeds=[0, 1, 2], device="cpu")
    assert all(one.agrees and one.measured == one.recorded for one in compare(record, same))
    worse = replace(same, results={**same.results, "test_accuracy": [0.01, 0.02, 0.01]})
    (bad,) = [one for one in compare(record, worse) if one.result == "test_accuracy"]
    assert not bad.agrees
    assert "DIFFERS" in str(bad)
    with pytest.raises(RecordError, match="epochs was 3, is 4"):
        compare(record, replace(same, settings={**same.settings, "epochs": 4}))
    with pytest.raises(RecordError, match="budget was 'smoke', is 'full'"):
        compare(record, replace(same, budget="full"))


def test_the_band_by_hand():
    record = make_record("mlp-mnist", budget="smoke", seeds=[0, 1, 2, 3], device="cpu")
    ours = replace(record, results={"test_accuracy": [0.90, 0.92, 0.94, 0.96]})  # mean 0.93, variance 0.002/3
    theirs = replace(record, seeds=[7], curves=record.curves[:1], results={"test_accuracy": [0.87]})
    (one,) = compare(ours, theirs)
    assert one.allowed == pytest.approx(3 * (0.002 / 3) ** 0.5 * (1 / 4 + 1) ** 0.5)
    assert one.agrees
