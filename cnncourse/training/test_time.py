"""Prediction from many views of an image: ten crops, grids of crops, several scales, the whole image at once.

Images are uint8 or floats here and stay as they are; where the network wants normalised floats and the images are
not, ``prepare`` makes them so, a few crops at a time. Ten crops are those of Krizhevsky, Sutskever & Hinton (NIPS
2012, section 4.1), the rest is from Simonyan & Zisserman (ICLR 2015, arXiv:1409.1556, section 3.2).
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cnncourse.augmentation.pixels import check_images
from cnncourse.inspection.hooks import evaluating
from cnncourse.training.fixed_crops import crop_grid, shorter_side, ten_crop

Average = Literal["probabilities", "logits"]

__all__ = [
    "averaged_predict",
    "crop_grid",
    "crop_predict",
    "dense_predict",
    "ensemble_predict",
    "multi_scale_predict",
    "shorter_side",
    "ten_crop",
]


def averaged_predict(
    model: nn.Module,
    crops: Tensor,
    *,
    average: Average = "probabilities",
    batch_size: int = 64,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Let a network look at all crops of an image and average what it says.

    Args:
        model: network from (N, C, H, W) to logits (N, K); runs in eval mode, its own mode comes back.
        crops: (N, M, C, h, w), such as from :func:`ten_crop`, M at least 1.
        average: ``"probabilities"``: the mean of the softmax outputs, as both papers do; ``"logits"``: the mean of
            the logits.
        batch_size: crops the network sees at a time, at least 1.
        prepare: makes the network's input from crops (B, C, h, w), such as a normalisation; ``None`` leaves them.

    Returns:
        (N, K), float32 (float64 from a network in float64): probabilities, each row of sum 1, or logits.

    Raises:
        ValueError: if shapes or settings do not fit, or the network does not give logits (N, K).

    Book: vgg
    """
    _check(average, batch_size)
    if crops.ndim != 5 or not crops.shape[1]:
        raise ValueError(
            f"crops must be (N, M, C, h, w) with M at least 1, got shape {tuple(crops.shape)}; "
            "one crop an image is images[:, None]"
        )
    count, views = crops.shape[:2]
    if not count:
        raise ValueError("there is no image to predict")
    scores = []
    with evaluating(model), torch.no_grad():
        for part in torch.split(crops.flatten(0, 1), batch_size):
            logits = _seen(model, part, prepare)
            if logits.ndim != 2:
                raise ValueError(f"the network must give logits (N, K), got shape {tuple(logits.shape)}")
            scores.append(_scores(logits, average))
    return torch.cat(scores).view(count, views, -1).mean(1)


