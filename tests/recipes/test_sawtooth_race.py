"""Many small networks at once behave like each of them alone, and the race is a record."""

import pytest
import torch
from torch import nn

from cnncourse import theory
from cnncourse.recipes import RECIPES, sawtooth_networks, sawtooth_race


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_batch_computes_what_each_network_computes():
    networks = sawtooth_networks.random_networks((5, 3), 4, generator())
    x = torch.rand(4, 7, 1, generator=generator(1))
    together = networks(x)
    for i in range(len(networks)):
        torch.testing.assert_close(together[i], networks.network(i)(x[i]))


def test_kinks_of_a_fresh_first_layer_lie_where_the_data_are():
    networks = sawtooth_networks.random_networks((50,), 3, generator())
    kinks = -networks.biases[0] / networks.weights[0]
    assert kinks.min() >= 0
    assert kinks.max() <= 1
    assert all(theory.count_pieces(networks.network(i)) == 51 for i in range(3))


def test_a_network_without_hidden_layer_is_refused():
    with pytest.raises(ValueError, match="at least one hidden layer"):
        sawtooth_networks.random_networks((), 1, generator())


def test_without_noise_the_shaken_network_is_the_exact_one():
    calm = sawtooth_networks.shaken_networks(4, [0.0, 0.1], generator())
    assert theory.from_network(calm.network(0)) == theory.sawtooth(4)
    assert theory.from_network(calm.network(1)) != theory.sawtooth(4)
    assert sawtooth_networks.measured(calm, [4, 4])[0][0] == 0


def test_each_network_has_its_own_target():
    x = torch.arange(17).div(16).view(1, -1, 1).expand(3, -1, -1)
    values = sawtooth_networks.target_values(x, torch.tensor([0, 1, 3]))
    for row, n in zip(values, (0, 1, 3), strict=True):
        torch.testing.assert_close(row, theory.sawtooth_values(x[0], n), rtol=0, atol=0)


def test_training_together_is_training_alone():
    """Adam and the summed loss must not mix the networks: compare with one nn.Sequential on the same points."""
    networks = sawtooth_networks.random_networks((4,), 2, generator())
    alone = networks.network(1)
    sawtooth_networks.train_stacked(
        networks, [1, 2], steps=5, peak_lr=0.01, generator=generator(7), batch_size=8
    )
    optimiser = torch.optim.Adam(alone.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=5, pct_start=0.1)
    same = generator(7)
    for step in range(5):
        x = torch.rand(2, 8, 1, generator=same)[1]
        loss = nn.functional.mse_loss(alone(x), theory.sawtooth_values(x, 2))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step < 4:
            schedule.step()
    for ours, theirs in zip(networks.network(1).parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_training_learns_one_tooth():
    networks = sawtooth_networks.random_networks((16,), 3, generator())
    history = sawtooth_networks.train_stacked(
        networks, [1] * 3, steps=200, peak_lr=0.02, generator=generator(1)
    )
    assert history.shape == (3, 4)
    assert max(sawtooth_networks.measured(networks, [1] * 3)[0]) < 0.05


def test_a_missing_target_is_refused():
    networks = sawtooth_networks.random_networks((2,), 2, generator())
    with pytest.raises(ValueError, match="1 targets for 2 networks"):
        sawtooth_networks.train_stacked(networks, [1], steps=1, peak_lr=0.1, generator=generator())


def test_the_race_is_the_same_twice_and_sorted_by_target_and_seed():
    once, twice = (sawtooth_race.race((3,), seeds=[0, 4], steps=3, iterates=(2, 3)) for _ in range(2))
    assert once == twice
    assert set(once["l1"]) == {2, 3}
    assert all(len(per_seed) == 2 for per_seed in once["l1"].values())
    assert all(1 <= count <= 4 for per_seed in once["pieces"].values() for count in per_seed)


def test_a_start_close_by_comes_back():
    near = sawtooth_race.shaken_race(3, seeds=[0, 1], steps=200, noises=(0.001,))
    assert max(near["after"][0.001]) < 0.002 < max(near["before"][0.001])


def test_a_smoke_run_is_a_record_with_a_row_for_each_racer(monkeypatch):
    monkeypatch.setattr(sawtooth_race, "SHALLOW", ((2,), (4,)))
    said = []
    record = sawtooth_race.run("smoke", seeds=[3, 5], report=said.append)
    assert record.name == "sawtooth-race"
    assert RECIPES[record.name] == record.recipe
    rows = len(sawtooth_race.ITERATES) * 4 + 3 * len(sawtooth_race.NOISES)
    assert [len(curve[column]) for curve in record.curves for column in curve] == [rows] * 12
    assert said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"budget": "huge"}, "one of smoke"), ({"seeds": []}, "at least one"), ({"seeds": [1, 1]}, "different")],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sawtooth_race.run(**{"budget": "smoke", **arguments})
