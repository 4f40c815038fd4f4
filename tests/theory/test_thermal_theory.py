"""Replica theory at finite temperature: equations, limits, known numbers, lines; wrong ones do not pass."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from neuromanifold.theory.memory import (
    capacity,
    concept_branch,
    concept_spinodals,
    memory_phase_diagram,
    mixture_load,
    mixture_temperature,
    retrieval,
    retrieval_load,
    retrieval_temperature,
    spin_glass,
    spin_glass_temperature,
    thermal_branch,
    thermal_retrieval,
    thermal_spin_glass,
    thermodynamic_load,
    thermodynamic_temperature,
)
from neuromanifold.theory.memory._thermal import magnetisation, state_at

VALUES = {1: [(1, 1.0)], 3: [(3, 0.25), (1, 0.75)]}


def average(function, m, sigma, t, n):
    """<< F(S, (m S + sigma z)/T) >> by adaptive quadrature."""
    total = 0.0
    for s, weight in VALUES[n]:
        kink = -m * s / sigma

        def integrand(z, s=s):
            return function(s, (m * s + sigma * z) / t) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        points = [p for p in (kink - 10 * t / sigma, kink, kink + 10 * t / sigma) if -9 < p < 9]
        total += weight * quad(integrand, -9, 9, points=points, limit=400, epsabs=1e-13)[0]
    return total


def log_two_cosh(v):
    return abs(v) + np.log1p(np.exp(-2 * abs(v)))


@pytest.mark.parametrize("sigma, t, n", [(0.2, 0.3, 1), (0.3, 0.05, 1), (0.15, 0.2, 3), (0.05, 0.35, 3)])
def test_states_solve_the_equations(sigma, t, n):
    state = thermal_branch(sigma, t, n)
    m, q, c = float(state.overlap), float(state.order), float(state.susceptibility)
    assert 0.3 < m <= 1
    assert m == pytest.approx(average(lambda s, v: s / n * np.tanh(v), m, sigma, t, n), abs=1e-10)
    assert q == pytest.approx(average(lambda s, v: np.tanh(v) ** 2, m, sigma, t, n), abs=1e-10)
    assert c == pytest.approx((1 - q) / t, abs=1e-9)
    assert float(state.load) == pytest.approx(sigma**2 * (1 - c) ** 2 / q, rel=1e-9)
    # Free energy and replicon from their own formulas; the pair average of a mixture likewise.
    a = float(state.load)
    free = n * m**2 / 2 + a / 2 + a * t / 2 * np.log(1 - c) - a / 2 * q / (1 - c) + sigma**2 * c / 2
    free -= t * average(lambda s, v: log_two_cosh(v), m, sigma, t, n)
    assert float(state.free_energy) == pytest.approx(free, abs=1e-10)
    sech4 = average(lambda s, v: (1 - np.tanh(v) ** 2) ** 2, m, sigma, t, n)
    assert float(state.replicon) == pytest.approx(a * sech4 / (t * (1 - c)) ** 2, rel=1e-8)
    pair = average(lambda s, v: (s**2 - n) / max(n * (n - 1), 1) * np.tanh(v) ** 2, m, sigma, t, n)
    assert float(state.antisymmetric) == pytest.approx(c + pair / t, abs=1e-9)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.floats(0.02, 0.6), st.floats(0.1, 0.95))
def test_entropy_is_minus_the_slope_of_the_free_energy(t, share):
    alpha = share * float(retrieval_load(t))
    for state in (thermal_retrieval, thermal_spin_glass):
        around = state(alpha, [t - 1e-4, t, t + 1e-4])
        slope = (around.free_energy[2] - around.free_energy[0]) / 2e-4
        assert around.entropy[1] == pytest.approx(-slope, abs=2e-6)


@pytest.mark.parametrize("sigma, t", [(0.1, 0.6), (0.3, 0.2)])
def test_free_energy_is_stationary_in_the_order_parameters(sigma, t):
    # At fixed alpha and T, m and r (q follows r) moved off a solution change f to second order only.
    m = float(thermal_branch(sigma, t).overlap)
    assert m > 0.05
    base = thermal_branch(sigma, t)
    alpha, q = float(base.load), float(base.order)

    def free(m, q, s):
        c = (1 - q) / t
        v = average(lambda s_, v: log_two_cosh(v), m, s, t, 1)
        return (
            m**2 / 2
            + alpha / 2
            + alpha * t / 2 * np.log(1 - c)
            - alpha / 2 * q / (1 - c)
            + s**2 * c / 2
            - t * v
        )

    h = 1e-4
    for step in ((h, 0, 0), (0, h * t, 0), (0, 0, h)):
        up = free(m + step[0], q + step[1], sigma + step[2])
        down = free(m - step[0], q - step[1], sigma - step[2])
        assert abs(up - down) / (2 * h) < 1e-6


def test_zero_temperature_is_the_theory_of_zero_temperature():
    loads = np.array([0.03, 0.1, 0.137])
    state, known = thermal_retrieval(loads, 0.0), retrieval(loads)
    np.testing.assert_allclose(state.overlap, known.overlap, atol=1e-11)
    np.testing.assert_allclose(state.free_energy, known.energy, atol=1e-12)
    np.testing.assert_allclose(state.noise**2 / loads, known.noise, rtol=1e-10)
    glass, known = thermal_spin_glass(loads, 0.0), spin_glass(loads)
    np.testing.assert_allclose(glass.free_energy, known.energy, atol=1e-12)
    np.testing.assert_allclose(glass.susceptibility, known.susceptibility, atol=1e-11)
    # Entropy at T = 0 is negative: replica symmetry is broken there.
    assert float(thermal_retrieval(capacity().load * (1 - 1e-9), 0.0).entropy) == pytest.approx(
        -1.4e-3, abs=5e-5
    )
    assert float(thermal_spin_glass(capacity().load, 0.0).entropy) == pytest.approx(-0.069, abs=5e-4)
    # Mixtures at T = 0 are the concept states of families without correlation.
    mixed = concept_branch([2.0, 4.0], 0.0, 3)
    state = thermal_branch(mixed.noise, 0.0, 3)
    np.testing.assert_allclose(state.load, mixed.load, rtol=1e-10)


def test_without_load_it_is_the_magnet():
    t = np.array([0.2, 0.5, 0.9])
    state = thermal_retrieval(1e-9, t)
    expected = [brentq(lambda m, t=t: np.tanh(m / t) - m, 1e-3, 1) for t in t]
    np.testing.assert_allclose(state.overlap, expected, atol=1e-6)
    for n, overlap in ((3, 1 / 2), (5, 3 / 8), (7, 5 / 16)):
        assert float(thermal_retrieval(1e-6, 0.0, n).overlap) == pytest.approx(overlap, abs=1e-6)


def test_lines_of_the_phase_diagram():
    assert float(retrieval_load(0.0)) == pytest.approx(capacity().load, abs=1e-9)
    assert float(retrieval_load(1.0)) == 0
    small = 1e-4
    # Amit, Gutfreund and Sompolinsky 1987: T_M = 1 - 1.95 sqrt(alpha), T_c = 1 - 2.6 sqrt(alpha).
    assert (1 - retrieval_temperature(small)) / np.sqrt(small) == pytest.approx(1.95, abs=0.015)
    assert (1 - thermodynamic_temperature(small)) / np.sqrt(small) == pytest.approx(2.6, abs=0.03)
    crossing = brentq(lambda a: float(retrieval(a).energy - spin_glass(a).energy), 0.03, 0.1)
    assert float(thermodynamic_load(0.0)) == pytest.approx(crossing, abs=1e-8)
    assert float(spin_glass_temperature(0.25)) == 1.5
    line = retrieval_load([0.3])[0]
    assert float(retrieval_temperature(line)) == pytest.approx(0.3, abs=1e-6)
    # Just below it there is a memory, just above none.
    found = thermal_retrieval([line * 0.999, line * 1.001], 0.3).overlap
    assert found[0] > 0.9
    assert np.isnan(found[1])
    # At the line the rise of alpha(sigma) ends: both branches meet.
    near = thermal_retrieval(line * (1 - 1e-7), 0.3)
    ahead = thermal_branch(near.noise * 1.001, 0.3)
    assert abs(float(ahead.load) - line) < 1e-5


def test_replica_symmetry_breaks_at_the_spin_glass_line_and_near_no_temperature():
    just = thermal_spin_glass(0.25, [1.5 - 1e-3, 1.5 + 1e-3])
    assert just.order[0] > 0 == just.order[1]
    # 1 on the glass side to first order, alpha/(T - 1)^2 above.
    np.testing.assert_allclose(just.replicon, [1, 0.25 / 0.501**2], atol=1e-5)
    # Of the memory it breaks below T_R ~ sqrt(8 alpha/(9 pi)) exp(-1/(2 alpha)), .004 at this load.
    memory = thermal_retrieval(0.13, [0.001, 0.05]).replicon
    assert memory[0] > 1 > memory[1]


def test_mixtures():
    assert float(mixture_load(0.0)) == pytest.approx(0.0299, abs=6e-5)
    assert float(mixture_load(0.0)) == pytest.approx(concept_spinodals(0.0, 3)[0].load, abs=1e-8)
    # By hand for n = 3: 1 - tanh^2 x = T = (tanh 3x + tanh x)/(4 x).
    x = brentq(lambda x: 1 - np.tanh(x) ** 2 - (np.tanh(3 * x) + np.tanh(x)) / (4 * x), 0.5, 2)
    assert mixture_temperature(3) == pytest.approx(1 - np.tanh(x) ** 2, abs=1e-12)
    melt = mixture_temperature(3)
    loads = mixture_load([melt - 5e-3, melt + 5e-3])
    assert loads[0] > 0 == loads[1]
    # A mixture that only had to exist, not to attract, would last to T = 1.
    assert float(retrieval_load(melt + 0.1, 3)) > 0


def test_phase_diagram_in_seconds():
    alpha, t = np.linspace(0.0015, 0.15, 100), np.linspace(0.0, 1.2, 100)
    start = time.process_time()
    diagram = memory_phase_diagram(alpha, t)
    assert time.process_time() - start < 20
    assert diagram.overlap.shape == (100, 100)
    # Ground implies memory, memory implies glass; each phase ends as the load grows.
    assert np.all(diagram.memory | ~diagram.ground)
    assert np.all(diagram.glass | ~diagram.memory)
    for phase in (diagram.memory, diagram.ground, diagram.mixture):
        assert np.all(np.diff(phase.astype(int), axis=1) <= 0)
    # The solution at a point, once more from its own equations.
    state = thermal_retrieval(alpha[20], t[30])
    assert diagram.overlap[30, 20] == pytest.approx(float(state.overlap), abs=1e-10)
    assert float(thermal_branch(state.noise, t[30]).load) == pytest.approx(alpha[20], abs=1e-12)


def test_the_theory_without_feedback_is_another():
    # r = q instead of q/(1 - C)^2: the load at which that memory ends at T = 0.3 is far from the line.
    sigma = np.geomspace(0.01, 0.79, 400)
    state = thermal_branch(sigma, 0.3)
    naive = np.nanmax(np.where(state.overlap > 0, sigma**2 / state.order, np.nan))
    assert naive > 3 * float(retrieval_load(0.3))


def test_quadratures_agree_where_they_meet():
    m, sigma = np.array([0.7]), np.array([0.3])
    low, high = (state_at(m, sigma, np.array([0.3 * f]), 3) for f in (1 - 1e-9, 1 + 1e-9))
    for one, other in zip(low, high, strict=True):
        assert one == pytest.approx(other, rel=1e-7)
    mean, slope = magnetisation(m, sigma, np.array([0.0]))
    assert slope[0] == pytest.approx(
        (magnetisation(m + 1e-6, sigma, np.array([0.0]))[0][0] - mean[0]) / 1e-6, rel=1e-5
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: thermal_branch(0.0, 0.1), "sigma must be > 0"),
        (lambda: thermal_branch(0.1, -0.1), "temperature must be >= 0, got -0.1"),
        (lambda: thermal_branch(0.1, np.nan), "temperature must be finite"),
        (lambda: thermal_branch(0.1, 0.1, 2), "n_mixed must be odd"),
        (lambda: thermal_branch(0.1, 0.1, 0), "n_mixed must be an integer >= 1"),
        (lambda: thermal_retrieval(0.0, 0.1), "alpha must be > 0"),
        (lambda: thermal_spin_glass(0.1, -1.0), "temperature must be >= 0"),
        (lambda: retrieval_load(-0.5), "temperature must be >= 0"),
        (lambda: thermodynamic_load(-0.5), "temperature must be >= 0"),
        (lambda: retrieval_temperature(-0.5), "alpha must be > 0"),
        (lambda: spin_glass_temperature(0.0), "alpha must be > 0"),
        (lambda: mixture_load(0.1, 1), "n_mixed must be >= 3"),
        (lambda: mixture_temperature(4), "n_mixed must be odd"),
        (lambda: memory_phase_diagram([[0.1]], [0.1]), "alpha must be a vector"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
