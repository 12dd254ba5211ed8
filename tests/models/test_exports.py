"""Every network goes through PyTorch's compilers and exporters in one piece, and comes out the same.

Every day the cheapest network of each model file is captured and exported; a few small ones are also trained as
captured, handed to ONNX Runtime and compiled to machine code. All networks, all ways, take more than an hour of one
core: python -m pytest tests/models/test_exports.py -m exhaustive.
"""

import copy

import pytest
import torch
from torch import nn

BATCH = torch.export.Dim("batch", min=1, max=64)


def distance(logits, exact):
    """Return how far logits are from others, relative to those."""
    assert exact.isfinite().all()
    assert exact.std() > 0
    return ((logits.double() - exact).norm() / exact.norm()).item()


def exact_logits(model, images):
    with torch.inference_mode():
        return copy.deepcopy(model).double()(images.double())


def float_distance(model, images, exact):
    with torch.inference_mode():
        return distance(model(images), exact)


@pytest.fixture(autouse=True)
def forget_what_was_compiled():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def trained_step(call, model, images):
    """Return the logits of a training step and everything that it changed."""
    torch.manual_seed(1)
    logits = call(images)
    logits.square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(gradient is not None for gradient in gradients)
    return [logits.detach(), *gradients, *model.buffers()]


def test_a_forward_pass_is_captured_whole(representative):
    model, images = representative
    model, images = copy.deepcopy(model).double(), images.double()
    captured = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert distance(captured(images), model(images)) < 1e-9


def test_a_training_step_is_captured_whole(small_network):
    model, images = small_network
    model, images = copy.deepcopy(model).double().train(), images.double()
    twin = copy.deepcopy(model)
    eager = trained_step(model, model, images)
    captured = trained_step(torch.compile(twin, backend="aot_eager", fullgraph=True), twin, images)
    # Where the step draws, the captured one draws other numbers.
    draws = any(isinstance(m, nn.Dropout) or getattr(m, "drop_prob", 0) for m in model.modules())
    for ours, theirs in zip(captured, eager, strict=True):
        assert ours.isfinite().all()
        assert draws or (ours - theirs).abs().max() <= 1e-9 * max(1, theirs.abs().max())


def exported(model, images):
    """Return what torch.export makes of a network, for batches of any size."""
    return torch.export.export(model, (images[:2],), dynamic_shapes=({0: BATCH},))


def test_the_exported_program_is_the_network(representative):
    model, images = representative
    program = exported(model, images).module()
    for batch in (images, images[:1]):
        with torch.inference_mode():
            assert distance(program(batch), model(batch).double()) < 1e-5


def test_onnx_runtime_gives_the_same_logits(small_network):
    import onnxruntime

    model, images = small_network
    file = torch.onnx.export(exported(model, images), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(
        file.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (feed,) = session.get_inputs()
    exact = exact_logits(model, images)
    for batch, right in [(images, exact), (images[:1], exact[:1])]:
        logits = torch.from_numpy(session.run(None, {feed.name: batch.numpy()})[0])
        assert distance(logits, right) < max(1e-5, 5 * float_distance(model, batch, right))


def test_machine_code_gives_the_same_logits(smallest_network):
    model, images = smallest_network
    exact = exact_logits(model, images)
    with torch.no_grad():
        logits = torch.compile(copy.deepcopy(model), fullgraph=True)(images)
    assert distance(logits, exact) < max(1e-5, 5 * float_distance(model, images, exact))
