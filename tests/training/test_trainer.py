from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from cnncourse.datasets import Normalisation, digits
from cnncourse.models import MLP, LeNet5
from cnncourse.training import TrainConfig, Trainer, TrainingError, one_cycle


def config(**changes):
    return TrainConfig(**{"epochs": 2, "batch_size": 64, "peak_lr": 0.1, "device": "cpu", **changes})


def mlp(seed=0, sizes=(64, 32, 10)):
    torch.manual_seed(seed)
    return MLP(sizes)


def test_learns_real_handwriting():
    torch.manual_seed(0)
    train, test = digits("train", side=32), digits("test", side=32)
    trainer = Trainer(LeNet5(), config(epochs=8, peak_lr=0.05, warmup_epochs=1))
    history = trainer.fit(train, test)
    assert history["train_loss"][-1] < 0.1 * history["train_loss"][0]
    assert history["train_accuracy"][-1] > 0.97
    result = trainer.evaluate(test)
    assert result.accuracy > 0.93
    assert history["val_accuracy"][-1] == result.accuracy
    logits = trainer.predict(test)
    assert (logits.argmax(1) == test.targets).sum() == len(test) - result.errors


def shuffled_labels(data):
    return replace(
        data, targets=data.targets[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))]
    )


def test_cannot_learn_what_is_not_there():
    # with labels dealt out at random nothing generalises: the accuracy above is no leak of labels
    trainer = Trainer(mlp(), config(epochs=5))
    trainer.fit(shuffled_labels(digits("train")))
    assert trainer.evaluate(digits("test")).accuracy < 0.25


class Noise:
    def draw(self, shape, generator):
        size = (shape.count, shape.channels, shape.height, shape.width)
        return {"bits": torch.randint(0, 8, size, generator=generator, dtype=torch.uint8)}

    def apply(self, images, drawn):
        return images ^ drawn["bits"]


def weights_after(seed):
    trainer = Trainer(mlp(), config(seed=seed), augmentation=Noise())
    history = trainer.fit(digits("train"))
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()]), history["train_loss"]


def test_one_seed_is_bit_identical_and_another_is_not():
    (first, losses), (again, same), (other, different) = weights_after(0), weights_after(0), weights_after(1)
    assert torch.equal(first, again)
    assert losses == same
    assert not torch.equal(first, other)
    assert losses != different


def test_training_leaves_the_global_generator_alone():
    model = mlp()
    torch.manual_seed(5)
    Trainer(model, config(epochs=1)).fit(digits("train"))
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


def test_learning_rates_follow_the_schedule(monkeypatch):
    seen = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a: (seen.append(self.param_groups[0]["lr"]), step(self, *a))[1]
    )
    data = digits("train").select(slice(320))
    trainer = Trainer(mlp(), config(epochs=4, schedule="one_cycle", warmup_epochs=1, peak_lr=0.2))
    history = trainer.fit(data)  # 5 steps a pass
    assert seen == pytest.approx([0.2 * one_cycle(k, 20, 5) for k in range(20)])
    assert history["learning_rate"] == pytest.approx(seen[4::5])


def test_label_smoothing_trains_and_is_not_measured():
    data = digits("test")
    plain, smooth = (Trainer(mlp(), config(label_smoothing=s, epochs=1, peak_lr=1e-6)) for s in (0.0, 0.3))
    plain_loss, smooth_loss = plain.fit(data)["train_loss"][0], smooth.fit(data)["train_loss"][0]
    assert plain_loss != pytest.approx(smooth_loss, rel=1e-4)
    logits = smooth.predict(data)
    assert smooth.evaluate(data).loss == pytest.approx(
        functional.cross_entropy(logits, data.targets).item(), rel=1e-5
    )


def test_adamw_and_an_own_loss():
    def squared(logits, targets):
        return ((logits - functional.one_hot(targets, 10)) ** 2).mean()

    trainer = Trainer(mlp(), config(optimiser="adamw", peak_lr=0.003, epochs=4), loss=squared)
    losses = trainer.fit(digits("train"))["train_loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_normalisation_comes_from_the_training_images():
    train, test = digits("train"), digits("test")
    trainer = Trainer(mlp(), config(epochs=1))
    with pytest.raises(ValueError, match="normalisation is measured in fit"):
        trainer.evaluate(test)
    trainer.fit(train)
    assert trainer.normalisation == Normalisation.of(train)
    images, _ = next(iter(trainer.batches(test, 450)))
    assert_close(images, Normalisation.of(train)(test.images))
    given = Normalisation((0.5,), (0.5,))
    assert Trainer(mlp(), config(), normalisation=given).evaluate(test).images == 450


def test_bad_data_and_divergence():
    train = digits("train")
    with pytest.raises(ValueError, match="at least one image, got none"):
        Trainer(mlp(), config()).fit(train.select(slice(0)))
    with pytest.raises(ValueError, match=r"targets must lie in \[0, 5\), the number of logits, got 0 to 9"):
        Trainer(mlp(sizes=(64, 5)), config()).fit(train)
    with pytest.raises(
        ValueError, match=r"LeNet-5 takes images of shape \(N, 1, 32, 32\), got \(64, 1, 8, 8\)"
    ):
        Trainer(LeNet5(), config()).fit(train)
    deep = nn.Sequential(nn.Flatten(), *(nn.Linear(64, 64) for _ in range(3)), nn.Linear(64, 10))
    with pytest.raises(TrainingError, match="lower the learning rate"):
        Trainer(deep, config(peak_lr=1e6)).fit(train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"peak_lr": 0.0}, "peak_lr=0.0"),
        ({"peak_lr": float("nan")}, "peak_lr=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"warmup_epochs": 2.0}, "warmup_epochs=2.0, epochs=2"),
        ({"schedule": "steps"}, "got 'steps'"),
        ({"precision": "int8"}, r"precision must be one of .*got 'int8'"),
        ({"channels_last": "yes"}, "got 'yes'"),
        ({"micro_batches": 0}, "micro_batches=0"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
        ({"early_stopping": 0}, "early_stopping=0"),
        ({"lr_factor": 1.0}, "lr_factor=1.0"),
        ({"lr_patience": 0}, "lr_patience=0"),
        ({"workers": -1}, "workers=-1"),
        ({"milestones": (0.5, 0.5)}, r"milestones must rise within \(0, 1\), got milestones=\(0.5, 0.5\)"),
        ({"milestones": (0.5, 1.0)}, "milestones must rise"),
        ({"optimiser": "adam"}, "got 'adam'"),
    ],
)
def test_impossible_settings_are_refused_at_once(change, message):
    with pytest.raises(ValueError, match=message):
        config(**change)


def test_unknown_device_is_refused_before_training():
    with pytest.raises(ValueError, match="got 'abacus'"):
        Trainer(mlp(), config(device="abacus"))
