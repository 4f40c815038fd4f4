"""Standard errors that are right: against the spread of the estimate over many repetitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.evidence import (
    Estimate,
    EvidenceError,
    Prediction,
    UndecidedError,
    autocorrelation,
    correlation_time,
    estimate,
    estimate_series,
    format_with_error,
    mixing,
    proportion,
)


def autoregressive(rng, rho, n, chains):
    """x' = rho x + sqrt(1 - rho^2) z: unit variance, correlation time (1 + rho)/(1 - rho)."""
    x = np.empty((chains, n))
    x[:, 0] = rng.standard_normal(chains)
    for t in range(1, n):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(chains)
    return x


def test_independent_samples():
    measured = estimate([1.0, 2.0, 3.0, 4.0])
    assert float(measured.mean) == 2.5
    assert float(measured.standard_error) == pytest.approx(np.sqrt(5 / 3) / 2, rel=1e-14)
    assert measured.n == 4
    field = estimate(np.arange(12.0).reshape(3, 4))
    assert field.shape == (4,)
    assert float(field[1].mean) == 5.0
    assert [float(one.mean) for one in field] == [4.0, 5.0, 6.0, 7.0]


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95, -0.5])
def test_standard_error_of_a_correlated_series_is_its_spread(rho):
    rng = np.random.default_rng(5)
    repetitions = 400
    series = autoregressive(rng, rho, 4000, repetitions)
    errors = np.array([float(estimate_series(one).standard_error) for one in series])
    spread = series.mean(1).std(ddof=1)
    # The spread of 400 means is known to 1/sqrt(800) = 3.5 %; five of these, and 2 % for the window's bias.
    assert errors.mean() == pytest.approx(spread, rel=5 * 0.0354 + 0.02)
    ignoring = series.std(1).mean() / np.sqrt(4000)
    if rho > 0.9:
        assert ignoring < 0.5 * spread


def test_correlation_time_of_an_autoregressive_series():
    series = autoregressive(np.random.default_rng(6), 0.9, 200_000, 2)
    assert correlation_time(series) == pytest.approx(19.0, rel=0.1)
    assert autocorrelation(series)[:3] == pytest.approx([1, 0.9, 0.81], abs=0.01)
    assert correlation_time(np.ones((1, 10))) == 1.0


def test_several_chains_that_disagree_widen_the_error():
    rng = np.random.default_rng(7)
    apart = rng.standard_normal((2, 1000)) + np.array([[0.0], [5.0]])
    with pytest.raises(UndecidedError, match="correlation times"):
        estimate_series(apart)


def test_r_hat_of_mixed_chains_tells_their_length():
    rng = np.random.default_rng(8)
    # R-hat^2 - 1 is tau/n' on average, n' = 200 samples in a half; tau = 19. Halves beside each other are
    # correlated, but little.
    found = np.array([mixing(autoregressive(rng, 0.9, 400, 8)).r_hat ** 2 for _ in range(200)]) - 1
    assert found.mean() == pytest.approx(19 / 200, rel=0.12)
    assert mixing(autoregressive(rng, 0.0, 400, 8)).r_hat == pytest.approx(1, abs=0.01)
    assert mixing(np.ones((3, 10))) == (1.0, 3, 10, 30.0, 1.0, 0.0)


def test_chains_that_have_not_mixed_are_refused_with_their_correlation_time():
    rng = np.random.default_rng(9)
    # Wells at -1 and +1: chains that stay in theirs, enough of them to make n/tau large.
    wells = np.where(np.arange(60) % 2, 1.0, -1.0)[:, None] + 0.3 * rng.standard_normal((60, 100))
    assert mixing(wells).effective > 10
    with pytest.raises(
        UndecidedError, match=r"mixed, R-hat <= 1.1, got R-hat 3.\d+ \(60 chains of 100 samples, c"
    ):
        estimate_series(wells)
    # All begin at the same place, far from the law, and are on their way.
    drifting = autoregressive(rng, 0.9, 400, 2000) + 0.6 * np.exp(-np.arange(400) / 100)
    assert mixing(drifting).r_hat < 1.1
    with pytest.raises(UndecidedError, match=r"left their beginning behind, got second halves -\d+"):
        estimate_series(drifting)
    with pytest.raises(UndecidedError, match="correlation time"):
        estimate_series(np.linspace(0, 1, 100))
    stuck = mixing(np.repeat([[0.0], [1.0]], 50, axis=1))
    assert stuck.r_hat == np.inf
    assert "R-hat" in stuck._replace(effective=100.0).complaint()


