"""Verdicts: right when they should be, wrong when they should be, and an error when nothing can be said."""

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
    at_least,
    at_most,
    compare,
    estimate,
    fit_exponent,
    never,
    scales,
)

WORDS = {"statement": "the number is right", "system": "A1"}


def number(mean, error=0.01, n=100):
    return Estimate(np.asarray(float(mean)), np.asarray(float(error)), n)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-2, 2), st.floats(0.001, 0.1), st.floats(0, 0.1), st.floats(-2, 2))
def test_agreement_is_a_distance(expected, error, finite_size, miss):
    claim = compare(
        Prediction(np.asarray(expected), finite_size, "finite size"),
        number(expected + miss, error),
        resolution=10.0,
        **WORDS,
    )
    difference = abs((expected + miss) - expected)
    assert claim.holds == (difference <= 5 * error + finite_size)
    assert claim.kind == "agrees"
    assert claim.tolerance == pytest.approx(5 * error + finite_size)


def test_five_sigma_rarely_cries_wolf_and_a_mutated_formula_does():
    rng = np.random.default_rng(1)
    truth, wrong = 0.5, 0.55
    verdicts = []
    for _ in range(300):
        measured = estimate(truth + 0.1 * rng.standard_normal(500))
        verdicts.append(
            [
                compare(Prediction(np.asarray(value)), measured, resolution=0.04, **WORDS).holds
                for value in (truth, wrong)
            ]
        )
    right, mutated = np.mean(verdicts, axis=0)
    assert right == 1.0
    assert mutated == 0.0


def test_too_few_samples_decide_nothing():
    with pytest.raises(UndecidedError, match=r"too few samples to decide .* exceeds the resolution 0\.02"):
        compare(Prediction(np.asarray(0.5)), number(0.5, 0.01), resolution=0.02, **WORDS)
    for bound in (at_least, at_most):
        with pytest.raises(UndecidedError, match="within 5 standard errors"):
            bound(0.5, number(0.52, 0.01), **WORDS)


def test_bounds():
    assert at_least(0.5, number(0.6), **WORDS).holds
    assert not at_least(0.5, number(0.4), **WORDS).holds
    assert at_most(0.5, number(0.4), **WORDS).holds
    assert not at_most(0.5, number(0.6), **WORDS).holds
    assert at_most(0.5, number(0.5, 0.1), sigmas=0.0, **WORDS).holds
    claim = at_least(0.5, number(0.6), reason="chance", **WORDS)
    assert claim.kind == "at least"
    assert claim.reason == "chance; decided at 5 standard errors"


@pytest.mark.parametrize("exponent", [-1.0, -0.5, 2.0])
def test_a_power_law_is_found_with_its_error(exponent):
    x = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    y = 3.0 * x**exponent
    rng = np.random.default_rng(2)
    slopes, errors = [], []
    for _ in range(300):
        fit = fit_exponent(x, Estimate(y * (1 + 0.02 * rng.standard_normal(5)), 0.02 * y, 50))
        slopes.append(float(fit.mean))
        errors.append(float(fit.standard_error))
    assert np.mean(slopes) == pytest.approx(exponent, abs=5 * np.std(slopes) / np.sqrt(300))
    assert np.median(errors) >= 0.95 * np.std(slopes)
    points = Estimate(y, 0.02 * y, 50)
    good = scales(Prediction(np.asarray(exponent)), x, points, resolution=0.2, **WORDS)
    bad = scales(Prediction(np.asarray(exponent + 0.5)), x, points, resolution=0.2, **WORDS)
    assert good.holds
    assert good.kind == "scales"
    assert not bad.holds


def test_a_crooked_line_does_not_claim_a_sharp_exponent():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    y = np.array([1.0, 2.0, 2.0, 8.0])
    assert float(fit_exponent(x, Estimate(y, 1e-3 * y, 9)).standard_error) > 0.2


def test_never():
    assert never(0, 10_000, **WORDS).holds
    assert not never(1, 10_000, **WORDS).holds
    assert not never(1, 3, **WORDS).holds
    with pytest.raises(UndecidedError, match="688 are needed"):
        never(0, 100, **WORDS)
    assert never(0, 10, rate=0.6, confidence=0.999, **WORDS).holds


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: compare(Prediction(np.zeros(2)), number(0), resolution=1, **WORDS), "single number"),
        (
            lambda: compare(Prediction(np.asarray(0.0)), number(0), resolution=0, **WORDS),
            "resolution must be > 0",
        ),
        (
            lambda: compare(Prediction(np.asarray(0.0)), number(0), resolution=1, sigmas=0, **WORDS),
            "sigmas must be > 0",
        ),
        (lambda: at_least(np.inf, number(0), **WORDS), "bound must be finite"),
        (lambda: at_most(0.0, number(0), sigmas=-1, **WORDS), "sigmas must be >= 0"),
        (lambda: never(3, 2, **WORDS), "events must lie in"),
        (lambda: never(0, 2, rate=0.0, **WORDS), "rate and confidence"),
        (lambda: fit_exponent([1, 2], Estimate(np.ones(2), np.ones(2), 3)), "at least 3 points"),
        (lambda: fit_exponent([1, 2, -3], Estimate(np.ones(3), np.ones(3), 3)), "must all be > 0"),
        (lambda: fit_exponent([1, 2, 3], Estimate(np.ones(2), np.ones(2), 3)), "must both have shape"),
    ],
)
def test_unfit_comparisons_are_refused(make, complaint):
    with pytest.raises(EvidenceError, match=complaint):
        make()
