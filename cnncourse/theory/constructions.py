"""Networks whose weights are written down, not trained: sawtooths and Yarotsky's square.

Each is an ``nn.Sequential`` with exact dyadic weights, so that :func:`cnncourse.theory.from_network` proves
what it computes. A *node* is a unit that computes a number: each row of each Linear layer, ReLU or not.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from gmpy2 import mpq
from torch import Tensor, nn

from cnncourse.theory.piecewise import PiecewiseLinear
from cnncourse.theory.rational import natural_number
from cnncourse.theory.tent import LARGEST_ITERATE

_NOT_NEGATIVE = "m^(0) is the identity, m^(1) the tent map"


def linear(
    weight: Sequence[Sequence[float]], bias: Sequence[float], dtype: torch.dtype = torch.float64
) -> nn.Linear:
    """A Linear layer with the given numbers in it.

    Args:
        weight: (out, in) rows of numbers.
        bias: (out,) numbers.
        dtype: type of the parameters; the numbers should be exact in it.

    Returns:
        The layer, its parameters trainable.

    Raises:
        ValueError: if the shapes disagree or the matrix is empty.

    Book: depth_separation
    """
    rows = len(weight)
    columns = {len(row) for row in weight}
    if rows == 0 or len(columns) != 1 or columns == {0} or len(bias) != rows:
        raise ValueError(
            f"weight must be a full matrix with a bias for each row, got rows of length "
            f"{[len(row) for row in weight]} and {len(bias)} biases; make them agree"
        )
    return _linear(torch.tensor(weight, dtype=torch.float64), torch.tensor(bias, dtype=torch.float64), dtype)


def _linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> nn.Linear:
    """A Linear layer around two tensors, made without drawing random numbers that the caller may need."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight.to(dtype)), nn.Parameter(bias.to(dtype))
    return layer


