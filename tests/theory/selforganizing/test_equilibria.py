"""Closed forms of Hebbian neurons on the circle against quadrature of the rules themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from neuromanifold.theory.selforganizing import (
    cap_radius,
    fold_threshold,
    gated_equilibrium,
    inhibited_equilibrium,
    mean_shift,
    online_shift,
    oscillation_kappa,
    plain_equilibrium,
    two_point_descent,
)


def moments(length, threshold):
    """<h> and <h v.w/|w|> of a neuron on the circle, by integration over the angle."""
    if threshold >= length:
        return 0.0, 0.0
    edge = math.acos(threshold / length)
    return edge / math.pi, quad(math.cos, -edge, edge)[0] / (2 * math.pi)


def plain_velocity(length, threshold, gain=1.0):
    return -length + gain * moments(length, threshold)[1]


def gated_velocity(length, threshold, gain=1.0):
    fired, pull = moments(length, threshold)
    return -fired * length + gain * pull


def inhibited_velocity(state, ratio, kappa, gain=1.0):
    fired, pull = moments(*state)
    return np.array([-state[0] + gain * pull, (-state[1] + gain * ratio * fired) / kappa])


def slope(function, x, step=1e-5):
    return (function(x + step) - function(x - step)) / (2 * step)


# Radii and lengths that were computed on 20,000 points.
PLAIN = {0.02: 1.5077, 0.05: 1.41105, 0.10: 1.23119, 0.14: 1.03343}
GATED = {0.1: 1.42628, 0.3: 1.17825, 0.6: 0.83001, 0.9: 0.39333}
INHIBITED = {0.3: (1.1781, 0.29408), 0.5: (0.94782, 0.25851), 0.8: (0.56564, 0.17060)}


@pytest.mark.parametrize("threshold", PLAIN)
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_plain_rests_are_rests(threshold, gain):
    for branch in ("stable", "unstable"):
        rest = plain_equilibrium(gain * threshold, gain, branch)
        assert abs(plain_velocity(rest.length, gain * threshold, gain)) < 1e-12
        assert cap_radius(gain * threshold, rest.length) == pytest.approx(rest.radius, abs=1e-9)
        assert rest.probability == pytest.approx(moments(rest.length, gain * threshold)[0], abs=1e-9)
        rate = slope(lambda x: plain_velocity(x, gain * threshold, gain), rest.length, 1e-6)
        assert rest.rates[0].real == pytest.approx(rate, rel=1e-4)
        assert rest.stable == (rate < 0) == (branch == "stable")
    assert plain_equilibrium(threshold).radius == pytest.approx(PLAIN[threshold], abs=2e-3)


@pytest.mark.parametrize("threshold", GATED)
def test_gated_rests_are_rests(threshold):
    rest = gated_equilibrium(2 * threshold, 2.0)
    assert abs(gated_velocity(rest.length, 2 * threshold, 2.0)) < 1e-12
    assert rest.radius == pytest.approx(GATED[threshold], abs=2e-3)
    rate = slope(lambda x: gated_velocity(x, 2 * threshold, 2.0), rest.length)
    assert rest.rates[0].real == pytest.approx(rate, rel=1e-4)
    assert rest.stable


@pytest.mark.parametrize("ratio", INHIBITED)
@pytest.mark.parametrize("kappa", [0.5, 1.0, 4.0])
def test_inhibited_rests_are_rests(ratio, kappa):
    rest = inhibited_equilibrium(ratio, kappa=kappa)
    state = np.array([rest.length, rest.length * math.cos(rest.radius)])
    assert np.abs(inhibited_velocity(state, ratio, kappa)).max() < 1e-12
    assert (rest.radius, rest.length) == pytest.approx(INHIBITED[ratio], abs=2e-3)
    jacobian = np.stack(
        [
            slope(lambda x, i=i: inhibited_velocity(state + x * np.eye(2)[i], ratio, kappa), 0.0, 1e-6)
            for i in range(2)
        ],
        1,
    )
    found = np.sort_complex(np.linalg.eigvals(jacobian).astype(complex))
    assert np.allclose(rest.rates, found, rtol=1e-4, atol=1e-6)
    assert rest.stable == (found.real.max() < 0)


def test_equal_time_constants_have_the_eigenvalues_of_the_closed_form():
    """A2.2: -1 and -1 + (cos^2 d - lambda)/sin^2 d, -1.241863 for lambda = 1/2."""
    for ratio in (0.1, 0.5, 0.9):
        rest = inhibited_equilibrium(ratio)
        d = rest.radius
        other = -1 + (math.cos(d) ** 2 - ratio) / math.sin(d) ** 2
        assert np.allclose(np.sort(rest.rates.real), np.sort([-1.0, other]), rtol=1e-10)
        assert rest.stable
    assert inhibited_equilibrium(0.5).rates.real.min() == pytest.approx(-1.241863, abs=1e-6)


def test_slow_inhibition_turns_unstable_where_said():
    for ratio in (0.66, 0.8, 0.95):
        kappa = oscillation_kappa(ratio)
        assert inhibited_equilibrium(ratio, kappa=0.99 * kappa).stable
        beyond = inhibited_equilibrium(ratio, kappa=1.01 * kappa)
        assert not beyond.stable
        assert np.abs(beyond.rates.imag).min() > 0
    assert oscillation_kappa(2 / math.pi - 1e-6) == math.inf
    assert oscillation_kappa(2 / math.pi + 1e-2) < 1000
    assert inhibited_equilibrium(0.6, kappa=1e6).stable


def test_plain_branches_meet_at_the_fold():
    fold = fold_threshold(3.0)
    assert fold == pytest.approx(3 / (2 * math.pi))
    near = [plain_equilibrium(fold * (1 - 1e-8), 3.0, branch).radius for branch in ("stable", "unstable")]
    assert near == pytest.approx([math.pi / 4] * 2, abs=1e-3)
    with pytest.raises(ValueError, match="threshold must be a finite number in"):
        plain_equilibrium(0.165)


def test_fields_narrow_as_thresholds_rise():
    """A1.6."""
    plain = [plain_equilibrium(x).radius for x in np.linspace(0.001, 0.159, 40)]
    gated = [gated_equilibrium(x).radius for x in np.linspace(0.01, 0.99, 40)]
    assert np.all(np.diff(plain) < 0)
    assert np.all(np.diff(gated) < 0)


@pytest.mark.parametrize("make, level", [(plain_equilibrium, 0.13), (gated_equilibrium, 0.4)])
def test_grid_error_is_the_answer_to_an_error_of_the_edge(make, level):
    """The rest of a rule whose field ends a little off where it should."""
    rest, off = make(level), 1e-6

    def gap(d):
        pull, fired = math.sin(d + off) / math.pi, (d + off) / math.pi
        length = pull if make is plain_equilibrium else pull / fired
        return length * math.cos(d) - level

    low, high = rest.radius - 1e-3, rest.radius + 1e-3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if gap(middle) * gap(low) < 0 else (middle, high)
    assert abs(low - rest.radius) / off == pytest.approx(rest.grid_error, rel=1e-3)


def test_online_shift_is_the_mean_of_the_rule_to_first_order():
    """Against the stationary mean of 4,000 neurons: within five sigma, and ten sigma off without it."""
    random = np.random.default_rng(0)
    rate, tau, n = 0.05, 0.05, 4000
    w = np.tile([0.31, 0.0], (n, 1))
    means = []
    for t in range(400):
        angle = random.uniform(0, 2 * math.pi, (n, 4))
        v = np.stack([np.cos(angle), np.sin(angle)], -1)
        h = np.einsum("nkd,nd->nk", v, w) > tau
        w = w + rate * (np.einsum("nk,nkd->nd", h, v) / 4 - w)
        if t >= 120:
            means.append(np.linalg.norm(w, axis=1))
    each = np.mean(means, 0)
    error = each.std() / math.sqrt(n)
    excess = each.mean() - plain_equilibrium(tau).length
    expected = online_shift(tau, rate / 4)
    assert abs(excess - expected) < 5 * error + 0.2 * expected
    assert abs(excess) > 10 * error


def test_mean_shift_expansion_against_integration():
    """A3.2's case: E[v] - w in a ball of radius .4 about (.7, -.5, .9), on a grid of points."""
    variances, centre, d = np.array([1.0, 0.5, 2.0]), np.array([0.7, -0.5, 0.9]), 0.4
    line = np.linspace(-d, d, 101)
    x = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3)
    x = x[np.sum(x**2, 1) < d**2]
    weight = np.exp(-0.5 * np.sum((centre + x) ** 2 / variances, 1))
    exact = weight @ x / weight.sum()
    first, second = mean_shift(d, -centre / variances, -np.diag(1 / variances))
    assert first == pytest.approx([-0.0224, 0.0320, -0.0144], abs=1e-4)
    assert np.abs(first + second - exact).max() < 2e-4
    assert np.abs(first - exact).max() > 1e-3


