"""Building blocks that more than one network uses: functions first, modules second."""

from cnncourse.layers.folding import batch_norm_scale_and_shift, fold_batch_norm
from cnncourse.layers.pooling import BlurPool, MaxPool, MeanPool, blur_pool, max_pool, mean_pool

__all__ = [
    "BlurPool",
    "MaxPool",
    "MeanPool",
    "batch_norm_scale_and_shift",
    "blur_pool",
    "fold_batch_norm",
    "max_pool",
    "mean_pool",
]
