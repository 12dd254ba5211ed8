"""The data and networks of the training benchmarks: the same for all contestants."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task

MEAN = (0.5, 0.5, 0.5)
"""Mean of each channel, in units of the full range."""
STD = (0.22, 0.22, 0.22)
"""Standard deviation of each channel, in the same units."""
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4
"""Settings of everybody's stochastic gradient descent."""
CLASSES = 10
PROBE = 512
"""Images on which the loss is compared after the warm-up."""
READY_STEPS = 20_000
"""Ready batches in a pass: so many that no pass ends while the clock runs."""


def build_model(task: Task, name: str | None = None) -> nn.Module:
    """Return the workload's network with the task's first weights, on the CPU.

    Args:
        task: names the network in ``settings["model"]``.
        name: another network's name.

    Returns:
        The network, in training mode.
    """
    from cnncourse.models import MLP, LeNet5

    name = name or task.settings["model"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        if name == "mlp":
            return MLP((64, 32, CLASSES))
        if name == "lenet":
            return LeNet5(CLASSES, in_channels=3)
        from cnncourse.models import catalogue

        options: dict[str, Any] = {"small_stem": True} if name == "resnet18" else {}
        return catalogue.build(name, num_classes=CLASSES, **options)


def training_images(task: Task, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Return noise with a faint pattern of its class: all that the loss can fall on.

    Args:
        task: ``settings`` may hold ``images`` (50,000), ``side`` (32) and ``channels`` (3).
        count: another number of images.

    Returns:
        (N, C, side, side) uint8 and (N,) int64.
    """
    settings = task.settings
    count = int(settings.get("images", 50_000)) if count is None else count
    side, channels = int(settings.get("side", 32)), int(settings.get("channels", 3))
    generator = torch.Generator().manual_seed(task.seed)
    targets = torch.randint(0, CLASSES, (count,), generator=generator)
    coarse = torch.rand(CLASSES, channels, 4, 4, generator=generator)
    patterns = (functional.interpolate(coarse, size=(side, side), mode="nearest") * 63).to(torch.uint8)
    images = torch.randint(0, 193, (count, channels, side, side), generator=generator, dtype=torch.uint8)
    for start in range(0, count, 5_000):  # in parts, which need little memory
        images[start : start + 5_000] += patterns[targets[start : start + 5_000]]
    return images, targets


def normalised(images: Tensor) -> Tensor:
    """Return uint8 images as normalised floats.

    Args:
        images: (N, C, H, W), uint8.

    Returns:
        (N, C, H, W), float32.
    """
    mean = torch.tensor(MEAN[: images.shape[1]]).view(-1, 1, 1) * 255
    std = torch.tensor(STD[: images.shape[1]]).view(-1, 1, 1) * 255
    return (images.float() - mean) / std


class ReadyBatches:
    """A list of finished batches: what is left to time is the step itself."""

    def __init__(self, task: Task, steps: int = READY_STEPS) -> None:
        images, targets = training_images(task, 64 * task.batch_size)
        floats, size = normalised(images), task.batch_size
        self.pairs = [
            (floats[start : start + size], targets[start : start + size])
            for start in range(0, len(floats), size)
        ]
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.steps:
            raise IndexError(index)
        return self.pairs[index % len(self.pairs)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, self.steps, len(self.pairs)):
            yield from self.pairs[: self.steps - start]


def course_loader(task: Task, workers: int = 0) -> Iterable[Any]:
    """Return the batches of the usual course loop: PIL transforms image by image, or the ready batches.

    Args:
        task: ``settings["ready"]`` asks for ready batches.
        workers: processes that load.

    Returns:
        Batches of normalised images and targets; each iteration is one pass.
    """
    if task.settings.get("ready"):
        return ReadyBatches(task)
    from torch.utils.data import DataLoader

    from cnncourse.bench.peers.per_sample import course_dataset

    dataset = course_dataset(task)
    return DataLoader(dataset, batch_size=task.batch_size, shuffle=True, num_workers=workers)


def watch(
    task: Task, clock: Clock, model: nn.Module, *, precision: str = "fp32", layout: str = "NCHW"
) -> None:
    """Let the clock tick at each forward pass, and compare the loss after the warm-up.

    Args:
        task: takes the facts.
        clock: counts the steps.
        model: the network that is trained.
        precision: ``fp32`` or ``bf16``, in which it computes.
        layout: ``NCHW`` or ``NHWC``.
    """
    task.units_a_step = task.batch_size
    task.facts |= {"precision": precision, "layout": layout}
    model.register_forward_pre_hook(clock.tick)
    clock.at_warm = lambda: probe(task, model)


def probe(task: Task, model: nn.Module) -> None:
    """Report the loss on the first images, unchanged and in fp32, and the multiply-adds of one image.

    Args:
        task: takes the facts.
        model: the network as it is now; it stays as it is.
    """
    from torch.utils.flop_counter import FlopCounterMode

    fresh = build_model(task)
    fresh.load_state_dict({key.removeprefix("_orig_mod."): x for key, x in model.state_dict().items()})
    images, targets = training_images(task, PROBE)
    images = normalised(images)
    with torch.no_grad():
        # In training mode: batch statistics, since the running ones lag behind by different amounts.
        task.facts["loss"] = float(functional.cross_entropy(fresh.train()(images), targets))
        with FlopCounterMode(display=False) as counter:
            fresh.eval()(images[:1])
    task.facts["multiply_adds"] = counter.get_total_flops() // 2


def sgd(model: nn.Module, *, lr: float = LEARNING_RATE, **options: Any) -> torch.optim.SGD:
    """Return everybody's optimiser.

    Args:
        model: whose parameters it changes.
        lr: learning rate.
        options: such as ``fused=True``.

    Returns:
        Stochastic gradient descent with Nesterov's momentum.
    """
    return torch.optim.SGD(
        model.parameters(),
        lr=lr,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        nesterov=True,
        **options,
    )
