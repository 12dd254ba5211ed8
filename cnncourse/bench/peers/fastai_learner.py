"""fastai: DataLoaders and a Learner with its own SGD (plain momentum, not Nesterov's)."""

from functools import partial
from typing import Any

from cnncourse.bench.clock import Clock
from cnncourse.bench.peers.per_sample import course_dataset
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import (
    LEARNING_RATE,
    MOMENTUM,
    WEIGHT_DECAY,
    ReadyBatches,
    build_model,
    watch,
)


def train(task: Task, clock: Clock) -> None:
    """Train with the defaults and accuracy as metric.

    Args:
        task: what to train.
        clock: times it.
    """
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import accuracy
    from fastai.optimizer import SGD
    from torch.utils.data import Subset

    loaders: Any
    if task.settings.get("ready"):
        ready, few = ReadyBatches(task), ReadyBatches(task, steps=1)
        # Finished batches: bs=None hands each item on as it is.
        loaders = DataLoaders(
            DataLoader(ready, bs=None, shuffle=False, num_workers=0),
            DataLoader(few, bs=None, shuffle=False, num_workers=0),
        )
    else:
        dataset = course_dataset(task)
        loaders = DataLoaders.from_dsets(
            dataset, Subset(dataset, range(task.batch_size)), bs=task.batch_size, num_workers=0
        )
    network = build_model(task)
    watch(task, clock, network)
    learner = Learner(
        loaders,
        network,
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(SGD, mom=MOMENTUM),
        metrics=accuracy,
        path=task.scratch,
    )
    learner.fit(1000, LEARNING_RATE, wd=WEIGHT_DECAY)
