"""Operations on trained networks: blocks taken out, and deeper networks that compute the same.

It stands with the models because it must know how their blocks are built: which have a shortcut, what reaches the
output when the rest is gone, which weights make a block the identity.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from cnncourse.inspection.hooks import find_layer
from cnncourse.layers import ShortcutOption, he_initialise
from cnncourse.models.cifar_resnet import Block, CifarResNet
from cnncourse.models.convnext import CNBlock
from cnncourse.models.depths import blocks_a_stage
from cnncourse.models.efficientnet import MBConv
from cnncourse.models.mobilenet_v2 import InvertedResidual
from cnncourse.models.preact_resnet import PreActBlock
from cnncourse.models.resnet import TABLE_1, BasicBlock, Bottleneck, ResNet
from cnncourse.models.wide_resnet import WideBlock

__all__ = ["deepened", "removable_blocks", "without_block"]

BLOCKS = (Block, BasicBlock, Bottleneck, PreActBlock, WideBlock, MBConv, InvertedResidual, CNBlock)
"""Blocks that have a shortcut; a :class:`cnncourse.models.cifar_resnet.Block` may be without."""

KEEP_SHAPE = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Tanh, nn.Dropout, nn.Identity)


@contextmanager
def without_block(model: nn.Module, *names: str) -> Iterator[nn.Module]:
    """Take blocks out of a network inside the ``with``: what is left of each is its shortcut.

    Veit, Wilber & Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", NIPS 2016,
    arXiv:1605.06431, section 4: at test time a residual network survives it, VGG does not. Of a residual block the
    ReLU behind the sum stays, and the projection of a shortcut that changes the shape. A plain block, a convolution
    or a linear layer has no shortcut: it is passed by where input and output have one shape, which is what the paper
    does to VGG. A batch norm behind a convolution is a layer of its own, to be named too.

    Args:
        model: any network with modules of the course or torchvision's ResNets.
        *names: dotted names as in ``model.named_modules()``, at least one; see :func:`removable_blocks`.

    Yields:
        The same network, without the blocks. They are back when the ``with`` ends, also after an error.

    Raises:
        ValueError: if there is no such block, one lies within another, or what would remain has another shape.

    Book: resnet
    """
    if not names:
        raise ValueError("name at least one block to take out; removable_blocks(model) lists them")
    for name in names:
        find_layer(model, name)
        inside = [other for other in names if name.startswith(f"{other}.")]
        if inside or names.count(name) > 1:
            raise ValueError(f"{name} is taken out twice: by its name and by {(inside or [name])[0]}")
    blocks = {name: model.get_submodule(name) for name in names}
    left = {name: _left_of(name, block) for name, block in blocks.items()}
    try:
        for name, rest in left.items():
            rest.training = blocks[name].training
            model.set_submodule(name, rest)
        yield model
    finally:
        for name, block in blocks.items():
            if (
                left[name].training != block.training
            ):  # train() or eval() inside the with did not reach the block
                block.train(left[name].training)
            model.set_submodule(name, block)


def removable_blocks(model: nn.Module) -> tuple[str, ...]:
    """Return the names of all blocks that :func:`without_block` can take out.

    Args:
        model: any network.

    Returns:
        Dotted names, in the order of the forward pass as far as the modules tell it: residual and plain blocks; of a
        network without blocks, such as VGG, the convolutions that keep the shape.

    Book: resnet
    """
    found = {name: module for name, module in model.named_modules() if _is_block(module)}
    if not found:
        found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    names = []
    for name, module in found.items():
        try:
            _left_of(name, module)
        except ValueError:
            continue
        names.append(name)
    return tuple(names)


def _is_block(module: nn.Module) -> bool:
    return isinstance(module, BLOCKS) or _is_like_he(module)


def _is_like_he(module: nn.Module) -> bool:
    """Tell whether a module is a block of He et al. (2016), ours or torchvision's."""
    return hasattr(module, "downsample") and hasattr(module, "relu") and hasattr(module, "conv2")


def _left_of(name: str, block: nn.Module) -> nn.Module:
    """Return what a block is without its branch; it shares the modules of the shortcut."""
    rest = _shortcut_of(block)
    if rest is None:
        _check_keeps_shape(name, block)
    return nn.Identity() if rest is None else rest


def _shortcut_of(block: nn.Module) -> nn.Module | None:
    """Return the way around a block's branch and what is done to the sum; ``None`` if there is no way around."""
    if isinstance(block, PreActBlock | WideBlock) and block.shortcut is not None:
        reads_active = isinstance(block, WideBlock) or block.projects
        before = [block.bn1, nn.ReLU()] if reads_active and block.bn1 is not None else []
        return nn.Sequential(*before, block.shortcut)
    if isinstance(block, PreActBlock | WideBlock | CNBlock):
        return nn.Identity()
    if isinstance(block, MBConv | InvertedResidual):
        return nn.Identity() if block.residual else None
    shortcut = block.shortcut if isinstance(block, Block) else getattr(block, "downsample", None)
    if _is_like_he(block) and shortcut is None:  # torchvision's way to write the identity
        shortcut = nn.Identity()
    return nn.Sequential(shortcut, nn.ReLU()) if isinstance(shortcut, nn.Module) else None


