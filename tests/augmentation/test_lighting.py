import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.decomposition import PCA

from cnncourse.augmentation import BatchShape, PCALighting, colour_axes, shift_channels
from cnncourse.augmentation import lighting as lighting_module


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def coloured(count=20, side=6, channels=3, seed=0):
    """Return uint8 images whose channels are correlated."""
    mixing = torch.randn(channels, channels, generator=generator(seed)) * 30
    colours = torch.einsum(
        "nchw,cd->ndhw", torch.randn(count, channels, side, side, generator=generator(seed)), mixing
    )
    return (colours + 128).round().clamp(0, 255).to(torch.uint8)


def test_axes_by_hand():
    # colours (0, 0, 0) and (1, 1, 0): mean (1/2, 1/2, 0), covariance 1/4 in the first two channels; so one axis
    # (1, 1, 0)/sqrt 2 with variance 1/2
    images = torch.tensor([[0, 0, 0], [255, 255, 0]], dtype=torch.uint8).T.view(1, 3, 1, 2)
    variances, axes = colour_axes(images)
    torch.testing.assert_close(variances, torch.tensor([0.5, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(axes[0], torch.tensor([0.5**0.5, 0.5**0.5, 0], dtype=torch.float64))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("at_a_time", [1, 100, 2**22])
def test_axes_are_numpys_and_scikit_learns(channels, at_a_time, monkeypatch):
    monkeypatch.setattr(lighting_module, "PIXELS_AT_A_TIME", at_a_time)
    images = coloured(channels=channels)
    variances, axes = colour_axes(images)
    colours = images.numpy().transpose(0, 2, 3, 1).reshape(-1, channels) / 255
    values, vectors = np.linalg.eigh(np.cov(colours.T, bias=True).reshape(channels, channels))
    np.testing.assert_allclose(variances, values[::-1], atol=1e-12)
    pca = PCA().fit(colours)
    # scikit-learn divides by one less
    np.testing.assert_allclose(
        variances, pca.explained_variance_ * (len(colours) - 1) / len(colours), atol=1e-12
    )
    for ours, theirs, sklearns in zip(axes.numpy(), vectors.T[::-1], pca.components_, strict=True):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-9)
        assert abs(ours @ sklearns) == pytest.approx(1, abs=1e-9)
        assert ours[np.abs(ours).argmax()] > 0


def test_bytes_and_floats_have_the_same_axes():
    images = coloured()
    for one, other in zip(colour_axes(images), colour_axes(images.double() / 255), strict=True):
        torch.testing.assert_close(one, other)


def test_a_small_spread_far_from_black_is_measured():
    images = torch.full((1, 1, 100, 100), 1.0, dtype=torch.float64)
    images[:, :, ::2] += 1e-5  # variance 0.25e-10, lost if squares were summed
    assert colour_axes(images)[0].item() == pytest.approx(0.25e-10, rel=1e-6)


def test_what_is_added_is_the_formula_of_the_paper():
    images = coloured()
    step = PCALighting.of(images, sd=0.3)
    drawn = step.draw(BatchShape.of(images), generator())
    colours = images.numpy().astype(float) / 255
    values, vectors = np.array(step.variances), np.array(step.axes).T
    result = step.apply(images.double() / 255, drawn).numpy()
    for number in range(len(images)):
        # [p1, p2, p3] [a1 v1, a2 v2, a3 v3]^T
        noise = vectors @ (drawn["multiples"][number].double().numpy() * values)
        np.testing.assert_allclose(result[number], colours[number] + noise[:, None, None], atol=1e-9)


def test_bytes_are_rounded_and_held():
    images = torch.tensor([0, 100, 254], dtype=torch.uint8).view(1, 1, 1, 3)
    assert shift_channels(images, torch.tensor([[2.4 / 255]])).flatten().tolist() == [2, 102, 255]
    assert shift_channels(images, torch.tensor([[-2.6 / 255]])).flatten().tolist() == [0, 97, 251]


def test_floats_are_not_held():
    assert shift_channels(torch.ones(1, 1, 1, 1), torch.tensor([[0.5]])).item() == 1.5


def test_the_noise_has_the_spread_that_was_asked_for():
    step = PCALighting((0.2, 0.02, 0.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), sd=0.1)
    multiples = step.draw(BatchShape(4000, 2, 2), generator())["multiples"]
    for column in multiples.T:
        assert kstest(column.numpy(), "norm", args=(0, 0.1)).pvalue > 1e-3
    shift = step.apply(torch.zeros(4000, 3, 1, 1), {"multiples": multiples}).std(0).flatten()
    torch.testing.assert_close(shift, torch.tensor([0.02, 0.002, 0.0]), rtol=0.05, atol=1e-9)


def test_the_noise_goes_along_the_measured_axis():
    # a data set of greys gets grey noise
    greys = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8, generator=generator()).expand(
        -1, 3, -1, -1
    )
    step = PCALighting.of(greys, sd=2.0)
    noise = step.apply(torch.zeros(10, 3, 1, 1), step.draw(BatchShape(10, 1, 1), generator()))
    assert noise.abs().max() > 0.05
    torch.testing.assert_close(noise, noise[:, :1].expand_as(noise), rtol=0, atol=1e-6)


GOOD = {"variances": (0.2, 0.1), "axes": ((1.0, 0.0), (0.0, 1.0))}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"variances": ()}, "one variance and one axis.*got 0 variances"),
        ({"variances": (0.1,)}, r"got 1 variances and axes of \[2, 2\] components"),
        ({"axes": ((1.0,), (0.0, 1.0))}, r"axes of \[1, 2\] components"),
        ({"variances": (0.1, -0.1)}, r"variances must be at least 0, got variances=\(0.1, -0.1\)"),
        ({"sd": 0.0}, "sd must be above 0, got sd=0.0; leave PCALighting out"),
        (
            {"axes": ((1.0, 0.0), (0.6, 0.8))},
            r"stand at right angles.*PCALighting.of\(images\) measures them",
        ),
        ({"axes": ((2.0, 0.0), (0.0, 1.0))}, "must have length 1"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        PCALighting(**GOOD | settings)


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="at least one image, got none"):
        PCALighting.of(torch.zeros(0, 3, 4, 4))
    with pytest.raises(ValueError, match="all pixels have one colour"):
        PCALighting.of(torch.full((3, 3, 4, 4), 200, dtype=torch.uint8))


def test_other_channels_are_refused():
    step = PCALighting(**GOOD)
    with pytest.raises(ValueError, match="measured on 2 channels, got images with 3"):
        step.apply(torch.zeros(1, 3, 2, 2), {"multiples": torch.zeros(1, 2)})
    with pytest.raises(ValueError, match=r"shifts must be \(N, C\) = \(1, 3\), got shape \(1, 2\)"):
        shift_channels(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2))
