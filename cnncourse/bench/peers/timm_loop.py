"""A loop in the style of timm's training script: its optimiser factory and meters, the loss read now and then."""

import torch
from torch import nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import (
    LEARNING_RATE,
    MOMENTUM,
    WEIGHT_DECAY,
    build_model,
    course_loader,
    watch,
)

LOG_INTERVAL = 50
"""Steps between two looks at the loss; the script's default."""


def train(task: Task, clock: Clock) -> None:
    """Train.

    Args:
        task: what to train.
        clock: times it.
    """
    from timm.optim import create_optimizer_v2
    from timm.utils import AverageMeter

    model = build_model(task).to(task.device)
    optimiser = create_optimizer_v2(
        model, opt="sgd", lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    loss_function = nn.CrossEntropyLoss()
    loader = course_loader(task)
    watch(task, clock, model)
    while True:
        losses = AverageMeter()
        model.train()
        for index, (batch_images, batch_targets) in enumerate(loader):
            images, targets = batch_images.to(task.device), batch_targets.to(task.device)
            output = model(images)
            loss = loss_function(output, targets)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            if index % LOG_INTERVAL == 0:
                losses.update(loss.item(), images.size(0))
                if not torch.isfinite(loss):
                    raise RuntimeError("the loss is not finite")
