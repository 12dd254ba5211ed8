import math
import os
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.augmentation import MixUp, PadCrop
from cnncourse.datasets import digits
from cnncourse.training import (
    Callback,
    CheckpointError,
    CheckpointFolder,
    Interrupted,
    TrainConfig,
    Trainer,
    plateau,
)


def config(**changes):
    return TrainConfig(**{"epochs": 3, "batch_size": 50, "peak_lr": 0.05, "device": "cpu", **changes})


def network(seed=0, *, norm=True):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 10))


TRAIN = digits("train").select(slice(330))
VAL = digits("test").select(slice(120))


def weights(trainer):
    return torch.cat([v.detach().double().flatten() for v in trainer.measured_model.state_dict().values()])


def without_time(history):
    columns = history.to_dict()
    return {k: v for k, v in columns.items() if k not in ("train_seconds", "images_per_second")}


class StopAt(Callback):
    def __init__(self, step, number=signal.SIGTERM):
        self.step, self.number = step, number

    def on_step(self, trainer, step):
        if step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("step", [0, 3, 6, 7, 13])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_and_resumed_is_as_if_nothing_had_happened(tmp_path, step, number):
    # 7 steps a pass: stopped in the first, in the middle, at the end of one; everything random is in play
    settings = config(ema_decay=0.9, clip_norm=1.0, label_smoothing=0.1)
    options = {"augmentation": PadCrop(1), "mixing": MixUp(0.3)}
    whole = Trainer(network(), settings, **options)
    expected = whole.fit(TRAIN, VAL)
    first = Trainer(network(), settings, **options, callbacks=[StopAt(step, number)])
    with pytest.raises(Interrupted) as stopped:
        first.fit(TRAIN, VAL, checkpoints=tmp_path)
    assert stopped.value.signum == number
    torch.rand(17)  # the world has moved on
    second = Trainer(network(seed=9), settings, **options)
    history = second.fit(TRAIN, VAL, checkpoints=tmp_path)
    assert torch.equal(weights(second), weights(whole))
    assert without_time(history) == without_time(expected)
    again = Trainer(network(seed=5), settings, **options)  # a finished run is not run again
    assert without_time(again.fit(TRAIN, VAL, checkpoints=tmp_path)) == without_time(expected)
    assert torch.equal(weights(again), weights(whole))


