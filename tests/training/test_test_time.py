from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.transforms import FiveCrop, TenCrop

from cnncourse.models import LeNet5, fully_convolutional
from cnncourse.training.fixed_crops import crop_grid, shorter_side, ten_crop
from cnncourse.training.test_time import (
    averaged_predict,
    crop_predict,
    dense_predict,
    ensemble_predict,
    multi_scale_predict,
)


def numbered(height, width, dtype=torch.uint8):
    return torch.arange(height * width, dtype=dtype).view(1, 1, height, width)


def network(seed=0, classes=3):
    """A network with batch norm and dropout: what depends on the mode shows."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, classes),
    )  # fmt: skip


class Recorder(nn.Module):
    """Logits are the means of channels; keeps how many images it was shown at a time."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(len(images))
        return images.mean((2, 3))


def images(count=3, height=9, width=11, seed=0):
    return torch.randn(count, 2, height, width, generator=torch.Generator().manual_seed(seed))


# ---- crops


def test_ten_crops_of_twelve_pixels_by_hand():
    found = ten_crop(numbered(3, 4), 2)[0, :, 0].flatten(1)
    assert found.tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [4, 5, 8, 9], [6, 7, 10, 11], [1, 2, 5, 6],
        [3, 2, 7, 6], [1, 0, 5, 4], [7, 6, 11, 10], [5, 4, 9, 8], [2, 1, 6, 5],
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(256, 256), (7, 12), (12, 7), (9, 9), (10, 13), (6, 6)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_ten_crops_are_torchvisions(shape, dtype):
    side = 224 if shape[0] > 100 else 6
    generator = torch.Generator().manual_seed(0)
    batch = torch.randint(0, 256, (2, 3, *shape), generator=generator, dtype=torch.uint8).to(dtype)
    found = ten_crop(batch, side)
    assert found.shape == (2, 10, 3, side, side)
    assert found.dtype == dtype
    for image, crops in zip(batch, found, strict=True):
        assert torch.equal(crops, torch.stack(TenCrop(side)(image)))


def test_the_second_five_mirror_the_first_when_the_middle_is_one():
    found = ten_crop(images(height=9, width=9), 5)
    swapped = [1, 0, 3, 2, 4]  # left and right
    assert torch.equal(found[:, 5:], found[:, swapped].flip(4))


def test_a_grid_by_hand():
    found = crop_grid(numbered(3, 5), 1, 3, flip=False)[0].flatten()
    assert found.tolist() == [0, 2, 4, 5, 7, 9, 10, 12, 14]
    mirrored = crop_grid(numbered(3, 5), 1, 3)[0].flatten()
    assert mirrored.tolist() == [*found.tolist(), 4, 2, 0, 9, 7, 5, 14, 12, 10]


def test_a_grid_of_five_has_fifty_crops_a_scale():
    assert crop_grid(images(2, 24, 30), 20).shape == (2, 50, 2, 20, 20)


def test_a_grid_of_two_is_the_corners_and_of_one_the_middle():
    batch = images(height=9, width=11)
    corners = torch.stack([torch.stack(FiveCrop(5)(image)) for image in batch])
    assert torch.equal(crop_grid(batch, 5, 2, flip=False), corners[:, :4])
    assert torch.equal(crop_grid(batch, 5, 1, flip=False), corners[:, 4:])


@pytest.mark.parametrize("cut", [ten_crop, crop_grid])
def test_crops_that_do_not_fit_are_refused(cut):
    with pytest.raises(ValueError, match=r"within the image, got side=10 for images of 9 x 11"):
        cut(images(), 10)
    with pytest.raises(ValueError, match="got side=0"):
        cut(images(), 0)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        cut(images()[0], 3)


def test_a_grid_without_places_is_refused():
    with pytest.raises(ValueError, match="per_side must be at least 1, got per_side=0"):
        crop_grid(images(), 3, 0)


@pytest.mark.parametrize(("height", "width", "pixels", "size"), [(6, 9, 4, (4, 6)), (10, 4, 6, (15, 6))])
def test_the_shorter_side_decides(height, width, pixels, size):
    assert shorter_side(images(1, height, width), pixels).shape[2:] == size
    whole = shorter_side(images(1, height, width).abs().mul(100).byte(), pixels)
    assert whole.dtype == torch.uint8
    assert whole.shape[2:] == size


