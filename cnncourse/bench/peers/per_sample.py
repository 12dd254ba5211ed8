"""Image by image, as most courses do it: a Dataset of PIL images and torchvision's transforms."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from cnncourse.bench.task import Task
from cnncourse.bench.training_task import MEAN, STD, training_images


class ArrayDataset(Dataset[tuple[Any, int]]):
    """Images in memory, changed one by one; what torchvision.datasets.CIFAR10 does.

    Args:
        images: (N, C, H, W), uint8.
        targets: (N,), int64.
        transform: from a PIL image, or a tensor, to a tensor.
        pil: hand a PIL image to the transform.
    """

    def __init__(
        self, images: Tensor, targets: Tensor, transform: Callable[[Any], Tensor], *, pil: bool = True
    ) -> None:
        self.data: Any = images.permute(0, 2, 3, 1).contiguous().numpy() if pil else images
        self.targets = targets.tolist()
        self.transform = transform
        self.pil = pil

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.data[index]
        if self.pil:
            from PIL import Image

            image = Image.fromarray(image)
        return self.transform(image), self.targets[index]


def course_transform(task: Task, side: int) -> Callable[[Any], Tensor]:
    """Return random crop, flip (if wanted), ToTensor and Normalize.

    Args:
        task: ``settings`` hold ``padding`` and ``flip``.
        side: height and width of the images, in pixels.

    Returns:
        From a PIL image to a tensor.
    """
    from torchvision import transforms

    steps: list[Any] = [transforms.RandomCrop(side, padding=int(task.settings["padding"]))]
    if task.settings["flip"]:
        steps.append(transforms.RandomHorizontalFlip())
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    transform: Callable[[Any], Tensor] = transforms.Compose(steps)
    return transform


def course_dataset(task: Task) -> ArrayDataset:
    """Return the training images with the course's transforms.

    Args:
        task: see :func:`course_transform`.

    Returns:
        A data set of the whole task.
    """
    images, targets = training_images(task)
    return ArrayDataset(images, targets, course_transform(task, images.shape[-1]))


def tensor_dataset(task: Task) -> ArrayDataset:
    """Return the same with torchvision's second transforms, on tensors.

    Args:
        task: ``settings`` hold ``padding`` and ``flip``.

    Returns:
        A data set of the whole task.
    """
    import torch
    from torchvision.transforms import v2

    images, targets = training_images(task)
    steps: list[Any] = [v2.RandomCrop(images.shape[-1], padding=int(task.settings["padding"]))]
    if task.settings["flip"]:
        steps.append(v2.RandomHorizontalFlip())
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(MEAN), list(STD))]
    return ArrayDataset(images, targets, v2.Compose(steps), pil=False)