def deep_sawtooth(n: int, *, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """m^(n) on all of R as a deep network: 3n ReLU units in 2n layers and one linear output, 3n + 1 nodes.

    Telgarsky 2016, section 3, arXiv:1602.04485: each application of the tent map s(2 s(x) - 4 s(x - 1/2))
    takes two units and a third for the outer ReLU.

    Args:
        n: how often the tent map is applied, n >= 0.
        dtype: type of the parameters.

    Returns:
        A network with one input and one output, (N, 1) to (N, 1).

    Raises:
        ValueError: if n is negative or not whole.

    Book: depth_separation
    """
    n = natural_number(n, "the number n of iterations", minimum=0, remedy=_NOT_NEGATIVE)
    layers: list[nn.Module] = []
    for _ in range(n):
        layers += [linear([[1], [1]], [0, -0.5], dtype), nn.ReLU(), linear([[2, -4]], [0], dtype), nn.ReLU()]
    return nn.Sequential(*layers, linear([[1]], [0], dtype))


def narrow_sawtooth(n: int, *, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """m^(n) on [0, 1] with n hidden layers of two ReLU units: 2n + 1 nodes and still 2^n pieces.

    On [0, 1] the outer ReLU of the tent map changes nothing, so 2 s(x) - 4 s(x - 1/2) is folded into the next
    layer. Outside [0, 1] the function is another one: it falls below 0 for x > 1.

    Args:
        n: how often the tent map is applied, n >= 0.
        dtype: type of the parameters.

    Returns:
        A network with one input and one output.

    Raises:
        ValueError: if n is negative or not whole.

    Book: depth_separation
    """
    n = natural_number(n, "the number n of iterations", minimum=0, remedy=_NOT_NEGATIVE)
    if n == 0:
        return nn.Sequential(linear([[1]], [0], dtype))
    layers: list[nn.Module] = [linear([[1], [1]], [0, -0.5], dtype), nn.ReLU()]
    for _ in range(n - 1):
        layers += [linear([[2, -4], [2, -4]], [0, -0.5], dtype), nn.ReLU()]
    return nn.Sequential(*layers, linear([[2, -4]], [0], dtype))


def shallow_sawtooth(
    n: int, *, everywhere: bool = False, dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    """m^(n) with a single hidden layer: 2^n ReLU units on [0, 1], 2^n + 1 on all of R; no fewer will do.

    With N = 2^n, m^(n)(x) = N s(x) + sum_{i=1}^{N-1} (-1)^i 2N s(x - i/N) for x <= 1; one more unit, + N s(x
    - 1), turns the last piece into 0 for x >= 1.

    Why no fewer, for n >= 1. A unit changes the slope of the output at one point at most. (1) On R the slope
    of m^(n) changes at the N + 1 points i/N, i = 0 … N, so N + 1 units are needed. (2) On [0, 1] it changes
    at the N - 1 inner points, by D_i = (-1)^i 2N, so N - 1 units are needed; this is all that "pieces <=
    units + 1" gives. But N - 1 units cannot do it: each would have to sit at one inner point and make the
    whole jump D_i there, switched on either to the right of it or to the left, so that the slope of the first
    piece would be minus the sum of D_i over the units that are on to the left, a multiple of 2N. It is N.
    Hence N units are needed, and N suffice. (For n = 0 the identity on [0, 1] takes one unit, since none
    gives a constant.) This counts networks without a direct connection from input to output; with one, N - 1
    units suffice on [0, 1].

    Args:
        n: which iterate, 0 <= n <= 24.
        everywhere: whether to be m^(n) for x > 1 too.
        dtype: type of the parameters; i/2^n must be exact in it (float32 is, up to n = 24).

    Returns:
        A network with one input and one output.

    Raises:
        ValueError: if n is not in range.

    Book: depth_separation
    """
    n = natural_number(n, "the number n of iterations", minimum=0, remedy=_NOT_NEGATIVE)
    if n > LARGEST_ITERATE:
        raise ValueError(f"n must be at most {LARGEST_ITERATE}, got n={n}: 2^{n} units; use deep_sawtooth")
    N = 2**n
    kinks = torch.arange(N + 1 if everywhere and n else N, dtype=torch.float64) / N
    jumps = torch.where(torch.arange(len(kinks)) % 2 == 0, 2.0 * N, -2.0 * N)
    jumps[0] = N
    if everywhere and n:
        jumps[-1] = N
    return _one_hidden_layer(kinks, torch.ones_like(kinks), jumps, 0.0, dtype)


def _one_hidden_layer(
    kinks: Tensor, directions: Tensor, jumps: Tensor, bias: float, dtype: torch.dtype
) -> nn.Sequential:
    """The network bias + sum jumps_i s(directions_i (x - kinks_i)), directions in {-1, 1}."""
    hidden = _linear(directions[:, None], -directions * kinks, dtype)
    output = _linear(jumps[None, :], torch.tensor([bias], dtype=torch.float64), dtype)
    return nn.Sequential(hidden, nn.ReLU(), output)


def shallow_network_of(function: PiecewiseLinear, *, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A given t-piece function as a ReLU network with one hidden layer of at most t units.

    Every continuous piecewise-linear function is such a network (Arora et al. 2018, arXiv:1611.01491,
    section 2): one unit at the left end carries the first slope, one at each inner breakpoint carries the
    change of slope there. If the first slope is 0 its unit is left out and t - 1 units remain (one is kept
    for a constant, so that there is a hidden layer).

    Args:
        function: any continuous piecewise-linear function.
        dtype: type of the parameters. Numbers that are not exact in it are rounded; then the network is the
            function up to rounding only.

    Returns:
        A network with one input and one output.

    Book: depth_separation
    """
    slopes = function.slopes()
    jumps: list[mpq] = [slopes[0], *(b - a for a, b in pairwise(slopes))]
    kinks = list(function.breakpoints[:-1])
    if jumps[0] == 0 and len(jumps) > 1:
        jumps, kinks = jumps[1:], kinks[1:]
    at = torch.tensor([float(x) for x in kinks], dtype=torch.float64)
    amounts = torch.tensor([float(x) for x in jumps], dtype=torch.float64)
    return _one_hidden_layer(at, torch.ones_like(at), amounts, float(function.values[0]), dtype)


def yarotsky_square(n: int, *, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """x^2 on [0, 1] up to 2^(-2n-2), by n hidden layers of three units.

    Yarotsky 2017, "Error bounds for approximations with deep ReLU networks", proposition 2, arXiv:1610.01145:
    f_n(x) = x - sum_{s=1}^n m^(s)(x) / 4^s is the piecewise-linear interpolant of x^2 at the points i / 2^n.
    On a piece of width w the error is (x - a)(a + w - x) in size, at most w^2 / 4, so the supremum is exactly
    2^(-2n-2).

    Two units of each layer carry the tent map; the third carries the partial sum, which a ReLU leaves
    alone because f_s >= x^2 >= 0 on [0, 1]. Differs from the paper: no direct connections between distant
    layers, which the third unit replaces.

    Args:
        n: number of terms, n >= 0; n = 0 is the identity.
        dtype: type of the parameters.

    Returns:
        A network with one input and one output, meant for [0, 1].

    Raises:
        ValueError: if n is negative or not whole.

    Book: depth_separation
    """
    n = natural_number(n, "the number n of terms", minimum=0, remedy="n = 0 approximates x^2 by x")
    if n == 0:
        return nn.Sequential(linear([[1]], [0], dtype))
    layers: list[nn.Module] = [linear([[1], [1], [1]], [0, -0.5, 0], dtype), nn.ReLU()]
    for s in range(1, n + 1):
        partial_sum = [-2 / 4**s, 4 / 4**s, 1]  # f_s = f_(s-1) - m^(s) / 4^s with m^(s) = 2 u - 4 v
        if s < n:
            layers += [linear([[2, -4, 0], [2, -4, 0], partial_sum], [0, -0.5, 0], dtype), nn.ReLU()]
        else:
            layers.append(linear([partial_sum], [0], dtype))
    return nn.Sequential(*layers)


def count_nodes(network: nn.Module) -> int:
    """How many units of a network compute a number: the rows of all its Linear layers, the output included.

    Args:
        network: any module.

    Returns:
        The sum of ``out_features`` over its Linear layers.

    Book: depth_separation
    """
    return sum(layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear))


def count_relu_units(network: nn.Sequential) -> int:
    """How many units of a flat ``nn.Sequential`` are followed by a ReLU.

    Args:
        network: Linear and ReLU layers in order.

    Returns:
        The number of hidden units.

    Book: depth_separation
    """
    pairs = pairwise(network)
    return sum(a.out_features for a, b in pairs if isinstance(a, nn.Linear) and isinstance(b, nn.ReLU))
