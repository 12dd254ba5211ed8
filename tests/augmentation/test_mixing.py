import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, chisquare, kstest

from cnncourse.augmentation import BatchShape, CutMix, MixUp, cutmix, mixup, soft_targets
from cnncourse.augmentation.mixing import own_shares


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


every_mixing = pytest.mark.parametrize(
    "mixing", [MixUp(0.3), MixUp(1.0, per_image=True), CutMix(), CutMix(0.5, per_image=True)], ids=str
)


def test_mixup_by_hand():
    images = torch.tensor([1.0, 5.0]).view(2, 1, 1, 1)
    mixed, targets = mixup(images, torch.eye(2), torch.tensor([1, 0]), torch.tensor([0.75, 0.5]))
    assert mixed.flatten().tolist() == [2.0, 3.0]  # 3/4 + 5/4; 5/2 + 1/2
    assert targets.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_cutmix_by_hand():
    images = torch.stack([torch.zeros(1, 2, 4), torch.ones(1, 2, 4)])
    boxes = torch.tensor([[0, 1, 1, 2], [1, 3, 1, 1]])
    mixed, targets = cutmix(images, torch.eye(2), torch.tensor([1, 0]), boxes)
    assert mixed[0, 0].tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert mixed[1, 0].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert targets.tolist() == [[0.75, 0.25], [0.125, 0.875]]


def test_labels_become_rows():
    assert soft_targets(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert soft_targets(torch.tensor([1], dtype=torch.uint8), 2).tolist() == [[0, 1]]
    rows = torch.tensor([[0.5, 0.5]])
    assert soft_targets(rows) is rows
    assert soft_targets(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)


@every_mixing
@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**20))
def test_soft_targets_sum_to_one_and_hard_and_soft_ones_agree(mixing, count, height, width, seed):
    images = torch.rand(count, 3, height, width, generator=generator(seed))
    labels = torch.randint(0, 4, (count,), generator=generator(seed))
    drawn = mixing.draw(BatchShape.of(images), generator(seed))
    mixed, targets = mixing.apply(images, labels, drawn, num_classes=4)
    assert targets.shape == (count, 4)
    assert targets.min() >= 0
    torch.testing.assert_close(targets.sum(1), torch.ones(count))
    again, soft = mixing.apply(images, torch.nn.functional.one_hot(labels, 4).float(), drawn)
    assert torch.equal(again, mixed)
    assert torch.equal(soft, targets)
    assert sorted(drawn["partners"].tolist()) == list(range(count))


@settings(max_examples=100)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40)),
    st.builds(CutMix, st.floats(0.05, 5), per_image=st.booleans()),
    st.integers(0, 999),
)
def test_cutmix_share_is_the_share_of_pixels(size, mixing, seed):
    count, height, width = size
    # each image is plain in a colour of its own, and a class of its own: pixels of a colour = probability of its class
    images = torch.arange(count).float().view(-1, 1, 1, 1).expand(count, 1, height, width)
    drawn = mixing.draw(BatchShape.of(images), generator(seed))
    mixed, targets = mixing.apply(images, torch.arange(count), drawn, num_classes=count)
    shares = torch.stack([(mixed == colour).double().mean((1, 2, 3)) for colour in range(count)], 1)
    torch.testing.assert_close(targets.double(), shares, rtol=0, atol=1e-6)


def test_boxes_over_the_edge_count_what_is_inside():
    # 4 x 5 pixels: rows -1 and 0, columns 3 to 6: one row, two columns; wholly outside; all of it
    boxes = torch.tensor([[-1, 3, 2, 4], [9, 9, 2, 2], [-5, -5, 50, 50]])
    assert own_shares(boxes, 4, 5).tolist() == [0.9, 1.0, 0.0]


def test_one_share_a_batch_or_one_an_image():
    shape = BatchShape(50, 32, 32)
    assert len(MixUp(1.0).draw(shape, generator())["shares"].unique()) == 1
    assert len(MixUp(1.0, per_image=True).draw(shape, generator())["shares"].unique()) == 50
    assert len(CutMix().draw(shape, generator())["boxes"].unique(dim=0)) == 1
    assert len(CutMix(per_image=True).draw(shape, generator())["boxes"].unique(dim=0)) > 40


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta(alpha):
    shares = MixUp(alpha, per_image=True).draw(BatchShape(5000, 1, 1), generator(3))["shares"]
    assert kstest(shares.numpy(), beta(alpha, alpha).cdf).pvalue > 1e-3
    one_each = [MixUp(alpha).draw(BatchShape(2, 1, 1), generator(s))["shares"][0].item() for s in range(1000)]
    assert kstest(one_each, beta(alpha, alpha).cdf).pvalue > 1e-3


