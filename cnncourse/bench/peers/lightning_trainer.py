"""Lightning: a LightningModule and its Trainer, as in Lightning's fifteen-minute introduction."""

from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.peers.hand_written import ResidentLoader
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import build_model, course_loader, sgd, watch


def train(task: Task, clock: Clock, *, tuned: bool = False, quiet: bool = False) -> None:
    """Train.

    Args:
        task: what to train.
        clock: times it.
        tuned: bf16-mixed, channels-last, resident data, fused optimiser, and quiet.
        quiet: no logger, checkpoint, bar, summary or logged metric.
    """
    import lightning

    class Classifier(lightning.LightningModule):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
            images, targets = batch
            logits = self.network(images)
            loss = nn.functional.cross_entropy(logits, targets)
            if not (tuned or quiet):
                self.log("train_loss", loss)
                self.log("train_accuracy", (logits.argmax(1) == targets).float().mean())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return sgd(self.network, fused=True) if tuned else sgd(self.network)

    network = build_model(task)
    options: dict[str, Any] = {}
    if tuned or quiet:
        options = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
    if tuned:
        network = network.to(memory_format=torch.channels_last)
        options["precision"] = "bf16-mixed"
    trainer = lightning.Trainer(
        max_epochs=1000,
        accelerator="cpu" if task.device == "cpu" else "gpu",
        devices=1,
        default_root_dir=task.scratch / "lightning",
        **options,
    )
    loader = ResidentLoader(task, nhwc=True) if tuned else course_loader(task)
    watch(
        task,
        clock,
        network,
        precision="bf16" if tuned else "fp32",
        layout="NHWC" if tuned else "NCHW",
    )
    trainer.fit(Classifier(network), loader)
