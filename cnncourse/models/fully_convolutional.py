"""Classifiers turned into convolutions: the same weights, a map of scores on larger images.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556, section 3.2, after Sermanet et al., "OverFeat", ICLR 2014, arXiv:1312.6229. A fully connected layer
that reads C x 7 x 7 numbers is a convolution with kernels of 7 x 7 whose map has one place; a linear layer behind a
mean over all places is a 1 x 1 convolution in front of it.
"""

import copy
from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import evaluating
from cnncourse.models.alexnet import AlexNet2012
from cnncourse.models.lenet import LeNet5
from cnncourse.models.shufflenet_v2 import ShuffleNetV2

__all__ = ["FullyConvolutional", "fully_convolutional"]

# Networks that take one size of images only and are chains of modules: those in front of the first fully connected
# layer, and those behind.
CHAINS: dict[type[nn.Module], tuple[str, str]] = {
    AlexNet2012: (
        "conv1 act1 norm1 pool1 conv2 act2 norm2 pool2 conv3 act3 conv4 act4 conv5 act5 pool5",
        "drop6 fc6 act6 drop7 fc7 act7 fc8",
    ),
    LeNet5: ("c1 act1 s2 c3 act3 s4", "c5 act5 f6 act6 output"),
}

PLACE_BY_PLACE = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Identity)
"""Layers that do the same to each number and so may stand between convolutions."""


class FullyConvolutional(nn.Module):
    """A network whose layers are all convolutions or work place by place: images in, a map of scores out.

    Args:
        trunk: from images (N, C, H, W) to maps.
        head: from maps to scores (N, K, h, w).
        pooled: the scores of the original network are the mean of the map; else the map has one place at the
            training size.
    """

    def __init__(self, trunk: nn.Module, head: nn.Sequential, *, pooled: bool) -> None:
        super().__init__()
        self.trunk, self.head, self.pooled = trunk, head, pooled

    def forward(self, images: Tensor) -> Tensor:
        """Return the map of scores.

        Args:
            images: (N, C, H, W), normalised floats, sides not below what the network takes.

        Returns:
            (N, K, h, w): the scores of each class at each place.
        """
        score_map: Tensor = self.head(self.trunk(images))
        return score_map


