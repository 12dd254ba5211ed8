"""Random changes of batches, each as a draw and an exact step: functions first, settings second."""

from cnncourse.augmentation.colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from cnncourse.augmentation.crops import PadCrop, crop, frame
from cnncourse.augmentation.cutout import Cutout, cover
from cnncourse.augmentation.flips import AlternatingFlip, Flip, flip
from cnncourse.augmentation.jitter import ColourJitter
from cnncourse.augmentation.lighting import PCALighting, colour_axes, shift_channels
from cnncourse.augmentation.mixing import CutMix, Mixing, MixUp, cutmix, mixup, soft_targets
from cnncourse.augmentation.resized import RandomResizedCrop, resized_crop
from cnncourse.augmentation.steps import Augmentation, BatchShape, Compose, Drawn, select_rows
from cnncourse.augmentation.streams import generator_for

__all__ = [
    "AlternatingFlip",
    "Augmentation",
    "BatchShape",
    "ColourJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "Drawn",
    "Flip",
    "MixUp",
    "Mixing",
    "PCALighting",
    "PadCrop",
    "RandomResizedCrop",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "colour_axes",
    "cover",
    "crop",
    "cutmix",
    "flip",
    "frame",
    "generator_for",
    "mixup",
    "resized_crop",
    "select_rows",
    "shift_channels",
    "soft_targets",
]