def test_tiny_alpha_gives_no_nan():
    shares = MixUp(1e-3, per_image=True).draw(BatchShape(5000, 1, 1), generator())["shares"]
    assert shares.isfinite().all()
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_cutmix_boxes_have_the_area_and_the_centres_of_the_paper():
    size = 1001
    boxes = CutMix(per_image=True).draw(BatchShape(20_000, size, size), generator(4))["boxes"]
    top, left, height, width = boxes.T
    whole = (top > 0) & (left > 0) & (top + height < size) & (left + width < size)
    assert torch.equal(height[whole], width[whole])
    # alpha = 1: the area of a box is even on [0, 1], its side is the root; a box in the middle is never cut off
    # as long as its side is below 0.6 and its centre within 0.3 and 0.7
    centre = torch.stack([top + height // 2, left + width // 2], 1)[whole]
    small = (height[whole] < 0.6 * size) & ((centre - size / 2).abs() < 0.2 * size).all(1)
    area = (height[whole][small].double() / size) ** 2
    assert len(area) > 500
    assert kstest(area.numpy(), "uniform", args=(0, 0.36)).pvalue > 1e-3
    cells = (centre[small].double() / size - 0.3).mul(10).long().clamp(0, 3)
    assert chisquare(torch.bincount(cells[:, 0] * 4 + cells[:, 1], minlength=16).numpy()).pvalue > 1e-3


def test_all_partners_are_equally_likely():
    pairs = torch.zeros(4, 4)
    for seed in range(2000):
        partners = MixUp().draw(BatchShape(4, 1, 1), generator(seed))["partners"]
        pairs[torch.arange(4), partners] += 1
    # each row and column sums to 2000: 9 degrees of freedom are left
    assert ((pairs - 500) ** 2 / 500).sum() * 3 / 4 < 27.9  # chi-square, 9 degrees, p = 0.001


@every_mixing
def test_a_batch_of_one_mixes_with_itself(mixing):
    images = torch.rand(1, 3, 4, 4, generator=generator())
    mixed, targets = mixing.apply(
        images, torch.tensor([1]), mixing.draw(BatchShape.of(images), generator()), 3
    )
    torch.testing.assert_close(mixed, images)
    torch.testing.assert_close(targets, torch.tensor([[0.0, 1, 0]]))


def test_sixteen_bit_images_keep_an_exact_share():
    images = torch.rand(8, 3, 4, 4, generator=generator())
    partners, shares = torch.arange(8).flip(0), torch.rand(8, generator=generator(), dtype=torch.float64)
    exact, _ = mixup(images.bfloat16().double(), torch.eye(8), partners, shares)
    mixed, targets = mixup(images.bfloat16(), torch.eye(8), partners, shares)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed, exact.bfloat16(), rtol=2**-7, atol=0)
    torch.testing.assert_close(targets[0, 0].double(), shares[0], rtol=0, atol=1e-7)


@every_mixing
@pytest.mark.parametrize("channels_last", [False, True])
def test_memory_format_and_device_stay(mixing, channels_last):
    form = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.rand(4, 3, 5, 6, generator=generator()).contiguous(memory_format=form)
    drawn = mixing.draw(BatchShape.of(images), generator())
    mixed, _ = mixing.apply(images, torch.arange(4), drawn, 4)
    assert mixed.is_contiguous(memory_format=form)
    # "meta" refuses to compute with tensors left on the CPU
    there, soft = mixing.apply(images.to("meta"), torch.arange(4, device="meta"), drawn, 4)
    assert there.device.type == soft.device.type == "meta"


IMAGES = torch.zeros(2, 1, 2, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MixUp(0), "alpha must be above 0 and finite, got alpha=0; leave mixing out"),
        (lambda: CutMix(-1.0), "got alpha=-1.0"),
        (lambda: MixUp(float("nan")), "got alpha=nan"),
        (lambda: soft_targets(torch.tensor([0, 3]), 3), r"must lie in \[0, 3\), got 0 to 3"),
        (lambda: soft_targets(torch.tensor([-1, 2]), 3), r"must lie in \[0, 3\), got -1 to 2"),
        (lambda: soft_targets(torch.tensor([0])), "only with num_classes; give num_classes"),
        (lambda: soft_targets(torch.zeros(2)), r"got torch.float32 of shape \(2,\)"),
        (lambda: soft_targets(torch.zeros(2, 2, dtype=torch.int64)), r"got torch.int64 of shape \(2, 2\)"),
        (lambda: soft_targets(torch.zeros(2, 3), 4), "a column for each class, got 3 for num_classes=4"),
        (
            lambda: mixup(IMAGES.byte(), torch.eye(2), torch.tensor([1, 0]), torch.ones(2)),
            r"floats to be blended, got torch.uint8; mix after normalisation",
        ),
        (
            lambda: mixup(IMAGES, torch.tensor([0, 1]), torch.tensor([1, 0]), torch.ones(2)),
            r"probabilities of shape \(N, K\), got torch.int64 of shape \(2,\); soft_targets makes them",
        ),
        (
            lambda: mixup(IMAGES, torch.eye(3), torch.tensor([1, 0]), torch.ones(2)),
            "targets must have one row",
        ),
        (lambda: mixup(IMAGES, torch.eye(2), torch.tensor([0]), torch.ones(2)), "partners must have one row"),
        (
            lambda: cutmix(IMAGES, torch.eye(2), torch.tensor([1, 0]), torch.zeros(1, 4, dtype=torch.int64)),
            "boxes must have one row",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
