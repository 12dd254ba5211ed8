"""Building blocks that more than one network uses: functions first, modules second."""

from cnncourse.layers.batch_normalisation import (
    BatchNorm2d,
    batch_norm,
    batch_norm_backward,
    batch_statistics,
    normalise_channels,
    update_running_averages,
)
from cnncourse.layers.channel_shuffle import ChannelShuffle, channel_shuffle
from cnncourse.layers.conv2d import Conv2d, conv2d_im2col
from cnncourse.layers.conv_norm import SameConv2d, conv_norm
from cnncourse.layers.convolution import conv1d_loops, conv2d_loops, conv_output_size
from cnncourse.layers.convolution_gradients import conv2d_input_gradient, conv2d_weight_gradient
from cnncourse.layers.dropout import (
    DropBlock,
    Dropout,
    InvertedDropout,
    block_mask,
    drop_block,
    drop_block_rate,
    dropout,
    inverted_dropout,
    keep_mask,
)
from cnncourse.layers.folding import batch_norm_scale_and_shift, fold_batch_norm
from cnncourse.layers.im2col import col2im, im2col
from cnncourse.layers.initialisation import (
    fans,
    glorot_normal_,
    glorot_uniform_,
    he_initialise,
    he_normal_,
    orthogonal_,
    truncated_normal_,
)
from cnncourse.layers.local_response import LocalResponseNorm, local_response_norm
from cnncourse.layers.normalisation import GroupNorm, LayerNorm2d, channel_layer_norm, group_norm
from cnncourse.layers.pooling import BlurPool, MaxPool, MeanPool, blur_pool, max_pool, mean_pool
from cnncourse.layers.shortcuts import PadShortcut, ShortcutOption, pad_shortcut, shortcut
from cnncourse.layers.squeeze_excitation import SqueezeExcitation
from cnncourse.layers.stochastic_depth import StochasticDepth, stochastic_depth
from cnncourse.layers.toeplitz import conv2d_toeplitz, toeplitz_matrix

__all__ = [
    "BatchNorm2d",
    "BlurPool",
    "ChannelShuffle",
    "Conv2d",
    "DropBlock",
    "Dropout",
    "GroupNorm",
    "InvertedDropout",
    "LayerNorm2d",
    "LocalResponseNorm",
    "MaxPool",
    "MeanPool",
    "PadShortcut",
    "SameConv2d",
    "ShortcutOption",
    "SqueezeExcitation",
    "StochasticDepth",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_scale_and_shift",
    "batch_statistics",
    "block_mask",
    "blur_pool",
    "channel_layer_norm",
    "channel_shuffle",
    "col2im",
    "conv1d_loops",
    "conv2d_im2col",
    "conv2d_input_gradient",
    "conv2d_loops",
    "conv2d_toeplitz",
    "conv2d_weight_gradient",
    "conv_norm",
    "conv_output_size",
    "drop_block",
    "drop_block_rate",
    "dropout",
    "fans",
    "fold_batch_norm",
    "glorot_normal_",
    "glorot_uniform_",
    "group_norm",
    "he_initialise",
    "he_normal_",
    "im2col",
    "inverted_dropout",
    "keep_mask",
    "local_response_norm",
    "max_pool",
    "mean_pool",
    "normalise_channels",
    "orthogonal_",
    "pad_shortcut",
    "shortcut",
    "stochastic_depth",
    "toeplitz_matrix",
    "truncated_normal_",
    "update_running_averages",
]
