"""GoogLeNet: 22 layers of four branches each, with a fraction of AlexNet's parameters.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke & Rabinovich, "Going Deeper with Convolutions",
CVPR 2015, arXiv:1409.4842.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from cnncourse.layers import LocalResponseNorm, he_initialise
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.googlenet_blocks import Convolution, Head, Inception
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, torchvision

# Szegedy et al. (2015), table 1: maps of the 1 x 1 branch, of the reduction in front of the 3 x 3 convolution and of
# that, of the reduction in front of the 5 x 5 convolution and of that, of the projection behind the pooling.
TABLE_1: dict[str, tuple[int, int, int, int, int, int]] = {
    #     1x1, 3x3r, 3x3, 5x5r, 5x5, pool
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}

HEAD_WEIGHT = 0.3
"""Weight of the loss of each auxiliary head in training (section 5)."""


class GoogLeNet(nn.Module):
    """GoogLeNet; with batch norm its state dict is torchvision's.

    Szegedy et al. (2015), table 1 and figure 3. Without the auxiliary heads, which are only there for training,
    it has 6,998,552 parameters: a ninth of AlexNet's, not the twelfth that section 1 claims. Table 1's operations
    follow from its widths but for row 5a (54 million, 51 counted) and the first row; its parameters do not from
    row 4a on, by up to 7 %. The first row, 2.7 thousand parameters and 34 million operations, is not a full 7 x 7
    convolution (9,408 and 118 million) but a separable one: 7 x 7 with 8 filters a channel, then 1 x 1 (2,712 and
    34.0 million). Chollet (arXiv:1610.02357, section 2) says that GoogLeNet began so, and ``separable=True`` does.

    Differs from the paper: weights are He's, biases 0; the paper does not tell its own. Heads average
    maps of other than 14 x 14 places (223 to 238 pixels) to 4 x 4 in torch's way, and the last maps may have any
    size. With
    ``batch_norm=True`` it is the network of torchvision's weights: a batch norm behind each convolution, no
    response normalisation, 3 x 3 kernels in the branch that the paper gives 5 x 5, a 2 x 2 window in the fourth
    pooling, heads that average to 4 x 4 places in another way.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        batch_norm: build torchvision's variant.
        aux_logits: build the auxiliary heads; :meth:`training_loss` needs them.
        separable: begin with a separable convolution; not together with batch norm.
        transform_input: turn images normalised by ImageNet's mean and standard deviation into values in [-1, 1],
            which torchvision's weights were trained on; three channels only. ``None`` does so for batch norm with
            three channels.
        drop_prob: dropout in front of the last layer, in [0, 1).

    Raises:
        ValueError: if a setting is out of its range or two exclude each other.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        batch_norm: bool = False,
        aux_logits: bool = False,
        separable: bool = False,
        transform_input: bool | None = None,
        drop_prob: float = 0.4,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob must lie in [0, 1), got drop_prob={drop_prob}")
        if separable and batch_norm:
            raise ValueError(
                "torchvision's variant does not begin with a separable convolution, got separable=True with "
                "batch_norm=True; choose one of them"
            )
        if transform_input and in_channels != 3:
            raise ValueError(
                f"transform_input needs images of 3 channels, got in_channels={in_channels}; leave it out"
            )
        self.in_channels, self.aux_logits = in_channels, aux_logits
        self.transform_input = (
            (batch_norm and in_channels == 3) if transform_input is None else transform_input
        )
        build = partial(Convolution, batch_norm=batch_norm)
        norm = nn.Identity if batch_norm else LocalResponseNorm
        reads, read = {}, 192
        for name, widths in TABLE_1.items():
            reads[name] = read
            read = widths[0] + widths[2] + widths[4] + widths[5]

        def inception(name: str) -> Inception:
            return Inception(reads[name], TABLE_1[name], build, 3 if batch_norm else 5)

        def pool(window: int = 3) -> nn.MaxPool2d:
            return nn.MaxPool2d(window, stride=2, ceil_mode=True)

        self.conv1: nn.Module = build(in_channels, 64, 7, 2)
        if separable:
            filters = nn.Conv2d(in_channels, 8 * in_channels, 7, 2, padding=3, groups=in_channels, bias=False)
            self.conv1 = nn.Sequential(filters, build(8 * in_channels, 64, 1))
        self.maxpool1, self.norm1 = pool(), norm()
        self.conv2, self.conv3 = build(64, 64, 1), build(64, 192, 3)
        self.norm2, self.maxpool2 = norm(), pool()
        self.inception3a, self.inception3b, self.maxpool3 = inception("3a"), inception("3b"), pool()
        self.inception4a, self.inception4b, self.inception4c = (
            inception("4a"),
            inception("4b"),
            inception("4c"),
        )
        self.inception4d, self.inception4e = inception("4d"), inception("4e")
        self.maxpool4 = pool(2 if batch_norm else 3)
        self.inception5a, self.inception5b = inception("5a"), inception("5b")
        if aux_logits:
            self.aux1 = Head(reads["4b"], num_classes, build, adaptive=batch_norm)
            self.aux2 = Head(reads["4e"], num_classes, build, adaptive=batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(drop_prob)
        self.fc = nn.Linear(read, num_classes)
        he_initialise(self)

    def _to_4a(self, images: Tensor) -> Tensor:
        """Return what the first head reads. Shapes here and below are those at 224 pixels."""
        check_images(images, "GoogLeNet", self.in_channels, smallest=32)
        x = images
        if self.transform_input:
            mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
            x = (images * std + mean - 0.5) / 0.5
        x = self.norm1(self.maxpool1(self.conv1(x)))  # (N,  64, 56, 56), after 112 x 112
        x = self.norm2(self.conv3(self.conv2(x)))  #    (N, 192, 56, 56)
        x = self.inception3a(self.maxpool2(x))  #       (N, 256, 28, 28)
        x = self.inception3b(x)  #                      (N, 480, 28, 28)
        result: Tensor = self.inception4a(self.maxpool3(x))  # (N, 512, 14, 14)
        return result

    def _to_4d(self, x: Tensor) -> Tensor:
        """Return what the second head reads."""
        x = self.inception4b(x)  #              (N, 512, 14, 14)
        x = self.inception4c(x)  #              (N, 512, 14, 14)
        result: Tensor = self.inception4d(x)  # (N, 528, 14, 14)
        return result

    def _to_logits(self, x: Tensor) -> Tensor:
        x = self.inception4e(x)  #                  (N, 832, 14, 14)
        x = self.inception5a(self.maxpool4(x))  #   (N, 832,  7,  7)
        x = self.inception5b(x)  #                  (N, 1024, 7,  7)
        x = self.avgpool(x).flatten(1)  #           (N, 1024)
        logits: Tensor = self.fc(self.dropout(x))  # (N, num_classes)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images; auxiliary heads are not asked.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        x = self._to_4a(images)  #   (N, 512, 14, 14)
        x = self._to_4d(x)  #        (N, 528, 14, 14)
        return self._to_logits(x)  # (N, num_classes)

    def forward_with_heads(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of a batch of images and those of the auxiliary heads behind 4a and 4d.

        Args:
            images: as for :meth:`forward`.

        Returns:
            Three tensors (N, num_classes): of the network, of the first head, of the second head.

        Raises:
            ValueError: if the images have another shape or the network has no heads.
        """
        if not self.aux_logits:
            raise ValueError("this GoogLeNet has no auxiliary heads; build it with aux_logits=True")
        x = self._to_4a(images)
        first: Tensor = self.aux1(x)
        x = self._to_4d(x)
        second: Tensor = self.aux2(x)
        return self._to_logits(x), first, second

    def training_loss(
        self,
        images: Tensor,
        targets: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    ) -> Tensor:
        """Return the loss that section 5 trains with: the network's plus 0.3 times that of each head.

        Args:
            images: as for :meth:`forward`.
            targets: (N,) class indices, or whatever the loss takes.
            loss: takes logits (N, num_classes) and the targets, returns one number.

        Returns:
            One number, whose gradient reaches every parameter.

        Raises:
            ValueError: if the images have another shape or the network has no heads.
        """
        logits, first, second = self.forward_with_heads(images)
        return loss(logits, targets) + HEAD_WEIGHT * (loss(first, targets) + loss(second, targets))


def without_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave the auxiliary heads of public weights out, for a network that has none.

    Args:
        state: names and tensors, torchvision's.

    Returns:
        The same without ``aux1`` and ``aux2``.
    """
    return {key: tensor for key, tensor in state.items() if not key.startswith(("aux1.", "aux2."))}


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("googlenet2014", GoogLeNet, "szegedy2015", "table 1", 6_998_552, 1_582_671_872, 224, 1000),
        printed_parameters=Printed(
            *(6.8e6, 0.2e6, {"separable": True}),
            where="sum of table 1's column, which from row 4a on does not follow from its widths",
        ),
        printed_operations=Printed(1.5e9, 0.05e9, {"separable": True}, "section 1; sum of table 1's column"),
        printed_error=PrintedError("imagenet", None, 10.07, "table 3, one model, one crop"),
    ),
    Entry(
        "googlenet",
        partial(GoogLeNet, batch_norm=True, drop_prob=0.2),
        *("szegedy2015", "table 1; batch norm and 3 x 3 for 5 x 5 kernels are not in the paper"),
        *(6_624_904, 1_498_376_192, 224, 1000),
        weights=torchvision("googlenet-1378be20.pth"),
        public_accuracy=(69.778, 89.53),
        preprocessing=IMAGENET,
        translate=without_heads,
    ),
)
