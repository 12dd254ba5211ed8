"""Write and read a ResNet-50 with the state of its optimiser: torch.save, safetensors, and ours."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import sgd

Tree = dict[str, Any]


def with_torch(task: Task, clock: Clock, *, sync: bool = False) -> None:
    """Use torch.save and torch.load(weights_only=True).

    Args:
        task: ``settings["action"]`` is ``save`` or ``load``.
        clock: times it.
        sync: wait until the file is on the disk.
    """

    def write(path: Path, tree: Tree) -> None:
        if not sync:
            torch.save(tree, path)
            return
        with path.open("wb") as out:
            torch.save(tree, out)
            out.flush()
            os.fsync(out.fileno())

    _measure(task, clock, write, lambda path: torch.load(path, weights_only=True))


def with_safetensors(task: Task, clock: Clock) -> None:
    """Use safetensors, which holds tensors and nothing else.

    Args:
        task: ``settings["action"]`` is ``save`` or ``load``.
        clock: times it.
    """
    from safetensors.torch import load_file, save_file

    _measure(
        task, clock, lambda path, tree: save_file(_flat(tree), str(path)), lambda path: load_file(str(path))
    )


def with_ours(task: Task, clock: Clock) -> None:
    """Use this library's checkpoint file: checksummed, synchronised, replaced atomically.

    Args:
        task: ``settings["action"]`` is ``save`` or ``load``.
        clock: times it.
    """
    from cnncourse.training.checkpoint_file import read_checkpoint, write_checkpoint

    _measure(task, clock, write_checkpoint, read_checkpoint)


def _measure(
    task: Task, clock: Clock, write: Callable[[Path, Tree], object], read: Callable[[Path], Any]
) -> None:
    tree = state(task)
    path = task.scratch / f"checkpoint-{os.getpid()}"
    task.facts["mib"] = sum(tensor.nbytes for tensor in _flat(tree).values()) / 2**20
    try:
        if task.settings["action"] == "save":
            clock.repeat(lambda: write(path, tree))
            return
        write(path, tree)
        places = _flat(tree)

        def load() -> None:
            # A library may map the file and read nothing; what counts is that the numbers are in place.
            for name, tensor in _flat(read(path)).items():
                places[name].copy_(tensor)

        clock.repeat(load)
    finally:
        path.unlink(missing_ok=True)


def state(task: Task) -> Tree:
    """Return what a run has to remember: weights and momentum, with names as keys.

    Args:
        task: gives the seed.

    Returns:
        A tree of tensors and numbers.
    """
    from torchvision.models import resnet50

    torch.manual_seed(task.seed)
    model: nn.Module = resnet50()
    optimiser = sgd(model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    momentum = {
        name: optimiser.state[parameter]["momentum_buffer"] for name, parameter in model.named_parameters()
    }
    return {"model": dict(model.state_dict()), "momentum": momentum, "step": torch.tensor(1)}


def _flat(tree: Any, name: str = "") -> dict[str, Tensor]:
    if isinstance(tree, Tensor):
        return {name: tree.detach()}
    if not isinstance(tree, dict):
        return {}
    found: dict[str, Tensor] = {}
    for key, item in tree.items():
        found |= _flat(item, f"{name}.{key}" if name else str(key))
    return found
