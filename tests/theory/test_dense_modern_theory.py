"""Capacity of dense and modern memories: exact laws by enumeration and simulation, bounds, thresholds."""

import itertools
from collections import defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from neuromanifold.theory.memory import (
    GroupRecall,
    bit_error,
    exponential_capacity,
    exponential_load,
    group_limits,
    group_weights,
    least_separation,
    no_error_patterns,
    update_error_bound,
)
from neuromanifold.theory.memory._dense_capacity import rate


def error_by_enumeration(n_units, n_patterns, order, rectified=False):
    """All values of the crosstalk of one unit, from the patterns themselves."""
    power = lambda z: max(z, 0) ** order if rectified else z**order  # noqa: E731
    one = defaultdict(float)
    for signs in itertools.product([-1, 1], repeat=n_units):
        a, w = signs[0], sum(signs[1:])
        one[a * (power(w + 1) - power(w - 1))] += 0.5**n_units
    law = {0: 1.0}
    for _ in range(n_patterns - 1):
        summed = defaultdict(float)
        for (x, p), (y, q) in itertools.product(law.items(), one.items()):
            summed[x + y] += p * q
        law = summed
    signal = power(n_units) - power(n_units - 2)
    return sum(p * (1.0 if x < -signal else 0.5 if x == -signal else 0.0) for x, p in law.items())


@pytest.mark.parametrize(
    "n, k, order, rectified", [(5, 6, 2, False), (6, 5, 3, False), (6, 5, 3, True), (5, 8, 4, False)]
)
def test_error_of_a_unit_by_enumeration(n, k, order, rectified):
    kind = "rectified" if rectified else "polynomial"
    exact = error_by_enumeration(n, k, order, rectified)
    assert exact > 1e-3
    assert bit_error(n, k, order, kind) == pytest.approx(exact, abs=2e-4)
    assert abs(bit_error(n, k, order, kind, "limit") - exact) > 1e-3


def test_error_of_a_unit_against_simulation():
    rng = np.random.default_rng(0)
    n, k, order, sets = 60, 180, 3, 60
    share = []
    for _ in range(sets):
        xi = rng.choice([-1.0, 1.0], (k, n))
        sums = xi[:30] @ xi.T
        a = xi[:30, None] * xi[None]
        w = sums[..., None] - a
        h = np.sum(a * ((w + 1) ** order - (w - 1) ** order), 1)
        share.append(np.mean(h < 0) + np.mean(h == 0) / 2)
    error = np.std(share, ddof=1) / np.sqrt(sets)
    exact = bit_error(n, k, order)
    assert np.mean(share) == pytest.approx(exact, abs=5 * error)
    # Without the fall of the signal at finite N the error is another; the limit is closer at larger N.
    ratio = [
        bit_error(m, round(0.05 * m**2), 3) / bit_error(m, round(0.05 * m**2), 3, method="limit")
        for m in (60, 240)
    ]
    assert ratio[0] > 1.05 > ratio[1] > 1
    assert bit_error(2000, 280, 2) == pytest.approx(bit_error(2000, 280, 2, method="gaussian"), rel=1e-3)


def test_numbers_of_large_networks():
    np.testing.assert_allclose(no_error_patterns([100, 500], 3), [362, 6705], atol=0.5)
    assert bit_error(100, 500, 3, method="limit") == pytest.approx(0.0049, abs=5e-5)
    assert float(no_error_patterns(1000)) == pytest.approx(1000 / (2 * np.log(1000)))
    # N times the error at that load falls with N.
    wrong = [n * bit_error(n, round(float(no_error_patterns(n, 3))), 3) for n in (50, 200, 800)]
    assert 0.5 > wrong[0] > wrong[1] > wrong[2]


def test_exponential_memory():
    assert float(exponential_capacity()) == pytest.approx(np.log(2) / 2)
    assert float(exponential_capacity(0.5)) == 0
    # I is the large-deviation rate of the overlap of two patterns.
    from scipy.stats import binom

    n = 4000
    assert float(rate(0.4)) == pytest.approx(-binom.logsf(0.7 * n - 1, n, 0.5) / n, abs=2e-3)
    flips = np.linspace(0, 0.4, 9)
    typical, every = exponential_capacity(flips, "typical"), exponential_capacity(flips)
    assert np.all(typical > every)
    # The typical load against a random energy model with random signs, summed over its levels.
    for rho, alpha in zip(flips[1:4], typical[1:4], strict=True):
        x = np.linspace(-0.999, 0.999, 4001)
        for load, wins in ((0.9 * alpha, True), (1.1 * alpha, False)):
            count = load - rate(x)
            level = np.max(np.where(count >= 0, x + count / 2, -np.inf))
            assert (1 - 2 * rho > level) == wins


def test_bound_of_one_update_and_of_the_fixed_point():
    rng = np.random.default_rng(1)
    n, p = 24, 40
    patterns = rng.normal(size=(p, n))
    patterns *= np.sqrt(n) / np.linalg.norm(patterns, axis=1, keepdims=True)
    norm, products = np.sqrt(n), patterns @ patterns.T
    separation = n - np.max(products - 2 * n * np.eye(p), axis=1)
    noise = rng.normal(size=(p, n))
    for beta in (0.5, 1.0, 2.0):
        for distance in (0.02, 0.2):
            start = patterns + distance * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            after = softmax(beta * start @ patterns.T, axis=1) @ patterns
            error = np.linalg.norm(after - patterns, axis=1)
            bound = update_error_bound(p, separation, norm, distance, beta)
            assert np.all(error <= bound)
        safe = separation > least_separation(p, norm, beta)
        radius = 1 / (2 * beta * norm)
        x = patterns
        for _ in range(50):
            x = softmax(beta * x @ patterns.T, axis=1) @ patterns
        assert np.all(np.linalg.norm(x - patterns, axis=1)[safe] <= radius)
    assert safe.any()
    # The bound is not idle: without the term 2 M d it is broken by a step towards the nearest pattern.
    nearest = patterns[np.argmax(products - 2 * n * np.eye(p), axis=1)] - patterns
    start = patterns + 1.5 * nearest / np.linalg.norm(nearest, axis=1, keepdims=True)
    error = np.linalg.norm(softmax(2.0 * start @ patterns.T, axis=1) @ patterns - patterns, axis=1)
    assert np.all(error <= update_error_bound(p, separation, norm, 1.5, 2.0))
    assert np.all(error > update_error_bound(p, separation, norm, 0.0, 2.0))


