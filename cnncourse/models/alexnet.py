"""AlexNet, the network of 2012: five convolutions, three fully connected layers, two graphics cards.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
"""

from typing import Literal

from torch import Tensor, nn

from cnncourse.layers import LocalResponseNorm
from cnncourse.layers.undrawn import undrawn_linear
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images

# Krizhevsky et al. (2012), section 3.5 and figure 2: channels, side of the kernel, stride, padding; whether the two
# halves of the channels see only their own half (one graphics card each); first value of the biases (section 5).
CONVOLUTIONS = (
    (96, 11, 4, 0, False, 0.0),
    (256, 5, 1, 2, True, 1.0),
    (384, 3, 1, 1, False, 0.0),
    (384, 3, 1, 1, True, 1.0),
    (256, 3, 1, 1, True, 1.0),
)

SIDE = 227
"""Height and width of the input in pixels, with which the other sizes of the paper come out."""

DEVIATION = 0.01
"""Standard deviation of the first weights (section 5)."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}

REMEDY = (
    "resize or cut the images, or build the model with their side and in_channels; the 224 pixels that the paper "
    "prints do not lead to its maps of 55 x 55"
)


class AlexNet2012(nn.Module):
    """AlexNet as the paper has it, in one piece: groups of channels stand for the two graphics cards.

    Krizhevsky et al. (2012), sections 3 and 5, figure 2.

    Differs from the paper: the input is 227 x 227. The paper prints 224, but an 11 x 11 kernel with stride 4
    and no padding then takes 54.25 steps, and its 55 x 55 maps need 227. It also prints 253,440 neurons for the
    first layer, where 55 x 55 x 96 are 290,400. The network has 60,965,224 parameters ("60 million") and 659,272
    neurons ("650,000"). Dropout scales in training, where the paper halves the outputs in the test. The
    response normalisation sums over neighbours across the border between the two halves.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        groups: 2 as in the paper; 1 lets every filter of the second, fourth and fifth convolution see all
            channels, with which the network has 62,378,344 parameters.
        activation: ``"relu"``, or ``"tanh"`` for the comparison of section 3.1.
        overlapping: pooling over 3 x 3 places with stride 2; else over 2 x 2 places, with which all maps have
            the same sizes (section 3.4).
        local_response: normalise the first two layers' responses (section 3.3).
        side: height and width of the images in pixels, at least 67; the first fully connected layer has as many
            weights as the last maps have places.
        hidden: units of the first two fully connected layers, at least 1.
        drop_prob: dropout in front of the first two fully connected layers, in [0, 1).

    Raises:
        ValueError: if a setting is out of its range.

    Book: alexnet
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        groups: Literal[1, 2] = 2,
        activation: Literal["relu", "tanh"] = "relu",
        overlapping: bool = True,
        local_response: bool = True,
        side: int = SIDE,
        hidden: int = 4096,
        drop_prob: float = 0.5,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if groups not in (1, 2):
            raise ValueError(f"groups must be 1 or 2, the graphics cards of the paper, got groups={groups}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
        if side < 67 or hidden < 1 or not 0 <= drop_prob < 1:
            raise ValueError(
                "side must be at least 67, hidden at least 1 and drop_prob lie in [0, 1), got "
                f"side={side}, hidden={hidden} and drop_prob={drop_prob}"
            )
        self.in_channels, self.side = in_channels, side
        act = ACTIVATIONS[activation]
        norm = LocalResponseNorm if local_response else nn.Identity
        window = 3 if overlapping else 2
        convolutions, read = [], in_channels
        for channels, kernel, stride, padding, halves, _bias in CONVOLUTIONS:
            parts = groups if halves else 1
            convolutions.append(nn.Conv2d(read, channels, kernel, stride, padding, groups=parts))
            read = channels
        self.conv1, self.conv2, self.conv3, self.conv4, self.conv5 = convolutions
        self.act1, self.act2, self.act3, self.act4, self.act5 = (act() for _ in CONVOLUTIONS)
        self.norm1, self.norm2 = norm(), norm()
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(window, stride=2) for _ in range(3))
        last = (side - 11) // 4 + 1
        for _pooling in range(3):
            last = (last - window) // 2 + 1
        self.drop6, self.fc6, self.act6 = nn.Dropout(drop_prob), undrawn_linear(read * last**2, hidden), act()
        self.drop7, self.fc7, self.act7 = nn.Dropout(drop_prob), undrawn_linear(hidden, hidden), act()
        self.fc8 = undrawn_linear(hidden, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Draw the weights and set the biases as in section 5: 1 in layers 2, 4, 5, 6 and 7."""
        layers: list[nn.Conv2d | nn.Linear] = [self.conv1, self.conv2, self.conv3, self.conv4, self.conv5]
        layers += [self.fc6, self.fc7, self.fc8]
        biases = (*(row[-1] for row in CONVOLUTIONS), 1.0, 1.0, 0.0)
        for layer, bias in zip(layers, biases, strict=True):
            nn.init.normal_(layer.weight, 0, DEVIATION)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, side, side), normalised floats; the side is 227 unless chosen otherwise.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(
            images, "AlexNet", self.in_channels, smallest=self.side, largest=self.side, remedy=REMEDY
        )
        x = self.norm1(self.act1(self.conv1(images)))  # (N,  96, 55, 55)
        x = self.pool1(x)  #                             (N,  96, 27, 27)
        x = self.norm2(self.act2(self.conv2(x)))  #      (N, 256, 27, 27)
        x = self.pool2(x)  #                             (N, 256, 13, 13)
        x = self.act3(self.conv3(x))  #                  (N, 384, 13, 13)
        x = self.act4(self.conv4(x))  #                  (N, 384, 13, 13)
        x = self.act5(self.conv5(x))  #                  (N, 256, 13, 13)
        x = self.pool5(x).flatten(1)  #                  (N, 256 * 6 * 6)
        x = self.act6(self.fc6(self.drop6(x)))  #        (N, 4096)
        x = self.act7(self.fc7(self.drop7(x)))  #        (N, 4096)
        logits: Tensor = self.fc8(x)  #                  (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("alexnet2012", AlexNet2012, "krizhevsky2012", "section 3.5, figure 2"),
        *(60_965_224, 724_406_816, SIDE, 1000),
        smallest_side=SIDE,
        printed_parameters=Printed(60e6, 1e6, where="abstract, cut off"),
        printed_error=PrintedError("imagenet", 40.7, 18.2, "table 2, one network, ten crops"),
    ),
)
