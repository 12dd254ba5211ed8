"""AlexNet in one tower: what most people load under that name.

Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks", arXiv:1404.5997, 2014.
"""

from torch import Tensor, nn

from cnncourse.models.entry import Entry
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# Channels, side of the kernel, stride, padding, whether a 3 x 3 pooling with stride 2 follows: the channels and
# kernels of the code published with the paper (cuda-convnet2, layers-imagenet-1gpu.cfg); torchvision's padding.
LAYERS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)

LAST_SIDE = 6
"""Rows and columns of the last maps for images of 224 pixels."""


class AlexNetOneTower(nn.Module):
    """The one-tower AlexNet; its state dict is torchvision's ``alexnet``.

    Krizhevsky (2014): narrower than the network of 2012 in front, without groups, because one graphics card
    now held it all. It has 61,100,840 parameters, nearly as many as the network of 2012 (60,965,224).

    Differs from the paper: what its text leaves open is taken from torchvision, not from its published code. There
    response normalisations follow the first two layers, the first convolution has no padding (2 pixels here, with
    which 224 pixels give maps of 55 x 55), dropout stands behind the fully connected layers instead of in front
    of them, and weights and biases have starting values of their own (torch's default ones here). Maps of other
    than 6 x 6 places are averaged to 6 x 6.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        hidden: units of the first two fully connected layers, at least 1.
        drop_prob: dropout in front of the first two fully connected layers, in [0, 1).

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(
        self, num_classes: int = 1000, in_channels: int = 3, *, hidden: int = 4096, drop_prob: float = 0.5
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if hidden < 1 or not 0 <= drop_prob < 1:
            raise ValueError(
                f"hidden must be at least 1 and drop_prob lie in [0, 1), got {hidden=} and {drop_prob=}"
            )
        self.in_channels = in_channels
        features: list[nn.Module] = []
        read = in_channels
        for channels, kernel, stride, padding, pooled in LAYERS:
            features += [nn.Conv2d(read, channels, kernel, stride, padding), nn.ReLU(inplace=True)]
            features += [nn.MaxPool2d(3, stride=2)] if pooled else []
            read = channels
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(LAST_SIDE)
        self.classifier = nn.Sequential(
            *(nn.Dropout(drop_prob), nn.Linear(read * LAST_SIDE**2, hidden), nn.ReLU(inplace=True)),
            *(nn.Dropout(drop_prob), nn.Linear(hidden, hidden), nn.ReLU(inplace=True)),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 63 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        # At 224 pixels the poolings in features give (N, 64, 27, 27), (N, 192, 13, 13) and (N, 256, 6, 6).
        check_images(images, "AlexNet (one tower)", self.in_channels, smallest=63)
        x = self.features(images)  #            (N, 256, 6, 6)
        x = self.avgpool(x).flatten(1)  #       (N, 9216)
        logits: Tensor = self.classifier(x)  #  (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("alexnet", AlexNetOneTower, "krizhevsky2014", "published code", 61_100_840, 714_188_480, 224, 1000),
        smallest_side=63,
        weights=torchvision("alexnet-owt-7be5be79.pth"),
        public_accuracy=(56.522, 79.066),
        preprocessing=IMAGENET,
    ),
)
