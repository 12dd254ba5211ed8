import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score
from torch.nn import functional

from cnncourse.training.metrics import REDUCE_EVERY, Tally


def batches(sizes, classes=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, classes, generator=generator), torch.randint(0, classes, (n,), generator=generator))
        for n in sizes
    ]


def counted(pairs, tally=None):
    tally = tally or Tally()
    for logits, targets in pairs:
        tally.add(functional.cross_entropy(logits, targets), logits, targets, norm=logits.norm())
        tally.steps += 1
    return tally


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3 * REDUCE_EVERY))
def test_means_over_images_whatever_the_batches(sizes):
    pairs = batches(sizes)
    result = counted(pairs).result()
    logits, targets = (torch.cat(part) for part in zip(*pairs, strict=True))
    assert result.loss == pytest.approx(functional.cross_entropy(logits.double(), targets).item(), rel=1e-5)
    assert result.images == sum(sizes)
    labels = list(range(7))
    # oracle: scikit-learn
    assert result.accuracy == pytest.approx(top_k_accuracy_score(targets, logits, k=1, labels=labels))
    assert result.top5 == pytest.approx(top_k_accuracy_score(targets, logits, k=5, labels=labels))
    assert result.gradient_norm == pytest.approx(
        sum(x.norm().item() for x, _ in pairs) / len(sizes), rel=1e-5
    )


@given(st.integers(1, 80), st.integers(0, 80))
def test_saved_in_the_middle_gives_the_same_bits(steps, cut):
    pairs = batches([3] * steps)
    whole = counted(pairs).state_dict()
    half = counted(pairs[:cut]).state_dict()
    later = Tally()
    later.load_state_dict(half)
    resumed = counted(pairs[cut:], later).state_dict()
    assert resumed.pop("seconds") >= half["seconds"]
    whole.pop("seconds")
    assert resumed == whole


def test_sums_of_processes():
    pairs = batches([4, 5, 3, 6])
    whole = counted(pairs).state_dict()
    parts = [counted(pairs[:2]).state_dict(), counted(pairs[2:]).state_dict()]
    merged = Tally.merged(parts)
    assert merged["loss"] == pytest.approx(whole["loss"])
    assert [merged[k] for k in ("right", "right5", "images")] == [
        whole[k] for k in ("right", "right5", "images")
    ]
    assert merged["steps"] == 2  # each process counts the same steps


def test_few_classes_have_no_top_5_and_soft_targets_count_their_largest():
    (pair,) = batches([6], classes=4)
    assert counted([pair]).result().top5 is None
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    tally = Tally()
    tally.add(torch.tensor(0.5), logits, torch.tensor([[0.3, 0.7], [0.4, 0.6]]))
    assert tally.result().accuracy == 0.5
    assert tally.result().gradient_norm is None


def test_refusals():
    with pytest.raises(ValueError, match="there are no batches"):
        Tally().result()
    tally = Tally()
    tally.add(torch.tensor(0.0), torch.zeros(1, 3), torch.tensor([-100]))  # cross_entropy would ignore it
    with pytest.raises(
        ValueError, match=r"targets must lie in \[0, 3\), the number of logits, got -100 to -100"
    ):
        tally.result()


def test_not_a_number_is_kept():
    tally = Tally()
    tally.add(torch.tensor(math.nan), torch.zeros(1, 3), torch.tensor([0]))
    assert math.isnan(tally.result().loss)
