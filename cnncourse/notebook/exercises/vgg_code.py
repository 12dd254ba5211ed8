"""Self-checks of code that readers of the chapter on VGG write: a conversion and a small network."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["convert", "small_vgg"]

MOST_PARAMETERS = 100_000
LEAST_CONVOLUTIONS = 8
CASES = ((6, 4, 2, True), (3, 5, 3, True), (2, 3, 2, False))
"""Channels, units, side and bias of the layers that a conversion is tried on."""


def _stopped(error: Exception) -> Feedback:
    text = str(error).split("\n", 1)[0]
    return wrong(f"Your code stopped with `{type(error).__name__}: {text}`.")


def convert(answer: Any) -> Feedback:
    """Check a function that turns a linear layer into a convolution.

    Args:
        answer: from a linear layer and a side to a convolution.

    Returns:
        The feedback.

    Book: vgg
    """
    if answer is ...:
        return unanswered()
    if isinstance(answer, nn.Module) or not callable(answer):
        return wrong("Hand over the function itself, without calling it.")
    generator = torch.Generator().manual_seed(0)
    for channels, units, side, bias in CASES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            linear = nn.Linear(channels * side * side, units, bias=bias)
        before = linear.weight.detach().clone()
        maps = torch.randn(7, channels, side, side, generator=generator)
        with torch.no_grad():
            wanted = linear(maps.flatten(1))
        try:
            conv = answer(linear, side)
            if conv is None:
                return unanswered("The function returns nothing yet.")
            if not isinstance(conv, nn.Conv2d):
                return wrong(f"Return an `nn.Conv2d`, not a `{type(conv).__name__}`.")
            with torch.no_grad():
                found = conv(maps)
        except Exception as error:
            return _stopped(error)
        if not torch.equal(before, linear.weight):
            return wrong("The linear layer itself has changed. Copy its weights, do not write into them.")
        if tuple(found.shape) != (7, units, 1, 1):
            return wrong(
                f"On maps of {side}×{side} the answer must have one place and {units} channels, not the shape "
                f"{tuple(found.shape[1:])}. The kernel is as large as the maps, without padding."
            )
        if not torch.allclose(found.flatten(1), wanted, atol=1e-5):
            return _named(linear, found.flatten(1), wanted, maps)
    return right("The same numbers in another shape, with and without bias. On larger maps it gives a map.")


def _named(linear: nn.Linear, found: Tensor, wanted: Tensor, maps: Tensor) -> Feedback:
    """Return the feedback for a convolution whose answers differ."""
    channels, side = maps.shape[1], maps.shape[2]
    weight = linear.weight.detach()
    if linear.bias is not None and torch.allclose(found, wanted - linear.bias.detach(), atol=1e-5):
        return wrong("The bias is missing.")
    if (wanted - found).std(0).max() < 1e-5:
        return wrong("The weights are right, the biases are others. Copy the linear layer's.")
    kernels = weight.view(-1, channels, side, side)
    mistakes = {
        "The order is wrong: flattening runs through all places of one channel first, so the view is (units, "
        "channels, side, side).": weight.view(-1, side, side, channels).permute(0, 3, 1, 2),
        "The kernels are turned by 180°. Here a kernel is laid on as it is.": kernels.flip(2, 3),
        "Rows and columns of the kernels are exchanged.": kernels.transpose(2, 3),
    }
    for message, kernel in mistakes.items():
        other = functional.conv2d(maps, kernel).flatten(1)
        if (found - other).std(0).max() < 1e-5:  # whatever the bias
            return wrong(message)
    return wrong("The answers differ. Do the weights of the linear layer stand in the convolution?")


def small_vgg(answer: Any) -> Feedback:
    """Check a small network in the style of VGG for images of 32 x 32 pixels.

    Args:
        answer: from (N, 3, 32, 32) to (N, 10).

    Returns:
        The feedback.

    Book: vgg
    """
    if answer is ...:
        return unanswered()
    if not isinstance(answer, nn.Module):
        return wrong("Give an `nn.Module` itself, not its class or a list of layers.")
    fault = _not_like_vgg(answer)
    if fault:
        return wrong(fault)
    images = torch.zeros(2, 3, 32, 32, dtype=next(answer.parameters()).dtype)
    was_training = answer.training
    try:
        with torch.no_grad():
            logits = answer.eval()(images)
    except Exception as error:
        return _stopped(error)
    finally:
        answer.train(was_training)
    if tuple(logits.shape) != (2, 10):
        return wrong(f"Two images must give (2, 10) logits, not {tuple(logits.shape)}.")
    total = sum(parameter.numel() for parameter in answer.parameters())
    return right(
        f"All of it in {total:,} parameters. FC6 of VGG alone has more than a thousand times as many."
    )


def _not_like_vgg(answer: nn.Module) -> str:
    """Return in which way a network is not in the style of VGG; nothing if it is."""
    convolutions = [module for module in answer.modules() if isinstance(module, nn.Conv2d)]
    for conv in convolutions:
        if tuple(conv.kernel_size) != (3, 3):
            return f"There is a window of {conv.kernel_size[0]}×{conv.kernel_size[1]}. Only 3×3."
        if tuple(conv.stride) != (1, 1):
            return "A convolution has a stride. Here only poolings make maps smaller."
        if conv.padding not in ((1, 1), "same"):
            return "A convolution without padding 1 loses a border at each layer."
        if conv.groups != 1:
            return "Groups are another idea: each kernel of VGG reads all channels."
    if len(convolutions) < LEAST_CONVOLUTIONS:
        return f"{len(convolutions)} convolutions; wanted are at least {LEAST_CONVOLUTIONS}."
    pools = [module for module in answer.modules() if isinstance(module, nn.MaxPool2d)]
    if not pools or any(pool.kernel_size not in (2, (2, 2)) for pool in pools):
        return "Between the stages stand max poolings of 2×2."
    if not any(isinstance(module, nn.ReLU) for module in answer.modules()):
        return "There is no ReLU. Between poolings, the stack would be a linear map."
    total = sum(parameter.numel() for parameter in answer.parameters())
    if total > MOST_PARAMETERS:
        largest = max(answer.modules(), key=lambda m: sum(p.numel() for p in m.parameters(recurse=False)))
        return (
            f"{total:,} parameters are more than {MOST_PARAMETERS:,}. The largest layer is a "
            f"`{type(largest).__name__}`: fewer channels, or a mean over the maps in front of the head."
        )
    return ""
