import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import SqueezeExcitation, StochasticDepth, stochastic_depth


@pytest.mark.parametrize("activation", [None, nn.SiLU()], ids=["relu", "silu"])
def test_squeeze_excitation_is_torchvisions(activation):
    from torchvision.ops import SqueezeExcitation as Theirs

    torch.manual_seed(0)
    ours = SqueezeExcitation(8, 2, activation).double()
    theirs = Theirs(8, 2, activation=type(ours.activation)).double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 8, 5, 4, dtype=torch.float64)
    inputs = [images.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(x) for layer, x in zip((ours, theirs), inputs, strict=True)]
    for out in outputs:
        out.square().sum().backward()
    assert_close(*outputs)
    assert_close(inputs[0].grad, inputs[1].grad)


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    branch = torch.ones(4000, 3, 2, 2)
    thinned = stochastic_depth(branch, 0.25, torch.Generator().manual_seed(0))
    values = thinned.flatten(1)
    assert (values == values[:, :1]).all()  # an image is kept or left out as a whole
    kept = values[:, 0] != 0
    assert_close(values[kept], torch.full_like(values[kept], 4 / 3))
    assert kept.float().mean().item() == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 4000) ** 0.5)


def test_stochastic_depth_draws_as_torchvision():
    from torchvision.ops import stochastic_depth as theirs

    branch = torch.randn(16, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(1)
    expected = theirs(branch, 0.4, "row")
    torch.manual_seed(1)
    assert_close(stochastic_depth(branch, 0.4), expected)


def test_stochastic_depth_rests_in_eval():
    branch = torch.ones(8, 2)
    assert StochasticDepth(0.5).eval()(branch) is branch
    assert StochasticDepth(0)(branch) is branch
    torch.manual_seed(0)
    assert set(StochasticDepth(0.5)(branch).flatten().tolist()) == {0.0, 2.0}
    assert repr(StochasticDepth(0.5)) == "StochasticDepth(drop_prob=0.5)"
    with pytest.raises(ValueError, match=r"\[0, 1\), got drop_prob=1"):
        StochasticDepth(1)
    with pytest.raises(ValueError, match=r"got drop_prob=-0.1"):
        stochastic_depth(branch, -0.1)
