"""Several processes that train one network: who they are, what they tell each other.

``torchrun`` starts the processes and names them in environment variables; everything here does nothing when
there is one process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class World:
    """The processes of a run."""

    rank: int = 0
    """Number of this process, 0 <= rank < size; process 0 writes and reports."""
    size: int = 1
    """Number of processes."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def added_up(self, values: Sequence[float]) -> list[float]:
        """Return sums over all processes; every process must ask.

        Args:
            values: numbers of this process, equally many in each.

        Returns:
            The sums, in float64, the same in each process.
        """
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=_meeting_place())
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def largest(self, value: int) -> int:
        """Return the largest number over all processes; every process must ask.

        Args:
            value: number of this process.

        Returns:
            The largest, the same in each process.
        """
        if self.size == 1:
            return value
        most = torch.tensor(value, device=_meeting_place())
        distributed.all_reduce(most, op=distributed.ReduceOp.MAX)
        return int(most)

    def gathered(self, thing: Any) -> list[Any]:
        """Return the objects of all processes, in the order of their ranks; every process must ask.

        Args:
            thing: a small object of this process.

        Returns:
            One object a process.
        """
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        distributed.all_gather_object(things, thing)
        return things


def current_world() -> World:
    """Return this process's place among the others.

    Returns:
        Rank and size of the initialised process group; one process without one.
    """
    if distributed.is_available() and distributed.is_initialized():
        return World(distributed.get_rank(), distributed.get_world_size())
    return World()


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, if it did, and leave them at the end.

    Args:
        device: of this process; decides how processes talk: NCCL between CUDA cards, gloo otherwise.

    Yields:
        This process's place among the others.
    """
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield current_world()
        return
    store, rank, size = next(rendezvous("env://"))
    # When torchrun starts lost processes again it keeps its store, and with it the addresses of the dead.
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    attempt = PrefixStore(restarts, store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=attempt, rank=rank, world_size=size)
    try:
        yield current_world()
    finally:
        distributed.destroy_process_group()


def shared_between(model: nn.Module, device: torch.device, world: World) -> nn.Module:
    """Return a network whose gradients are averaged over all processes.

    Args:
        model: on its device, the same in each process (process 0's weights are sent to the others).
        device: of this process.
        world: the processes.

    Returns:
        The wrapped network; the network itself when there is one process.
    """
    if world.size == 1:
        return model
    cards = [device.index or 0] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=cards)


def _meeting_place() -> torch.device:
    """Return where tensors must be for the processes to exchange them."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
