"""One convolution, many ways: loops, NumPy, PyTorch's pieces, this course's im2col, PyTorch's own."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.nn import functional

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task

Convolution = Callable[[Tensor, Tensor], Tensor]

WINDOWS_OF_LOOPS = 4
"""Windows that the loops do in one step; a whole image would take ten seconds."""
CLOSE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""Largest error that is still the same result, as a share of the largest number in it."""


def layer(task: Task, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Return the workload's numbers.

    Args:
        task: ``settings`` hold ``channels`` (read and given), ``side``, ``batch_size`` and ``kernel``.
        dtype: type of the numbers.

    Returns:
        Images (N, C, side, side), weights (C, C, k, k) and the gradient of the output, of the images' shape.
    """
    channels, side, kernel = (int(task.settings[name]) for name in ("channels", "side", "kernel"))
    generator = torch.Generator().manual_seed(task.seed)
    images, gradient = torch.randn(2, task.batch_size, channels, side, side, generator=generator).to(dtype)
    weight = torch.randn(channels, channels, kernel, kernel, generator=generator).to(dtype)
    return images.to(task.device), weight.to(task.device), gradient.to(task.device)


def same_padding(task: Task) -> int:
    """Return the zeros at each border with which the output is as large as the image."""
    return int(task.settings["kernel"]) // 2


def measure(
    task: Task,
    clock: Clock,
    convolve: Convolution,
    *,
    layout: str = "NCHW",
    dtype: torch.dtype = torch.float32,
) -> None:
    """Check a convolution against PyTorch's in double precision, then time it.

    Args:
        task: ``settings["action"]`` is ``forward`` or ``backward``: both gradients, without the forward pass.
        clock: times it.
        convolve: images and weights to the output.
        layout: ``NCHW`` or ``NHWC``, in which it gets the images.
        dtype: type of the numbers.

    Raises:
        RuntimeError: if it computes something else.
    """
    images, weight, gradient = layer(task, dtype)
    if layout == "NHWC":
        images, weight, gradient = (
            x.contiguous(memory_format=torch.channels_last) for x in (images, weight, gradient)
        )
    task.units_a_step = task.batch_size
    describe(task, layout=layout, dtype=dtype)
    backward = task.settings["action"] == "backward"
    some = slice(0, 2)
    truth = _results(
        _pytorch(task), images[some].double(), weight.double(), gradient[some].double(), backward
    )
    found = _results(convolve, images[some], weight, gradient[some], backward)
    for exact, close in zip(truth, found, strict=True):
        error = float((close.double() - exact).abs().max() / exact.abs().max())
        if not error < CLOSE[dtype]:
            raise RuntimeError(f"this is another convolution: off by {error:.2g} of its largest number")
    if backward:
        inputs = [x.requires_grad_(True) for x in (images, weight)]
        output = convolve(*inputs)
        clock.repeat(lambda: torch.autograd.grad(output, inputs, gradient, retain_graph=True))
    else:
        with torch.no_grad():
            clock.repeat(lambda: convolve(images, weight))


def describe(task: Task, *, layout: str, dtype: torch.dtype) -> None:
    """Report precision, layout and the multiply-adds of an image in what is timed.

    Args:
        task: takes the facts.
        layout: ``NCHW`` or ``NHWC``.
        dtype: type of the numbers.
    """
    channels, side, kernel = (int(task.settings[name]) for name in ("channels", "side", "kernel"))
    forward = side**2 * channels**2 * kernel**2
    task.facts |= {
        "precision": {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float64: "fp64"}[dtype],
        "layout": layout,
        # Each of the two gradients takes as many as the forward pass.
        "multiply_adds": 2 * forward if task.settings["action"] == "backward" else forward,
    }


def _results(
    convolve: Convolution, images: Tensor, weight: Tensor, gradient: Tensor, backward: bool
) -> tuple[Tensor, ...]:
    if not backward:
        with torch.no_grad():
            return (convolve(images, weight),)
    inputs = [x.detach().requires_grad_(True) for x in (images, weight)]
    return torch.autograd.grad(convolve(*inputs), inputs, gradient)


def _pytorch(task: Task) -> Convolution:
    padding = same_padding(task)
    return lambda images, weight: functional.conv2d(images, weight, padding=padding)


def pytorch(task: Task, clock: Clock, *, layout: str = "NCHW", bf16: bool = False) -> None:
    """PyTorch's own convolution.

    Args:
        task: what to convolve.
        clock: times it.
        layout: ``NCHW`` or ``NHWC``.
        bf16: keep all numbers in bfloat16.
    """
    measure(task, clock, _pytorch(task), layout=layout, dtype=torch.bfloat16 if bf16 else torch.float32)


def ours(task: Task, clock: Clock) -> None:
    """The course's im2col, with a buffer of columns that stays in the cache.

    Args:
        task: what to convolve.
        clock: times it.
    """
    from cnncourse.layers import conv2d_im2col

    padding = same_padding(task)
    measure(task, clock, lambda images, weight: conv2d_im2col(images, weight, padding=padding))


def unfold(task: Task, clock: Clock) -> None:
    """PyTorch's ``unfold`` of the whole batch and one product, with gradients by autograd.

    Args:
        task: what to convolve.
        clock: times it.
    """
    kernel, padding = int(task.settings["kernel"]), same_padding(task)

    def convolve(images: Tensor, weight: Tensor) -> Tensor:
        columns = functional.unfold(images, kernel, padding=padding)
        return (weight.flatten(1) @ columns).view(images.shape[0], -1, *images.shape[2:])

    measure(task, clock, convolve)


def _windows(images: np.ndarray, task: Task) -> np.ndarray:
    """Return a view (N, C, H, W, kh, kw) of the padded images."""
    kernel, padding = int(task.settings["kernel"]), same_padding(task)
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return sliding_window_view(np.pad(images, border), (kernel, kernel), axis=(2, 3))


def numpy_einsum(task: Task, clock: Clock) -> None:
    """NumPy's ``einsum`` over a view of the windows.

    Args:
        task: what to convolve.
        clock: times it.
    """

    def convolve(images: Tensor, weight: Tensor) -> Tensor:
        view = _windows(images.numpy(), task)
        return torch.from_numpy(np.einsum("nchwij,ocij->nohw", view, weight.numpy(), optimize=True))

    measure(task, clock, convolve)


def numpy_columns(task: Task, clock: Clock) -> None:
    """NumPy: the columns of the whole batch in one matrix, one product, the result turned to NCHW.

    Args:
        task: what to convolve.
        clock: times it.
    """

    def convolve(images: Tensor, weight: Tensor) -> Tensor:
        view = _windows(images.numpy(), task)
        n, _, h, w, _, _ = view.shape
        columns = view.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, -1)
        output = columns @ weight.numpy().reshape(len(weight), -1).T
        return torch.from_numpy(np.ascontiguousarray(output.reshape(n, h, w, -1).transpose(0, 3, 1, 2)))

    measure(task, clock, convolve)


def product(task: Task, clock: Clock) -> None:
    """Only the product of the matrices, columns ready: what im2col could reach if copying cost nothing.

    Args:
        task: ``settings`` as for a convolution.
        clock: times it.
    """
    images, weight, _ = layer(task)
    describe(task, layout="NCHW", dtype=torch.float32)
    task.units_a_step = task.batch_size
    columns = functional.unfold(images[:4], int(task.settings["kernel"]), padding=same_padding(task))
    matrix, output = weight.flatten(1).expand(4, -1, -1), torch.empty(4, len(weight), columns.shape[2])

    def whole_batch() -> None:
        for _ in range(task.batch_size // 4):
            torch.bmm(matrix, columns, out=output)

    clock.repeat(whole_batch)


def loops(task: Task, clock: Clock) -> None:
    """The course's seven loops over array elements, on a few windows of one image.

    Args:
        task: what to convolve.
        clock: times it.
    """
    from cnncourse.layers import conv2d_loops

    images, weight, gradient = _piece(task)
    if task.settings["action"] == "backward":
        inputs = [x.requires_grad_(True) for x in (images, weight)]
        output = conv2d_loops(*inputs)
        clock.repeat(lambda: torch.autograd.grad(output, inputs, gradient, retain_graph=True))
    else:
        clock.repeat(lambda: conv2d_loops(images, weight))


def loops_over_lists(task: Task, clock: Clock) -> None:
    """The same loops over nested lists, whose elements Python reads faster than an array's.

    Args:
        task: what to convolve; forward only.
        clock: times it.
    """
    images, weight, _ = _piece(task)
    x, w = images[0].tolist(), weight.tolist()
    columns = range(images.shape[3] - weight.shape[3] + 1)

    def once() -> list[list[float]]:
        output = []
        for kernel in w:
            row = []
            for q in columns:
                total = 0.0
                for plane, window in zip(x, kernel, strict=True):
                    for line, numbers in zip(plane, window, strict=True):
                        for j, number in enumerate(numbers):
                            total += number * line[q + j]
                row.append(total)
            output.append(row)
        return output

    exact = functional.conv2d(images.double(), weight.double())[0, :, 0]
    if not torch.allclose(torch.tensor(once(), dtype=torch.float64), exact):
        raise RuntimeError("the loops compute something else")
    clock.repeat(once)


def _piece(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Return one row of windows, without padding, and count it as the part of an image that it is."""
    images, weight, gradient = layer(task)
    kernel, side = int(task.settings["kernel"]), int(task.settings["side"])
    task.units_a_step = WINDOWS_OF_LOOPS / side**2
    describe(task, layout="NCHW", dtype=torch.float32)
    task.facts |= {"precision": "fp64", "timed": f"{WINDOWS_OF_LOOPS} of {side**2:,} windows"}
    return (
        images[:1, :, :kernel, : kernel + WINDOWS_OF_LOOPS - 1].clone(),
        weight,
        gradient[:1, :, :1, :WINDOWS_OF_LOOPS].clone(),
    )