def test_mixed_chains_are_not_refused():
    rng = np.random.default_rng(10)
    # 200 runs of chains of 40 correlation times: drift beyond five errors has a chance below 1e-4 in all.
    drifts = []
    for _ in range(200):
        found = mixing(autoregressive(rng, 0.9, 760, 4))
        assert found.complaint() is None
        drifts.append(found.drift)
    # The drift is in its own standard errors; the correlation across the cut takes tau/n' of its variance.
    assert np.std(drifts) == pytest.approx(1, rel=5 / np.sqrt(400) + 0.05)


def test_a_proportion_never_claims_certainty():
    assert float(proportion(0, 100).mean) == 0.0
    assert 0.005 < float(proportion(0, 100).standard_error) < 0.05
    half = proportion(5000, 10_000)
    assert float(half.standard_error) == pytest.approx(0.005, rel=1e-3)


def test_samples_that_are_all_alike_need_not_claim_certainty():
    samples = np.stack([np.ones(10), np.linspace(0.0, 1.0, 10)])
    plain, wider = estimate(samples, axis=1), estimate(samples, axis=1, least=[0.002, 0.002])
    np.testing.assert_array_equal(wider.mean, plain.mean)
    np.testing.assert_array_equal(wider.standard_error, [0.002, plain.standard_error[1]])
    assert float(plain.standard_error[0]) == 0.0


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20),
    st.floats(0.1, 10),
    st.floats(-100, 100),
)
def test_estimates_move_with_units(samples, scale, shift):
    plain, moved = estimate(samples), estimate(np.asarray(samples) * scale + shift)
    assert float(moved.mean) == pytest.approx(float(plain.mean) * scale + shift, rel=1e-9, abs=1e-8)
    assert float(moved.standard_error) == pytest.approx(
        float(plain.standard_error) * scale, rel=1e-6, abs=1e-8
    )


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: estimate([1.0]), "at least 2 repetitions"),
        (lambda: estimate(3.0), "at least 2 repetitions"),
        (lambda: estimate([1.0, np.nan]), "samples must be finite"),
        (lambda: estimate([1.0, 2.0], axis=1), "axis must name one of the 1 axes"),
        (lambda: estimate([1.0, 2.0], least=-1.0), "least must be a number >= 0"),
        (lambda: estimate([1.0, 2.0], least=[0.1, 0.1]), r"least must fit the shape \(\)"),
        (lambda: Estimate(np.inf, 0.1, 3), "mean must be finite"),
        (lambda: Estimate(np.asarray(1.0), np.asarray(-1.0), 5), "standard_error must be >= 0"),
        (lambda: Estimate(np.asarray(1.0), np.asarray(0.1), 0), "n must be >= 1"),
        (lambda: Estimate(np.asarray(1.0), np.asarray(0.1), 2, 0.0), "correlation_time must be > 0"),
        (lambda: Prediction(np.asarray(1.0), 0.1), "reason must say"),
        (lambda: Prediction(np.asarray(1.0), -0.1, "x"), "error must be >= 0"),
        (lambda: Prediction(np.asarray(np.inf)), "value must be finite"),
        (lambda: proportion(3, 2), "successes must lie in"),
        (lambda: proportion(0, 0), "n must be >= 1"),
        (lambda: estimate_series(np.zeros((2, 2, 2))), "must have shape"),
        (lambda: estimate_series([1.0, np.inf] * 20), "chains must be finite"),
        (lambda: mixing([1.0, 2.0, 3.0]), r"with n >= 4, got \(3,\)"),
        (
            lambda: estimate_series(np.cumsum(np.random.default_rng(0).standard_normal(200))),
            "correlation times",
        ),
    ],
)
def test_unfit_numbers_are_refused(make, complaint):
    with pytest.raises(EvidenceError, match=complaint):
        make()


def test_numbers_are_written_with_two_digits_of_their_error():
    assert format_with_error(0.99832, 0.00117) == "0.9983 ± 0.0012"
    assert format_with_error(12.0, 3.0) == "12.0 ± 3.0"
    assert format_with_error(1234.5, 120.0) == "1234 ± 120"
    assert format_with_error(0.137906, 0.0) == "0.137906"
    assert str(estimate([1.0, 3.0])) == "2.0 ± 1.0 (n = 2)"


def test_estimates_cannot_be_changed():
    measured = estimate([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        measured.mean[...] = 3.0
