import torch

from cnncourse.layers.undrawn import undrawn_linear


def test_it_is_a_linear_layer_that_draws_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    layer = undrawn_linear(3, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(layer) is torch.nn.Linear
    assert all(parameter.requires_grad for parameter in layer.parameters())
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    assert torch.equal(layer(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[6.0, 6.0]]))


def test_it_lies_where_new_tensors_lie():
    assert undrawn_linear(3, 2).weight.device.type == "cpu"
    with torch.device("meta"):
        layer = undrawn_linear(3, 2)
    assert {parameter.device.type for parameter in layer.parameters()} == {"meta"}