def _check_keeps_shape(name: str, block: nn.Module) -> None:
    """Refuse a layer that cannot simply be passed by."""
    layer = block.conv1 if isinstance(block, Block) else block
    if isinstance(layer, nn.Conv2d):
        read, out, stride = layer.in_channels, layer.out_channels, layer.stride
        if read == out and stride == (1, 1) and _keeps_side(layer):
            return
        change = f"{read} to {out} channels, stride {stride[0]}, padding {layer.padding}"
    elif isinstance(layer, nn.Linear):
        if layer.in_features == layer.out_features:
            return
        change = f"{layer.in_features} to {layer.out_features} numbers"
    elif isinstance(layer, KEEP_SHAPE):
        return
    else:
        change = "its shape may be another behind it"
    raise ValueError(
        f"{name} is a {type(block).__name__} without a shortcut that cannot be passed by ({change}); "
        "removable_blocks(model) lists what can be taken out"
    )


def _keeps_side(convolution: nn.Conv2d) -> bool:
    if isinstance(convolution.padding, str):
        return convolution.padding == "same"
    reach = zip(convolution.kernel_size, convolution.dilation, convolution.padding, strict=True)
    return all((kernel - 1) * dilation == 2 * padding for kernel, dilation, padding in reach)


def deepened(model: nn.Module, depth: int) -> nn.Module:
    """Return a deeper network that computes the same: the layers of a trained one and identities.

    He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 1: the
    construction by which a deeper network should never have a higher training error. The blocks of each stage are
    copied; behind them come new ones.

    * A residual block becomes the identity when its last batch norm has factor and offset 0 (without batch norm: its
      last convolution weights and bias 0); its other weights are drawn afresh. What it reads is behind a ReLU, so
      the ReLU at its end changes nothing. The functions agree in training mode too.
    * A plain block becomes the identity when both kernels hold a single 1 in the middle, on the own channel (Dirac),
      and both batch norms have mean 0, variance 1, factor 1 and offset 0. In training mode batch norm takes
      the statistics of the batch instead, so that the functions agree in eval mode only.

    Args:
        model: a :class:`CifarResNet`, residual or plain, or a :class:`ResNet`.
        depth: wanted number of layers with weights, in the same form (6n + 2; 18 to 34, 50 to 101 or 152), not below
            the model's.

    Returns:
        A new network; the model stays as it is. New blocks with stochastic depth have the last block's probability.

    Raises:
        ValueError: if the network is another one or the depth does not fit.

    Book: resnet
    """
    counts: tuple[int, ...]
    if isinstance(model, CifarResNet):
        counts = (blocks_a_stage(depth),) * 3
    elif isinstance(model, ResNet):
        kind = TABLE_1[model.depth][0]
        deeper = [other for other, row in TABLE_1.items() if row[0] == kind and other >= model.depth]
        if depth not in deeper:
            raise ValueError(f"ResNet-{model.depth} can be deepened to {deeper}, got depth={depth}")
        counts = TABLE_1[depth][1]
    else:
        raise ValueError(
            f"{type(model).__name__} cannot be deepened; CifarResNet, residual or plain, and ResNet can"
        )
    if depth < model.depth:
        raise ValueError(f"depth must be at least the model's {model.depth}, got depth={depth}")
    projects = any(
        name.startswith("layer1.0.shortcut.") for name, _module in model.named_modules()
    )  # option C
    twin = copy.deepcopy(model)
    twin.__dict__.pop("built_as", None)  # that described the old depth
    for number, count in enumerate(counts, start=1):
        stage = twin.get_submodule(f"layer{number}")
        assert isinstance(stage, nn.Sequential)
        while len(stage) < count:
            stage.append(_identity_like(stage[-1], projects=projects))
    twin.depth = depth
    return twin


def _identity_like(block: nn.Module, *, projects: bool) -> nn.Module:
    """Return a new block that reads a block's output and is the identity."""
    assert isinstance(block, Block | BasicBlock | Bottleneck)
    new = copy.deepcopy(block)
    last = new.conv3 if isinstance(new, Bottleneck) else new.conv2
    if new.conv1.in_channels != last.out_channels or new.conv1.stride != (
        1,
        1,
    ):  # the only block of its stage
        assert isinstance(new, Block)
        option: ShortcutOption | None = None if new.shortcut is None else "C" if projects else "A"
        width, normed = last.out_channels, isinstance(new.bn2, nn.BatchNorm2d)
        drop = 0.0 if new.stochastic_depth is None else new.stochastic_depth.drop_prob
        new = Block(width, width, 1, option, drop, batch_norm=normed).to(last.weight).train(block.training)
        last = new.conv2
    he_initialise(new, "in" if isinstance(new, Block) else "out")
    for module in new.modules():
        if isinstance(module, nn.BatchNorm2d):
            _make_identity(module)
    shortcut = new.shortcut if isinstance(new, Block) else new.downsample
    if shortcut is None:
        assert isinstance(new, Block)
        for convolution in (new.conv1, new.conv2):
            _make_identity(convolution)
        return new
    if isinstance(shortcut, nn.Sequential):
        _make_identity(shortcut[0])
    last_norm = new.bn2 if isinstance(new, Block) else new.last_norm
    for parameter in (last_norm if isinstance(last_norm, nn.BatchNorm2d) else last).parameters():
        nn.init.zeros_(parameter)
    return new


def _make_identity(layer: nn.Module) -> None:
    """Set the weights of a layer so that it gives what it reads (batch norm: in eval mode)."""
    if isinstance(layer, nn.BatchNorm2d):
        layer.reset_parameters()
        assert layer.running_var is not None
        layer.running_var.fill_(1 - layer.eps)  # to which eps is added
    elif isinstance(layer, nn.Conv2d):
        nn.init.dirac_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
