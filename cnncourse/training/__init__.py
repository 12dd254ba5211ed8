"""Training in plain PyTorch: one loop that fits on a page, and what is handed to it."""

from cnncourse.training.allocator import keep_freed_memory
from cnncourse.training.callbacks import Callback, TensorBoard
from cnncourse.training.checkpoint_file import read_checkpoint, write_checkpoint
from cnncourse.training.checkpoint_folder import CheckpointFolder
from cnncourse.training.checkpoint_tree import CheckpointError, CheckpointWarning
from cnncourse.training.config import TrainConfig
from cnncourse.training.device import resolve_device
from cnncourse.training.distributed import World, current_world, process_group
from cnncourse.training.fixed_crops import crop_grid, shorter_side, ten_crop
from cnncourse.training.history import EpochRow, History
from cnncourse.training.inference import inference_copy, predict
from cnncourse.training.loop import evaluate, train_epoch, train_step
from cnncourse.training.metrics import Evaluation, TrainingError
from cnncourse.training.moving_average import MovingAverage
from cnncourse.training.optimisers import build_optimiser, parameter_groups
from cnncourse.training.schedules import constant, cosine, one_cycle, plateau, step_decay
from cnncourse.training.signals import Interrupted
from cnncourse.training.test_time import (
    averaged_predict,
    crop_predict,
    dense_predict,
    ensemble_predict,
    multi_scale_predict,
)
from cnncourse.training.trainer import Trainer
from cnncourse.training.weights_file import read_weights

__all__ = [
    "Callback",
    "CheckpointError",
    "CheckpointFolder",
    "CheckpointWarning",
    "EpochRow",
    "Evaluation",
    "History",
    "Interrupted",
    "MovingAverage",
    "TensorBoard",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "World",
    "averaged_predict",
    "build_optimiser",
    "constant",
    "cosine",
    "crop_grid",
    "crop_predict",
    "current_world",
    "dense_predict",
    "ensemble_predict",
    "evaluate",
    "inference_copy",
    "keep_freed_memory",
    "multi_scale_predict",
    "one_cycle",
    "parameter_groups",
    "plateau",
    "predict",
    "process_group",
    "read_checkpoint",
    "read_weights",
    "resolve_device",
    "shorter_side",
    "step_decay",
    "ten_crop",
    "train_epoch",
    "train_step",
    "write_checkpoint",
]
