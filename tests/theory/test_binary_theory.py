"""Laws of random +-1 units: closed forms, quadrature against Owen's function, exact chains, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import owens_t
from scipy.stats import binom

from neuromanifold.dynamics import run
from neuromanifold.theory.meanfield import (
    activation,
    activity_fixed_points,
    binary_activity_map,
    binary_process,
    covariance_map,
    critical_mean_w,
    hamming_fixed_point,
    hamming_map,
)
from neuromanifold.theory.meanfield._binary import disagreement


def everything(state):
    return state


@pytest.fixture(scope="module")
def compiled():
    with jax.enable_x64(True):
        return jax.jit(jax.vmap(disagreement)), jax.jit(jax.vmap(jax.grad(disagreement, (0, 1, 2))))


def by_owen(a, b, psi):
    rho, root = np.cos(psi), np.sin(psi)
    both = owens_t(a, (b - rho * a) / (a * root)) + owens_t(b, (a - rho * b) / (b * root))
    return 2 * both + (a * b < 0)


def drawn(n=300):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, n)) * rng.choice([0.01, 0.3, 1.0, 3.0], size=n)
    b = np.where(rng.random(n) < 0.2, a * (1 + 1e-4 * rng.normal(size=n)), b)
    return a, b, rng.uniform(1e-3, np.pi - 1e-3, size=n)


def test_disagreement_is_that_of_owen(compiled):
    a, b, psi = drawn()
    with jax.enable_x64(True):
        found = np.asarray(compiled[0](*map(jnp.asarray, (a, b, psi))))
    np.testing.assert_allclose(found, by_owen(a, b, psi), atol=1e-8)
    assert np.abs(found - by_owen(a, b, 0.9 * psi)).max() > 1e-2


def test_slopes_of_the_disagreement_are_differences(compiled):
    a, b, psi = drawn(60)
    psi = np.clip(psi, 0.2, np.pi - 0.2)
    h = 1e-5
    with jax.enable_x64(True):
        slopes = [np.asarray(x) for x in compiled[1](*map(jnp.asarray, (a, b, psi)))]
    for index, slope in enumerate(slopes):
        up, down = ([v + (i == index) * s * h for i, v in enumerate((a, b, psi))] for s in (1, -1))
        np.testing.assert_allclose(slope, (by_owen(*up) - by_owen(*down)) / (2 * h), atol=1e-6)


def test_distance_law_of_the_specification():
    for ratio, distance, expected in (
        (0, 0.01, 0.0638),
        (0, 0.25, 0.3333),
        (0, 0.8, 0.7048),
        (0.5, 0.1, 0.1826),
        (0.5, 0.8, 0.5903),
        (1, 0.1, 0.1436),
        (1, 0.5, 0.3333),
    ):
        assert float(hamming_map(distance, sigma_w=1.0, sigma_b=ratio)) == pytest.approx(expected, abs=6e-5)
        # Biases added to the field's noise only once, and not shared, would miss.
        assert abs(2 / np.pi * np.arcsin(np.sqrt(distance)) - expected) > 1e-3 or ratio == 0


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(0, 1), st.floats(0.1, 3), st.floats(0, 3))
def test_closed_form_is_the_covariance_map_of_the_sign(distance, sigma_w, sigma_b):
    """D_A = D_B/4: the same law from the mean-field theory of arbitrary activations."""
    q = sigma_w**2 + sigma_b**2
    c = sigma_w**2 * (1 - 2 * distance) + sigma_b**2
    overlap = float(covariance_map(activation("sign"), q, q, c, sigma_w=1.0, sigma_b=0.0))
    found = float(hamming_map(distance, sigma_w=sigma_w, sigma_b=sigma_b))
    assert found == pytest.approx((1 - overlap) / 2, abs=2e-7)


def test_law_with_means_ends_in_the_closed_form():
    grid = np.linspace(0.02, 0.98, 7)
    small = hamming_map(grid, sigma_w=1.0, sigma_b=0.5, mean_b=1e-9)
    np.testing.assert_allclose(small, hamming_map(grid, sigma_w=1.0, sigma_b=0.5), atol=1e-9)
    # Equal states stay equal, opposite ones without biases stay opposite.
    options = {"sigma_w": 1.0, "mean_w": 1.2, "activity_1": 0.5}
    assert float(hamming_map(0.0, activity_2=0.5, mean_b=0.3, **options)) == pytest.approx(0, abs=1e-9)
    assert float(hamming_map(1.0, activity_2=-0.5, **options)) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    "ratio, value, slope",
    [(0.25, 0.45286, 0.6058), (0.5, 0.36143, 0.5617), (1, 0.21017, 0.5190), (2, 0.08150, 0.5027)],
)
def test_end_distances_of_the_specification(ratio, value, slope):
    found = hamming_fixed_point(1.0, ratio)
    assert found.value == pytest.approx(value, abs=6e-6)
    assert found.slope == pytest.approx(slope, abs=6e-5)
    assert float(hamming_map(found.value, sigma_w=1.0, sigma_b=ratio)) == pytest.approx(
        found.value, abs=1e-12
    )


def test_without_biases_the_end_is_a_half():
    found = hamming_fixed_point(2.0)
    assert found.value == pytest.approx(0.5, abs=1e-12)
    assert found.slope == pytest.approx(2 / np.pi, abs=1e-12)


def test_activity_of_the_specification():
    x, seen = 0.345, []
    for _ in range(3):
        x = float(binary_activity_map(x, sigma_w=1.0, mean_w=2.0))
        seen.append(x)
    np.testing.assert_allclose(seen, [0.510, 0.692, 0.834], atol=6e-4)
    assert activity_fixed_points(sigma_w=1.0, mean_w=2.0)[-1].value == pytest.approx(0.93985, abs=1e-5)
    assert activity_fixed_points(sigma_w=1.0, mean_w=2.0, mean_b=0.3)[-1].value == pytest.approx(
        0.9756, abs=5e-5
    )


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(-4, 4), st.floats(-1, 1), st.floats(0, 2))
def test_fixed_points_of_the_activity_are_all(mean_w, mean_b, sigma_b):
    law = {"sigma_w": 1.0, "sigma_b": sigma_b, "mean_w": mean_w, "mean_b": mean_b}
    found = activity_fixed_points(**law)
    values = np.array([point.value for point in found])
    np.testing.assert_allclose(binary_activity_map(values, **law), values, atol=1e-10)
    h = 1e-6 * np.where(values > 0, -1, 1)
    slopes = (binary_activity_map(values + h, **law) - values) / h
    np.testing.assert_allclose([point.slope for point in found], slopes, atol=1e-5)
    grid = np.linspace(-1, 1, 4001)
    gap = np.sign(binary_activity_map(grid, **law) - grid)
    crossings = int(np.sum(gap[1:] * gap[:-1] < 0) + np.sum(gap == 0))
    assert len(found) >= crossings


def test_activity_sustains_itself_above_the_critical_mean_weight():
    assert critical_mean_w(1.0) == pytest.approx(1.2533, abs=5e-5)
    for factor, count in ((0.99, 1), (1.01, 3)):
        assert (
            len(activity_fixed_points(sigma_w=1.0, sigma_b=0.7, mean_w=factor * critical_mean_w(1.0, 0.7)))
            == count
        )


def exact_chain(law, values, n):
    """Law of a number k of n that is binomial with p(k/n) at every step."""
    p = np.clip(law(values), 0, 1)
    return np.stack([binom.pmf(np.arange(n + 1), n, q) for q in p])


def test_fluctuations_are_those_of_the_exact_chain():
    """Activity: n(1 + X)/2 is a binomial chain; its mean and variance to order 1/n are the theory's."""
    n, steps = 800, 4
    grid = 2 * np.arange(n + 1) / n - 1
    chain = exact_chain(lambda x: (1 + binary_activity_map(x, sigma_w=1.0, mean_w=2.0)) / 2, grid, n)
    weight = np.zeros(n + 1)
    weight[540] = 1.0
    with jax.enable_x64(True):
        made = run(
            binary_process(sigma_w=1.0, mean_w=2.0),
            jax.random.key(0),
            np.array([grid[540]]),
            steps,
            observe=everything,
        ).values
    for t in range(1, steps + 1):
        weight = weight @ chain
        mean = weight @ grid
        variance = weight @ grid**2 - mean**2
        shift = float(made.bias[t, 0]) / n
        assert mean - float(made.mean[t, 0]) == pytest.approx(shift, abs=0.1 * abs(shift) + 1e-12)
        # The next order is relatively 1/n; seen to halve from n = 800 to 1600.
        assert variance * n == pytest.approx(float(made.covariance[t, 0, 0]), rel=40 / n)


