"""Prediction on a finished batch: the usual eval loop, PyTorch's switches, timm, and ours."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import build_model, normalised, training_images


def network(task: Task) -> nn.Module:
    """Return the workload's network, with running statistics of real activations.

    Args:
        task: ``settings["model"]`` names it.

    Returns:
        The network in eval mode, NCHW and fp32.
    """
    torch.manual_seed(task.seed)
    if task.settings["model"] == "resnet50":
        from torchvision.models import resnet50

        model: nn.Module = resnet50()
    else:
        model = build_model(task)
    batch = example(task)[:16]
    with torch.no_grad():
        for _ in range(3):
            model.train()(batch)
    return model.eval()


def example(task: Task) -> Tensor:
    """Return the batch on which everybody predicts.

    Args:
        task: ``settings`` hold ``batch_size`` and ``side``.

    Returns:
        (N, 3, side, side), normalised.
    """
    return normalised(training_images(task, task.batch_size)[0])


def usual(task: Task, clock: Clock) -> None:
    """Predict with ``eval()`` and ``no_grad()``, NCHW and fp32.

    Args:
        task: what to predict.
        clock: times it.
    """
    model, batch = network(task), example(task)
    _measure(task, clock, model, batch, model, precision="fp32", layout="NCHW")


def channels_last(task: Task, clock: Clock, *, bf16: bool = False, compiled: bool = False) -> None:
    """Predict in NHWC, with bf16 autocast or torch.compile if wanted.

    Args:
        task: what to predict.
        clock: times it.
        bf16: use autocast.
        compiled: let torch.compile translate the network, and freeze its weights.
    """
    plain, batch = network(task), example(task)
    answers = _answers(plain, batch)
    model: Callable[[Tensor], Tensor] = plain.to(memory_format=torch.channels_last)
    batch = batch.contiguous(memory_format=torch.channels_last)
    if compiled:
        model = torch.compile(model, options={"freezing": True})

    def forward(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits: Tensor = model(images)
            return logits

    _measure(
        task,
        clock,
        plain,
        batch,
        forward,
        precision="bf16" if bf16 else "fp32",
        layout="NHWC",
        answers=answers,
    )


def with_timm(task: Task, clock: Clock) -> None:
    """Predict with timm's own ResNet-50 of the same weights, in NHWC.

    Args:
        task: what to predict.
        clock: times it.
    """
    import timm

    plain, batch = network(task), example(task)
    answers = _answers(plain, batch)
    model = timm.create_model("resnet50")
    model.load_state_dict(plain.state_dict())
    model = model.eval().to(memory_format=torch.channels_last)
    batch = batch.contiguous(memory_format=torch.channels_last)
    _measure(task, clock, plain, batch, model, precision="fp32", layout="NHWC", answers=answers)


def ours(task: Task, clock: Clock, *, memory: bool = False, compiled: bool = False) -> None:
    """Predict with :func:`cnncourse.training.predict` on the copy that it makes.

    Args:
        task: what to predict.
        clock: times it.
        memory: keep freed memory in the process, as the Trainer does.
        compiled: let torch.compile translate the copy.
    """
    from cnncourse.training import inference_copy, keep_freed_memory, predict

    if memory:
        keep_freed_memory()
    plain, batch = network(task), example(task)
    answers = _answers(plain, batch)
    ready = inference_copy(plain, batch, compile=compiled)
    _measure(
        task,
        clock,
        plain,
        batch,
        lambda images: predict(ready, [images]),
        precision=ready.precision,
        layout="NHWC" if ready.channels_last else "NCHW",
        answers=answers,
    )


@torch.no_grad()
def _answers(model: nn.Module, batch: Tensor) -> Tensor:
    answers: Tensor = model(batch).argmax(1)
    return answers


def _measure(
    task: Task,
    clock: Clock,
    plain: nn.Module,
    batch: Tensor,
    forward: Callable[[Tensor], Tensor],
    *,
    precision: str,
    layout: str,
    answers: Tensor | None = None,
) -> None:
    """Time the forward pass, and compare its answers with the plain network's."""
    from torch.utils.flop_counter import FlopCounterMode

    task.units_a_step = task.batch_size
    task.facts |= {"precision": precision, "layout": layout}
    with torch.no_grad():
        same = forward(batch).float().argmax(1) == (_answers(plain, batch) if answers is None else answers)
        task.facts["agreement"] = float(same.float().mean())
        with FlopCounterMode(display=False) as counter:
            plain(batch[:1].float())
        task.facts["multiply_adds"] = counter.get_total_flops() // 2
        clock.repeat(lambda: forward(batch))
