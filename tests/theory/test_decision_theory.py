"""Closed forms of decision and postdiction: identities, integrals, limits, refusals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from neuromanifold.dynamics import solve
from neuromanifold.theory.decision import (
    choice_probability,
    commitment_time,
    critical_intervention,
    decision_density,
    lag_covariances,
    mean_decision_time,
    overlap_flow,
    settled_overlap,
    steady_state,
    wiener_covariance,
)

SCALAR = [[0.9]], [[1.0]], [[0.19]], [[0.5]]
DIFFUSION = st.floats(-2, 2), st.floats(0.3, 2), st.floats(0.3, 2), st.floats(-0.9, 0.9)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(*DIFFUSION)
def test_densities_integrate_to_choices_and_times(drift, noise, bound, start):
    x = start * bound
    scale = (bound / noise) ** 2

    def density(t, choice):
        return float(decision_density(t, drift, noise, bound, x, choice))

    cuts = scale * np.array([1e-7, 0.02, 0.3, 1.0, 4.0, 30.0])

    def total(weight, choice):
        parts = itertools.pairwise(cuts)
        return sum(quad(lambda t: weight(t) * density(t, choice), low, high)[0] for low, high in parts)

    up, down = (total(lambda t: 1.0, choice) for choice in ("upper", "lower"))
    assert up == pytest.approx(choice_probability(drift, noise, bound, x), abs=1e-6)
    assert up + down == pytest.approx(1, abs=1e-6)
    mean = total(lambda t: t, "upper") + total(lambda t: t, "lower")
    assert mean == pytest.approx(mean_decision_time(drift, noise, bound, x), rel=1e-5)


def test_both_series_are_one_function():
    t = np.array([0.4999999, 0.5000001])
    for choice in ("upper", "lower"):
        pair = decision_density(t, 0.7, 1.0, 1.0, 0.2, choice)
        assert pair[0] == pytest.approx(pair[1], rel=1e-5)


def test_numbers_of_the_specification():
    assert choice_probability(0.5, 1.0, 1.0) == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-12)
    assert mean_decision_time(0.5, 1.0, 1.0) == pytest.approx(2 * np.tanh(0.5), rel=1e-12)
    assert mean_decision_time(0.5, 1.0, 1.0) == pytest.approx(0.9242, abs=5e-5)
    assert mean_decision_time(0.0, 2.0, 1.0) == pytest.approx(0.25, rel=1e-9)
    assert mean_decision_time(1e-5, 1.0, 1.0, 0.3) == pytest.approx(0.91, rel=1e-4)
    state = steady_state(*SCALAR)
    np.testing.assert_allclose(
        [state.prediction[0, 0], state.filtering[0, 0], state.smoothing[0, 0]],
        [0.359359, 0.209086, 0.152312],
        atol=6e-7,
    )
    lags = lag_covariances(*SCALAR, lag=4).ravel()
    np.testing.assert_allclose(lags, [0.209086, 0.167880, 0.156581, 0.153483, 0.152633], atol=6e-7)
    assert commitment_time(2.5, 0.15, 0.6) == pytest.approx(1.41, abs=5e-3)


def model(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(3, 3))
    a *= 0.9 / np.abs(np.linalg.eigvals(a)).max()
    q, r = (v @ v.T + 0.1 * np.eye(len(v)) for v in (rng.normal(size=(3, 3)), rng.normal(size=(2, 2))))
    return a, rng.normal(size=(2, 3)), q, r


@pytest.mark.parametrize("seed", range(3))
def test_knowledge_only_grows_and_ends_at_wieners(seed):
    a, c, q, r = model(seed)
    state = steady_state(a, c, q, r)
    p = state.prediction
    gain = p @ c.T @ np.linalg.inv(c @ p @ c.T + r)
    np.testing.assert_allclose(p, a @ (p - gain @ c @ p) @ a.T + q, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(state.smoothing, wiener_covariance(a, c, q, r), rtol=1e-8, atol=1e-9)
    lags = lag_covariances(a, c, q, r, lag=6)
    ladder = [p, *lags, state.smoothing]
    for before, after in itertools.pairwise(ladder):
        assert np.linalg.eigvalsh(before - after).min() > -1e-9
        assert np.trace(before) > np.trace(after)
    # Step by step, as the recursion is written.
    j = lags[0] @ a.T @ np.linalg.inv(p)
    np.testing.assert_allclose(lags[1], lags[0] + j @ (lags[0] - p) @ j.T, atol=1e-9)
    wrong = lags[0] + j @ (lags[0] - p + q) @ j.T
    assert np.abs(wrong - lags[1]).max() > 1e-3


def test_pattern_theory_is_its_flow():
    beta, theta = 2.5, 0.6
    critical = critical_intervention(beta, theta)
    with jax.enable_x64(True):
        when = commitment_time(beta, 0.15, theta)
        rise = solve(overlap_flow(2, beta), jnp.array([0.15, 0.0]), [0.0, when]).states
        np.testing.assert_allclose(rise[-1], [theta, 0.0], atol=1e-8)
        ends = [
            np.asarray(solve(overlap_flow(2, beta, k, 1), jnp.array([theta, 0.0]), [0.0, 60.0]).states[-1])
            for k in (0.98 * critical, 1.02 * critical)
        ]
    assert ends[0][0] > 0.9 > ends[0][1]
    np.testing.assert_allclose(ends[1], [0.0, settled_overlap(beta, 1.02 * critical)], atol=1e-6)


def test_late_commitment_is_harder_to_overturn_up_to_the_fold():
    beta = 2.5
    fold = np.sqrt(1 - 1 / beta)
    values = [critical_intervention(beta, theta) for theta in (0.3, 0.6, fold, 0.9)]
    assert values[0] < values[1] < values[2] == values[3]
    # At the fold of tanh(beta d - kappa) = d both sides touch.
    k = values[2]
    assert np.tanh(beta * fold - k) == pytest.approx(fold, abs=1e-12)
    assert brentq(lambda d: np.tanh(beta * d - 0.9 * k) - d, 0, fold) < fold


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: choice_probability(0.5, 1.0, 0.0), "bound must be a finite number > 0"),
        (lambda: mean_decision_time(0.5, 0.0, 1.0), "noise must be a finite number > 0"),
        (lambda: choice_probability(0.5, 1.0, 1.0, 2.0), "start must be a finite number in"),
        (lambda: decision_density(0.0, 0.5, 1.0, 1.0), "time must be > 0"),
        (lambda: decision_density(1.0, 0.5, 1.0, 1.0, choice="left"), "choice must be one of"),
        (lambda: steady_state([[0.9]], [[1.0]], [[0.19]], [[0.0]]), "output_noise must be symmetric and"),
        (lambda: steady_state([[0.9]], [[1.0, 0.0]], [[0.19]], [[0.5]]), "output must have shape"),
        (lambda: lag_covariances(*SCALAR, lag=-1), "lag must be an integer >= 0"),
        (lambda: wiener_covariance([[1.1]], [[1.0]], [[0.19]], [[0.5]]), "transition must have eigenvalues"),
        (lambda: commitment_time(2.5, 0.15, 0.99), "theta must be below the overlap"),
        (lambda: commitment_time(0.9, 0.15, 0.5), "beta must be a finite number > 1"),
        (lambda: settled_overlap(0.9, 0.0), "beta must be > 1"),
        (lambda: critical_intervention(2.0, 1.0), "theta must be a finite number in"),
        (lambda: overlap_flow(2, 2.0, 1.0, 2), "goal must be an integer in"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
