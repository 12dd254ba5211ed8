"""What ``torchrun`` starts in the tests of several processes: trains each case and writes what came out."""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from cnncourse.augmentation import PadCrop
from cnncourse.datasets import digits
from cnncourse.training import Callback, TrainConfig, Trainer, process_group, write_checkpoint


def network(norm):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 10))


CASES = {
    "plain": {"norm": False},
    "sync batch norm": {"norm": True, "sync_batch_norm": True},
    "nothing left for one": {"norm": False, "images": 101},
    "micro-batches, clipping, average": {
        "norm": False,
        "micro_batches": 2,
        "clip_norm": 0.5,
        "ema_decay": 0.9,
        "label_smoothing": 0.1,
    },
}
"""Settings of each case; 330 images in steps of 50 leave 30 for the last."""


class DieOnce(Callback):
    """Kills its process in the second pass, unless torchrun has started it again."""

    def on_step(self, trainer, step):
        if step == 9 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)


def train(norm, images=330, callbacks=(), checkpoints=None, epochs=2, **settings):
    config = TrainConfig(epochs=epochs, batch_size=50, peak_lr=0.05, device="cpu", **settings)
    trainer = Trainer(network(norm), config, augmentation=PadCrop(1), callbacks=callbacks)
    history = trainer.fit(
        digits("train").select(slice(images)),
        digits("test").select(slice(121)),
        checkpoints=checkpoints,
        save_every=2,
    )
    columns = {
        name: history[name]
        for name in ("train_loss", "train_accuracy", "train_top5", "val_loss", "val_accuracy")
    }
    logits = trainer.predict(digits("test"))
    return {"model": trainer.measured_model.state_dict(), "history": columns, "logits": logits}


def main(out, scenario):
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as world:
        if scenario == "cases":
            results = {name: train(**settings) for name, settings in CASES.items()}
        else:
            dying = [DieOnce()] if scenario == "dies" else []
            results = train(norm=True, epochs=3, callbacks=dying, checkpoints=out / "checkpoints")
        write_checkpoint(out / f"{scenario}-rank-{world.rank}.safetensors", results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
