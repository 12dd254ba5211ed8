"""This library's augmentation and loaders."""

from typing import Any

from torch import Tensor

from cnncourse.bench.clock import Clock
from cnncourse.bench.peers.loaders import forever, image_folder
from cnncourse.bench.peers.ours import labelled
from cnncourse.bench.peers.resident_order import augment_batches
from cnncourse.bench.peers.torchvision_transforms import JITTER
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import CLASSES, MEAN, STD


def augmentation(task: Task) -> Any:
    """Return the workload's augmentation.

    Args:
        task: ``settings["operation"]`` names it.

    Returns:
        Something with ``draw`` and ``apply``; ``None`` for mixup, which changes targets too.
    """
    from cnncourse.augmentation import ColourJitter, Compose, Cutout, Flip, PadCrop, RandomResizedCrop

    side = int(task.settings.get("side", 32))
    brightness, contrast, saturation, hue = JITTER
    return {
        "crop_flip": lambda: Compose((PadCrop(4), Flip())),
        "colour_jitter": lambda: ColourJitter(
            brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
        ),
        "random_resized_crop": lambda: RandomResizedCrop(side),
        "cutout": lambda: Cutout(side // 2),
        "mixup": lambda: None,
    }[task.settings["operation"]]()


def augment(task: Task, clock: Clock) -> None:
    """Augment and normalise resident images.

    Args:
        task: ``settings["operation"]`` says how.
        clock: times it.
    """
    from torch.nn import functional

    from cnncourse.augmentation import BatchShape, MixUp, generator_for
    from cnncourse.datasets import Normalisation

    change, normalise = augmentation(task), Normalisation(MEAN, STD)
    mixing, generator = MixUp(0.2), generator_for(task.seed, "bench")

    def batch(images: Tensor, targets: Tensor) -> object:
        count, channels, height, width = images.shape
        shape = BatchShape(count, height, width, channels)
        if change is not None:
            return normalise(change.apply(images, change.draw(shape, generator)))
        soft = functional.one_hot(targets, CLASSES).float()
        return mixing.apply(normalise(images), soft, mixing.draw(shape, generator))

    augment_batches(task, clock, batch)


def in_memory(task: Task, clock: Clock) -> None:
    """Load resident images with :func:`cnncourse.datasets.batches`.

    Args:
        task: what to load.
        clock: times it.
    """
    from cnncourse.datasets import Normalisation, batches

    loader = batches(
        labelled(task),
        task.batch_size,
        Normalisation(MEAN, STD),
        device=task.device,
        shuffle=True,
        seed=task.seed,
        augmentation=augmentation(task),
    )
    task.units_a_step = task.batch_size
    for _ in clock.through(forever(loader)):
        pass


def from_folder(task: Task, clock: Clock, *, workers: int = 0) -> None:
    """Load a folder of JPEG files with :func:`cnncourse.datasets.batches`.

    Args:
        task: what to load.
        clock: times it.
        workers: processes that decode.
    """
    from cnncourse.augmentation import Compose, Flip, RandomResizedCrop
    from cnncourse.datasets import Normalisation, batches
    from cnncourse.datasets.folder import image_folder as open_folder

    loader = batches(
        open_folder(image_folder(task)),
        task.batch_size,
        Normalisation(MEAN, STD),
        device=task.device,
        shuffle=True,
        seed=task.seed,
        augmentation=Compose((RandomResizedCrop(int(task.settings["crop"])), Flip())),
        workers=workers,
    )
    task.units_a_step = task.batch_size
    for _ in clock.through(forever(loader)):
        pass
