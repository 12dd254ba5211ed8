"""Self-checks of the chapter on residual networks that run the reader's own function: other kinds of block."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.notebook.exercises.resnet_code import as_tensor
from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong

__all__ = ["preact_block", "stochastic_branch"]

Layers = tuple[nn.Module, nn.Module, nn.Module, nn.Module]


def _block_case() -> tuple[Tensor, Layers]:
    """Return maps and the four layers of a block, whose norms neither centre nor scale by nothing."""
    generator = torch.Generator().manual_seed(0)
    layers: Layers = (
        nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        for layer in layers:
            for tensor in (*layer.parameters(), *layer.buffers()):
                if tensor.is_floating_point():
                    tensor.copy_(0.2 + torch.rand(tensor.shape, generator=generator))
            layer.eval()
        for convolution in (layers[1], layers[3]):
            for weight in convolution.parameters():
                weight.sub_(0.7)
    return torch.randn(2, 4, 5, 5, generator=generator), layers


def _variants(x: Tensor, layers: Layers) -> dict[str, Tensor]:
    """Return what typical mistakes give."""
    bn1, conv1, bn2, conv2 = layers
    relu = torch.relu
    active = relu(bn1(x))
    branch = conv2(relu(bn2(conv1(active))))
    return {
        "The ReLU behind the addition is gone in a pre-activation block: nothing is done to the sum.": relu(
            x + branch
        ),
        "The shortcut is missing: add `x` at the end.": branch,
        "Your shortcut carries relu(bn1(x)). It should carry `x` as it came, so that nothing stands in its way.": active
        + branch,
        "That is the original block: convolution, norm, ReLU. Here norm and ReLU come *before* each convolution.": relu(
            x + bn2(conv2(relu(bn1(conv1(x)))))
        ),
        "That is the original order, without the last ReLU. Norm and ReLU come *before* each convolution.": x
        + bn2(conv2(relu(bn1(conv1(x))))),
        "The ReLU between the two convolutions is missing: bn2, ReLU, conv2.": x + conv2(bn2(conv1(active))),
        "The ReLU in front of conv1 is missing: bn1, ReLU, conv1.": x + conv2(relu(bn2(conv1(bn1(x))))),
        "Norm first, then ReLU; you have them the other way round.": x
        + conv2(bn2(relu(conv1(bn1(relu(x)))))),
    }


def preact_block(answer: Any) -> Feedback:
    """Check a function that is a pre-activation block.

    Args:
        answer: function of maps (N, C, H, W) and the layers bn1, conv1, bn2, conv2; returns maps of that shape.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong("Give the function itself, without brackets: `exercises.preact_block(my_block)`.")
    x, layers = _block_case()
    given = x.clone()
    with torch.no_grad():
        found = _called(answer, given, *layers)
        if isinstance(found, Feedback):
            return found
        if found.shape != x.shape:
            return wrong(
                f"The block keeps the shape 2×4×5×5; yours returns {'×'.join(map(str, found.shape))}."
            )
        bn1, conv1, bn2, conv2 = layers
        true = x + conv2(torch.relu(bn2(conv1(torch.relu(bn1(x))))))
        if not torch.equal(given, x):
            return wrong(
                "Your block changes its input in place, so the shortcut no longer carries `x`. Take `torch.relu`, or "
                "keep a copy."
            )
        if torch.allclose(found, true, atol=1e-5):
            return right(
                "From block to block the sum passes untouched: an identity from the first to the last."
            )
        for message, tried in _variants(x, layers).items():
            if torch.allclose(found, tried, atol=1e-5):
                return wrong(message)
    return wrong("Write it line by line: bn1, ReLU, conv1; bn2, ReLU, conv2; add `x`.")


def _called(answer: Callable[..., Any], *arguments: Any) -> Tensor | Feedback:
    """Return what the reader's function gives, or what to say if that is no tensor."""
    try:
        returned = answer(*arguments)
    except Exception as error:  # whatever the reader's function raises is their feedback
        return wrong(f"Your function stopped with `{type(error).__name__}: {error}`.")
    if returned is None or returned is ...:
        return unanswered("Your function returns nothing yet; end it with `return` and the maps.")
    found = as_tensor(returned)
    return wrong("Your function returns no maps; return a tensor.") if found is None else found


def stochastic_branch(answer: Any) -> Feedback:
    """Check a function that drops the branch of whole images.

    Args:
        answer: function of branches (N, C, H, W), the probability to drop and a generator; returns that shape.

    Returns:
        The feedback.

    Book: resnet
    """
    if answer is ...:
        return unanswered()
    if not callable(answer):
        return wrong(
            "Give the function itself, without brackets: `exercises.stochastic_branch(my_function)`."
        )
    count, drop_prob = 2000, 0.2
    branch = torch.ones(count, 2, 3, 3)
    both = [_called(answer, branch.clone(), drop_prob, torch.Generator().manual_seed(7)) for _run in range(2)]
    for found in both:
        if isinstance(found, Feedback):
            return found
    one, two = (found for found in both if isinstance(found, Tensor))
    if one.shape != branch.shape:
        return wrong(f"The branch keeps its shape, {count}×2×3×3; yours is {'×'.join(map(str, one.shape))}.")
    if not torch.equal(one, two):
        return wrong("Two calls with equal generators differ: hand `generator` to `torch.rand`.")
    if not torch.equal(one.flatten(1).amin(1), one.flatten(1).amax(1)):
        return wrong(
            "You dropped single numbers or channels. Stochastic depth drops the *whole* branch of an image: draw "
            "N×1×1×1 numbers."
        )
    coins = one[:, 0, 0, 0]
    if bool((coins == coins[0]).all()):
        return wrong("All images of the batch share one coin. Draw one for each image: N×1×1×1 numbers.")
    kept, value = float((coins != 0).float().mean()), float(coins[coins != 0].mean())
    if abs(kept - drop_prob) < 0.05:
        return wrong("You keep a branch with probability `drop_prob`; it should be dropped with it.")
    if abs(kept - (1 - drop_prob)) > 0.05:
        return wrong(f"About {1 - drop_prob:.0%} of the images should keep their branch, yours: {kept:.0%}.")
    if abs(value - 1 / (1 - drop_prob)) < 1e-4:
        return right(
            "Whole branches go, the others are scaled up, and the mean stays: at test time there is nothing to do."
        )
    if abs(value - 1) < 1e-4:
        return wrong(
            "The mean has shrunk by the dropped share. Divide what is kept by the probability to keep."
        )
    if abs(value - 1 / drop_prob) < 1e-4 or abs(value - (1 - drop_prob)) < 1e-4:
        return wrong("Divide what is kept by the probability to *keep*, 1 − `drop_prob`.")
    return wrong(
        f"A branch of ones that is kept should become {1 / (1 - drop_prob):g}; yours is {value:.3g}."
    )