def test_images_that_fit_are_not_touched():
    batch = images()
    assert shorter_side(batch, 9) is batch


def test_halving_averages_as_torchvision_does():
    from torchvision.transforms.functional import resize

    batch = torch.randint(
        0, 256, (2, 3, 16, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    ours = shorter_side(batch, 8).int()
    assert (ours - resize(batch, [8], antialias=True).int()).abs().max() <= 1  # two ways to round a half


def test_scales_and_types_are_checked():
    with pytest.raises(ValueError, match="at least 1 pixel, got pixels=0"):
        shorter_side(images(), 0)
    with pytest.raises(ValueError, match=r"uint8 in .* or float"):
        shorter_side(images().long(), 4)


# ---- predictions


def test_probabilities_are_averaged_after_the_softmax():
    logits = torch.tensor([[0.0, 0.0], [torch.tensor(3.0).log(), 0.0]])  # 1/2, 1/2 and 3/4, 1/4
    crops = logits.view(1, 2, 2, 1, 1)
    assert_close(averaged_predict(Recorder(), crops), torch.tensor([[0.625, 0.375]]))
    assert_close(averaged_predict(Recorder(), crops, average="logits"), logits.mean(0, keepdim=True))


@pytest.mark.parametrize("batch_size", [1, 7, 30, 64])
def test_small_parts_give_the_same(batch_size):
    model = network().double()
    crops = ten_crop(images().double(), 6)
    with torch.no_grad():
        expected = model.eval()(crops.flatten(0, 1)).softmax(1).view(3, 10, 3).mean(1)
    assert_close(averaged_predict(model, crops, batch_size=batch_size), expected, rtol=0, atol=1e-12)


def test_memory_is_bounded_and_the_order_kept():
    model = Recorder()
    batch = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 8, 8)
    found = crop_predict(model, batch, partial(ten_crop, side=4), average="logits", batch_size=20)
    assert_close(found, torch.arange(5.0)[:, None].expand(5, 2))
    assert max(model.seen) <= 20
    assert sum(model.seen) == 50


def test_cutting_a_few_at_a_time_changes_nothing():
    model, batch = network(), images(7)
    cut = partial(crop_grid, side=6, per_side=3)
    assert_close(crop_predict(model, batch, cut, batch_size=40), averaged_predict(model, cut(batch)))


def test_prepare_turns_whole_pixels_into_floats():
    batch = torch.randint(0, 256, (2, 2, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    model = network()
    prepare = lambda part: part.float() / 255 - 0.5  # noqa: E731
    found = averaged_predict(model, ten_crop(batch, 6), prepare=prepare)
    assert_close(found, averaged_predict(model, ten_crop(prepare(batch), 6)))
    found = dense_predict(mapped(), batch, prepare=prepare)
    assert_close(found, dense_predict(mapped(), prepare(batch)))


def test_modes_come_back():
    model = network()
    model[1].eval()
    averaged_predict(model, ten_crop(images(), 6))
    assert [module.training for module in model] == [True, False, True, True, True, True, True]


def test_nothing_remembers_gradients():
    assert not averaged_predict(network(), ten_crop(images(), 6)).requires_grad
    assert not dense_predict(mapped(), images()).requires_grad


def test_half_precision_is_averaged_in_single():
    found = averaged_predict(network().bfloat16(), ten_crop(images(), 6).bfloat16())
    assert found.dtype == torch.float32
    assert_close(found.sum(1), torch.ones(3))


def mapped(seed=0):
    """A network without padding: its score map is what it says of each window."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2)
    )  # sees 6 x 6 pixels


def test_the_score_map_holds_the_logits_of_all_windows():
    model, batch = mapped().double(), images(2, 10, 12).double()
    dense = dense_predict(model, batch, flip=False, average="logits")
    windows = [batch[:, :, r : r + 6, c : c + 6] for r in range(0, 5, 2) for c in range(0, 7, 2)]
    crops = averaged_predict(nn.Sequential(model, nn.Flatten()), torch.stack(windows, 1), average="logits")
    assert_close(dense, crops, rtol=0, atol=1e-12)


def test_without_padding_dense_is_multi_crop():
    """LeNet-5 has none, and a place of its score map every 4 pixels: a grid of 4 x 4 crops out of 44 pixels."""
    torch.manual_seed(0)
    model = LeNet5().double()
    batch = torch.randn(2, 1, 44, 44, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for flip in (False, True):
        dense = dense_predict(fully_convolutional(model), batch, flip, average="logits")
        crops = averaged_predict(model, crop_grid(batch, 32, 4, flip=flip), average="logits")
        assert_close(dense, crops, rtol=0, atol=1e-10)
    one = dense_predict(fully_convolutional(model), batch[..., :32, :32], False)
    assert_close(one, averaged_predict(model, batch[:, None, :, :32, :32]), rtol=0, atol=1e-10)


def test_at_the_training_size_dense_is_one_crop():
    model, batch = mapped().double(), images(2, 6, 6).double()
    with torch.no_grad():
        assert_close(dense_predict(model, batch, False, average="logits"), model(batch).flatten(1))


def test_dense_averages_scores_over_places_and_probabilities_over_flips():
    score_map = torch.tensor([[[0.0, 2.0]], [[0.0, 0.0]]])[None]  # of both images: the mean is 1, 0
    expected = torch.tensor([[1.0, 0.0]]).softmax(1)
    assert_close(dense_predict(nn.Identity(), score_map), expected)
    left = nn.Conv2d(1, 2, (1, 2), bias=False)  # class 0 is the left of two pixels, class 1 the right one
    left.weight.data = torch.eye(2).view(2, 1, 1, 2)
    pair = torch.tensor([[[[3.0, 0.0]]]])
    one_way = torch.tensor([[3.0, 0.0]]).softmax(1)
    assert_close(dense_predict(left, pair, False), one_way)
    assert_close(dense_predict(left, pair), (one_way + one_way.flip(1)) / 2)


def test_dense_wants_a_score_map():
    with pytest.raises(ValueError, match=r"score map \(N, K, h, w\), got shape \(3, 3\); convert it"):
        dense_predict(network(), images())


def test_dense_in_parts_is_the_same():
    batch = images(5).double()
    model = mapped().double()
    assert_close(dense_predict(model, batch, batch_size=2), dense_predict(model, batch, batch_size=5))


def test_several_scales_are_averaged():
    model, batch = mapped(), images(5)
    found = multi_scale_predict(model, batch, (8, 9, 12), batch_size=2)
    each = [dense_predict(model, shorter_side(batch, scale)) for scale in (8, 9, 12)]
    assert_close(found, sum(each) / 3)
    cut = partial(crop_grid, side=7, per_side=2)
    found = multi_scale_predict(network(), batch, (8, 12), cut=cut, batch_size=16)
    each = [averaged_predict(network(), cut(shorter_side(batch, scale))) for scale in (8, 12)]
    assert_close(found, sum(each) / 2)


def test_one_scale_of_the_images_own_is_dense():
    assert_close(multi_scale_predict(mapped(), images(), (9,)), dense_predict(mapped(), images()))


def test_an_ensemble_is_the_mean_of_its_members():
    members, batch = [network(seed) for seed in range(3)], images()
    with torch.no_grad():
        expected = torch.stack([model.eval()(batch).softmax(1) for model in members]).mean(0)
    assert_close(ensemble_predict(members, batch, batch_size=2), expected)
    assert_close(ensemble_predict(members[:1], batch), members[0](batch).softmax(1).detach())


def test_empty_or_mismatched_ensembles_are_refused():
    with pytest.raises(ValueError, match="at least one network"):
        ensemble_predict([], images())
    with pytest.raises(ValueError, match=r"same classes, got networks with \[3, 4\]"):
        ensemble_predict([network(), network(classes=4)], images())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: averaged_predict(network(), images()), r"\(N, M, C, h, w\)"),
        (lambda: averaged_predict(network(), images()[:, None], average="mean"), "average must be one of"),
        (
            lambda: averaged_predict(network(), images()[:, None], batch_size=0),
            "batch_size must be at least 1",
        ),
        (lambda: averaged_predict(mapped(), images()[:, None]), r"logits \(N, K\)"),
        (lambda: averaged_predict(network(), images(0)[:, None]), "no image"),
        (lambda: crop_predict(network(), images(0), partial(ten_crop, side=4)), "no image"),
        (lambda: dense_predict(mapped(), images(0)), "no image"),
        (lambda: multi_scale_predict(mapped(), images(0), (9,)), "no image"),
        (lambda: multi_scale_predict(mapped(), images(), ()), "at least one scale"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
