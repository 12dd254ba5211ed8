"""Many small ReLU networks from R to R, trained side by side: what the sawtooth race runs on.

Networks of one shape are one batch of matrices; training 25 of them costs little more than training one.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnncourse.theory import from_network, linear, narrow_sawtooth, sawtooth, tent_values


class StackedNetworks(nn.Module):
    """Networks of one shape, R to R, as one batch: (S, N, 1) to (S, N, 1), S independent networks.

    Args:
        weights: for each layer (S, in, out).
        biases: for each layer (S, 1, out).

    Book: depth_separation
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList([w.clone() for w in weights])
        self.biases = nn.ParameterList([b.clone() for b in biases])

    def __len__(self) -> int:
        return len(self.weights[0])

    def forward(self, x: Tensor) -> Tensor:
        """Each network reads its own column of points."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, torch.relu(x) if i else x, weight)  # (S, N, out)
        return x

    def network(self, index: int) -> nn.Sequential:
        """Return one of them as layers of its own, for exact counting."""
        layers: list[nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            rows, offsets = weight[index].T.tolist(), bias[index, 0].tolist()
            layers += [linear(rows, offsets, weight.dtype), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


def random_networks(hidden: Sequence[int], count: int, generator: torch.Generator) -> StackedNetworks:
    """Draw networks from a start that suits the task.

    The first layer's kinks lie evenly at random in [0, 1], where the data are; later layers follow He et al.
    (2015), arXiv:1502.01852: weights of variance 2 / inputs, biases 0.

    Args:
        hidden: widths of the hidden layers, at least one.
        count: how many networks.
        generator: source of randomness.

    Returns:
        The networks.

    Raises:
        ValueError: if there is no hidden layer.

    Book: depth_separation
    """
    if not hidden:
        raise ValueError(
            "a racer needs at least one hidden layer, got none; give its widths, such as (16, 16)"
        )
    widths = (1, *hidden, 1)
    weights, biases = [], []
    for fan_in, fan_out in itertools.pairwise(widths):
        scale = (2 / fan_in) ** 0.5
        weights.append(torch.randn(count, fan_in, fan_out, generator=generator) * scale)
        biases.append(torch.zeros(count, 1, fan_out))
    biases[0] = -weights[0] * torch.rand(count, 1, hidden[0], generator=generator)
    return StackedNetworks(weights, biases)


def shaken_networks(n: int, noises: Sequence[float], generator: torch.Generator) -> StackedNetworks:
    """Copy the exact network of m^(n), two units a layer, and add noise to every weight and bias.

    Args:
        n: which iterate, n >= 1.
        noises: one standard deviation a network.
        generator: source of randomness.

    Returns:
        One network for each noise.

    Book: depth_separation
    """
    exact = [layer for layer in narrow_sawtooth(n, dtype=torch.float32) if isinstance(layer, nn.Linear)]
    scale = torch.tensor(noises).view(-1, 1, 1)
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for layer in exact:
        weight, bias = layer.weight.detach().T[None], layer.bias.detach()[None, None]
        for kept, tensor in ((weights, weight), (biases, bias)):
            noise = torch.randn(len(noises), *tensor.shape[1:], generator=generator)
            kept.append(tensor + scale * noise)
    return StackedNetworks(weights, biases)


def target_values(x: Tensor, iterates: Tensor) -> Tensor:
    """Return m^(n) with an n of its own for each network.

    Args:
        x: (S, N, 1), points of [0, 1].
        iterates: (S,), whole numbers n >= 0.

    Returns:
        (S, N, 1).

    Book: depth_separation
    """
    for step in range(int(iterates.max())):
        x = torch.where((iterates > step).view(-1, 1, 1), tent_values(x), x)
    return x


def train_stacked(
    networks: StackedNetworks,
    iterates: Sequence[int],
    *,
    steps: int,
    peak_lr: float,
    generator: torch.Generator,
    batch_size: int = 256,
    log_every: int = 50,
) -> Tensor:
    """Train all networks at once on fresh random points, by Adam on the mean squared error.

    Each network has its own points, its own loss and its own Adam statistics; they share nothing but the
    clock. The learning rate rises for a tenth of the steps and falls to 0 along a cosine.

    Args:
        networks: S networks, trained in place.
        iterates: S targets, n for m^(n).
        steps: updates, at least 1.
        peak_lr: largest learning rate.
        generator: draws the points.
        batch_size: points a step and network.
        log_every: steps between two entries of the returned history.

    Returns:
        (S, ceil(steps / log_every)): mean squared errors on the batches of steps 0, log_every, …

    Raises:
        ValueError: if there is not one target a network.

    Book: depth_separation
    """
    if len(iterates) != len(networks):
        raise ValueError(
            f"each network needs a target, got {len(iterates)} targets for {len(networks)} networks"
        )
    which = torch.tensor(iterates)
    optimiser = torch.optim.Adam(networks.parameters(), lr=peak_lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_lr, total_steps=steps, pct_start=0.1)
    history = []
    for step in range(steps):
        x = torch.rand(len(networks), batch_size, 1, generator=generator)  # (S, N, 1)
        loss = (networks(x) - target_values(x, which)).square().mean((1, 2))  # (S,)
        optimiser.zero_grad()
        loss.sum().backward()  # the sum's gradient is each network's own
        optimiser.step()
        if step + 1 < steps:
            schedule.step()
        if step % log_every == 0:
            history.append(loss.detach())
    return torch.stack(history, 1)


def measured(networks: StackedNetworks, iterates: Sequence[int]) -> tuple[list[float], list[int]]:
    """Return how far each network is from its target, and how many pieces it has; both exact, no grid.

    Args:
        networks: S networks.
        iterates: S targets, n for m^(n).

    Returns:
        S distances in L1 on [0, 1], computed as fractions and rounded once, and S numbers of pieces.

    Book: depth_separation
    """
    targets = {n: sawtooth(n) for n in set(iterates)}
    functions = [from_network(networks.network(i)) for i in range(len(networks))]
    distances = [float(f.l1_distance(targets[n])) for f, n in zip(functions, iterates, strict=True)]
    return distances, [f.pieces() for f in functions]
