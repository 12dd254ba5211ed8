import math
from fractions import Fraction

import gmpy2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cnncourse.claims import format_value, parse_expectation
from cnncourse.claims.expectations import mean_interval


def met(declared, measured):
    return parse_expectation(declared).is_met_by(measured)


@pytest.mark.parametrize(
    ("declared", "measured", "expected"),
    [
        # all numbers are dyadic, so the edges are exact: 1.25 - 1 = 0.25
        ({"equals": 1, "tolerance": 0.25}, 1.25, True),
        ({"equals": 1, "tolerance": 0.25}, 0.75, True),
        ({"equals": 1, "tolerance": 0.25}, math.nextafter(1.25, 2), False),
        ({"equals": 1, "tolerance": 0.25}, math.nextafter(0.75, 0), False),
        # 50 % of |-8| is 4: [-12, -4]
        ({"equals": -8, "relative": 0.5}, -12, True),
        ({"equals": -8, "relative": 0.5}, -4, True),
        ({"equals": -8, "relative": 0.5}, -3.999, False),
        # the wider of the two tolerances counts
        ({"equals": 8, "relative": 0.5, "tolerance": 5}, 3, True),
        ({"equals": 0, "relative": 0.5}, 1e-300, False),
        ({"at_least": 2}, 2, True),
        ({"at_least": 2}, math.nextafter(2, 0), False),
        ({"at_most": 2}, 2, True),
        ({"at_most": 2}, math.nextafter(2, 3), False),
        ({"at_least": 1, "at_most": 2}, 1.5, True),
        ({"at_least": 1, "at_most": 2}, 2.5, False),
        ({"holds": True}, True, True),
        ({"holds": True}, False, False),
        ({"holds": False}, False, True),
        ({"equals": [1, [2, 3]]}, (1, (2, 3)), True),
        ({"equals": [1, [2, 3]]}, (1, (2, 4)), False),
        ({"equals": [1, 2]}, [1, 2, 3], False),
        ({"equals": "max"}, "max", True),
        ({"equals": "max"}, "mean", False),
    ],
)
def test_an_expectation_is_met_up_to_its_edge_and_not_beyond(declared, measured, expected):
    assert met(declared, measured) is expected


@pytest.mark.parametrize(
    "declared",
    [
        {"equals": 0, "tolerance": 1e9},
        {"at_least": 0},
        {"at_most": 0},
        {"at_least": 0, "at_most": 1},
    ],
)
@pytest.mark.parametrize("nan", [math.nan, np.float32("nan"), torch.tensor(math.nan)])
def test_nan_meets_nothing(declared, nan):
    assert not met(declared, nan)


@pytest.mark.parametrize("rule", [{"each_at_least": 0}, {"mean_at_least": 0}, {"mean_at_most": 9}])
@pytest.mark.parametrize("values", [[1, math.nan, 2], [math.inf, 1, -math.inf]])
def test_a_seed_that_diverged_meets_nothing(rule, values):
    assert not met({"seeds": 3, **rule}, values)


def test_exact_numbers_are_compared_exactly():
    third = Fraction(1, 3)
    assert met({"equals": "1/3"}, third)
    assert met({"equals": "1/3"}, gmpy2.mpq(1, 3))
    assert not met({"equals": "1/3"}, third + Fraction(1, 10**40))
    assert not met({"at_most": "1/3"}, gmpy2.mpq(1, 3) + gmpy2.mpq(1, 10**40))
    assert met({"at_least": "1/64"}, Fraction(1, 64))
    assert not met({"at_least": "1/64"}, Fraction(1, 64) - Fraction(1, 10**40))
    assert met({"equals": 2**60 + 1}, 2**60 + 1)
    assert not met({"equals": 2**60 + 1}, 2**60)  # the same number as a float
    assert met({"equals": 2**20}, gmpy2.mpz(2**20))


def test_numbers_that_yaml_reads_as_text_count_as_numbers():
    assert met({"equals": 0, "tolerance": "1e-9"}, 5e-10)
    assert not met({"equals": 0, "tolerance": "1e-9"}, 2e-9)
    assert met({"at_most": "1e-4"}, 1e-5)


