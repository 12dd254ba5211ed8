import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.datasets import stratified_split


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


labels = st.lists(st.integers(0, 4), min_size=30, max_size=200).map(
    lambda values: torch.tensor([*values, *[0] * 20], dtype=torch.int64)
)
weights = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(labels, weights, st.integers(0, 2**32))
def test_parts_are_disjoint_complete_and_alike(targets, shares, seed):
    fractions = [share / sum(shares) for share in shares]
    parts = stratified_split(targets, fractions, seeded(seed))
    assert torch.cat(parts).sort().values.tolist() == list(range(len(targets)))
    for fraction, part in zip(fractions, parts, strict=True):
        assert (part.diff() > 0).all()
        for label in range(5):  # a class of few images, or none, may be absent
            wanted = fraction * int((targets == label).sum())
            assert abs(int((targets[part] == label).sum()) - wanted) <= 1  # two ends, each rounded by 1/2


@given(labels, st.integers(0, 2**32))
def test_the_seed_decides(targets, seed):
    once, again = (stratified_split(targets, (0.5, 0.5), seeded(seed)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_another_seed_gives_other_parts():
    targets = torch.zeros(100, dtype=torch.int64)
    assert not torch.equal(
        stratified_split(targets, (0.5, 0.5), seeded(0))[0],
        stratified_split(targets, (0.5, 0.5), seeded(1))[0],
    )


def test_by_hand():
    targets = torch.tensor([0, 0, 0, 0, 1, 1])
    first, second = stratified_split(targets, (0.5, 0.5), seeded())
    assert targets[first].tolist() == targets[second].tolist() == [0, 0, 1]


def test_every_image_is_drawn_equally_often():
    targets = torch.arange(4).repeat(5)
    counts = torch.zeros(20)
    for seed in range(400):
        counts[stratified_split(targets, (0.4, 0.6), seeded(seed))[0]] += 1
    assert counts.sum() == 400 * 8
    assert (counts - 160).abs().max() < 5 * (400 * 0.4 * 0.6) ** 0.5  # five standard deviations


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.5, 0.6), "add up to 1, got"),
        ((0.5, 0.5, 0.0), "above 0 and add up to 1"),
        ((), "above 0 and add up to 1"),
        ((1.2, -0.2), "strictly between 0 and 1, got 1.2"),
        ((float("nan"), 0.5, 0.5), "above 0"),
        ((0.01, 0.99), "0.01 of 20 images leaves one part empty; take more images"),
    ],
)
def test_refusals(fractions, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(torch.arange(4).repeat(5), fractions)


@pytest.mark.parametrize("targets", [torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3)])
def test_targets_are_whole_numbers_in_a_row(targets):
    with pytest.raises(ValueError, match=r"targets must be int64 of shape \(N,\)"):
        stratified_split(targets, (0.5, 0.5))
