"""Exact chains, depths of local minima, quantum annealing, and Parisi's formula against what is known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from neuromanifold.dynamics import run
from neuromanifold.theory.energy import (
    PARISI_ENERGY,
    ExactChain,
    ScaledLogarithm,
    barrier_depth,
    crossing,
    energy_from_overlap,
    finite_size_energy,
    gibbs_law,
    ground_state,
    landau_zener,
    local_minima,
    minimal_gap,
    paramagnet_energy,
    parisi_functional,
    path_proposal,
    quantum_anneal,
    slow_loss,
    spin_energies,
    success_probability,
)

CHAIN = np.array([0, 1, 2, 1, 0.5, 1, 2.5])


def global_share(law):
    return law[:, 0]


def test_logarithmic_schedules_have_the_success_of_the_specification(key):
    """B5.1: P(global) after 1e3, 2e4 and 2e5 proposals from the local minimum, printed to three digits."""
    with jax.enable_x64(True):
        chain = ExactChain(CHAIN, path_proposal(7), ScaledLogarithm([0.5, 1.0, 1.5, 2.0, 3.0]))
        start = np.tile(np.eye(7)[4], (5, 1))
        found = run(chain.process(), key, start, 200_000, observe=global_share, every=1000)
        np.testing.assert_allclose(found.state.sum(1), 1.0, atol=1e-10)
    table = [
        [0.015, 0.167, 0.539, 0.716, 0.607],
        [0.015, 0.177, 0.743, 0.894, 0.766],
        [0.015, 0.179, 0.843, 0.946, 0.846],
    ]
    np.testing.assert_allclose(found.values[[1, 20, 200]], table, atol=5.1e-4)


def test_the_gibbs_law_is_stationary():
    """B5.2, with a symmetric proposal, and with a corrected one; without correction it is not."""
    random = np.random.default_rng(0)
    uneven = random.dirichlet(np.ones(7), size=7)
    with jax.enable_x64(True):
        law = gibbs_law(CHAIN, 0.7)
        plain = np.asarray(ExactChain(CHAIN, path_proposal(7), lambda t: 0.7).matrix(0.7))
        corrected = np.asarray(ExactChain(CHAIN, uneven, lambda t: 0.7, correction=True).matrix(0.7))
        for matrix in (plain, corrected):
            np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-14)
            np.testing.assert_allclose(law @ matrix, law, atol=7e-15)
        away = uneven * np.exp(np.minimum((CHAIN[:, None] - CHAIN) / 0.7, 0))
        wrong = away + np.diag(1 - away.sum(1))
        assert np.abs(law @ wrong - law).max() > 0.01
    # Written out for one pair.
    assert plain[1, 2] == pytest.approx(0.5 * np.exp(-1 / 0.7), abs=1e-15)
    np.testing.assert_allclose(law, np.exp(-CHAIN / 0.7) / np.exp(-CHAIN / 0.7).sum(), atol=1e-15)


def depths_by_search(levels, near):
    """Depth of every state from which no lower state is reached without climbing, by flooding from it."""
    found = {}
    for start in range(len(levels)):
        for level in np.unique(levels[levels >= levels[start]]):
            part, front = {start}, [start]
            while front:
                new = {j for j in np.flatnonzero(near[front.pop()]) if levels[j] <= level} - part
                part |= new
                front += new
            if min(levels[list(part)]) < levels[start]:
                if level > levels[start]:
                    found[start] = level - levels[start]
                break
        else:
            found[start] = np.inf
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.integers(0, 2**32 - 1))
def test_depths_are_those_of_a_search(levels, seed):
    levels = np.array(levels, float)
    n = len(levels)
    random = np.random.default_rng(seed)
    near = np.eye(n, k=1, dtype=bool) | (random.random((n, n)) < 0.2)
    near |= near.T
    found = {i: minimum.depth for minimum in local_minima(levels, near) for i in minimum.states}
    assert found == depths_by_search(levels, near & ~np.eye(n, dtype=bool))


def test_depth_of_the_chain():
    assert barrier_depth(CHAIN, path_proposal(7)) == 1.5
    assert barrier_depth(CHAIN[:3], path_proposal(3)) == 0.0
    two = local_minima([0, 2, 1, 1, 3, 0], path_proposal(6))
    assert [m.states for m in two] == [(0,), (5,), (2, 3)]
    assert [m.depth for m in two] == [np.inf, np.inf, 1.0]


J4 = np.array([[0, 0.6, -1.1, 0.3], [0.6, 0, 0.4, -0.8], [-1.1, 0.4, 0, 0.9], [0.3, -0.8, 0.9, 0]])
B4 = np.array([0.3, -0.5, 0.2, 0.7])


def test_quantum_annealing_is_the_product_of_exponentials():
    """Against the midpoint rule for the propagator, whose error falls as the square of its step."""
    levels = spin_energies(J4, B4)
    states = np.array(list(itertools.product((-1, 1), repeat=4)))
    np.testing.assert_allclose(levels, [-0.5 * s @ J4 @ s - B4 @ s for s in states], atol=1e-13)
    turn = np.zeros((16, 16))
    for k, i in itertools.product(range(16), range(4)):
        turn[k, k ^ (1 << i)] = 1
    durations = np.array([1.0, 5.0])
    found = quantum_anneal(levels, durations)
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-8)
    errors = []
    for n_steps in (100, 200):
        psi = np.full(16, 0.25, complex)
        for k in range(n_steps):
            s = (k + 0.5) / n_steps
            psi = expm(-1j * 5.0 / n_steps * (s * np.diag(levels) - (1 - s) * turn)) @ psi
        errors.append(np.abs(np.abs(psi) ** 2 - found[1]).max())
    assert errors[1] < 1e-3
    assert 3.5 < errors[0] / errors[1] < 4.5
    gap, where = minimal_gap(levels)
    spectrum = np.linalg.eigvalsh(where * np.diag(levels) - (1 - where) * turn)
    assert gap == pytest.approx(spectrum[1] - spectrum[0], abs=1e-12)


def test_slow_annealing_loses_one_over_the_square_of_time():
    levels = spin_energies(J4, B4)
    durations = np.array([0.01, 100.0, 140.0, 200.0, 280.0])
    loss = 1 - success_probability(levels, quantum_anneal(levels, durations))
    assert loss[0] == pytest.approx(15 / 16, abs=1e-3)
    bounds = slow_loss(J4, B4)
    scaled = (durations**2 * loss)[1:]
    assert (scaled > 0.97 * bounds.least).all()
    assert (scaled < 1.03 * bounds.most).all()
    # A factor of two in either amplitude would be seen.
    assert bounds.most < 4 * bounds.end**2 + 4 * bounds.beginning**2


def test_crossings_have_the_probabilities_of_landau_and_zener():
    """B5.3: within .005 of the formula at |t| <= 200 on diabatic levels, to 1e-4 on adiabatic ones."""
    rates = np.array([0.5, 1.0, 2.0])
    found = crossing(1.0, rates, 200.0)
    np.testing.assert_allclose(found.diabatic, [0.0392, 0.2059, 0.4536], atol=1e-4)
    np.testing.assert_allclose(found.adiabatic, landau_zener(1.0, rates), atol=5e-6)
    assert np.abs(found.diabatic - landau_zener(1.0, rates)).max() < 0.005


def test_the_parisi_formula():
    energies = [ground_state(k).energy for k in range(4)]
    assert energies[0] == pytest.approx(-np.sqrt(2 / np.pi), abs=1e-12)
    # One step: -.7653 (Parisi 1980). Every step is a bound from below, and better than the last.
    assert energies[1] == pytest.approx(-0.7653, abs=5e-5)
    assert (np.diff(energies) > 0).all()
    assert energies[-1] < PARISI_ENERGY < energies[-1] + 2e-4
    # The functional on any step function is a bound; a step of no height changes nothing.
    assert parisi_functional([0.3, 0.8], [0.5, 2.0]) < PARISI_ENERGY
    one = ground_state(1)
    split = parisi_functional([one.times[0], 0.7], [one.heights[0], one.heights[0] * (1 + 1e-9)])
    assert split == pytest.approx(one.energy, abs=1e-6)


def test_the_finite_size_correction_is_that_of_enumeration():
    random, n = np.random.default_rng(0), 8
    states = 2.0 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1) - 1
    rows, columns = np.triu_indices(n, 1)
    couplings = random.normal(size=(rows.size, 20000)) / np.sqrt(n)
    energies = -((states[:, rows] * states[:, columns]) @ couplings).max(0) / n
    expected, error = finite_size_energy(n)
    assert abs(energies.mean() - expected) < 5 * energies.std() / np.sqrt(20000) + error
    assert error < 0.5 * (expected - PARISI_ENERGY)


def test_the_energy_by_parts_is_that_of_enumeration():
    """<E>/N against the overlap of pairs, averaged over Gaussian couplings of six units."""
    random, n, temperature = np.random.default_rng(1), 6, 0.7
    states = 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1
    rows, columns = np.triu_indices(n, 1)
    pairs = states[:, rows] * states[:, columns]
    couplings = random.normal(size=(40000, rows.size)) / np.sqrt(n)
    levels = -couplings @ pairs.T
    weights = np.exp(-levels / temperature)
    weights /= weights.sum(1, keepdims=True)
    energy = (weights * levels).sum(1) / n
    overlap = ((weights @ pairs) ** 2).mean(1)
    gap = energy - energy_from_overlap(overlap, temperature, n)
    assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(len(gap))
    wrong = energy - energy_from_overlap(overlap, temperature, n) * n / (n - 1)
    assert abs(wrong.mean()) > 5 * wrong.std() / np.sqrt(len(gap))
    assert paramagnet_energy([1.25, 2.0]).tolist() == [-0.4, -0.25]


UNEVEN = np.array([[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: gibbs_law([0, 1], 0.0), "temperature must be a finite number > 0, got 0.0"),
        (lambda: gibbs_law([[0, 1]], 1.0), r"energies must have shape \(n_states,\)"),
        (
            lambda: ExactChain([0, 1], UNEVEN, jnp.cos),
            r"proposal must be symmetric, .* or have its correction",
        ),
        (lambda: ExactChain([0, 1], path_proposal(3), jnp.cos), r"proposal must have shape \(2, 2\)"),
        (lambda: ExactChain([0, 1], -np.eye(2), jnp.cos), "proposal must hold no negative"),
        (lambda: ExactChain([0, 1], np.ones((2, 2)), jnp.cos), "proposal must have rows that sum"),
        (lambda: ExactChain([0, 1], np.ones(2), jnp.cos), r"proposal must have shape \(n_states, n_states\)"),
        (lambda: ScaledLogarithm([1.0, 0.0]), "scales must be > 0"),
        (lambda: path_proposal(1), "n_states must be an integer >= 2"),
        (lambda: barrier_depth([0, 1], np.zeros((2, 2))), "adjacency must connect all states, got '2 parts'"),
        (lambda: barrier_depth([0, 1], [[0, 1], [0, 0]]), "adjacency must be symmetric"),
        (lambda: barrier_depth([0, 1], np.ones((3, 3))), r"adjacency must have shape \(2, 2\)"),
        (lambda: spin_energies(np.zeros((13, 13))), r"n_spins must be an integer in \[1, 12\], got 13"),
        (lambda: spin_energies([[0, 1], [2, 0]]), "couplings must be symmetric"),
        (lambda: spin_energies([[1, 1], [1, 0]]), "couplings must be symmetric with a diagonal of zeros"),
        (lambda: quantum_anneal(np.zeros(2**13), [1.0]), "n_spins must be at most 12, got 13"),
        (lambda: quantum_anneal(np.zeros(3), [1.0]), r"energies must have shape \(2\^n_spins,\)"),
        (lambda: quantum_anneal([0, 1.0], [1.0, 0.0]), "durations must be > 0"),
        (lambda: minimal_gap(np.zeros(2**9)), r"n_spins must be an integer in \[1, 8\]"),
        (lambda: slow_loss([[0, 1], [1, 0]], 0.0), "biases must leave one ground state, got '2 of them'"),
        (lambda: landau_zener(1.0, 0.0), "rate must be > 0"),
        (lambda: landau_zener(-1.0, 1.0), "gap must be >= 0"),
        (lambda: crossing(0.0, [1.0], 5.0), "gap must be a finite number > 0"),
        (lambda: crossing(1.0, [0.0], 5.0), "rates must be > 0"),
        (lambda: crossing(1.0, [1.0], 0.0), "half_time must be a finite number > 0"),
        (lambda: ground_state(9), r"n_steps must be an integer in \[0, 4\]"),
        (lambda: parisi_functional([0.5, 0.4], [1, 2]), "times must rise"),
        (lambda: parisi_functional([0.5], [0.0]), "heights must rise from above 0"),
        (lambda: parisi_functional([0.5], [1, 2]), "heights must have the shape"),
        (lambda: paramagnet_energy(0.9), "temperature must be above 1"),
        (lambda: paramagnet_energy(1.2, 27), "temperature must be above 1 by more than"),
        (lambda: finite_size_energy(1), "n_units must be >= 2"),
        (lambda: energy_from_overlap(0.1, 0.0, 5), "temperature must be a finite number > 0"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
