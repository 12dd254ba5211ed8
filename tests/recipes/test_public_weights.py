"""Public weights on labelled images: what is counted, on which images, and what is refused."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse.datasets.packed_files import read_packed, write_packed
from cnncourse.models import build, find
from cnncourse.models.zoo import public_accuracies
from cnncourse.recipes import RECIPES, public_weights
from cnncourse.recipes.recording import make_record


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with weights of a random ResNet-20 and seven images, three of which it knows by chance."""
    folder = tmp_path_factory.mktemp("public")
    torch.manual_seed(0)
    model = build("resnet20").eval()
    for parameter in model.parameters():  # answers that differ between images
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save({"state_dict": model.state_dict()}, folder / find("resnet20").weights.file)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    files = []
    for image in pixels:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        files.append(buffer.getvalue())
    steps = find("resnet20").preprocessing
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (steps.mean, steps.std))
    with torch.inference_mode():
        ranks = model((torch.tensor(pixels).permute(0, 3, 1, 2) / 255 - mean) / std).argsort(
            1, descending=True
        )
    # Three labels are the first guess, two the fifth, two the last.
    labels = ranks[range(7), [0, 0, 0, 4, 4, 9, 9]].tolist()
    write_packed(folder / "images.npz", files, labels, [str(k) for k in range(10)])
    return folder


def test_guesses_are_counted(here):
    packed = read_packed(here / "images.npz")
    file = public_weights.weights_file(find("resnet20"), here)
    assert public_weights.measure(find("resnet20"), file, packed) == pytest.approx((3 / 7, 5 / 7))
    assert public_weights.measure(find("resnet20"), file, packed, count=4) == pytest.approx((3 / 4, 1))


def test_a_record_names_networks_images_and_files(here):
    lines = []
    found = public_weights.run(cifar10=here / "images.npz", weights=here, device="cpu", report=lines.append)
    assert RECIPES[found.name] == found.recipe
    assert found.curves[0] == {
        "network": ["resnet20"], "data": ["images"], "images": [7], "top1": [0.428571], "top5": [0.714286],
    }  # fmt: skip
    assert found.results == {"accuracy, %: resnet20": 42.86}
    assert lines == ["resnet20: top-1 42.9%, top-5 71.4% of 7 images of images"]
    assert set(found.data["sha256"]) == {"images.npz"}
    (one,) = public_accuracies(found).values()
    assert (one.record, one.data, one.seeds) == ("public-weights", "images (public weights, 7 images)", 0)
    assert one.mean == pytest.approx(300 / 7, abs=1e-3)


def test_a_short_record_is_not_in_the_zoo(here):
    found = public_weights.run("smoke", cifar10=here / "images.npz", weights=here, device="cpu")
    assert found.curves[0]["images"] == [4]
    assert public_accuracies(found) == {}


def test_weights_are_found_by_either_name(here, tmp_path):
    entry = find("squeezenet1_0")
    assert public_weights.weights_file(entry, tmp_path) is None
    (tmp_path / "squeezenet1_0-imagenet.pth").touch()
    assert public_weights.weights_file(entry, tmp_path) == tmp_path / "squeezenet1_0-imagenet.pth"
    (tmp_path / entry.weights.file).touch()
    assert public_weights.weights_file(entry, tmp_path) == tmp_path / entry.weights.file
    assert public_weights.weights_file(find("efficientnet_lite0"), tmp_path) == "imagenet"  # a package has it
    assert public_weights.weights_file(find("plain20"), tmp_path) is None


def test_what_cannot_be_measured_is_refused(here, tmp_path):
    with pytest.raises(ValueError, match="no images to measure on; give --option imagenet=FILE"):
        public_weights.run()
    with pytest.raises(ValueError, match="no weights for images of cifar10 are in"):
        public_weights.run(cifar10=here / "images.npz", weights=tmp_path)
    with pytest.raises(ValueError, match=r"one seed is enough, got \[0, 1\]"):
        make_record("public-weights", budget="full", seeds=[0, 1], root=None, device="cpu")
    packed = read_packed(here / "images.npz")
    with pytest.raises(ValueError, match="squeezenet1_0 tells 1000 classes apart, the images have 10"):
        public_weights.measure(find("squeezenet1_0"), "imagenet", packed)