def test_fluctuations_of_the_distance_are_those_of_the_exact_chain():
    n, steps = 800, 3
    grid = np.arange(n + 1) / n
    chain = exact_chain(lambda d: hamming_map(d, sigma_w=1.0, sigma_b=0.5), grid, n)
    weight = np.zeros(n + 1)
    weight[80] = 1.0
    with jax.enable_x64(True):
        made = run(
            binary_process(sigma_w=1.0, sigma_b=0.5),
            jax.random.key(0),
            np.array([0.0, 0.0, 0.1]),
            steps,
            observe=everything,
        ).values
    for t in range(1, steps + 1):
        weight = weight @ chain
        mean = weight @ grid
        shift = float(made.bias[t, 2]) / n
        assert mean - float(made.mean[t, 2]) == pytest.approx(shift, abs=0.1 * abs(shift) + 1e-12)
        assert (weight @ grid**2 - mean**2) * n == pytest.approx(float(made.covariance[t, 2, 2]), rel=0.02)
    local = float(made.mean[3, 2]) * (1 - float(made.mean[3, 2]))
    assert abs((weight @ grid**2 - mean**2) * n / local - 1) > 0.2


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: hamming_map(1.2, sigma_w=1.0), "distance must be finite and >= 0 and <= 1"),
        (lambda: hamming_map(0.1, sigma_w=0.0), "sigma_w must be finite and > 0"),
        (lambda: hamming_map(0.1, sigma_w=1.0, activity_1=0.9), "distance must lie between"),
        (lambda: hamming_fixed_point(0.0), "sigma_w must be a finite number > 0"),
        (lambda: binary_activity_map(1.5, sigma_w=1.0), "activity must lie in"),
        (lambda: activity_fixed_points(sigma_w=1.0, sigma_b=-1.0), "sigma_b must be a finite number >= 0"),
        (lambda: binary_process(sigma_w=1.0).init(None, np.zeros(3)), "distance must be > 0"),
        (lambda: binary_process(sigma_w=1.0).init(None, np.zeros(2)), "order_parameters must be"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
