"""The same network, built here and by torchvision, from the same weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import sgd

CLASSES = 1000
Build = Callable[[], nn.Module]


def by_torchvision(task: Task, clock: Clock) -> None:
    """Build, count, run or train the network of torchvision.

    Args:
        task: ``settings["model"]`` names it.
        clock: times it.
    """
    _measure(task, clock, lambda: _torchvision(task), _counted_by_torch)


def ours(task: Task, clock: Clock) -> None:
    """Build, count, run or train the course's network of the same name.

    Args:
        task: ``settings["model"]`` names it.
        clock: times it.
    """
    from cnncourse.models import catalogue

    _measure(task, clock, lambda: catalogue.build(task.settings["model"]), _counted_by_layer)


def _torchvision(task: Task) -> nn.Module:
    from torchvision.models import get_model  # type: ignore[attr-defined]

    network: nn.Module = get_model(task.settings["model"])
    return network


def _batch(task: Task) -> tuple[Tensor, Tensor]:
    """Return normalised noise and classes; the side is ImageNet's usual one unless the settings name another."""
    generator = torch.Generator().manual_seed(task.seed)
    side = int(task.settings.get("side", 224))
    images = torch.randn(task.batch_size, 3, side, side, generator=generator)
    return images, torch.randint(0, CLASSES, (task.batch_size,), generator=generator)


def _measure(task: Task, clock: Clock, build: Build, count: Callable[[Build], int]) -> None:
    """Do what ``settings["action"]`` says: ``build``, ``count``, ``forward`` or ``step``."""
    action = task.settings["action"]
    if action == "build":
        clock.repeat(build)
        return
    if action == "count":
        task.facts["multiply_adds"] = count(build)
        clock.repeat(lambda: count(build))
        return
    # Both start from torchvision's first weights, so both must give the same numbers.
    torch.manual_seed(task.seed)
    state = _torchvision(task).state_dict()
    model = build()
    model.load_state_dict(state)
    images, targets = _batch(task)
    task.facts |= {"precision": "fp32", "layout": "NCHW"}
    if action == "forward":
        model.eval()
        with torch.no_grad():
            task.facts["loss"] = float(functional.cross_entropy(model(images), targets))
            clock.repeat(lambda: model(images))
        return
    torch.manual_seed(task.seed)  # dropout draws the same
    _train(task, clock, model.train(), images, targets)


def _counted_by_torch(build: Build) -> int:
    """Build a network on the meta device and let PyTorch count one image's multiply-adds, without computing any."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build().eval()(torch.empty(1, 3, 224, 224))
    return int(counter.get_total_flops()) // 2


def _counted_by_layer(build: Build) -> int:
    """Do the same by the course's own table of costs, which also holds parameters and memory by layer."""
    from cnncourse.inspection import layer_costs

    with torch.device("meta"):
        model = build()
    return int(layer_costs(model, (1, 3, 224, 224)).multiply_adds)


def _train(task: Task, clock: Clock, model: nn.Module, images: Tensor, targets: Tensor) -> None:
    """Repeat training steps on one batch, and report the loss after the warm-up."""
    optimiser = sgd(model)
    last: dict[str, Any] = {}

    def step() -> None:
        optimiser.zero_grad()
        last["loss"] = functional.cross_entropy(model(images), targets)
        last["loss"].backward()
        optimiser.step()

    def report() -> None:
        task.facts["loss"] = float(last["loss"].detach())

    clock.at_warm = report
    clock.repeat(step)
