import platform
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncourse.training import precision
from cnncourse.training.precision import (
    autocast,
    cpu_has_bf16,
    gains_from_bf16,
    resolve_channels_last,
    resolve_precision,
    scaler,
)

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda", 0), torch.device("mps")

SIXTEEN = nn.Conv2d(16, 16, 3)
FIFTEEN = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 15, 3), nn.Conv2d(15, 64, 3))
DEPTHWISE = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3, groups=16))
IN_GROUPS = nn.Sequential(nn.Conv2d(16, 64, 1), nn.Conv2d(64, 64, 3, groups=32))
MLP = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512))
SMALL_MLP = nn.Sequential(nn.Linear(784, 511), nn.ReLU(), nn.Linear(511, 10))


@pytest.fixture
def bf16_units(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(), reason="needs the kernel's word"
)
def test_what_the_processor_has_is_what_the_kernel_says():
    flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)[1].split()
    assert cpu_has_bf16() == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_a_torch_that_cannot_tell_means_no(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert not cpu_has_bf16()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert cpu_has_bf16()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not cpu_has_bf16()


def test_arm_is_asked_in_its_own_way(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    for answer in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda a=answer: a, raising=False)
        assert cpu_has_bf16() == answer


@pytest.mark.parametrize(
    ("model", "training", "prediction", "last"),
    [
        (SIXTEEN, "bf16", "bf16", True),
        (FIFTEEN, "fp32", "fp32", True),
        (DEPTHWISE, "fp32", "bf16", True),
        (nn.Conv2d(16, 16, 3, groups=16), "fp32", "fp32", True),
        (IN_GROUPS, "bf16", "bf16", False),
        (MLP, "bf16", "bf16", False),
        (SMALL_MLP, "fp32", "fp32", False),
        (nn.Flatten(), "fp32", "fp32", False),
        (nn.Conv2d(16, 16, 3).double(), "fp32", "fp32", True),
    ],
    ids=["16 channels", "15", "depthwise", "only depthwise", "32 groups", "512", "511", "empty", "double"],
)
@pytest.mark.usefixtures("bf16_units")
def test_auto_follows_the_widths(model, training, prediction, last):
    assert resolve_precision("auto", model, CPU) == training
    assert resolve_precision("auto", model, CPU, training=False) == prediction
    assert resolve_channels_last("auto", model, CPU) is last


def test_auto_stays_in_float32_without_the_units(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    assert gains_from_bf16(SIXTEEN)
    assert resolve_precision("auto", SIXTEEN, CPU) == "fp32"


def test_auto_on_a_card_follows_its_generation(monkeypatch):
    for generation, expected in ((6, "fp32"), (7, "fp16"), (8, "bf16"), (9, "bf16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, g=generation: (g, 0))
        assert resolve_precision("auto", SIXTEEN, CUDA) == expected
        assert resolve_precision("auto", DEPTHWISE, CUDA) == expected
        assert resolve_precision("auto", SMALL_MLP, CUDA) == "fp32"
    assert resolve_channels_last("auto", SIXTEEN, CUDA)


def test_apples_gpu_computes_in_float32():
    assert resolve_precision("auto", SIXTEEN, MPS) == "fp32"
    assert not resolve_channels_last("auto", SIXTEEN, MPS)
    with pytest.raises(ValueError, match="precision on 'mps' must be 'fp32' or 'auto', got 'bf16'"):
        resolve_precision("bf16", SIXTEEN, MPS)


def test_a_setting_is_taken_at_its_word(monkeypatch):
    monkeypatch.setattr(precision, "_cpu_has_fp16", lambda: True)
    for name in ("fp32", "bf16", "fp16"):
        assert resolve_precision(name, SMALL_MLP, CPU) == name
    for setting in (True, False):
        assert resolve_channels_last(setting, SMALL_MLP, CPU) is setting


def test_wrong_settings_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="must be 'auto', 'fp32', 'bf16' or 'fp16', got 'int8'"):
        resolve_precision("int8", SIXTEEN, CPU)
    with pytest.raises(ValueError, match="channels_last must be True, False or 'auto', got 'yes'"):
        resolve_channels_last("yes", SIXTEEN, CPU)
    monkeypatch.setattr(precision, "_cpu_has_fp16", lambda: False)
    with pytest.raises(ValueError, match=r"'fp16' needs a GPU or a processor with AVX512-FP16.*'bf16' or"):
        resolve_precision("fp16", SIXTEEN, CPU)


def test_float32_computes_as_if_there_were_no_context():
    layer, images = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    with autocast("fp32", CPU):
        inside = layer(images)
        assert not torch.is_autocast_enabled("cpu")
    assert torch.equal(inside, layer(images))


def test_bf16_rounds_the_products_and_keeps_everything_else_in_float32():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 4))
    images, targets = torch.randn(8, 3, 8, 8), torch.randint(4, (8,))
    gradients = {}
    for name in ("fp32", "bf16"):
        model.zero_grad()
        with autocast(name, CPU):
            logits = model(images)
        assert logits.dtype == precision.PRECISIONS[name]
        functional.cross_entropy(logits.float(), targets).backward()
        gradients[name] = torch.cat([p.grad.flatten() for p in model.parameters()])
        assert gradients[name].dtype == model[1].running_var.dtype == torch.float32
    # bfloat16 keeps 8 binary digits, so a product of rounded numbers is off by some 2**-8.
    error = (gradients["bf16"] - gradients["fp32"]).norm() / gradients["fp32"].norm()
    assert 1e-4 < error < 0.03


def test_only_float16_is_scaled():
    assert scaler("fp16", CPU).is_enabled()
    for name in ("fp32", "bf16"):
        passed = scaler(name, CPU)
        assert not passed.is_enabled()
        assert passed.scale(torch.tensor(3.0)) == 3
