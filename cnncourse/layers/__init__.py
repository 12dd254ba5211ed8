"""Building blocks that more than one network uses: functions first, modules second."""

from cnncourse.layers.pooling import BlurPool, MaxPool, MeanPool, blur_pool, max_pool, mean_pool

__all__ = ["BlurPool", "MaxPool", "MeanPool", "blur_pool", "max_pool", "mean_pool"]
