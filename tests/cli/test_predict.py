"""``predict`` on image files."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnncourse.cli import main
from cnncourse.datasets import Normalisation, load
from cnncourse.recipes.image_labels import label_images
from cnncourse.recipes.restored import TrainedNetwork, trained_network

CATS = {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"}


def save(image, path, **options):
    Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(path, **options)
    return path


def test_a_grey_network_reads_grey_and_coloured_files_alike(digit_run, tmp_path, told):
    data = load("digits", "test", side=32).select(slice(12))
    grey = [save(image, tmp_path / f"{i}.png") for i, image in enumerate(data.images)]
    coloured = [
        save(image.expand(3, -1, -1), tmp_path / f"{i}-rgb.png") for i, image in enumerate(data.images)
    ]
    network = trained_network(digit_run)
    with torch.no_grad():
        expected = network.model(network.normalisation(data.images)).softmax(dim=1)
    for files in (grey, coloured):
        answers = told("predict", "--run", digit_run, "--top", 10, "--device", "cpu", *files)
        assert [answer["image"] for answer in answers] == [str(file) for file in files]
        for answer, wanted in zip(answers, expected, strict=True):
            probabilities = {one["class"]: one["probability"] for one in answer["classes"]}
            torch.testing.assert_close(
                torch.tensor([probabilities[name] for name in network.classes]), wanted, rtol=1e-4, atol=1e-6
            )
            assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
    right = sum(
        a["classes"][0]["class"] == data.classes[t] for a, t in zip(answers, data.targets, strict=True)
    )
    assert right >= 10


def test_a_colour_network_reads_a_jpeg_of_any_size(tmp_path, told):
    run = tmp_path / "run"
    options = ("--option", "model=lenet5", "--option", "data=patches")
    told("train", "classifier", "--budget", "smoke", "--device", "cpu", *options, "--output", run)
    network = trained_network(run)
    small = save(load("patches", "test", side=32, count=10).images[0], tmp_path / "small.jpg", quality=80)
    pixels = torch.from_numpy(np.array(Image.open(small))).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = network.model(network.normalisation(pixels)).softmax(dim=1).max()
    (answer,) = told("predict", small, "--run", run, "--device", "cpu")
    assert answer["classes"][0]["probability"] == pytest.approx(expected.item(), rel=1e-4)
    assert len(answer["classes"]) == 5
    large = tmp_path / "large.jpg"
    Image.fromarray(np.zeros((90, 200, 3), np.uint8)).save(large)
    assert len(told("predict", large, "--run", run, "--top", 99)[0]["classes"]) == 10


class Brightness(nn.Module):
    """Tells dark images, class 0, from bright ones."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


@pytest.mark.parametrize(("short_side", "answer"), [(64, "bright"), (32, "dark"), (None, "dark")])
def test_files_are_scaled_as_they_were_in_training(short_side, answer, tmp_path, monkeypatch):
    """A quarter of the photograph is white: a cut of 32 out of 64 pixels is all white, all of 32 is mostly black."""
    photograph = np.zeros((256, 256, 3), np.uint8)
    photograph[64:192, 64:192] = 255
    Image.fromarray(photograph).save(tmp_path / "middle.png")
    trained = TrainedNetwork(
        model=Brightness().eval(),
        normalisation=Normalisation((0.5,) * 3, (0.5,) * 3),
        classes=("dark", "bright"),
        input_shape=(3, 32, 32),
        name="brightness",
        short_side=short_side,
        weights="last",
    )
    monkeypatch.setattr("cnncourse.recipes.image_labels.trained_network", lambda _run: trained)
    ((_path, found),) = label_images([tmp_path / "middle.png"], run="somewhere", device="cpu")
    assert found[0]["class"] == answer


def test_the_packaged_network_knows_a_cat(tmp_path, capsys, told):
    from skimage import data

    Image.fromarray(data.chelsea()).save(tmp_path / "chelsea.png")
    (answer,) = told("predict", tmp_path / "chelsea.png", "--device", "cpu")
    assert answer["classes"][0]["class"] in CATS
    assert sum(one["probability"] for one in answer["classes"] if one["class"] in CATS) > 0.5
    assert main(["predict", str(tmp_path / "chelsea.png"), "--top", "1", "--device", "cpu"]) == 0
    name, line = capsys.readouterr().out.splitlines()
    assert name == str(tmp_path / "chelsea.png")
    assert line.split("%  ")[1] == answer["classes"][0]["class"]


def test_predict_refuses(digit_run, tmp_path, refused):
    (tmp_path / "text.jpg").write_text("no image")
    file = tmp_path / "black.png"
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(file)
    assert "no such file: none.png" in refused("predict", "none.png", file)
    assert "text.jpg cannot be read as an image" in refused(
        "predict", tmp_path / "text.jpg", "--run", digit_run
    )
    assert "--top must be at least 1, got 0" in refused("predict", file, "--top", 0)
    assert "plain20 has no public ImageNet weights; train it, and give --run" in refused(
        "predict", file, "--model", "plain20"
    )
    assert "unknown model 'moon'" in refused("predict", file, "--model", "moon")
    assert "an existing file or 'imagenet', got none.pth" in refused("predict", file, "--weights", "none.pth")
    assert "there is no checkpoint at nowhere" in refused("predict", file, "--run", "nowhere")
    assert "not allowed with argument" in refused("predict", file, "--run", "a", "--model", "resnet50")