def test_law_of_groups_is_that_of_the_patterns():
    groups, size, c, norm = 3, 4, 0.6, 1.5
    gram = norm**2 * np.kron(np.eye(groups), c + (1 - c) * np.eye(size))
    for beta in (0.8, 2.5, 9.0):
        weights = np.eye(groups * size)[0]
        for _ in range(7):
            weights = softmax(beta * gram @ weights)
        found = group_weights(beta, groups, size, c, norm, 7)
        np.testing.assert_allclose(
            [found.own, found.group, found.rest], [weights[0], weights[1], weights[-1]], rtol=1e-10
        )
        wrong = group_weights(beta, groups, size, c + 0.05, norm, 7)
        assert abs(wrong.own - weights[0]) > 1e-6


def test_limits_of_stability_are_eigenvalues():
    groups, size, c, norm = 3, 4, 0.6, 1.5
    first, second = group_limits(groups, size, c, norm)
    gram = norm**2 * np.kron(np.eye(groups), c + (1 - c) * np.eye(size))
    p = groups * size
    # In the space of weights the map is softmax(beta gram w); its slope at the mean of all.
    slope = (np.eye(p) / p - 1 / p**2) @ gram
    assert first * np.max(np.linalg.eigvals(slope).real) == pytest.approx(1)
    k = np.eye(size) / size - 1 / size**2
    inner = k @ gram[:size, :size]
    assert second * np.max(np.linalg.eigvals(inner).real) == pytest.approx(1)


def test_exponential_loads_against_the_random_energy_model():
    rng = np.random.default_rng(2)
    assert float(exponential_load(3.0, which="all")) == pytest.approx(1 / (2 * np.e))
    betas = np.linspace(0.1, 3, 30)
    for kind in ("gaussian", "sphere"):
        loads = exponential_load(betas, kind)
        assert np.all(np.diff(loads) >= 0)
        # phi by Laplace's method on a grid of overlaps instead of by formula.
        x = np.linspace(-4, 4, 20001) if kind == "gaussian" else np.linspace(-0.9999, 0.9999, 20001)
        entropy = -(x**2) / 2 if kind == "gaussian" else np.log1p(-(x**2)) / 2
        for beta, load in zip(betas[::7], loads[::7], strict=True):
            for alpha, wins in ((0.97 * load, True), (1.03 * load, False)):
                phi = np.max(np.where(alpha + entropy >= 0, alpha + entropy + beta * x, -np.inf))
                assert (beta > phi) == wins
    # At finite N: own score against the others, on either side of the load for beta = 1.
    n = 30
    for alpha, wins in ((0.2, True), (0.42, False)):
        own, others = [], []
        for _ in range(20):
            xi = rng.normal(size=(round(np.exp(alpha * n)), n))
            own.append(xi[0] @ xi[0] * 0.5)
            others.append(logsumexp(0.5 * xi[1:] @ xi[0]))
        share = np.mean(np.array(own) > np.array(others))
        assert (share > 0.7) if wins else (share < 0.45)


def test_group_recall_is_differentiable():
    with jax.enable_x64(True):

        def own(beta):
            law = GroupRecall(beta, 3, 4, 0.6)
            state = law.init(None, None)
            for _ in range(3):
                state, _ = law.step(None, 0, state)
            return state.own

        slope = jax.grad(own)(jnp.asarray(4.0))
        assert float(slope) == pytest.approx(float(own(4.0 + 1e-5) - own(4.0 - 1e-5)) / 2e-5, rel=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bit_error(1, 5), "n_units must be an integer >= 2"),
        (lambda: bit_error(10, 1), "n_patterns must be an integer >= 2"),
        (lambda: bit_error(10, 5, 1), "order must be an integer >= 2"),
        (lambda: bit_error(10, 5, 2, "exponential"), "interaction must be one of"),
        (lambda: bit_error(10, 5, method="guess"), "method must be one of"),
        (lambda: no_error_patterns(1), "n_units must be >= 2"),
        (lambda: exponential_capacity(0.6), "flips must lie in"),
        (lambda: exponential_capacity(0.1, "some"), "patterns must be one of"),
        (lambda: rate(1.5), "overlap must lie in"),
        (lambda: update_error_bound(5, 1.0, -1.0, 0.1, 1.0), "norm must be a finite number > 0"),
        (lambda: update_error_bound(5, 1.0, 1.0, -0.1, 1.0), "distance must be >= 0"),
        (lambda: least_separation(1, 1.0, 1.0), "n_patterns must be an integer >= 2"),
        (lambda: group_weights(-1.0, 2, 2, 0.5), "beta must be > 0"),
        (lambda: group_weights(1.0, 2, 2, 1.5), "correlation must be a finite number in"),
        (lambda: group_limits(1, 2, 0.5), "n_groups must be an integer >= 2"),
        (lambda: exponential_load(0.0), "beta must be > 0"),
        (lambda: exponential_load(1.0, "cube"), "patterns must be one of"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
