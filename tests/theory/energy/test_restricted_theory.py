"""The summed law of a restricted machine against sums over visible states and differences of log Z."""

import numpy as np
import pytest
from scipy.special import logsumexp

from neuromanifold.theory.energy import (
    independent_log_likelihood,
    restricted_hidden,
    restricted_law,
    restricted_log_weight,
)


def machine(k, n, seed=0):
    rng = np.random.default_rng(seed)
    return 0.7 * rng.normal(size=(k, n)), 0.3 * rng.normal(size=n), 0.4 * rng.normal(size=k)


def states(n):
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)


# Thirteen hidden units make two blocks of states.
@pytest.mark.parametrize("k, n", [(3, 4), (13, 5)])
def test_the_sum_over_hidden_states_is_that_over_visible_ones(k, n):
    w, b, c = machine(k, n)
    law, v = restricted_law(w, b, c), states(n)
    logs = restricted_log_weight(w, b, c, v)
    assert law.log_partition == pytest.approx(logsumexp(logs), abs=1e-12)
    p = np.exp(logs - law.log_partition)
    np.testing.assert_allclose(law.visible, p @ v, atol=1e-13)
    mean = restricted_hidden(w, b, c, v)
    np.testing.assert_allclose(law.hidden, p @ mean, atol=1e-13)
    np.testing.assert_allclose(law.moments, (p[:, None] * mean).T @ v, atol=1e-13)


def test_moments_are_the_derivative_of_log_z():
    w, b, c = machine(3, 4)
    law, step = restricted_law(w, b, c), 1e-6
    for i, j in ((0, 0), (2, 3)):
        moved = [w + s * step * np.outer(np.arange(3) == i, np.arange(4) == j) for s in (1, -1)]
        up, down = (restricted_law(x, b, c).log_partition for x in moved)
        assert law.moments[i, j] == pytest.approx((up - down) / (2 * step), abs=1e-9)
    # Not those of independent units.
    assert abs(law.moments - np.outer(law.hidden, law.visible)).max() > 1e-2


def test_hidden_units_are_weighed_by_their_joint_states():
    w, b, c = machine(3, 4)
    v, h = states(4), states(3)
    joint = np.exp(v @ b + (h @ c)[:, None] + h @ w @ v.T)
    np.testing.assert_allclose(
        restricted_hidden(w, b, c, v), (joint.T @ h) / joint.sum(0)[:, None], atol=1e-13
    )


def test_pixels_without_couplings_are_independent():
    b, rows = np.array([0.3, -1.0]), states(2)
    weights = restricted_log_weight(np.zeros((1, 2)), b, [0.7], rows)
    law = restricted_law(np.zeros((1, 2)), b, [0.7])
    means = 1 / (1 + np.exp(-b))
    np.testing.assert_allclose(law.visible, means)
    for row, weight in zip(rows, weights, strict=True):
        assert independent_log_likelihood(means, row) == pytest.approx(weight - law.log_partition)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: restricted_law(np.ones((2, 3)), np.ones(2), np.ones(2)),
            r"couplings must have shape \(2, 2\)",
        ),
        (lambda: restricted_law([[np.nan]], [0.0], [0.0]), "couplings must be finite"),
        (lambda: restricted_law(np.ones((21, 1)), [0.0], np.zeros(21)), "at most 20 units"),
        (
            lambda: restricted_log_weight([[1.0]], [0.0], [0.0], [[1.0, 0.0]]),
            r"rows must have shape \(m, 1\)",
        ),
        (lambda: independent_log_likelihood([0.0], [0.5]), r"means must lie strictly in \(0, 1\)"),
        (lambda: independent_log_likelihood([0.5], [0.5, 0.1]), r"rows_mean must have shape \(1,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
