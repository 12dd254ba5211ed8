"""One call of ``Trainer.fit``: passes that learn, measure, save, and stop when they are asked to."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.augmentation import BatchShape, generator_for
from cnncourse.datasets import batches
from cnncourse.progress import progress_bar
from cnncourse.training.checkpoint_file import read_checkpoint
from cnncourse.training.checkpoint_folder import CheckpointFolder
from cnncourse.training.checkpoint_tree import CheckpointError
from cnncourse.training.config import TrainConfig
from cnncourse.training.distributed import current_world, shared_between
from cnncourse.training.history import EpochRow, History
from cnncourse.training.learning_rate import learning_rate
from cnncourse.training.loop import train_step
from cnncourse.training.metrics import Evaluation, Tally, TrainingError
from cnncourse.training.moving_average import MovingAverage
from cnncourse.training.optimisers import build_optimiser
from cnncourse.training.precision import scaler
from cnncourse.training.run import Run, differences, fingerprint
from cnncourse.training.signals import Interrupted, Stop, stop_requested

if TYPE_CHECKING:
    from cnncourse.training.trainer import Data, Trainer


class Fitting:
    """What one call of ``Trainer.fit`` works with.

    Args:
        trainer: network and settings; its normalisation is known.
        train: images to learn from.
        val: images to measure after each pass.
        folder: where the state is saved; ``None`` saves nothing.
        save_every: optimiser steps between two checkpoints within a pass.
    """

    def __init__(
        self,
        trainer: "Trainer",
        train: "Data",
        val: "Data | None",
        *,
        folder: CheckpointFolder | None,
        save_every: int | None,
    ) -> None:
        config = trainer.config
        if save_every is not None and save_every < 1:
            raise ValueError(f"save_every must be at least 1 step, or None for each pass, got {save_every}")
        for name, needed in (
            ("schedule", config.schedule == "plateau"),
            ("early_stopping", config.early_stopping),
        ):
            if needed and val is None:
                raise ValueError(
                    f"{name}={getattr(config, name)!r} watches the validation loss; give fit() val images"
                )
        self.trainer, self.config, self.folder, self.save_every = trainer, config, folder, save_every
        self.world = current_world()
        assert trainer.normalisation is not None
        self.source = batches(
            train,
            config.batch_size,
            trainer.normalisation,
            device=trainer.device,
            shuffle=True,
            seed=config.seed,
            augmentation=trainer.augmentation,
            dtype=torch.bfloat16 if trainer.precision == "bf16" else torch.float32,
            channels_last=trainer.channels_last,
            workers=config.workers,
        )
        self.val_source = None if val is None else trainer.batches(val)
        self.classes = train.classes
        self.input_shape: list[int] | None = None  # channels, height, width: known with the first batch
        self.autocast = trainer.autocast()
        self.loss = trainer.loss or self._smoothed_cross_entropy
        self.learner = self._learner(trainer.model)
        average = None if config.ema_decay is None else MovingAverage(trainer.model, config.ema_decay)
        trainer.averaged = None if average is None else average.model
        fp16 = scaler(trainer.precision, trainer.device) if trainer.precision == "fp16" else None
        self.state = Run(trainer.model, build_optimiser(trainer.model, config), fp16, average)
        self.fingerprint = fingerprint(config, trainer.model, train)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.config.epochs * len(self.source)

    @property
    def steps_done(self) -> int:
        """Optimiser steps so far."""
        return (self.state.epoch - 1) * len(self.source) + self.state.step

    def run(self, resume: str | os.PathLike[str]) -> History:
        """Learn until the run ends.

        Args:
            resume: see ``Trainer.fit``.

        Returns:
            The history.
        """
        cards = [self.trainer.device] if self.trainer.device.type == "cuda" else []
        # Without a place to save there is nothing to do before stopping: Ctrl-C stays what it is everywhere.
        listening = nullcontext(Stop()) if self.folder is None else stop_requested()
        writing = self.folder if self.folder is not None and self.world.is_first else nullcontext()
        with torch.random.fork_rng(devices=cards), writing, listening as stop:
            torch.manual_seed(generator_for(self.config.seed, "layers", self.world.rank).initial_seed())
            self._resume(resume)
            self.trainer.history = self.state.history
            self._tell(lambda watcher: watcher.on_start(self.trainer))
            show = self.trainer.progress if self.world.is_first else False
            with progress_bar("training", total=self.total_steps, unit="step", show=show) as advance:
                advance(self.steps_done)
                while not self.state.ended:
                    with _memory_explained(self.config):
                        self._learn(stop, advance)
                        self._finish_pass()
                    self._stop_if_asked(stop, saved=True)
            self._tell(lambda watcher: watcher.on_end(self.trainer, self.state.history))
        return self.state.history

    def _learn(self, stop: Stop, advance: Callable[[int], object]) -> None:
        """Go through what is left of the pass."""
        state, config, world = self.state, self.config, self.world
        self.learner.train()
        clip = config.clip_norm or (math.inf if config.gradient_norm else None)
        watchers = self.trainer.callbacks if world.is_first else ()
        share = self.source.epoch(state.epoch, first_step=state.step, rank=world.rank, world=world.size)
        val_losses = state.history["val_loss"]
        real, weight = True, 1.0
        for batch in share:
            if world.size > 1:
                images_here = self.source.images_of(state.step, world.rank, world.size)
                real, weight = images_here > 0, images_here * world.size / self.source.images_of(state.step)
            rate = learning_rate(config, self.steps_done, len(self.source), val_losses)
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            images, targets = batch if self.trainer.mixing is None else self._mixed(*batch)
            self.input_shape = self.input_shape or list(images.shape[1:])
            done = train_step(
                self.learner,
                images,
                targets,
                state.optimiser,
                loss=self.loss,
                autocast=self.autocast,
                scaler=state.scaler,
                micro_batches=config.micro_batches,
                clip_norm=clip,
                weight=weight,
                step=self.steps_done,
            )
            if state.average is not None:
                state.average.update(state.model)
            if real:  # else the process had nothing left and took part with an image that counts for nothing
                state.tally.add(done.loss, done.logits, targets, done.gradient_norm)
            state.tally.steps += 1
            state.step += 1
            for watcher in watchers:
                watcher.on_step(self.trainer, self.steps_done - 1)
            advance(1)
            if state.step < len(self.source):
                due = self.save_every is not None and self.steps_done % self.save_every == 0
                if due:
                    self._save()
                self._stop_if_asked(stop, saved=due)

    def _finish_pass(self) -> None:
        """Measure, write a row of the history, save."""
        state, config = self.state, self.config
        learnt = state.tally.result(self.world.added_up)
        if not math.isfinite(learnt.loss):
            raise TrainingError(
                f"the loss must be a finite number, got {learnt.loss} in pass {state.epoch}; lower the learning rate "
                "or lengthen the warm-up"
            )
        measured = None if self.val_source is None else self.trainer.measure(self.val_source)
        row = _row(state.epoch, state.optimiser.param_groups[0]["lr"], learnt, measured)
        state.history = self.trainer.history = state.history.with_row(row)
        state.epoch, state.step, state.tally = state.epoch + 1, 0, Tally()
        state.ended = state.epoch > config.epochs or self._waited_enough()
        self._tell(lambda watcher: watcher.on_epoch(self.trainer, row))
        self._save(score=row.val_accuracy)

    def _waited_enough(self) -> bool:
        """Return whether the validation loss has had its passes to reach a new low."""
        if self.config.early_stopping is None:
            return False
        losses = self.state.history["val_loss"]
        return len(losses) - 1 - losses.index(min(losses)) >= self.config.early_stopping

    def _mixed(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the images of this process's share among themselves."""
        assert self.trainer.mixing is not None
        generator = generator_for(
            self.config.seed, "mixing", self.state.epoch, self.state.step, self.world.rank
        )
        shape = BatchShape(len(images), images.shape[2], images.shape[3], channels=images.shape[1])
        soft = functional.one_hot(targets, len(self.classes)).float()
        return self.trainer.mixing.apply(images, soft, self.trainer.mixing.draw(shape, generator))

    def _learner(self, model: nn.Module) -> nn.Module:
        """Return the network as the steps call it: compiled, shared between processes, or as it is."""
        shared = shared_between(model, self.trainer.device, self.world)
        return torch.compile(shared) if self.config.compile else shared  # type: ignore[return-value]

    def _smoothed_cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)

    def _resume(self, resume: str | os.PathLike[str]) -> None:
        """Take up a saved state, if there is one and it is wanted."""
        saved = None
        if resume == "auto":
            saved = None if self.folder is None else self.folder.latest()
        elif resume != "never":
            saved = read_checkpoint(resume)
        elif self.folder is not None and self.folder.steps():
            raise CheckpointError(
                f"{self.folder.path} holds checkpoints of an earlier run; go on from them with resume='auto', or "
                "choose another folder"
            )
        if saved is None:
            return
        changes = differences(saved["fingerprint"], self.fingerprint)
        if changes:
            raise CheckpointError(
                f"the checkpoint belongs to another run: {'; '.join(changes[:5])}; resume with the settings of then, "
                "or choose another folder"
            )
        self.state.load_state_dict(saved, self.world)

    def _save(self, score: float | None = None) -> None:
        """Write the state; all processes take part, the first one writes."""
        if self.folder is None:
            return
        tree = self.state.state_dict(self.world)
        if self.world.is_first:
            normalisation = self.trainer.normalisation
            assert normalisation is not None
            tree["fingerprint"] = self.fingerprint
            tree["built_as"] = getattr(self.trainer.model, "built_as", None)
            tree["normalisation"] = {"mean": list(normalisation.mean), "std": list(normalisation.std)}
            tree["classes"] = list(self.classes)
            tree["input_shape"] = self.input_shape
            tree["short_side"] = self.trainer.short_side
            self.folder.save(tree, step=self.steps_done, score=score)

    def _stop_if_asked(self, stop: Stop, *, saved: bool) -> None:
        """End here if any process was asked to; they decide together."""
        signal = self.world.largest(stop.signal or 0)
        if signal and not self.state.ended:
            if not saved:
                self._save()
            raise Interrupted(signal, None if self.folder is None else self.folder.latest_path())

    def _tell(self, news: Callable[[Any], None]) -> None:
        for watcher in self.trainer.callbacks if self.world.is_first else ():
            news(watcher)


def _row(epoch: int, learning_rate: float, learnt: Evaluation, measured: Evaluation | None) -> EpochRow:
    return EpochRow(
        epoch=epoch,
        learning_rate=learning_rate,
        train_loss=learnt.loss,
        train_accuracy=learnt.accuracy,
        train_seconds=learnt.seconds,
        train_top5=learnt.top5,
        gradient_norm=learnt.gradient_norm,
        images_per_second=learnt.images_per_second,
        val_loss=None if measured is None else measured.loss,
        val_accuracy=None if measured is None else measured.accuracy,
        val_top5=None if measured is None else measured.top5,
    )


@contextmanager
def _memory_explained(config: TrainConfig) -> Iterator[None]:
    """Say what helps when memory does not suffice."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "allocate memory" not in str(
            error
        ):
            raise
        raise TrainingError(
            f"memory does not suffice for batch_size={config.batch_size} in micro_batches={config.micro_batches}; "
            f"double micro_batches (the result stays the same but for batch normalisation) or halve batch_size"
        ) from error