def crop_predict(
    model: nn.Module,
    images: Tensor,
    cut: Callable[[Tensor], Tensor],
    *,
    average: Average = "probabilities",
    batch_size: int = 64,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Cut crops out of a few images at a time and average what a network says of them.

    The same as ``averaged_predict(model, cut(images))`` without holding all crops.

    Args:
        model: network from (N, C, H, W) to logits (N, K).
        images: (N, C, H, W), of any type, at least one.
        cut: from images to crops (N, M, C, h, w): ``partial(ten_crop, side=224)``,
            ``partial(crop_grid, side=224)``.
        average: see :func:`averaged_predict`.
        batch_size: crops the network sees at a time, at least 1.
        prepare: see :func:`averaged_predict`.

    Returns:
        (N, K): probabilities or logits.

    Raises:
        ValueError: see :func:`averaged_predict`.

    Book: alexnet
    """
    _check(average, batch_size)
    check_images(images)
    if not len(images):
        raise ValueError("there is no image to predict")
    scores: list[Tensor] = []
    start, step = 0, 1
    while start < len(images):
        crops = cut(images[start : start + step])
        scores.append(averaged_predict(model, crops, average=average, batch_size=batch_size, prepare=prepare))
        start, step = start + len(crops), max(1, batch_size // crops.shape[1])
    return torch.cat(scores)


def dense_predict(
    model: nn.Module,
    images: Tensor,
    flip: bool = True,
    *,
    average: Average = "probabilities",
    batch_size: int = 8,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Let a fully convolutional network look at whole images, at all places at once.

    Simonyan & Zisserman (2015), section 3.2: the score map is averaged over its places; the softmax outputs of the
    image and its mirror image are averaged.

    Args:
        model: network from (N, C, H, W) to a score map (N, K, h, w), such as from
            :func:`cnncourse.models.fully_convolutional`.
        images: (N, C, H, W), at least one, sides not below those of the training.
        flip: average over the mirror image too.
        average: ``"probabilities"`` or ``"logits"``: what is averaged over the two; over places it is the scores.
        batch_size: images the network sees at a time, at least 1.
        prepare: see :func:`averaged_predict`.

    Returns:
        (N, K): probabilities, each row of sum 1, or logits.

    Raises:
        ValueError: if shapes or settings do not fit, or the network does not give a score map.

    Book: vgg
    """
    _check(average, batch_size)
    check_images(images)
    if not len(images):
        raise ValueError("there is no image to predict")
    scores = []
    with evaluating(model), torch.no_grad():
        for part in torch.split(images, batch_size):
            views = []
            for view in (part, part.flip(3))[: 1 + flip]:
                score_map = _seen(model, view, prepare)
                if score_map.ndim != 4:
                    raise ValueError(
                        f"the network must give a score map (N, K, h, w), got shape {tuple(score_map.shape)}; "
                        "convert it with cnncourse.models.fully_convolutional"
                    )
                views.append(_scores(score_map.mean((2, 3)), average))
            scores.append(torch.stack(views).mean(0))
    return torch.cat(scores)


def multi_scale_predict(
    model: nn.Module,
    images: Tensor,
    scales: Sequence[int],
    *,
    cut: Callable[[Tensor], Tensor] | None = None,
    flip: bool = True,
    average: Average = "probabilities",
    batch_size: int = 8,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Look at images in several sizes and average what a network says.

    Simonyan & Zisserman (2015), sections 3.2 and 4.2: each image is scaled so that its shorter side has Q pixels.

    Args:
        model: fully convolutional network, see :func:`dense_predict`; with ``cut`` a network that gives logits.
        images: (N, C, H, W), uint8 or float, at least one; of one size, so photographs one by one.
        scales: Q, in pixels, at least one.
        cut: from images to crops (N, M, C, h, w), see :func:`crop_predict`; ``None`` looks at the whole images.
        flip: see :func:`dense_predict`; without effect on crops, where ``cut`` says it.
        average: see :func:`averaged_predict`; over scales, the same is averaged.
        batch_size: images, or crops, that the network sees at a time, at least 1.
        prepare: see :func:`averaged_predict`.

    Returns:
        (N, K): probabilities or logits.

    Raises:
        ValueError: if there is no scale, or see :func:`dense_predict` and :func:`crop_predict`.

    Book: vgg
    """
    if not len(scales):
        raise ValueError("there must be at least one scale, got none; scales=(256,) is one")
    found = []
    for scale in scales:
        # Chunks are scaled alone: the scaled images of a data set need not fit into memory.
        for start in range(0, len(images), batch_size):
            part = shorter_side(images[start : start + batch_size], scale)
            if cut is None:
                scores = dense_predict(
                    *(model, part, flip), average=average, batch_size=batch_size, prepare=prepare
                )
            else:
                scores = crop_predict(
                    *(model, part, cut), average=average, batch_size=batch_size, prepare=prepare
                )
            found.append(scores)
    if not found:
        raise ValueError("there is no image to predict")
    return torch.cat(found).view(len(scales), len(images), -1).mean(0)


def ensemble_predict(
    models: Sequence[nn.Module],
    images: Tensor,
    *,
    average: Average = "probabilities",
    batch_size: int = 64,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Average what several networks say of the same images.

    Krizhevsky et al. (2012), table 2: five networks with 16.4 % instead of 18.2 % (top-5).

    Args:
        models: networks from (N, C, H, W) to logits (N, K), at least one, all with the same K.
        images: (N, C, H, W), at least one.
        average: see :func:`averaged_predict`.
        batch_size: images a network sees at a time, at least 1.
        prepare: see :func:`averaged_predict`.

    Returns:
        (N, K): probabilities or logits.

    Raises:
        ValueError: if there is no network, or they have different classes.
    """
    if not len(models):
        raise ValueError("an ensemble needs at least one network, got none")
    check_images(images)
    found = [
        averaged_predict(model, images[:, None], average=average, batch_size=batch_size, prepare=prepare)
        for model in models
    ]
    classes = sorted({scores.shape[1] for scores in found})
    if len(classes) > 1:
        raise ValueError(f"the networks must have the same classes, got networks with {classes} of them")
    return torch.stack(found).mean(0)


def _check(average: str, batch_size: int) -> None:
    if average not in get_args(Average):
        raise ValueError(f"average must be one of {list(get_args(Average))}, got {average!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got batch_size={batch_size}")


def _seen(model: nn.Module, part: Tensor, prepare: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Return what a network says of some images, moved to where it is."""
    first = next(model.parameters(), None)
    part = part if first is None else part.to(first.device)
    output: Tensor = model(part if prepare is None else prepare(part))
    return output


def _scores(logits: Tensor, average: str) -> Tensor:
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits.softmax(1) if average == "probabilities" else logits
