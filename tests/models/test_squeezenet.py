import csv
import os
from pathlib import Path

import pytest
import torch

from cnncourse.inspection import shape_trace
from cnncourse.models import SqueezeNet, build, find

SHARED = Path(os.environ.get("CNNCOURSE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))

# Iandola et al. (2016), table 1: output size, channels, parameters before pruning.
TABLE_1 = {
    "features.0": (111, 96, 14_208),
    "features.2": (55, 96, 0),
    "fire2": (55, 128, 11_920),
    "fire3": (55, 128, 12_432),
    "fire4": (55, 256, 45_344),
    "features.6": (27, 256, 0),
    "fire5": (27, 256, 49_440),
    "fire6": (27, 384, 104_880),
    "fire7": (27, 384, 111_024),
    "fire8": (27, 512, 188_992),
    "features.11": (13, 512, 0),
    "fire9": (13, 512, 197_184),
    "classifier.1": (13, 1000, 513_000),
}
FIRES = dict(
    zip((f"fire{number}" for number in range(2, 10)), (3, 4, 5, 7, 8, 9, 10, 12), strict=True)
)  # place in torchvision's order


def test_every_row_of_table_1():
    with torch.device("meta"):
        model = SqueezeNet()
    traced = {row.name: row for row in shape_trace(model, (1, 3, 227, 227))}
    for layer, (side, channels, parameters) in TABLE_1.items():
        name = f"features.{FIRES[layer]}" if layer in FIRES else layer
        rows = [row for key, row in traced.items() if key == name or key.startswith(f"{name}.")]
        assert sum(row.parameters for row in rows) == parameters
        assert {row.shape[2:] for row in rows} == {(side, side)}
        maps = sum(row.shape[1] for row in rows if row.name.endswith(("expand1x1", "expand3x3")))
        assert (maps or rows[0].shape[1]) == channels
    assert sum(parameters for *_, parameters in TABLE_1.values()) == 1_248_424


def test_224_pixels_give_other_maps_than_the_paper_prints():
    with torch.device("meta"):
        model = SqueezeNet()
    traced = {row.name: row.shape for row in shape_trace(model, (1, 3, 224, 224))}
    assert [traced[f"features.{index}"][2] for index in (0, 2, 6, 11)] == [109, 54, 27, 13]


def test_logits_are_behind_a_relu():
    torch.manual_seed(0)
    assert SqueezeNet("1.1", 10)(torch.randn(3, 3, 64, 48)).min() >= 0


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ValueError, match=r"version must be '1.0' or '1.1', got '2.0'"):
        SqueezeNet("2.0")
    with pytest.raises(ValueError, match=r"drop_prob must lie in \[0, 1\), got drop_prob=1"):
        SqueezeNet(drop_prob=1)
    for version, side in [("1.0", 21), ("1.1", 17)]:
        model = SqueezeNet(version, 5)
        assert model(torch.zeros(1, 3, side, side)).shape == (1, 5)
        with pytest.raises(ValueError, match=rf"SqueezeNet {version} takes .* at least {side}, got"):
            model(torch.zeros(1, 3, side, side - 1))


def photographs(folder):
    """Return files and classes of the photographs or of Imagenette's validation set, in a fixed order."""
    if folder == "imagenet_photos":
        with (SHARED / folder / "labels.csv").open(encoding="utf-8") as table:
            return [(SHARED / folder / row["file"], int(row["class_index"])) for row in csv.DictReader(table)]
    with (SHARED / "imagenet_classes.csv").open(encoding="utf-8") as table:
        classes = {row["wnid"]: int(row["class_index"]) for row in csv.DictReader(table)}
    return [(file, classes[file.parent.name]) for file in sorted((SHARED / folder).glob("*/*"))]


# Right answers of torchvision's network with the same weights, the first guess and the first five; of all 500 they
# are the accuracies that came with the weights: 60.6 % and 82.6 %, 58.8 % and 82.0 %.
@pytest.mark.parametrize(
    ("folder", "every", "first", "five"),
    [
        ("imagenet_photos", 25, 14, 17),
        ("imagenette/val", 25, 9, 14),
        pytest.param("imagenet_photos", 1, 303, 413, marks=pytest.mark.slow),
        pytest.param("imagenette/val", 1, 294, 410, marks=pytest.mark.slow),
    ],
)
def test_public_weights_reach_their_accuracy(folder, every, first, five):
    if not (SHARED / folder).is_dir():
        pytest.skip("the photographs are not on this machine; tests do not download")
    from PIL import Image
    from torchvision.transforms.v2 import functional

    model = build("squeezenet1_0", weights=SHARED / "weights" / "squeezenet1_0-imagenet.pth").eval()
    steps = find("squeezenet1_0").preprocessing
    right = torch.zeros(2, dtype=torch.long)
    for file, target in photographs(folder)[::every]:
        with Image.open(file) as photo:
            image = photo.convert("RGB")
        if min(image.size) != steps.side:  # Imagenette's are cut already
            image = functional.center_crop(functional.resize(image, steps.resize), [steps.side, steps.side])
        pixels = functional.to_dtype(functional.pil_to_tensor(image), torch.float32, scale=True)
        with torch.inference_mode():
            guesses = model(functional.normalize(pixels, steps.mean, steps.std)[None])[0].topk(5).indices
        right += torch.stack([guesses[0] == target, (guesses == target).any()])
    assert abs(right[0] - first) <= 1  # one image may tip on another machine
    assert abs(right[1] - five) <= 1
