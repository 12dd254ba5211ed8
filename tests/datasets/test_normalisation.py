import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.transforms import v2

from cnncourse.datasets import DataInfo, FolderImages, LabelledImages, Normalisation

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a",))


def toy(count=12, channels=2):
    images = torch.randint(0, 256, (count, channels, 4, 6), generator=torch.Generator().manual_seed(0))
    return LabelledImages(images.to(torch.uint8), torch.zeros(count, dtype=torch.int64), INFO, "train")


@pytest.fixture
def photographs(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(5):
        pixels = generator.integers(0, 256, (230 + 10 * number, 300, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1], compress_level=0)
    return FolderImages(tuple(paths), torch.zeros(5, dtype=torch.int64), INFO, "train")


def test_it_is_torchs_mean_and_standard_deviation():
    data = toy()
    norm = Normalisation.of(data, at_most=1)  # images in memory are measured all
    pixels = data.images.double() / 255
    assert_close(torch.tensor(norm.mean, dtype=torch.float64), pixels.mean(dim=(0, 2, 3)))
    assert_close(torch.tensor(norm.std, dtype=torch.float64), pixels.std(dim=(0, 2, 3), correction=0))
    out = norm(data.images)
    assert out.dtype == torch.float32
    assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(out.std(dim=(0, 2, 3), correction=0), torch.ones(2))


def test_many_images_are_measured_in_parts_with_the_same_result(monkeypatch):
    whole = Normalisation.of(toy())
    monkeypatch.setattr("cnncourse.datasets.normalisation._IMAGES_AT_ONCE", 5)
    assert Normalisation.of(toy()) == whole


def test_files_are_measured_as_evaluation_sees_them(photographs):
    norm = Normalisation.of(photographs)
    see = v2.Compose([v2.PILToTensor(), v2.Resize(256), v2.CenterCrop(224)])
    pixels = torch.stack([see(Image.open(path)) for path in photographs.paths]).double() / 255
    assert_close(torch.tensor(norm.mean, dtype=torch.float64), pixels.mean(dim=(0, 2, 3)))
    assert_close(torch.tensor(norm.std, dtype=torch.float64), pixels.std(dim=(0, 2, 3), correction=0))


def test_a_sample_of_files_is_drawn_by_its_seed(photographs):
    state = torch.get_rng_state()
    samples = {Normalisation.of(photographs, at_most=2, seed=seed) for seed in (0, 0, 1, 2)}
    assert torch.equal(state, torch.get_rng_state())
    assert 1 < len(samples) < 4
    assert Normalisation.of(photographs, at_most=5, seed=3) == Normalisation.of(photographs)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_type_and_layout_are_chosen_and_rounding_comes_last(dtype, channels_last):
    norm = Normalisation.of(toy())
    out = norm(toy().images, dtype=dtype, channels_last=channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert out.is_contiguous(memory_format=layout)
    assert torch.equal(out, norm(toy().images).to(dtype))


def test_it_refuses_nonsense():
    with pytest.raises(ValueError, match="std above 0"):
        Normalisation((0.0,), (0.0,))
    with pytest.raises(ValueError, match="at least one image"):
        Normalisation.of(toy().select(slice(0)))
    with pytest.raises(ValueError, match="at_most must be at least 1, got at_most=0"):
        Normalisation.of(toy(), at_most=0)
    with pytest.raises(ValueError, match="std above 0"):  # one colour everywhere
        Normalisation.of(LabelledImages(torch.zeros(2, 1, 3, 3).byte(), torch.zeros(2).long(), INFO, "train"))
