"""What may watch a training run, and four moments at which it is told."""

import os
from typing import TYPE_CHECKING

from cnncourse.training.history import EpochRow, History

if TYPE_CHECKING:
    from cnncourse.training.trainer import Trainer


class Callback:
    """A watcher of a run; the methods do nothing, override those you need. Only the first process calls them."""

    def on_start(self, trainer: "Trainer") -> None:
        """Be told that training begins, or goes on after an interruption.

        Args:
            trainer: holds the network, the settings and the history so far.
        """

    def on_step(self, trainer: "Trainer", step: int) -> None:
        """Be told that an optimiser step is done.

        Args:
            trainer: the trainer.
            step: number of the step in the run, from 0.
        """

    def on_epoch(self, trainer: "Trainer", row: EpochRow) -> None:
        """Be told that a pass is done and measured.

        Args:
            trainer: the trainer.
            row: what was measured.
        """

    def on_end(self, trainer: "Trainer", history: History) -> None:
        """Be told that training has ended, early or not.

        Args:
            trainer: the trainer.
            history: all passes.
        """


class MissingExtraError(ImportError):
    """Something optional is wanted and not installed; the message says how to get it."""


class TensorBoard(Callback):
    """Writes the history for TensorBoard while it grows.

    Args:
        folder: where the event files go; a run that resumes writes on in the same folder.

    Raises:
        MissingExtraError: if the package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "TensorBoard is an optional extra; install it with: pip install tensorboard"
            ) from error
        self.writer = SummaryWriter(str(folder))

    def on_epoch(self, trainer: "Trainer", row: EpochRow) -> None:
        """Write one point for each measured number.

        Args:
            trainer: not looked at.
            row: what was measured.
        """
        for name, value in vars(row).items():
            if value is not None and name != "epoch":
                self.writer.add_scalar(name, value, row.epoch)
        self.writer.flush()

    def on_end(self, trainer: "Trainer", history: History) -> None:
        """Close the file.

        Args:
            trainer: not looked at.
            history: not looked at.
        """
        self.writer.close()
