"""Accelerate: the usual loop with ``prepare`` and ``backward``, as in its quick tour."""

from torch import nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import build_model, course_loader, sgd, watch


def train(task: Task, clock: Clock) -> None:
    """Train.

    Args:
        task: what to train.
        clock: times it.
    """
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    accelerator = Accelerator(cpu=task.device == "cpu")
    model = build_model(task)
    watch(task, clock, model)
    optimiser = sgd(model)
    loader = course_loader(task)
    model, optimiser = accelerator.prepare(model, optimiser)
    if isinstance(loader, DataLoader):  # ready batches are where they shall be already
        loader = accelerator.prepare(loader)
    loss_function = nn.CrossEntropyLoss()
    while True:
        model.train()
        running_loss, right = 0.0, 0
        for images, targets in loader:
            optimiser.zero_grad()
            logits = model(images)
            loss = loss_function(logits, targets)
            accelerator.backward(loss)
            optimiser.step()
            running_loss += loss.item()
            right += (logits.argmax(1) == targets).sum().item()
