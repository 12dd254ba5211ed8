"""Training in plain PyTorch: one loop that fits on a page, and what is handed to it."""

from cnncourse.training.device import resolve_device
from cnncourse.training.history import EpochRow, History
from cnncourse.training.loop import Evaluation, TrainingError, evaluate, predict, train_epoch
from cnncourse.training.schedules import constant, cosine, one_cycle
from cnncourse.training.trainer import TrainConfig, Trainer

__all__ = [
    "EpochRow",
    "Evaluation",
    "History",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "constant",
    "cosine",
    "evaluate",
    "one_cycle",
    "predict",
    "resolve_device",
    "train_epoch",
]
