"""The training loop of most courses, as in PyTorch's own quickstart."""

from torch import nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import build_model, course_loader, sgd, watch


def train(task: Task, clock: Clock, *, workers: int = 0, fused: bool = False, read: bool = True) -> None:
    """Train with a DataLoader, NCHW and fp32.

    Args:
        task: what to train.
        clock: times it.
        workers: processes of the DataLoader.
        fused: take the fused optimiser.
        read: ask for loss and accuracy with ``.item()`` at each step.
    """
    model = build_model(task).to(task.device)
    loader = course_loader(task, workers)
    optimiser = sgd(model, fused=True) if fused else sgd(model)
    loss_function = nn.CrossEntropyLoss()
    watch(task, clock, model)
    while True:
        model.train()
        running_loss, right = 0.0, 0
        for batch_images, batch_targets in loader:
            images, targets = batch_images.to(task.device), batch_targets.to(task.device)
            optimiser.zero_grad()
            logits = model(images)
            loss = loss_function(logits, targets)
            loss.backward()
            optimiser.step()
            if read:
                running_loss += loss.item()
                right += (logits.argmax(1) == targets).sum().item()
