import copy
import os
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse import models
from cnncourse.training import keep_freed_memory
from cnncourse.training.inference import InferenceModel, inference_copy, predict

SHARED = Path(os.environ.get("CNNCOURSE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))

PUBLIC = {  # side of the images, batch norms, those that follow a convolution directly
    "resnet18": (64, 20, 20),
    "resnet50": (64, 53, 53),
    "mobilenet_v2": (64, 52, 52),
    "densenet121": (
        64,
        121,
        59,
    ),  # the norm comes first in each layer: the stem and the 58 bottlenecks remain
    "vgg11_bn": (32, 8, 8),
    "googlenet": (64, 59, 57),  # two belong to heads that only exist in training
}
OURS = [
    "mlp",
    "lenet5",
    "resnet20",
    "plain20",
    "resnet18_cifar",
    "speed_net",
    "resnext50_32x4d",
    "mobilenet_v2",
]
OURS += ["efficientnet_b0"]


def randomise(model):
    """Give batch norms statistics and factors as after training, so that leaving one out is seen."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    return model.eval()


def norms(model):
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def public_network(name):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    options = {"init_weights": False} if name in ("googlenet", "vgg11_bn") else {}
    with torch.device("meta" if name == "vgg11_bn" else "cpu"):
        model = getattr(torchvision.models, name)(num_classes=5, **options)
    if name == "vgg11_bn":  # 123 million weights that have no norm would only make the test slow
        model.classifier = nn.Linear(512 * 49, 5)
        model.features.to_empty(device="cpu")
        for module in model.features:
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
                module.reset_parameters()
    return randomise(model)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_copy_of_a_public_network_computes_the_same_with_fewer_layers(name):
    side, before, folded = PUBLIC[name]
    model = public_network(name)
    state = copy.deepcopy(model.state_dict())
    images = torch.randn(3, 3, side, side)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images[:2], precision="fp32")
    assert norms(model) == before
    assert before - norms(ready) == len(ready.folded) == folded
    logits = ready(images)
    assert_close(logits, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert not logits.requires_grad
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    # The network itself is as it was, and nothing is shared with it.
    assert hooks(model) == hooks(ready) == 0
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    theirs = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert not theirs & {tensor.data_ptr() for tensor in ready.state_dict().values()}


@pytest.mark.parametrize("name", OURS)
def test_our_networks_are_copied_too(name):
    torch.manual_seed(0)
    entry = models.find(name)
    model = randomise(models.build(name))
    side = min(entry.side, 64)
    images = torch.randn(2, entry.in_channels, side, side)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images, precision="fp32")
    assert_close(ready(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_in_float64_folding_is_exact_to_the_last_digits():
    torch.manual_seed(0)
    model = randomise(public_network("resnet18")).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        expected = model(images)
    ready = inference_copy(model, images)
    assert ready.precision == "fp32"  # which leaves weights as they are
    assert len(ready.folded) == 20
    assert ready(images).dtype == torch.float64
    assert_close(ready(images), expected, rtol=1e-12, atol=1e-12)


class Net(nn.Module):
    """One convolution, one batch norm, and a way to use them."""

    def __init__(self, use, conv=None, norm=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False) if conv is None else conv
        self.norm = nn.BatchNorm2d(3) if norm is None else norm
        self.use = use
        randomise(self)

    def forward(self, images):
        return self.use(self, images).mean((2, 3))


def through_own_list(net, images):
    for layer in net.layers:
        images = layer(images)
    return images


def one_after_the_other(net, images):
    return net.norm(net.conv(images))


def test_a_network_that_would_change_stays_as_it_is_and_says_so():
    torch.manual_seed(0)
    model, images = Net(through_own_list), torch.randn(2, 3, 8, 8)
    model.layers = [model.conv, model.norm]  # which no module registry knows of
    with pytest.warns(UserWarning, match="the batch norms stay as they are: without them the logits would"):
        ready = inference_copy(model, images, precision="fp32")
    assert ready.folded == ()
    assert_close(ready(images), model(images).detach())
    model = Net(lambda net, x: net.norm(net.conv(x)) * net.norm.eps)
    with pytest.warns(UserWarning, match="without them the network misses them .*'eps'"):
        ready = inference_copy(model, images, precision="fp32")
    assert_close(ready(images), model(images).detach())


def test_every_trick_is_switched_off_by_one_argument():
    torch.manual_seed(0)
    model, images = randomise(models.build("resnet20")), torch.randn(2, 3, 32, 32)
    plain = inference_copy(model, images, precision="fp32", channels_last=False, fold=False)
    assert torch.equal(plain(images), model(images).detach())
    assert "fp32, channels first, 0 batch norms folded" in repr(plain)
    assert norms(plain) == 19
    full = inference_copy(model, images, precision="bf16", channels_last=True)
    assert "bf16, channels last, 19 batch norms folded" in repr(full)
    weights = [m.weight for m in full.modules() if isinstance(m, nn.Conv2d)]
    assert all(w.dtype == torch.bfloat16 for w in weights)
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    assert full(images).dtype == torch.float32


def test_bf16_keeps_remaining_norms_in_float32():
    model = public_network("densenet121")
    images = torch.randn(2, 3, 64, 64)
    ready = inference_copy(model, images, precision="bf16")
    left = [m for m in ready.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(left) == 62
    assert all(m.running_var.dtype == m.weight.dtype == torch.float32 for m in left)
    expected = model(images).detach()
    assert 0 < (ready(images) - expected).abs().max() < 0.05 * expected.abs().max()


class Float32Inside(nn.Sequential):
    """Mixes its own float32 numbers in, as a forward may that never heard of bfloat16."""

    def forward(self, images):
        features = self[0](images)
        return self[1](torch.cat([features, torch.ones(len(features), 1)], dim=1))


def test_a_network_that_does_not_run_in_bf16_is_told_apart():
    torch.manual_seed(0)
    model, images = Float32Inside(nn.Linear(512, 512), nn.Linear(513, 3)), torch.randn(2, 512)
    with pytest.raises(ValueError, match=r"Float32Inside does not run .* bf16: .*; choose precision='fp32'"):
        inference_copy(model, images, precision="bf16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnncourse.training.precision.cpu_has_bf16", lambda: True)
        with pytest.warns(UserWarning, match=r"Float32Inside does not run with .*; it stays in fp32"):
            ready = inference_copy(model, images)
    assert ready.precision == "fp32"
    assert torch.equal(ready(images), model(images).detach())


def test_what_is_no_classifier_is_refused_and_leaves_no_hooks():
    images = torch.randn(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"must give logits \(N, K\), got \(2, 4, 8, 8\)"):
        inference_copy(nn.Conv2d(3, 4, 1), images)
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    model.forward = lambda images: {"logits": images}
    with pytest.raises(ValueError, match=r"must give logits \(N, K\), got dict"):
        inference_copy(model, images)


def test_the_mode_comes_back_and_the_copy_cannot_learn():
    model, images = Net(one_after_the_other), torch.randn(2, 3, 8, 8)
    model.train()
    model.conv.eval()
    ready = inference_copy(model, images)
    assert (model.training, model.conv.training, model.norm.training) == (True, False, True)
    assert model.norm.num_batches_tracked == 0
    assert not any(module.training for module in ready.modules())
    assert ready.eval() is ready
    with pytest.raises(ValueError, match="cannot learn: its batch norms are part of the convolutions"):
        ready.train()


def test_predictions_come_in_order_whatever_the_batches():
    torch.manual_seed(0)
    model, images = Net(one_after_the_other), torch.randn(7, 3, 8, 8)
    expected = model(images).detach()
    pairs = [(part, torch.zeros(len(part))) for part in images.split(3)]
    for batches in (pairs, images.split(3), iter(images.split(1))):
        logits = predict(model, batches, precision="fp32")
        assert logits.dtype == torch.float32
        assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    ready = inference_copy(model, images)
    assert predict(ready, images.split(2)).shape == (7, 3)
    with pytest.raises(ValueError, match="there are no batches; the data set is empty or its iterator"):
        predict(model, iter(()))


def test_one_batch_of_activations_is_held_at_a_time():
    alive: list[weakref.ref] = []

    class Watched(nn.ReLU):
        def forward(self, features):
            out = super().forward(features)
            alive.append(weakref.ref(out))
            return out

    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), Watched(), nn.Conv2d(4, 4, 3), Watched(), nn.Flatten(), nn.LazyLinear(2)
    )
    model(torch.randn(1, 3, 8, 8))
    seen = []

    def source():
        for _ in range(5):
            seen.append(sum(ref() is not None for ref in alive))
            yield torch.randn(4, 3, 8, 8)
        seen.append(sum(ref() is not None for ref in alive))

    predict(model, source(), precision="fp32")
    assert len(alive) > 10
    assert seen == [0] * 6


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    model = Net(one_after_the_other)
    with pytest.raises(
        RuntimeError, match=r"compile=True needs a C\+\+ compiler, found none of g\+\+, clang"
    ):
        inference_copy(model, torch.randn(2, 3, 8, 8), compile=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("default")  # torch's own, of its compiler
def test_a_compiled_copy_takes_smaller_batches_too():
    torch.manual_seed(0)
    model, images = Net(lambda net, x: net.norm(net.conv(x)).relu_()), torch.randn(7, 3, 8, 8)
    expected = model(images).detach()
    torch._dynamo.reset()
    logits = predict(model, images.split(4), precision="fp32", compile=True)
    assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    ready = inference_copy(model, images[:4], precision="fp32", compile=True)
    assert "compiled for 4 images" in repr(ready)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    ready(images[:2])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_trained_networks_give_the_same_answers_in_bf16():
    torchvision = pytest.importorskip("torchvision")
    image = pytest.importorskip("PIL.Image")
    keep_freed_memory()
    model = torchvision.models.mobilenet_v2(weights=None)
    model.load_state_dict(torch.load(SHARED / "weights/mobilenet_v2-imagenet.pth", weights_only=True))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    photos = sorted((SHARED / "imagenet_photos").glob("*.jpg"))[::10]
    pixels = [torchvision.transforms.functional.pil_to_tensor(image.open(p).convert("RGB")) for p in photos]
    images = torch.stack([torchvision.transforms.functional.center_crop(p, 224) for p in pixels]) / 255
    images = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    exact = predict(model, images.split(25), precision="fp32", channels_last=False, fold=False)
    quick = predict(model, images.split(25), precision="bf16")
    assert_close(predict(model, images.split(25), precision="fp32"), exact, rtol=0, atol=1e-3)
    changed = exact.argmax(1) != quick.argmax(1)
    assert changed.float().mean() <= 0.04  # 1.2 % of 500 photographs
    assert (exact - quick).abs().mean() < 0.1  # the logits spread by 3.2
    # An answer changes only where the two best were close anyway.
    best = exact.topk(2).values
    assert ((best[:, 0] - best[:, 1])[changed] < 0.5).all()


def test_a_ready_copy_is_a_network_like_any_other():
    model, images = Net(one_after_the_other), torch.randn(2, 3, 8, 8)
    ready = inference_copy(model, images, precision="fp32")
    assert isinstance(ready, InferenceModel)
    again = copy.deepcopy(ready)
    assert torch.equal(again(images), ready(images))
