"""Which number format and which memory layout pay: simple rules, from what the network and the machine are.

Training in bfloat16 here means autocast: weights, gradients, optimiser state and batch statistics stay float32;
only convolutions and matrix products read rounded copies, which are made once a step (Micikevicius et al., "Mixed
Precision Training", ICLR 2018, arXiv:1710.03740, section 3.1, with bfloat16 in place of float16, so without loss
scaling). The rules look at nothing that changes between two runs on one machine: no timing, no batch.

What the rules rest on, one training step on two Zen 4 cores, memory kept (see ``training.allocator``), against
float32 with channels first:

====================== ======================= ============== ====================== =====================
network                float32, channels last  bf16, first    bf16, channels last    the rules choose
====================== ======================= ============== ====================== =====================
ResNet-20, 32 px       1.2 times as fast       1.8            **1.9**                bf16, last
VGG-11, 32 px          1.1                     1.7            **1.9**                bf16, last
DenseNet-121, 64 px    1.2                     1.4            **1.6**                bf16, last
ResNeXt-50, 64 px      1.0                     **1.4**        **1.4**                bf16, first
MobileNetV2, 64 px     **1.6**                 0.8            0.9                    float32, last
LeNet-5, 32 px         1.1                     0.8            1.2                    float32, last
3072-2048-2048-10      1.0                     **2.1**        **2.0**                bf16, first
64-32-10               **1.0**                 0.5            0.5                    float32, first
====================== ======================= ============== ====================== =====================
"""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

Precision = Literal["fp32", "bf16", "fp16"]

PRECISIONS: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""Number format of convolutions and matrix products, by name."""

WIDE_CHANNELS = 16
"""Channels read and given from which on a convolution gains by bfloat16; below, the casts cost as much."""

WIDE_FEATURES = 512
"""Numbers read and given from which on a fully connected layer gains by bfloat16."""


def cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware: AVX512-BF16, AMX, or Arm's BF16.

    Where this is ``False`` bfloat16 works too, by way of float32, and is slower than float32.

    Returns:
        ``False`` also where this version of torch cannot tell.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine().lower() in ("arm64", "aarch64"):
        supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        return bool(supported is not None and supported())
    asked = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(supported() for supported in asked if supported is not None)


def gains_from_bf16(model: nn.Module, *, training: bool = True) -> bool:
    """Return whether a network has enough to multiply that bfloat16 pays.

    It does if it has a convolution with at least 16 channels read and given, or a fully connected layer with at
    least 512 numbers read and given; and, for training on a CPU, no depthwise convolution, whose gradient in
    bfloat16 takes longer there than all other layers gain. A network with float64 weights wants no rounding.

    Args:
        model: any network.
        training: with gradients; ``False`` for prediction only.

    Returns:
        The answer for a CPU with bfloat16 units.
    """
    modules = list(model.modules())
    if any(parameter.dtype == torch.float64 for parameter in model.parameters()):
        return False
    return any(map(_is_wide, modules)) and not (training and any(map(_is_depthwise, modules)))


def resolve_precision(
    name: str, model: nn.Module, device: torch.device, *, training: bool = True
) -> Precision:
    """Return the number format that a setting stands for, on this machine and for this network.

    Args:
        name: ``fp32``, ``bf16``, ``fp16``, or ``auto``: on the CPU bf16 where :func:`cpu_has_bf16` and
            :func:`gains_from_bf16`; on a CUDA card, for networks with a wide layer, bf16 from compute capability
            8.0 on and fp16 from 7.0 on; fp32 everywhere else.
        model: the network.
        device: where it computes.
        training: with gradients; ``False`` for prediction only.

    Returns:
        ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        ValueError: if the name is unknown, or the device does not compute in this format at a useful speed.
    """
    if name == "auto":
        return _best_precision(model, device, training=training)
    if name not in PRECISIONS:
        raise ValueError(f"precision must be 'auto', 'fp32', 'bf16' or 'fp16', got {name!r}")
    if name != "fp32" and device.type not in ("cpu", "cuda"):
        raise ValueError(f"precision on {device.type!r} must be 'fp32' or 'auto', got {name!r}")
    if name == "fp16" and device.type == "cpu" and not _cpu_has_fp16():
        raise ValueError(
            "precision='fp16' needs a GPU or a processor with AVX512-FP16 or AMX-FP16; this one would take dozens "
            "of times longer than in fp32: choose 'bf16' or 'fp32'"
        )
    return name


def resolve_channels_last(setting: bool | str, model: nn.Module, device: torch.device) -> bool:
    """Return whether the channels of a pixel should lie side by side in memory (NHWC).

    Args:
        setting: ``True``, ``False``, or ``"auto"``: on CPU and CUDA, for networks with two-dimensional convolutions
            none of which is split into a few groups (depthwise ones are fine; with two or 32 groups the layout
            costs as much as it brings).
        model: the network.
        device: where it computes.

    Returns:
        The choice; the results agree up to rounding.

    Raises:
        ValueError: if the setting is anything else.
    """
    if isinstance(setting, bool):
        return setting
    if setting != "auto":
        raise ValueError(f"channels_last must be True, False or 'auto', got {setting!r}")
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    in_few_groups = any(conv.groups > 1 and not _is_depthwise(conv) for conv in convolutions)
    return bool(convolutions) and not in_few_groups and device.type in ("cpu", "cuda")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the forward pass and the loss compute.

    Backward passes belong outside: each runs in the format of its forward pass. Convolutions and products inside
    give bfloat16 or float16; turn logits into float32 before the loss.

    Args:
        precision: from :func:`resolve_precision`.
        device: where the network computes.

    Returns:
        ``torch.autocast``, or for fp32 a context that does nothing and costs nothing.
    """
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps small float16 gradients from vanishing; for other formats it passes everything through.

    Micikevicius et al. (2018), section 3.2, with a scale that adapts itself.

    Args:
        precision: from :func:`resolve_precision`.
        device: where the network computes.

    Returns:
        A scaler, enabled for fp16 only: fp32 and bf16 reach down to 1e-38.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def _best_precision(model: nn.Module, device: torch.device, *, training: bool) -> Precision:
    if device.type == "cpu":
        return "bf16" if cpu_has_bf16() and gains_from_bf16(model, training=training) else "fp32"
    if device.type == "cuda" and gains_from_bf16(model, training=False):
        generation = torch.cuda.get_device_capability(device)[0]
        return "bf16" if generation >= 8 else "fp16" if generation == 7 else "fp32"
    return "fp32"


def _is_wide(module: nn.Module) -> bool:
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return min(module.in_channels, module.out_channels) >= WIDE_CHANNELS and not _is_depthwise(module)
    if isinstance(module, nn.Linear):
        return min(module.in_features, module.out_features) >= WIDE_FEATURES
    return False


def _is_depthwise(module: nn.Module) -> bool:
    if not isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return False
    return 1 < module.groups == module.in_channels


def _cpu_has_fp16() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", None)
    return bool(supported is not None and supported())
