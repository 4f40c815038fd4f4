"""Theory of associative memory: the equations hold, known numbers come out, wrong formulas do not pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.optimize import brentq
from scipy.special import erf
from scipy.stats import multivariate_normal

from neuromanifold.theory.memory import (
    SignalToNoise,
    capacity,
    critical_overlap,
    dynamical_branch,
    dynamical_capacity,
    first_step,
    recall_dynamics,
    retrieval,
    retrieval_branch,
    retrieval_overlap,
    second_step,
    spin_glass,
)
from neuromanifold.theory.memory._signal_to_noise import _sign_correlation, _sign_correlation_exact


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.floats(1e-3, 0.1379), st.sampled_from(["stable", "unstable"]))
def test_retrieval_solves_the_three_equations(alpha, branch):
    found = retrieval(alpha, branch)
    m, r, c = found.overlap, found.noise, found.susceptibility
    assert m == pytest.approx(erf(m / np.sqrt(2 * alpha * r)), abs=1e-9)
    assert c == pytest.approx(np.sqrt(2 / (np.pi * alpha * r)) * np.exp(-(m**2) / (2 * alpha * r)), abs=1e-9)
    assert r == pytest.approx(1 / (1 - c) ** 2, rel=1e-8)


def test_capacity_is_the_fold():
    fold = capacity()
    assert fold.load == pytest.approx(0.137906, abs=1e-6)
    assert fold.overlap == pytest.approx(0.96742, abs=1e-5)
    both = [float(retrieval(fold.load * (1 - 1e-8), b).overlap) for b in ("stable", "unstable")]
    assert both[0] > fold.overlap > both[1]
    assert both[0] - both[1] < 1e-3
    assert float(retrieval(fold.load).overlap) == fold.overlap


def test_overlaps_of_the_specification():
    loads = [0.05, 0.08, 0.10, 0.12, 0.13, 0.135]
    expected = [0.99999, 0.99956, 0.99800, 0.99322, 0.98721, 0.98079]
    np.testing.assert_allclose(retrieval_overlap(loads), expected, atol=6e-6)
    # The formula without the feedback of the noise, r = 1, misses them.
    naive = [brentq(lambda m, a=a: m - erf(m / np.sqrt(2 * a)), 0.5, 1) for a in loads]
    assert np.max(np.abs(np.array(naive) - expected)) > 6e-4


def test_overlap_falls_with_load_and_ends_at_capacity():
    overlaps = retrieval_overlap(np.linspace(0.01, 0.2, 40))
    assert np.all(np.diff(overlaps) <= 0)
    assert overlaps[-1] == 0
    assert retrieval_overlap(np.array([[0.1], [0.2]])).shape == (2, 1)


def test_spin_glass_solves_the_equations_and_crosses_the_memory():
    glass = spin_glass([0.02, 0.1, 1.0])
    np.testing.assert_allclose(
        glass.susceptibility, np.sqrt(2 / (np.pi * glass.load * glass.noise)), rtol=1e-12
    )
    np.testing.assert_allclose(glass.noise, 1 / (1 - glass.susceptibility) ** 2, rtol=1e-12)
    # Energy -1/pi - sqrt(2 alpha/pi) from the general formula, and the crossing near .051.
    np.testing.assert_allclose(glass.energy, -0.5 * glass.load * (glass.noise - 1), rtol=1e-12)
    crossing = brentq(lambda a: float(retrieval(a).energy - spin_glass(a).energy), 0.03, 0.1)
    assert crossing == pytest.approx(0.0515, abs=6e-4)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.1380, float("nan")])
def test_loads_without_a_memory_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha must"):
        retrieval(alpha)


def test_bad_words_and_points_are_refused():
    with pytest.raises(ValueError, match="branch must be one of"):
        retrieval(0.1, "middle")
    with pytest.raises(ValueError, match="y must be > 0"):
        retrieval_branch([0.5, 0.0])
    with pytest.raises(ValueError, match="alpha must be > 0"):
        spin_glass(0)


def test_recursion_of_amari_and_maginu():
    alpha, m, steps = 0.08, 0.3, 8
    sigma, expected = np.sqrt(alpha), [0.3]
    for _ in range(steps):
        u = m / sigma
        p = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
        new = erf(u / np.sqrt(2))
        sigma = np.sqrt(alpha + 4 * p**2 + 4 * alpha * m * new * p / sigma)
        m = new
        expected.append(m)
    np.testing.assert_allclose(recall_dynamics(alpha, 0.3, steps).overlap, expected, atol=1e-12)


@pytest.mark.parametrize(
    "alpha, start, kind, expected",
    [
        (0.08, 0.388, "auto", [0.830, 0.914, 0.978, 0.998]),
        (0.2, 0.894, "auto", [0.954, 0.921, 0.887, 0.850]),
        (0.2, 0.407, "sequence", [0.637, 0.643, 0.651, 0.660]),
    ],
)
def test_trajectories_of_the_specification(alpha, start, kind, expected):
    np.testing.assert_allclose(recall_dynamics(alpha, start, 4, kind).overlap[1:], expected, atol=6e-4)
    other = "sequence" if kind == "auto" else "auto"
    assert np.abs(recall_dynamics(alpha, start, 4, other).overlap[1:] - expected).max() > 5e-3


def test_higher_orders_agree_longer():
    curves = [recall_dynamics(0.08, 0.3, 8, order=n).overlap for n in (1, 2, 3, 4, 9)]
    for n, curve in enumerate(curves[:-1], start=1):
        same = np.abs(curve - curves[-1]) < 1e-12
        assert np.all(same[: n + 2])
        assert not same[n + 2]
    # All correlations kept, as solved independently for the design notes.
    full = [0.30, 0.711, 0.776, 0.810, 0.834, 0.858, 0.886, 0.921, 0.960]
    np.testing.assert_allclose(curves[-1], full, atol=6e-4)


@pytest.mark.parametrize("order, load", [(1, 0.159608), (2, 0.140891), (3, 0.138740), (4, 0.138297)])
def test_capacity_of_the_branch_is_that_of_the_recursion(order, load):
    found = dynamical_capacity("auto", order)
    assert found.load == pytest.approx(load, abs=2e-6)
    # Iterated from the pattern itself, the recursion keeps it just below and loses it just above.
    below = recall_dynamics(found.load * 0.999, 1.0, 1500, order=order).overlap[-1]
    above = recall_dynamics(found.load * 1.002, 1.0, 1500, order=order).overlap[-1]
    assert below > found.overlap > 0.7 > above


def test_stationary_states_lie_on_the_branch():
    branch = dynamical_branch([2.5, 3.0], order=3)
    for load, overlap in zip(branch.load, branch.overlap, strict=True):
        assert recall_dynamics(load, 1.0, 400, order=3).overlap[-1] == pytest.approx(overlap, abs=1e-9)


def test_capacity_of_sequences():
    found = dynamical_capacity("sequence")
    assert found.load == pytest.approx(0.26906, abs=1e-5)
    assert recall_dynamics(found.load * 0.999, 1.0, 2000, "sequence").overlap[-1] > found.overlap
    assert recall_dynamics(found.load * 1.002, 1.0, 2000, "sequence").overlap[-1] < 0.1


def test_border_of_the_basin():
    # Found independently for the design notes.
    assert critical_overlap(0.08, tolerance=1e-4) == pytest.approx(0.154, abs=6e-4)
    with pytest.raises(ValueError, match="alpha must be a finite number in"):
        critical_overlap(0.17)


def test_sign_correlation_against_integration():
    a, b, rho = 0.7, -0.4, 0.6
    law = multivariate_normal([0, 0], [[1, rho], [rho, 1]])

    def quadrant(s, t):
        return dblquad(lambda y, x: law.pdf([x, y]), -a, 9, -b, 9, epsabs=1e-9)[0] if s * t else 0.0

    both_up = quadrant(1, 1)
    up_a, up_b = 0.5 * (1 + erf(a / np.sqrt(2))), 0.5 * (1 + erf(b / np.sqrt(2)))
    expected = 4 * both_up - 2 * up_a - 2 * up_b + 1
    with jax.enable_x64(True):
        a_, b_, r_ = (jnp.asarray(x) for x in (a, b, rho))
        found = float(_sign_correlation(a_, b_, r_, jnp.asarray(erf(a / 2**0.5) * erf(b / 2**0.5))))
    assert found == pytest.approx(expected, abs=1e-7)
    assert _sign_correlation_exact(0.0, 0.5, 0.0) == pytest.approx(2 / np.pi * np.arcsin(0.5), abs=1e-14)


def test_first_and_second_step():
    starts = np.array([0.1, 0.3, 0.6])
    curves = recall_dynamics(0.08, starts, 2).overlap
    np.testing.assert_allclose(first_step(0.08, starts), curves[:, 1], atol=1e-12)
    assert np.all(second_step(0.08, starts) > curves[:, 2])
    # Without a load nothing comes back: both agree as alpha -> 0 at fixed m_0/sqrt(alpha).
    small = 1e-8
    start = 0.5 * np.sqrt(small)
    assert second_step(small, start) == pytest.approx(recall_dynamics(small, start, 2).overlap[2], abs=1e-3)
    assert second_step(0.08, -0.3) == pytest.approx(-second_step(0.08, 0.3), abs=1e-12)


def test_starts_keep_their_shape_and_process_is_differentiable():
    curves = recall_dynamics(0.1, np.full((2, 3), 0.5), 4)
    assert curves.overlap.shape == (2, 3, 5)
    assert np.all(curves.noise[..., 0] == pytest.approx(np.sqrt(0.1)))

    def second(m):
        law = SignalToNoise(0.1, order=2)
        state = law.init(None, m)
        for _ in range(2):
            state, _ = law.step(None, 0, state)
        return state.overlap

    with jax.enable_x64(True):
        slope = jax.grad(second)(0.5)
        assert float(slope) == pytest.approx(float(second(0.5 + 1e-6) - second(0.5 - 1e-6)) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"alpha": 0.0}, "alpha must be a finite number > 0"),
        ({"alpha": -1.0}, "alpha must be a finite number > 0"),
        ({"alpha": 0.1, "kind": "hetero"}, "kind must be one of"),
        ({"alpha": 0.1, "order": 0}, "order must be an integer >= 1"),
        ({"alpha": 0.1, "kind": "sequence", "order": 2}, "order must be 1"),
    ],
)
def test_bad_laws_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SignalToNoise(**arguments)


def test_bad_overlaps_are_refused():
    for function in (first_step, second_step):
        with pytest.raises(ValueError, match="overlap must lie in"):
            function(0.1, 1.2)
        with pytest.raises(ValueError, match="alpha must be > 0"):
            function(0.0, 0.2)
    with pytest.raises(ValueError, match="overlap must lie in"):
        recall_dynamics(0.1, [0.2, -1.3], 3)