def test_other_settings_data_or_network_do_not_resume(tmp_path):
    Trainer(network(), config(epochs=1)).fit(TRAIN, checkpoints=tmp_path)
    with pytest.raises(
        CheckpointError, match=r"another run: peak_lr was 0\.05, is 0\.1; resume with the settings"
    ):
        Trainer(network(), config(epochs=1, peak_lr=0.1)).fit(TRAIN, checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match="data images was 330, is 320"):
        Trainer(network(), config(epochs=1)).fit(TRAIN.select(slice(320)), checkpoints=tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(CheckpointError, match=r"shapes 1\.weight was \[4\], is \[10, 64\]"):
        Trainer(other, config(epochs=1)).fit(TRAIN, checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match="holds checkpoints of an earlier run"):
        Trainer(network(), config(epochs=1)).fit(TRAIN, checkpoints=tmp_path, resume="never")
    newest = CheckpointFolder(tmp_path).latest()
    assert newest["position"] == {"epoch": 2, "step": 0, "ended": True}  # and nothing was lost


def test_saves_within_a_pass_and_from_a_path(tmp_path):
    whole = Trainer(network(), config())
    whole.fit(TRAIN)
    folder = CheckpointFolder(tmp_path, keep_last=99)
    Trainer(network(), config()).fit(TRAIN, checkpoints=folder, save_every=3)
    names = sorted(p.name for p in tmp_path.glob("step-*"))
    assert [int(name[5:13]) for name in names] == [3, 6, 7, 9, 12, 14, 15, 18, 21]
    resumed = Trainer(network(seed=3), config())
    resumed.fit(TRAIN, resume=tmp_path / names[4])
    assert torch.equal(weights(resumed), weights(whole))


def test_micro_batches_change_memory_not_results():
    whole, parts = (Trainer(network(norm=False).eval(), config(micro_batches=m)) for m in (1, 3))
    for trainer in (whole, parts):
        trainer.model[3] = nn.Identity()  # dropout draws per part
    losses = [trainer.fit(TRAIN)["train_loss"] for trainer in (whole, parts)]
    assert_close(weights(parts), weights(whole), rtol=1e-4, atol=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_long_gradient_is_shortened_and_measured():
    lengths = []

    class Measure(Callback):
        def on_step(self, trainer, step):
            lengths.append(math.sqrt(sum(p.grad.square().sum().item() for p in trainer.model.parameters())))

    history = Trainer(network(), config(epochs=1, clip_norm=0.01), callbacks=[Measure()]).fit(TRAIN)
    assert lengths == pytest.approx([0.01] * 7, rel=1e-3)
    assert history["gradient_norm"][0] > 0.1
    lengths.clear()
    measured = Trainer(network(), config(epochs=1, gradient_norm=True), callbacks=[Measure()]).fit(TRAIN)
    assert measured["gradient_norm"][0] == pytest.approx(sum(lengths) / 7, rel=1e-5)
    assert Trainer(network(), config(epochs=1)).fit(TRAIN)["gradient_norm"] == [None]


def test_the_average_is_what_is_measured():
    trainer = Trainer(network(), config(ema_decay=0.99))
    history = trainer.fit(TRAIN, VAL)
    assert trainer.measured_model is not trainer.model
    assert trainer.evaluate(VAL).accuracy == history["val_accuracy"][-1]
    logits = trainer.predict(VAL)
    assert (logits.argmax(1) == VAL.targets).double().mean().item() == pytest.approx(
        history["val_accuracy"][-1]
    )


def test_plateau_and_early_stopping_watch_the_validation_loss():
    settings = config(epochs=30, peak_lr=0.5, schedule="plateau", lr_patience=1, early_stopping=3)
    with pytest.raises(
        ValueError, match=r"schedule='plateau' watches the validation loss; give fit\(\) val images"
    ):
        Trainer(network(), settings).fit(TRAIN)
    with pytest.raises(ValueError, match="early_stopping=3 watches"):
        Trainer(network(), replace(settings, schedule="constant")).fit(TRAIN)
    history = Trainer(network(), settings).fit(TRAIN, VAL)
    losses = history["val_loss"]
    assert len(losses) < 30
    assert len(losses) - 1 - losses.index(min(losses)) == 3
    rates = [0.5 * plateau(losses[:k], patience=1) for k in range(len(losses))]
    assert history["learning_rate"] == pytest.approx(rates)
    assert min(rates) < 0.5


def test_callbacks_are_told_four_things():
    told = []

    class Tell(Callback):
        def on_start(self, trainer):
            told.append("start")

        def on_step(self, trainer, step):
            told.append(step)

        def on_epoch(self, trainer, row):
            told.append(f"pass {row.epoch}")

        def on_end(self, trainer, history):
            told.append(f"end after {len(history)}")

    Trainer(network(), config(epochs=2, batch_size=165), callbacks=[Tell()]).fit(TRAIN)
    assert told == ["start", 0, 1, "pass 1", 2, 3, "pass 2", "end after 2"]


def test_every_setting_of_the_fast_path_can_be_seen_and_switched_off():
    plain = Trainer(network(), config(precision="fp32", channels_last=False, keep_memory=False))
    assert repr(plain) == (
        "Trainer of Sequential on cpu: fp32, channels first, returns freed memory; 0 of 3 passes done"
    )
    fast = Trainer(network(), config(precision="bf16", channels_last=True))
    assert "bf16, channels last, keeps freed memory" in repr(fast)
    fast.fit(TRAIN)
    assert fast.model[0].weight.dtype == torch.float32
    assert fast.evaluate(VAL).accuracy > 0.5


def test_too_little_memory_is_explained():
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, images):
            return self.layer(images.flatten(1)) + torch.empty(1 << 60).sum()

    from cnncourse.training import TrainingError

    with pytest.raises(
        TrainingError, match="memory does not suffice for batch_size=50 in micro_batches=1; double"
    ):
        Trainer(Greedy(), config()).fit(TRAIN)
