"""Ignite: a supervised trainer with a running average of the loss, as in its quickstart."""

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
    from ignite.engine import create_supervised_trainer
    from ignite.metrics import RunningAverage

    model = build_model(task).to(task.device)
    watch(task, clock, model)
    trainer = create_supervised_trainer(model, sgd(model), nn.CrossEntropyLoss(), device=task.device)
    RunningAverage(output_transform=lambda loss: loss).attach(trainer, "loss")
    trainer.run(course_loader(task), max_epochs=1000)