def test_the_gated_rule_lowers_the_plain_function():
    """A3.3."""
    assert two_point_descent(0.5) == pytest.approx((0.075, -0.05))


BAD = [
    (plain_equilibrium, {"threshold": 0.0}, "threshold"),
    (plain_equilibrium, {"threshold": 0.1, "gain": 0.0}, "gain"),
    (plain_equilibrium, {"threshold": 0.1, "branch": "upper"}, "branch"),
    (gated_equilibrium, {"threshold": 1.0}, "threshold"),
    (gated_equilibrium, {"threshold": -0.1}, "threshold"),
    (inhibited_equilibrium, {"ratio": 0.0}, "ratio"),
    (inhibited_equilibrium, {"ratio": 1.0}, "ratio"),
    (inhibited_equilibrium, {"ratio": 0.5, "kappa": 0.0}, "kappa"),
    (oscillation_kappa, {"ratio": 1.5}, "ratio"),
    (fold_threshold, {"gain": -1.0}, "gain"),
    (cap_radius, {"threshold": 0.5, "length": 0.4}, "threshold"),
    (cap_radius, {"threshold": 0.5, "length": 0.0}, "length"),
    (online_shift, {"threshold": 0.1, "rate": 0.0}, "rate"),
    (mean_shift, {"radius": 0.0, "gradient": [1.0], "hessian": [[1.0]]}, "radius"),
    (mean_shift, {"radius": 0.1, "gradient": 1.0, "hessian": [[1.0]]}, "gradient"),
    (mean_shift, {"radius": 0.1, "gradient": [1.0], "hessian": [1.0]}, "hessian"),
    (two_point_descent, {"weight": 0.1}, "weight"),
]


@pytest.mark.parametrize("function, arguments, name", BAD)
def test_bad_values_are_refused(function, arguments, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        function(**arguments)