class _Kept(nn.Module):
    """Hands the maps on and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: Tensor | None = None

    def forward(self, maps: Tensor) -> Tensor:
        self.maps = maps
        return maps


class _UpToPooling(nn.Module):
    """A network without what follows its last maps: its own forward pass runs, so that no step is forgotten."""

    def __init__(self, network: nn.Module, kept: _Kept) -> None:
        super().__init__()
        self.network = network
        self.kept = kept

    def forward(self, images: Tensor) -> Tensor:
        self.network(images)
        maps, self.kept.maps = self.kept.maps, None
        assert maps is not None
        return maps


def fully_convolutional(
    model: nn.Module, *, window: int = 1, example: Tensor | None = None
) -> FullyConvolutional:
    """Return a network with the same weights that gives a map of scores for images of any size.

    Three kinds of networks become fully convolutional:

    * with fully connected layers on maps of a fixed size (VGG, both AlexNets, LeNet-5): the first becomes a
      convolution with kernels of that size, the others 1 x 1 convolutions. At the training size the map has one
      place, which holds the logits.
    * with a global mean in front of one linear layer (ResNet, MobileNet, EfficientNet, DenseNet, GoogLeNet, ...):
      the mean goes, the linear layer becomes a 1 x 1 convolution. At every size the logits are the mean of the map.
    * with a global mean at the end (SqueezeNet): the mean goes.

    Others are refused. Nothing is copied: weights and modules are those of the model, so that a change of the one is
    a change of the other, and ``train()``, ``eval()`` and ``to()`` reach both; ``copy.deepcopy`` parts them.

    Differs from the paper: where our VGG and the one-tower AlexNet average maps of other sizes down to the training
    size, the converted network does not, as in the paper.

    Args:
        model: a network of the catalogue, or one built the same way: direct children that end in an
            ``AdaptiveAvgPool2d`` and the layers behind it, in the order in which they run.
        window: with a global mean: side of a sliding mean in front of the last layer, at least 1; with the side of
            the last maps at the training size (7 for most networks and 224 pixels) each place says what a crop of
            that size would, borders apart. 1 leaves the maps sharp.
        example: (N, C, H, W), images of the training size with which both networks are compared in eval mode;
            ``None`` trusts the structure. Give one with a network that is not from the catalogue.

    Returns:
        The converted network, in the mode of the model.

    Raises:
        ValueError: if the network cannot be converted, ``window`` does not fit, or the answers differ.

    Book: vgg
    """
    trunk, head, side, pooled = _parts(model)
    if window < 1 or (window > 1 and not pooled):
        raise ValueError(
            f"window must be at least 1, and 1 where no global mean is taken away, got window={window} for "
            f"{type(model).__name__}"
        )
    layers: list[nn.Module] = []
    for layer in head:
        if isinstance(layer, nn.Linear):
            layers.append(_as_convolution(layer, side))
            side = 1
        else:
            layers.append(layer)
    if window > 1:
        layers.append(nn.AvgPool2d(window, stride=1))
    converted = FullyConvolutional(trunk, nn.Sequential(*layers), pooled=pooled)
    converted.training = model.training
    if example is not None:
        _compare(model, converted, example, window)
    return converted


def _parts(model: nn.Module) -> tuple[nn.Module, list[nn.Module], int, bool]:
    """Return the trunk, the layers of the head, the side of the maps that it reads, and whether a mean was in front."""
    for kind, names in CHAINS.items():
        if isinstance(model, kind):
            trunk, head = ([model.get_submodule(name) for name in part.split()] for part in names)
            channels = [layer for layer in trunk if isinstance(layer, nn.Conv2d)][-1].out_channels
            first = next(layer for layer in head if isinstance(layer, nn.Linear))
            return nn.Sequential(*trunk), head, isqrt(first.in_features // channels), False
    children = dict(model.named_children())
    if isinstance(model, ShuffleNetV2):  # the mean over all places is no module there
        return _up_to("conv5", ["fc"], model, keep_layer=True), [model.fc], 1, True
    classifier = children.get("classifier")
    if isinstance(classifier, nn.Sequential) and isinstance(classifier[-1], nn.AdaptiveAvgPool2d):
        head = list(classifier)[:-1]
        _check_head(model, head, (nn.Conv2d, nn.Dropout, *PLACE_BY_PLACE))
        return _up_to("classifier", [], model), head, 1, True
    pools = [name for name, child in children.items() if isinstance(child, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise ValueError(
            f"{type(model).__name__} has no AdaptiveAvgPool2d in front of its last layers, so it is not known what to "
            "turn into convolutions; networks with a global mean, VGG, AlexNet and LeNet-5 can be converted"
        )
    behind = list(children)[list(children).index(pools[-1]) + 1 :]
    head = [layer for name in behind for layer in _chain(children[name])]
    pool = children[pools[-1]]
    assert isinstance(pool, nn.AdaptiveAvgPool2d)
    size = pool.output_size
    rows, columns = (size, size) if isinstance(size, int | None) else size
    pooled = rows == columns == 1
    _check_head(model, head, (nn.Linear, nn.Dropout, *(() if pooled else PLACE_BY_PLACE)))
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    if not linear or rows is None or rows != columns or (pooled and len(linear) > 1):
        raise ValueError(
            f"behind its pooling to {size} places, {type(model).__name__} has {len(linear)} linear layers; one behind "
            "a global mean, or any number behind a square of places, can become convolutions"
        )
    return _up_to(pools[-1], behind, model), head, rows, pooled


def _chain(layer: nn.Module) -> list[nn.Module]:
    """Return the layers of a chain, without those that only lay numbers side by side."""
    if isinstance(layer, nn.Sequential):
        return [inner for part in layer for inner in _chain(part)]
    return [] if isinstance(layer, nn.Flatten) else [layer]


def _check_head(model: nn.Module, head: Sequence[nn.Module], allowed: tuple[type[nn.Module], ...]) -> None:
    for layer in head:
        if not isinstance(layer, allowed):
            raise ValueError(
                f"{type(model).__name__} cannot become fully convolutional: {type(layer).__name__} stands behind its "
                "pooling, and it does not give the same in front of it"
            )


def _up_to(name: str, behind: Sequence[str], model: nn.Module, *, keep_layer: bool = False) -> _UpToPooling:
    """Return a network that shares all modules of a model but a pooling and what follows it."""
    kept = _Kept()
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    for other in behind:
        twin._modules[other] = nn.Identity()
    twin._modules[name] = nn.Sequential(model.get_submodule(name), kept) if keep_layer else kept
    return _UpToPooling(twin, kept)


def _as_convolution(linear: nn.Linear, side: int) -> nn.Conv2d:
    """Return a convolution with the weights of a linear layer that reads C x side x side numbers."""
    channels = linear.in_features // side**2
    convolution = nn.Conv2d(
        *(channels, linear.out_features, side), bias=linear.bias is not None, device="meta"
    )
    convolution.weight = nn.Parameter(
        linear.weight.detach().view(-1, channels, side, side), requires_grad=linear.weight.requires_grad
    )
    convolution.bias = linear.bias
    return convolution.train(linear.training)


def _compare(model: nn.Module, converted: FullyConvolutional, example: Tensor, window: int) -> None:
    with evaluating(model), evaluating(converted), torch.no_grad():
        logits, score_map = model(example), converted(example)
    found = score_map.mean((2, 3))
    largest = 1e-4 if example.dtype != torch.float64 else 1e-9
    change = float((found - logits).abs().max() / logits.abs().max())
    if not change <= largest:
        raise ValueError(
            f"the converted {type(model).__name__} answers otherwise: on {example.shape[2]} x {example.shape[3]} "
            f"pixels the mean of its map of {score_map.shape[2]} x {score_map.shape[3]} places (window={window}) is "
            f"up to {change:.2g} of the largest logit away; give images of the training size, or its forward pass does "
            "something that is no module"
        )
