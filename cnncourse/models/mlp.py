"""The multilayer perceptron: the network that does not know what a neighbour is."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from cnncourse.models.entry import Entry
from cnncourse.models.inputs import check_counts


class MLP(nn.Module):
    """A fully connected ReLU network; images are flattened first.

    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323, 1986.
    Differs from the paper: ReLU between the layers instead of the logistic function.

    Args:
        sizes: numbers of units from input to output, at least two, each at least 1: ``(1024, 60, 10)``
            reads 1,024 pixels, has 60 hidden units and gives 10 logits.

    Raises:
        ValueError: if there are fewer than two sizes, or one is below 1.

    Book: pooling_lenet
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes must hold at least two numbers, each at least 1, got sizes={tuple(sizes)}; "
                "the first is the number of inputs, the last the number of outputs"
            )
        self.sizes = tuple(sizes)
        layers: list[nn.Module] = [nn.Flatten()]
        for index, (fan_in, fan_out) in enumerate(pairwise(self.sizes)):
            if index > 0:
                layers.append(nn.ReLU())
            layers.append(nn.Linear(fan_in, fan_out))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch.

        Args:
            images: (N, ...) with ``sizes[0]`` numbers for each of the N.

        Returns:
            (N, sizes[-1]): logits.

        Raises:
            ValueError: if an image does not hold ``sizes[0]`` numbers.
        """
        inputs = prod(images.shape[1:]) if images.ndim > 1 else 0
        if inputs != self.sizes[0]:
            raise ValueError(
                f"this MLP takes (N, ...) with {self.sizes[0]} numbers an image, got {tuple(images.shape)}; "
                "resize the images or build the MLP with another sizes[0]"
            )
        logits: Tensor = self.layers(images)
        return logits


def hidden_width(target: int, *, in_features: int, out_features: int, hidden_layers: int = 1) -> int:
    """Return the hidden width whose MLP comes closest to a number of parameters.

    With h units in each of k hidden layers an MLP has (in + 1) h + (k - 1)(h + 1) h + (h + 1) out
    parameters, which grows with h; of the two widths around the target the nearer one is returned, the
    smaller one if both are equally near.

    Args:
        target: wanted number of weights and biases, at least 1.
        in_features: numbers an image holds, at least 1.
        out_features: number of logits, at least 1.
        hidden_layers: number of hidden layers of that width, at least 1.

    Returns:
        The width h, at least 1.

    Raises:
        ValueError: if an argument is below 1.

    Book: pooling_lenet
    """
    if min(target, in_features, out_features, hidden_layers) < 1:
        raise ValueError(
            f"all arguments must be at least 1, got target={target}, in_features={in_features}, "
            f"out_features={out_features}, hidden_layers={hidden_layers}"
        )

    def parameters(h: int) -> int:
        return (in_features + 1) * h + (hidden_layers - 1) * (h + 1) * h + (h + 1) * out_features

    above = 1
    while parameters(above) < target:
        above += 1
    return min(max(above - 1, 1), above, key=lambda h: (abs(parameters(h) - target), h))


def build_mlp(
    num_classes: int = 10, in_channels: int = 1, *, side: int = 32, hidden: Sequence[int] = (60,)
) -> MLP:
    """Return an MLP for images of one size.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        side: height and width of the images in pixels, at least 1.
        hidden: units of the hidden layers, each at least 1.

    Returns:
        The network.

    Raises:
        ValueError: if a number is below 1.
    """
    check_counts(num_classes, in_channels)
    return MLP((in_channels * side**2, *hidden, num_classes))


ENTRIES: tuple[Entry, ...] = (
    Entry("mlp", build_mlp, "rumelhart1986", "figure 1", 62_110, 62_040, 32, 10, 1),
)
