"""A training run: settings, data, order, schedule, history."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from cnncourse.augmentation import Augmentation, Mixing
from cnncourse.datasets import Batches, FolderImages, LabelledImages, Normalisation, StreamedBatches, batches
from cnncourse.training.allocator import keep_freed_memory
from cnncourse.training.callbacks import Callback
from cnncourse.training.checkpoint_folder import CheckpointFolder
from cnncourse.training.config import TrainConfig
from cnncourse.training.device import resolve_device
from cnncourse.training.distributed import current_world
from cnncourse.training.fitting import Fitting
from cnncourse.training.history import History
from cnncourse.training.inference import predict
from cnncourse.training.loop import Loss, evaluate
from cnncourse.training.metrics import Evaluation
from cnncourse.training.precision import autocast, resolve_channels_last, resolve_precision
from cnncourse.training.sync_batch_norm import synchronise_batch_norms

Data = LabelledImages | FolderImages


class Trainer:
    """Train a network on labelled images, and remember how it went.

    On the CPU two runs with one seed, equal first weights and one number of threads are bit-identical, whether or
    not one of them was interrupted and resumed. ``repr`` says which device, precision and memory layout the
    automatic settings stand for; each is switched off by one field of the settings.

    Args:
        model: network from (N, C, H, W) to logits (N, K); moved to the device and trained in place.
        config: the settings.
        augmentation: random change of each training image; see :mod:`cnncourse.augmentation`.
        mixing: random mixture of the images of a batch, after the normalisation; ``None`` mixes nothing.
        normalisation: ``None`` measures the training images.
        loss: from logits and targets to a mean loss; ``None`` is cross entropy with the configured smoothing.
        callbacks: watchers of the run.
        side: of the middle square cut out of an image file when measuring, in pixels; ``None`` is ImageNet's 224.
        short_side: pixels to which the short side of a file is scaled before; ``None`` is as much as fits, or 256.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Book: pooling_lenet
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        *,
        augmentation: Augmentation | None = None,
        mixing: Mixing | None = None,
        normalisation: Normalisation | None = None,
        loss: Loss | None = None,
        callbacks: Sequence[Callback] = (),
        side: int | None = None,
        short_side: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.precision = resolve_precision(config.precision, model, self.device)
        self.channels_last = resolve_channels_last(config.channels_last, model, self.device)
        if config.sync_batch_norm and current_world().size > 1:
            synchronise_batch_norms(model)
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        self.model = model.to(self.device).to(memory_format=layout)
        self.augmentation = augmentation
        self.mixing = mixing
        self.normalisation = normalisation
        self.loss = loss
        self.callbacks = tuple(callbacks)
        self.side, self.short_side = side, short_side
        self.progress = progress
        self.history = History()
        self.averaged: nn.Module | None = None

    @property
    def measured_model(self) -> nn.Module:
        """The network that is measured: the moving average of the weights if there is one."""
        return self.model if self.averaged is None else self.averaged

    def fit(
        self,
        train: Data,
        val: Data | None = None,
        *,
        checkpoints: CheckpointFolder | str | os.PathLike[str] | None = None,
        resume: str | os.PathLike[str] = "auto",
        save_every: int | None = None,
    ) -> History:
        """Train for the configured number of passes, from the present weights.

        Args:
            train: images to learn from.
            val: images to measure after each pass; never the test images, if settings depend on the result.
            checkpoints: folder that holds the state after each pass, so that the run can die at any instant; ``None``
                keeps nothing. SIGTERM and Ctrl-C then save first.
            resume: ``"auto"`` goes on from the newest checkpoint in the folder, if there is one; ``"never"`` begins
                anew and refuses a folder in use; a path goes on from that checkpoint.
            save_every: optimiser steps between two checkpoints within a pass; ``None`` saves after each pass only.

        Returns:
            The history of this run, also kept as ``history``.

        Raises:
            TrainingError: if the loss is infinite or not a number, or memory does not suffice.
            Interrupted: after SIGTERM or Ctrl-C, when the state is saved.
            CheckpointError: if a checkpoint cannot be written, or belongs to another run.
            ValueError: if a data set is empty or its labels do not fit the model, or settings need ``val``.

        Book: pooling_lenet
        """
        if self.config.keep_memory:
            keep_freed_memory()
        if self.normalisation is None:
            self.normalisation = Normalisation.of(train)
        folder = checkpoints
        if folder is not None and not isinstance(folder, CheckpointFolder):
            folder = CheckpointFolder(folder)
        fitting = Fitting(self, train, val, folder=folder, save_every=save_every)
        with _determinism(self.config.deterministic):
            return fitting.run(resume)

    def evaluate(self, data: Data) -> Evaluation:
        """Measure the network: cross entropy without smoothing, top-1 and top-5.

        With several processes each measures its share, and all get the whole result.

        Args:
            data: at least one image.

        Returns:
            Loss and accuracy.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        return self.measure(self.batches(data))

    def measure(self, source: Batches | StreamedBatches) -> Evaluation:
        """Measure the network on batches that are ready; see :meth:`evaluate`.

        Args:
            source: from :meth:`batches`.

        Returns:
            Loss and accuracy.
        """
        world = current_world()
        share = own_share(source, 1, world.rank, world.size)
        return evaluate(self.measured_model, share, autocast=self.autocast(), added_up=world.added_up)

    def predict(self, data: Data) -> Tensor:
        """Return the logits (N, K) of a data set, on the CPU.

        Computed by a copy of the network made for it (batch normalisation folded into the convolutions, weights in
        the precision of the run); see :mod:`cnncourse.training.inference`.

        Args:
            data: at least one image.

        Returns:
            (N, K): logits, in the order of the images.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        return predict(
            self.measured_model,
            self.batches(data),
            precision=self.precision,
            channels_last=self.channels_last,
            keep_memory=self.config.keep_memory,
        )

    def batches(self, data: Data, batch_size: int | None = None) -> Batches | StreamedBatches:
        """Return batches to measure with: normalised as in training, in order, unchanged.

        Args:
            data: at least one image.
            batch_size: images a batch; ``None`` takes 1000 of those in memory, the training's of those in files.

        Returns:
            The batches, on the trainer's device.

        Raises:
            ValueError: if there are no images, or nothing was trained and no normalisation given.
        """
        if self.normalisation is None:
            raise ValueError("the normalisation is measured in fit(); call it first, or give the Trainer one")
        in_memory = isinstance(data, LabelledImages)
        return batches(
            data,
            batch_size or (1000 if in_memory else self.config.batch_size),
            self.normalisation,
            device=self.device,
            channels_last=self.channels_last,
            workers=self.config.workers,
            side=None if in_memory else self.side,
            short_side=None if in_memory else self.short_side,
        )

    def autocast(self) -> Callable[[], AbstractContextManager[object]]:
        """Return what makes the context of the resolved precision: nothing at all for float32."""
        return nullcontext if self.precision == "fp32" else partial(autocast, self.precision, self.device)

    def __repr__(self) -> str:
        layout = "channels last" if self.channels_last else "channels first"
        memory = "keeps freed memory" if self.config.keep_memory else "returns freed memory"
        compiled = ", compiled" if self.config.compile else ""
        return (
            f"Trainer of {type(self.model).__name__} on {self.device}: {self.precision}, {layout}, {memory}{compiled}; "
            f"{len(self.history)} of {self.config.epochs} passes done"
        )


def own_share(
    source: Batches | StreamedBatches, epoch: int, rank: int, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return a process's share of each batch, without padding.

    Args:
        source: the batches.
        epoch: number of the pass, from 1.
        rank: of the process.
        size: number of processes.

    Yields:
        Images and targets, at least one.
    """
    for step, (images, targets) in enumerate(source.epoch(epoch, rank=rank, world=size)):
        if source.images_of(step, rank, size):
            yield images, targets


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Allow only deterministic kernels inside the ``with``."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
