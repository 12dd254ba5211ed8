"""The loop an expert writes by hand: data in memory, augmentation in batches, stock switches of PyTorch."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import (
    MEAN,
    STD,
    ReadyBatches,
    build_model,
    sgd,
    training_images,
    watch,
)


class ResidentLoader:
    """Shuffled batches of resident uint8 images: crop by an index, flip by a choice, then normalise.

    Args:
        task: ``settings`` hold ``batch_size``, ``padding`` and ``flip``.
        nhwc: give the batches in channels-last layout.
    """

    def __init__(self, task: Task, *, nhwc: bool = False) -> None:
        images, targets = training_images(task)
        padding = int(task.settings["padding"])
        self.padded = functional.pad(images, [padding] * 4).to(task.device)
        self.targets = targets.to(task.device)
        self.side, self.padding = images.shape[-1], padding
        self.flip, self.batch_size = bool(task.settings["flip"]), task.batch_size
        self.mean = torch.tensor(MEAN, device=task.device).view(-1, 1, 1) * 255
        self.scale = 1 / (torch.tensor(STD, device=task.device).view(-1, 1, 1) * 255)
        self.layout = torch.channels_last if nhwc else torch.contiguous_format

    def __len__(self) -> int:
        return math.ceil(len(self.targets) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # (N, C, 2p + 1, 2p + 1, side, side): every crop of every image, without a copy
        windows = self.padded.unfold(2, self.side, 1).unfold(3, self.side, 1)
        device = self.padded.device
        order = torch.randperm(len(self.targets), device=device)
        for chosen in order.split(self.batch_size):
            count = len(chosen)
            top, left = torch.randint(0, 2 * self.padding + 1, (2, count), device=device)
            images = windows[chosen, :, top, left]
            if self.flip:
                turned = torch.rand(count, 1, 1, 1, device=device) < 0.5
                images = torch.where(turned, images.flip(3), images)
            floats = (images.float() - self.mean) * self.scale
            yield floats.contiguous(memory_format=self.layout), self.targets[chosen]


def train(task: Task, clock: Clock, *, tuned: bool = False) -> None:
    """Train with a loop of a dozen lines.

    Args:
        task: what to train.
        clock: times it.
        tuned: NHWC, bf16 autocast and the fused optimiser; loss and accuracy are read once a pass.
    """
    model = build_model(task).to(task.device)
    if tuned:
        model = model.to(memory_format=torch.channels_last)
    loader = ReadyBatches(task) if task.settings.get("ready") else ResidentLoader(task, nhwc=tuned)
    optimiser = sgd(model, fused=tuned)
    watch(
        task,
        clock,
        model,
        precision="bf16" if tuned else "fp32",
        layout="NHWC" if tuned else "NCHW",
    )
    kind = torch.device(task.device).type
    while True:
        total = torch.zeros((), device=task.device)
        right = torch.zeros((), dtype=torch.int64, device=task.device)
        for images, targets in loader:
            with torch.autocast(kind, torch.bfloat16, enabled=tuned):
                logits: Tensor = model(images)
                loss = nn.functional.cross_entropy(logits, targets)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.detach()
            right += (logits.detach().argmax(1) == targets).sum()
        total.item(), right.item()
