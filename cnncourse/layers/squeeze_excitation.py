"""Squeeze and excitation: each channel is scaled by a number computed from all channels' means.

Hu, Shen & Sun, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507, section 3.
"""

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scale the channels by s = sigmoid(W2 act(W1 z)), z the mean of each channel.

    Hu et al. (2018), equations 2 to 4. The two matrices are 1 x 1 convolutions with biases.

    Args:
        channels: channels of the maps, at least 1.
        squeezed: numbers between the two matrices, at least 1; the paper's C / r.
        activation: the layer between them, the paper's ReLU if ``None``.
    """

    def __init__(self, channels: int, squeezed: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, kernel_size=1)
        self.activation = nn.ReLU(inplace=True) if activation is None else activation
        self.fc2 = nn.Conv2d(squeezed, channels, kernel_size=1)
        self.scale_activation = nn.Sigmoid()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps, scaled.

        Args:
            maps: (N, C, H, W).

        Returns:
            (N, C, H, W).
        """
        z = self.avgpool(maps)  #                      (N, C, 1, 1)
        scale = self.activation(self.fc1(z))  #        (N, C / r, 1, 1)
        scale = self.scale_activation(self.fc2(scale))  # (N, C, 1, 1)
        scaled: Tensor = scale * maps
        return scaled
