"""Which images each step of each pass takes, and which of them each process: pure functions of the seed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augmentation.streams import generator_for


@dataclass(frozen=True)
class Share:
    """What one process takes of one step."""

    step: int
    """Number of the step in its pass, from 0."""
    whole: Tensor
    """(n,), int64: indices of the images of the step, of all processes."""
    rows: slice
    """Those of them that this process takes, at least one; one that does not count if nothing is left."""

    @property
    def indices(self) -> Tensor:
        """(m,), int64: indices of the images of this process."""
        return self.whole[self.rows]


class Passes(ABC):
    """Go through a data set again and again in batches of normalised floats.

    A pass is a function of the seed and its number alone. So a run that stopped in the middle of a pass goes
    on with exactly the batches it had left, and several processes together see exactly the images that one
    would.

    Args:
        image_count: images in one pass, over all processes.
        batch_size: images a step, over all processes; the last step may be smaller.
        shuffle: draw a new order for each pass.
        seed: of the order and the augmentation.
    """

    def __init__(self, image_count: int, batch_size: int, *, shuffle: bool, seed: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got batch_size={batch_size}")
        self.image_count = image_count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._passes_begun = 0

    def __len__(self) -> int:
        return math.ceil(self.image_count / self.batch_size)

    def images_of(self, step: int, rank: int = 0, world: int = 1) -> int:
        """Return how many images of a step count, over all processes or for one of several.

        Args:
            step: number of the step in its pass, 0 <= step < len(self).
            rank: number of the process, 0 <= rank < world.
            world: number of processes.

        Returns:
            Images; 0 where a process gets an image only to have something to compute with.

        Raises:
            ValueError: if a number is out of its range.
        """
        self._check_processes(rank, world)
        if not 0 <= step < len(self):
            raise ValueError(f"step must lie in [0, {len(self)}), the steps of a pass, got {step=}")
        whole = min(self.batch_size, self.image_count - step * self.batch_size)
        return len(range(rank, whole, world))

    def epoch(
        self, number: int, *, first_step: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through one pass, or what is left of it.

        Args:
            number: number of the pass, from 1.
            first_step: steps of the pass to leave out, 0 <= first_step <= len(self).
            rank: number of the process, 0 <= rank < world.
            world: number of processes; each takes its share of every step.

        Returns:
            For each step images (M, C, H, W) and targets (M,). M is :meth:`images_of`; where that is 0, one
            image that shall not count.

        Raises:
            ValueError: if a number is out of its range.
        """
        self._check_processes(rank, world)
        if number < 1:
            raise ValueError(f"passes are counted from 1, got {number=}")
        if not 0 <= first_step <= len(self):
            raise ValueError(f"first_step must lie in [0, {len(self)}], got {first_step=}")
        return self._batches(number, first_step, rank, world)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through pass 1; the next time through pass 2; and so on."""
        self._passes_begun += 1
        return self.epoch(self._passes_begun)

    @abstractmethod
    def _batches(
        self, number: int, first_step: int, rank: int, world: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a pass; the numbers have been checked."""

    def _shares(self, number: int, first_step: int, rank: int, world: int) -> Iterator[Share]:
        """Yield what a process takes of each step."""
        if self.shuffle:
            order = torch.randperm(self.image_count, generator=generator_for(self.seed, "order", number))
        else:
            order = torch.arange(self.image_count)
        for step in range(first_step, len(self)):
            whole = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield Share(step, whole, slice(rank, None, world) if rank < len(whole) else slice(0, 1))

    @staticmethod
    def _check_processes(rank: int, world: int) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, world), got {rank=}, {world=}")