@pytest.mark.parametrize(
    "measured",
    [
        [[5, 4], [5, 0]],
        ((5, 4), (5, 0)),
        np.array([[5, 4], [5, 0]]),
        np.array([[5, 4], [5, 0]], dtype=np.float32),
        torch.tensor([[5, 4], [5, 0]]),
        (row for row in [[5, 4], [5, 0]]),
        [torch.tensor([5, 4]), np.array([5, 0])],
    ],
)
def test_measurements_may_come_from_any_library(measured):
    assert met({"equals": [[5, 4], [5, 0]]}, measured)


def test_scalars_may_come_from_any_library():
    assert met({"holds": True}, np.bool_(True))
    assert met({"holds": True}, torch.tensor(3) > 2)
    assert met({"equals": 3}, np.int64(3))
    assert met({"equals": 3}, torch.tensor(3.0))
    assert met({"equals": [1, 6, 28, 28]}, torch.zeros(1, 6, 28, 28).shape)


@pytest.mark.parametrize(
    ("declared", "measured", "message"),
    [
        ({"holds": True}, 1, r"must be a bool, got 1"),
        ({"equals": 1}, True, r"must be a number, got bool: True"),
        ({"equals": 1}, "one", r"must be a number, got str: 'one'"),
        ({"at_least": 1}, None, r"must be a number, got NoneType"),
        ({"at_least": 1}, [1, 2], r"must be a number, got list"),
        ({"equals": [1, 2]}, 1, r"about 2 values, got 1"),
        ({"equals": 1}, {"a": 1}, r"got a mapping"),
        ({"seeds": 3, "mean_at_least": 0}, 0.5, r"must be a sequence, got 0\.5"),
        ({"seeds": 3, "mean_at_least": 0}, [1, 2], r"at least 3 seeds, got 2 measurements"),
        ({"seeds": 1, "mean_at_least": 0}, [1], r"at least two seeds, got 1"),
    ],
)
def test_a_measurement_of_the_wrong_kind_is_refused(declared, measured, message):
    with pytest.raises(ValueError, match=message):
        met(declared, measured)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (None, "an expectation is one of"),
        ({}, "an expectation is one of"),
        ([1], "an expectation is one of"),
        ({"tolerance": 1}, "an expectation is one of"),
        ({"equals": 1, "at_least": 0}, "an expectation is one of"),
        ({"equal": 1}, "an expectation is one of"),
        ({"seeds": 5}, "an expectation is one of"),
        ({"seeds": 5, "confidence": 0.9}, "an expectation is one of"),
        ({"mean_at_least": 5}, "an expectation is one of"),
        ({"holds": "yes"}, "holds must be true or false, got 'yes'"),
        ({"at_least": "a lot"}, "at_least must be a number, got 'a lot'"),
        ({"at_least": True}, "at_least must be a number, got True"),
        ({"at_least": math.inf}, "at_least must be finite"),
        ({"at_least": "1/0"}, "at_least must be a number, got '1/0'"),
        ({"equals": {}}, "equals must be a number"),
        ({"equals": math.nan}, "equals must be finite"),
        ({"equals": 1, "tolerance": -1}, "tolerance must not be negative, got -1"),
        ({"equals": 1, "relative": "-1e-3"}, "relative must not be negative"),
        ({"seeds": 0, "each_at_least": 1}, "seeds must be a whole number of at least 1, got 0"),
        ({"seeds": 2.5, "each_at_least": 1}, "seeds must be a whole number"),
        ({"seeds": 5, "mean_at_least": 1, "confidence": 95}, "confidence must lie strictly between"),
        ({"seeds": 5, "mean_at_least": 1, "confidence": 0.5}, "confidence must lie strictly between"),
    ],
)
def test_a_malformed_expectation_is_refused(declared, message):
    with pytest.raises(ValueError, match=message):
        parse_expectation(declared)


def test_the_interval_of_a_mean_by_hand():
    # 1, 2, 3: mean 2, variance (1 + 0 + 1)/2 = 1, standard error 1/sqrt(3);
    # t(0.95, 2) = 2.919986 from the table
    low, high = mean_interval([1, 2, 3], 0.95)
    assert low == pytest.approx(2 - 2.919986 / math.sqrt(3), abs=1e-6)
    assert high == pytest.approx(2 + 2.919986 / math.sqrt(3), abs=1e-6)


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-3),
    st.floats(0.55, 0.99),
)
def test_the_interval_of_a_mean_is_that_of_students_t_test(values, confidence):
    low, high = mean_interval(values, confidence)
    test = stats.ttest_1samp(values, 0.0, alternative="greater").confidence_interval(confidence)
    assert low == pytest.approx(test.low, rel=1e-6, abs=1e-6)
    test = stats.ttest_1samp(values, 0.0, alternative="less").confidence_interval(confidence)
    assert high == pytest.approx(test.high, rel=1e-6, abs=1e-6)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(4000, 5))
    covered = np.mean([mean_interval(row.tolist(), 0.9)[0] <= 3.0 for row in draws])
    assert covered == pytest.approx(0.9, abs=0.02)  # four standard errors of a share of 4000


