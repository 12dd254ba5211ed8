import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.training import TrainingError, evaluate, predict, train_epoch


def two_batches():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, generator=generator)
    targets = torch.tensor([0, 1, 1, 0, 1])
    return [(images[:3], targets[:3]), (images[3:], targets[3:])]


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def test_one_epoch_is_two_steps_of_gradient_descent_by_hand():
    model, twin = linear(), linear()
    result = train_epoch(model, two_batches(), torch.optim.SGD(model.parameters(), lr=0.5))
    losses, right = [], 0
    for images, targets in two_batches():
        logits = twin(images)
        loss = functional.cross_entropy(logits, targets)
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
                parameter.sub_(0.5 * gradient)
        losses += [loss.item()] * len(targets)
        right += (logits.argmax(1) == targets).sum().item()
    assert_close(list(model.parameters()), list(twin.parameters()))
    assert result.loss == pytest.approx(sum(losses) / 5)
    assert result.accuracy == right / 5
    assert (result.images, result.steps, result.errors) == (5, 2, 5 - right)


def test_optimiser_steps_once_a_batch_and_the_callbacks_see_each():
    model, calls = linear(), []
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    optimiser.register_step_post_hook(lambda *_: calls.append("step"))
    train_epoch(
        model,
        two_batches(),
        optimiser,
        before_step=calls.append,
        after_step=lambda n: calls.append(-n),
        first_step=7,
    )
    assert calls == [7, "step", -1, 8, "step", -1]


def test_evaluate_measures_in_eval_mode_and_gives_the_mode_back():
    model = nn.Sequential(linear(), nn.Dropout(0.9))
    before = [p.clone() for p in model.parameters()]
    model.train()
    result = evaluate(model, two_batches())
    assert model.training
    images, targets = (torch.cat(part) for part in zip(*two_batches(), strict=True))
    logits = model[0](images)
    assert result.loss == pytest.approx(functional.cross_entropy(logits, targets).item(), rel=1e-6)
    assert result.accuracy == (logits.argmax(1) == targets).sum().item() / 5
    assert result.steps == 0
    assert result.images_per_second > 0
    assert_close(predict(model, two_batches()), logits.detach())
    assert_close(list(model.parameters()), before)
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    evaluate(model, two_batches())
    assert not model.training


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt(value):
    model = linear()
    before = [p.clone() for p in model.parameters()]
    batches = [(torch.full((1, 3), value), torch.tensor([0]))]
    with pytest.raises(
        TrainingError, match=r"must be a finite number, got (nan|inf) at step 4; lower the learning rate"
    ):
        train_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=0.1), first_step=4)
    assert_close(list(model.parameters()), before)


@pytest.mark.parametrize("target", [-1, 2])
def test_labels_out_of_range(target):
    model = linear()
    batches = [(torch.zeros(1, 3), torch.tensor([target]))]
    with pytest.raises(
        ValueError, match=rf"targets must lie in \[0, 2\), .* got {target} to {target}; build the model"
    ):
        train_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="more classes or renumber"):
        evaluate(model, batches)


def test_wrong_shapes():
    model = linear()
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        evaluate(model, [(torch.zeros(4, 3), torch.zeros(3, dtype=torch.int64))])
    with pytest.raises(ValueError, match=r"logits must have shape \(N, K\) .* got \(1, 4, 2\)"):
        evaluate(model, [(torch.zeros(1, 4, 3), torch.tensor([0]))])


def test_nothing_to_do_is_an_error():
    model = linear()
    for work in (
        lambda: train_epoch(model, [], torch.optim.SGD(model.parameters(), lr=0.1)),
        lambda: evaluate(model, []),
        lambda: predict(model, []),
    ):
        with pytest.raises(ValueError, match="there are no batches"):
            work()
