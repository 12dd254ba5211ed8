"""The network of Telgarsky's depth separation theorem, with its layers, nodes and parameters counted.

Theorem 1.1 of "Benefits of depth in neural networks" (COLT 2016, arXiv:1602.04485): for all k, d >= 1 there
is a function on R^d, computed by a ReLU network with 2k^3 + 8 layers, 3k^3 + 12 nodes and d + 4 distinct
parameters, that no network with at most k layers and 2^k nodes approximates better than 1/64 in L1 on the
unit cube.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnncourse.theory.constructions import linear
from cnncourse.theory.rational import natural_number

NO_EDGE = -1
"""Stands in a table where there is no edge or no bias: a 0 that is structure, not a parameter."""

MOST_LAYERS = 20_000
"""Refuse k beyond this many layers: that is k <= 21, where float inputs lost all meaning long ago."""


class SharedReluLayer(nn.Module):
    """A layer of ReLU nodes that owns no number: a table says which shared parameter sits on which edge.

    Args:
        edges: for each node, for each input, the position of its weight in the shared parameters, or
        ``NO_EDGE``.
        biases: for each node, the position of its bias, or ``NO_EDGE``.

    Book: depth_separation
    """

    edges: Tensor
    biases: Tensor

    def __init__(self, edges: Sequence[Sequence[int]], biases: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("edges", torch.tensor(edges), persistent=False)
        self.register_buffer("biases", torch.tensor(biases), persistent=False)

    @property
    def nodes(self) -> int:
        """How many ReLU nodes the layer has."""
        return len(self.edges)

    def parameters_used(self) -> set[int]:
        """Positions of the shared parameters that occur in the layer."""
        return {int(i) for i in torch.cat([self.edges.flatten(), self.biases])} - {NO_EDGE}

    def weight(self, shared: Tensor) -> Tensor:
        """The weight matrix, (out, in)."""
        return torch.where(self.edges == NO_EDGE, 0, shared[self.edges])

    def bias(self, shared: Tensor) -> Tensor:
        """The bias vector, (out,)."""
        return torch.where(self.biases == NO_EDGE, 0, shared[self.biases])

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """(…, in) and the shared parameters to (…, out)."""
        return torch.relu(nn.functional.linear(x, self.weight(shared), self.bias(shared)))


class TelgarskyNetwork(nn.Module):
    """m^(k^3+4) of the first coordinate: 2k^3 + 8 layers, 3k^3 + 12 nodes, d + 4 distinct parameters.

    Telgarsky 2016, theorem 1.1, arXiv:1602.04485. One copy of the tent map, s(2 s(x) - 4 s(x - 1/2)) with s =
    ReLU, is two layers: nodes s(x) and s(x - 1/2), then the outer s. The network is k^3 + 4 copies in a row,
    the first reading <a, x> for x in R^d.

    How the theorem counts, and what this module therefore does literally:

    * a *layer* is a row of ReLU nodes; the input is no layer, and there is no linear output: the last node is
      the outer ReLU of the last tent map, which changes nothing because its values lie in [0, 1]. 2 (k^3 + 4)
      layers.
    * a *node* is a unit with a ReLU: 3 in each copy, 3 (k^3 + 4) in all.
    * a *distinct parameter* is a number that the nodes share, however often it is used: the d entries of the
      direction a in the first copy, and 1, -1/2, 2, -4 in all copies. So d + 4. "Distinct" means separately
      adjustable, not of different value: a is the first unit vector here, whose entries happen to be 1 and 0.
      A bias that is absent is not a parameter.

    ``layer_count``, ``node_count`` and ``distinct_parameters`` walk the built layers; none knows the formula.
    The parameters of the module are exactly those d + 4 numbers.

    Args:
        k: k >= 1; the network is deep: k = 3 has 62 layers.
        d: dimension of the input, >= 1.
        dtype: type of the parameters.

    Raises:
        ValueError: if k or d is not a positive whole number, or k asks for more than 20,000 layers.

    Book: depth_separation
    """

    def __init__(self, k: int, d: int = 1, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        k = natural_number(k, "k", minimum=1, remedy="the theorem starts at k = 1")
        d = natural_number(d, "the dimension d", minimum=1, remedy="the input needs a coordinate")
        copies = k**3 + 4
        if 2 * copies > MOST_LAYERS:
            raise ValueError(
                f"k must be small enough to build, got k={k} with {2 * copies} layers; use k <= 21"
            )
        direction = torch.zeros(d, dtype=dtype)
        direction[0] = 1
        self.direction = nn.Parameter(direction)
        self.tent_numbers = nn.Parameter(torch.tensor([1, -0.5, 2, -4], dtype=dtype))
        one, minus_half, two, minus_four = range(d, d + 4)  # positions behind the direction's 0 … d-1
        self.layers = nn.ModuleList()
        for copy in range(copies):
            reads = list(range(d)) if copy == 0 else [one]
            self.layers.append(SharedReluLayer([reads, reads], [NO_EDGE, minus_half]))
            self.layers.append(SharedReluLayer([[two, minus_four]], [NO_EDGE]))

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) to (…, 1)."""
        shared = self._shared()
        for layer in self.layers:
            x = layer(x, shared)
        return x

    def layer_count(self) -> int:
        """The number of layers built."""
        return len(self.layers)

    def node_count(self) -> int:
        """The number of nodes built."""
        return sum(layer.nodes for layer in self._tables())

    def distinct_parameters(self) -> int:
        """How many different shared parameters occur on an edge or as a bias of some node."""
        return len(set[int]().union(*(layer.parameters_used() for layer in self._tables())))

    def unrolled(self) -> nn.Sequential:
        """The same function as plain Linear and ReLU layers, each with its own copy of its numbers."""
        shared = self._shared().detach()
        layers: list[nn.Module] = []
        for table in self._tables():
            weight, bias = table.weight(shared).tolist(), table.bias(shared).tolist()
            layers += [linear(weight, bias, shared.dtype), nn.ReLU()]
        return nn.Sequential(*layers)

    def _shared(self) -> Tensor:
        return torch.cat([self.direction, self.tent_numbers])

    def _tables(self) -> list[SharedReluLayer]:
        return [layer for layer in self.layers if isinstance(layer, SharedReluLayer)]