def test_equal_seeds_leave_no_doubt():
    assert mean_interval([7.0] * 5, 0.95) == (7.0, 7.0)
    assert met({"seeds": 5, "mean_at_least": 7, "mean_at_most": 7}, [7] * 5)


def test_a_mean_must_clear_its_bound_by_the_margin():
    # 1, 2, 3: the lower limit at 95 % is 2 - 1.686 = 0.314
    assert met({"seeds": 3, "mean_at_least": 0.31}, [1, 2, 3])
    assert not met({"seeds": 3, "mean_at_least": 0.32}, [1, 2, 3])
    assert not met({"seeds": 3, "mean_at_least": 2}, [1, 2, 3])
    assert met({"seeds": 3, "mean_at_most": 3.69}, [1, 2, 3])
    assert not met({"seeds": 3, "mean_at_most": 3.68}, [1, 2, 3])
    # less confidence, less margin: t(0.75, 2) = 0.816497, so the lower limit is 1.5286
    assert met({"seeds": 3, "mean_at_least": 1.52, "confidence": 0.75}, [1, 2, 3])


def test_each_seed_must_meet_its_bound():
    assert met({"seeds": 1, "each_at_least": 1}, [1])
    assert met({"seeds": 3, "each_at_least": 1, "each_at_most": 3}, [1, 2, 3, 2])
    assert not met({"seeds": 3, "each_at_least": 1}, [1, 0.99, 5])
    assert not met({"seeds": 3, "each_at_most": 3}, [1, 2, 3.01])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"equals": 61706}, "equals 61\N{NARROW NO-BREAK SPACE}706"),
        ({"equals": 1, "tolerance": "1e-9"}, "equals 1 ± 1e-09"),
        ({"equals": 37.6, "relative": 0.01}, "equals 37.6 ± 1 %"),
        ({"at_least": "1/64"}, "at least 1/64"),
        ({"at_least": 1, "at_most": 2}, "at least 1, at most 2"),
        ({"holds": True}, "yes"),
        ({"holds": False}, "no"),
        ({"seeds": 5, "each_at_least": 1}, "each at least 1, over at least 5 seeds"),
        (
            {"seeds": 5, "mean_at_most": 1, "confidence": 0.9},
            "mean at most 1, over at least 5 seeds, with 90 % confidence",
        ),
    ],
)
def test_an_expectation_describes_itself(declared, words):
    assert parse_expectation(declared).describe() == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (np.bool_(False), "no"),
        ("max", "max"),
        (61706, "61\N{NARROW NO-BREAK SPACE}706"),
        (-1234567, "-1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"),
        (3.0, "3"),
        (-0.0, "0"),
        (0.98765, "0.9877"),
        (2**60, "1 152 921 504 606 846 976".replace(" ", "\N{NARROW NO-BREAK SPACE}")),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (Fraction(1, 64), "1/64"),
        (Fraction(8, 2), "4"),
        (gmpy2.mpq(3, 4), "3/4"),
        (Fraction(1, 3**60), f"{1 / 3**60:.4g}"),
        ([[5, 4], [5, 0]], "(5, 4), (5, 0)"),
        (np.array([[5, 4], [5, 0]]), "(5, 4), (5, 0)"),
        (torch.zeros(1, 6, 28, 28).shape, "1, 6, 28, 28"),
        (torch.tensor(2.5), "2.5"),
    ],
)
def test_values_are_written_for_readers(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("declared", "measured", "said"),
    [
        ({"equals": [2, 4]}, "2, 4", "as the claim says"),
        ({"equals": 4}, "5", "the claim says: equals 4"),
        ({"equals": 4, "tolerance": 1}, "4", "the claim says: equals 4 ± 1"),
        ({"holds": True}, "yes", "as the claim says"),
        ({"at_least": 4}, "4", "the claim says: at least 4"),
    ],
)
def test_beside_a_measured_value_it_is_not_said_twice(declared, measured, said):
    assert parse_expectation(declared).beside(measured) == said
