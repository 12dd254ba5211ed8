"""What holds for every network, swept over the catalogue: a new one is tested by being listed."""

import copy
import pickle

import pytest
import torch
from torch import nn

from cnncourse.layers import StochasticDepth
from cnncourse.models import build, built_as

FROZEN = {"speed_net": ["whitening.weight"]}
"""Parameters that are not trained, by network."""


def logits_of(model, images):
    with torch.inference_mode():
        return model.eval()(images)


def distance(logits, exact):
    """Return how far logits are from others, relative to those; fresh networks may give large or small ones."""
    assert exact.isfinite().all()
    assert exact.std() > 0
    return ((logits.double() - exact).norm() / exact.norm()).item()


@pytest.fixture(scope="module")
def exact(network):
    """The logits in float64."""
    model, images = network
    return logits_of(copy.deepcopy(model).double(), images.double())


def outputs_of(model, images):
    """Return the logits in training mode, those of auxiliary heads too."""
    given = model.train()(images)
    return [given] if torch.is_tensor(given) else [logits for logits in given if logits is not None]


def test_every_parameter_gets_a_gradient(network):
    model, images = network
    trained = copy.deepcopy(model)
    for module in trained.modules():
        if isinstance(module, StochasticDepth):
            module.drop_prob = 0.0  # a branch left out for all four images gets no gradient, and rightly so
    outputs = outputs_of(trained, images)
    assert {logits.shape for logits in outputs} == {(4, 7)}
    sum(nn.functional.cross_entropy(logits, torch.arange(4)) for logits in outputs).backward()
    parameters = dict(trained.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    assert frozen == FROZEN.get(built_as(model)["name"], [])
    for name in frozen:
        del parameters[name]
    assert [name for name, p in parameters.items() if p.grad is None or not p.grad.any()] == []
    assert [name for name, p in parameters.items() if not p.grad.isfinite().all()] == []


def test_in_eval_an_image_does_not_see_its_batch(network, exact):
    model, images = network
    double = copy.deepcopy(model).double()
    alone = torch.cat([logits_of(double, image[None]) for image in images.double()])
    assert distance(alone, exact) < 1e-10


def test_channels_last_is_as_exact(network, exact):
    model, images = network
    turned = copy.deepcopy(model).to(memory_format=torch.channels_last)
    ours = logits_of(turned, images.to(memory_format=torch.channels_last))
    assert distance(ours, exact) < max(1e-5, 3 * distance(logits_of(model, images), exact))


def test_bfloat16_is_as_exact_as_its_bits_allow(network, exact):
    model, images = network
    rounded = logits_of(copy.deepcopy(model).bfloat16(), images.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert rounded.isfinite().all()
    amplified = distance(logits_of(model, images), exact) / 2**-24  # by the network, float32's rounding
    within = 4 * 2**-9 * max(1, amplified)  # bfloat16 rounds by 2^-9 and adds up in float32
    if within >= 1:
        pytest.skip(
            f"fresh, this network amplifies rounding {amplified:,.0f} times: no digit of bfloat16 is left"
        )
    assert distance(rounded, exact) < within


def test_copies_are_the_same_network(network, tmp_path):
    model, images = network
    exact = logits_of(model, images)
    how = built_as(model)
    assert how["options"]["num_classes"] == 7
    torch.save(model.state_dict(), tmp_path / "checkpoint.pt")
    makers = [
        lambda: build(how["name"], **how["options"], weights=tmp_path / "checkpoint.pt"),
        lambda: copy.deepcopy(model),
        lambda: pickle.loads(pickle.dumps(model)),
    ]
    for make in makers:
        twin = make()
        assert torch.equal(logits_of(twin, images), exact)
        assert built_as(twin) == how


def test_wrong_images_are_refused(network):
    model, images = network
    channels, side = images.shape[1:3]
    if built_as(model)["name"] == "mlp":
        with pytest.raises(ValueError, match=r"1024 numbers an image, got \(4, 2, 32, 32\)"):
            model(torch.zeros(4, 2, 32, 32))
        return
    with pytest.raises(
        ValueError, match=rf"shape \(N, {channels}, .*got \(4, {channels + 1}, {side}, {side}\); "
    ):
        model(torch.zeros(4, channels + 1, side, side))
    with pytest.raises(ValueError, match=rf"got \(1, {channels}, 3, {side}\); "):
        model(torch.zeros(1, channels, 3, side))
    with pytest.raises(ValueError, match=rf"got \(3, {side}, {side}\); "):
        model(torch.zeros(3, side, side))
    with pytest.raises(ValueError, match=r"floating-point images, got torch.uint8; divide by 255"):
        model(images.byte())
