"""Memories and concepts of families: against other theories, enumeration, derivatives and known numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from neuromanifold.theory.memory import (
    FamilyMap,
    FamilyPoint,
    attractor_loads,
    capacity,
    concept_branch,
    concept_spinodals,
    family_fixed_points,
    family_states,
    memory_branch,
    memory_spinodal,
    phase_diagram,
    retrieval_branch,
)
from neuromanifold.theory.memory import _concept as module


def residuals(state, alpha, b, s, mutate=False):
    """What is left of the equations, by enumeration of all children and both parents."""
    children = np.array(list(itertools.product((1.0, -1.0), repeat=s)))
    weight = sum(np.prod((1 + p * b * children) / 2, 1) / 2 for p in (1, -1))
    m = np.append(state.overlap, np.full(s - 1, state.sibling))
    total = children @ m
    sigma = float(state.noise)
    overlaps = (weight * erf(total / (np.sqrt(2) * sigma))) @ children
    u = np.sqrt(2 / np.pi) / sigma * (weight @ np.exp(-(total**2) / (2 * sigma**2)))
    matrix = (1 - b**2) * np.eye(s) + b**2
    factor = np.linalg.inv(np.eye(s) - (0.0 if mutate else u) * matrix) @ matrix
    noise = alpha / s * np.trace(factor @ factor)
    return np.abs(np.append(overlaps - m, noise - sigma**2)).max()


@pytest.mark.parametrize("b, s", [(0.0, 3), (0.4, 3), (0.6, 3), (0.3, 5), (0.2, 4)])
def test_states_solve_the_equations_by_enumeration(b, s):
    for kind in ("memory", "concept") if s % 2 else ("memory",):
        states = family_states(0.008, b, s, kind)
        assert len(states.load) >= 2
        for i in range(len(states.load)):
            state = type(states)(*(field[i] for field in states))
            assert residuals(state, 0.008, b, s) < 1e-10
            # Without the feedback of the noise the same states do not solve them.
            if not state.attractor:
                assert residuals(state, 0.008, b, s, mutate=True) > 1e-5


def test_without_correlation_it_is_the_replica_theory():
    y = np.array([0.9, 1.5, 2.0, 3.0])
    expected, found = retrieval_branch(y), memory_branch(np.sqrt(2) * y, 0.0, 3)
    np.testing.assert_allclose(found.load, expected.load, rtol=1e-12)
    np.testing.assert_allclose(found.overlap, expected.overlap, rtol=1e-12)
    np.testing.assert_allclose(found.susceptibility, expected.susceptibility, rtol=1e-12)
    np.testing.assert_allclose(found.sibling, 0.0, atol=1e-12)
    for s in (2, 3, 5):
        end = memory_spinodal(0.0, s)
        assert abs(end.load - capacity().load) < 1e-10
        assert abs(end.overlap - capacity().overlap) < 1e-7


# s = 3: overlap of the mixed state without load, ends of memory, of the upper mixed branch, of the lower.
TABLE = {
    0.0: (0.5, 0.1379, 0.0299, None),
    0.3: (0.545, 0.1236, 0.0373, None),
    0.5: (0.625, 0.0430, 0.0474, (0.0276, 0.0307)),
    0.6: (0.680, 0.0086, 0.0524, (0.0433, 0.0560)),
}


@pytest.mark.parametrize("b", TABLE)
def test_known_numbers_for_three_children(b):
    overlap, memory, upper, lower = TABLE[b]
    assert abs(float(concept_branch(60.0, b, 3).overlap) - overlap) < 5e-4
    assert abs(memory_spinodal(b, 3).load - memory) < 5e-5
    points = concept_spinodals(b, 3)
    assert abs(points[0].load - upper) < 5.1e-5
    assert [point.maximum for point in points] == [True, False, True][: len(points)]
    assert (lower is None) == (len(points) == 1)
    if lower:
        np.testing.assert_allclose([point.load for point in points[1:]], lower, atol=5.1e-5)


def test_known_numbers_fail_for_a_noise_without_correlation(monkeypatch):
    monkeypatch.setattr(module, "_noise_sums", lambda u, b, s: (1 / (1 - u) ** 2, 1 / (1 - u) ** 3))
    assert abs(memory_spinodal(0.5, 3).load - TABLE[0.5][1]) > 5e-3
    assert abs(concept_spinodals(0.6, 3)[0].load - TABLE[0.6][2]) > 5e-3


@pytest.mark.parametrize("b, s", [(0.4, 3), (0.5, 3), (0.3, 5)])
def test_attraction_ends_at_extrema_of_the_load(b, s):
    """Two derivations: zeros of d alpha/dx, and the Jacobian's largest eigenvalue."""
    points = [point.load for point in concept_spinodals(b, s)]
    intervals = attractor_loads("concept", b, s)
    assert len(intervals) == 2
    assert intervals[0][0] == 0.0
    np.testing.assert_allclose(sorted([intervals[0][1], *intervals[1]]), sorted(points), rtol=1e-9)
    assert abs(attractor_loads("memory", b, s)[0][1] / memory_spinodal(b, s).load - 1) < 1e-9


@pytest.fixture(scope="module")
def three():
    return family_fixed_points(0.03, 0.5, 3)


def test_fixed_points_of_the_map_are_the_states_with_their_spectra(three):
    """Two derivations: averages in closed form along branches, and automatic derivatives of the map."""
    attractors = 0
    for kind in ("memory", "concept"):
        states = family_states(0.03, 0.5, 3, kind)
        for i, eigenvalue in enumerate(states.eigenvalue):
            wanted = np.array([states.overlap[i], states.sibling[i], states.sibling[i], states.noise[i]])
            point = min(three, key=lambda p: np.abs(np.append(p.overlaps, p.noise) - wanted).max())
            assert np.abs(np.append(point.overlaps, point.noise) - wanted).max() < 1e-8
            assert point.attractor == states.attractor[i]
            if np.isinf(eigenvalue):
                assert point.noise_slope >= 1
            else:
                assert abs(point.eigenvalues[0] / eigenvalue - 1) < 1e-8
                assert point.eigenvalues[-1] > -1e-12
            attractors += point.attractor
    # The memory, and mixed states of little and of much noise.
    assert attractors == 3
    assert any(not point.attractor for point in three)


def test_jacobian_of_the_overlaps_is_symmetric_where_the_noise_follows():
    with jax.enable_x64(True):
        step = FamilyMap(0.03, 0.5, 3)
        at = FamilyPoint(jnp.array([0.9, 0.4, 0.2]), jnp.asarray(0.4))
        for _ in range(200):
            at = at._replace(noise=step(at).noise)
        assert abs(float(step(at).noise - at.noise)) < 1e-14
        slopes = jax.jacfwd(step)(at)
        jacobian = slopes.overlaps.overlaps + jnp.outer(slopes.overlaps.noise, slopes.noise.overlaps) / (
            1 - slopes.noise.noise
        )
        np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-13)
        # With the noise frozen some slope is missed.
        assert np.abs(jacobian - slopes.overlaps.overlaps).max() > 0.01


def test_phase_diagram_has_all_four_regions_and_agrees_with_the_states():
    loads, correlations = np.array([0.005, 0.035, 0.1, 0.16]), np.array([0.1, 0.45, 0.7])
    diagram = phase_diagram(loads, correlations, 3)
    code = diagram.memory + 2 * diagram.concept
    assert code.shape == (4, 3)
    assert set(np.unique(code)) == {0, 1, 2, 3}
    for i, alpha in enumerate(loads):
        for j, b in enumerate(correlations):
            assert family_states(alpha, b, 3, "memory").attractor.any() == diagram.memory[i, j]
            assert family_states(alpha, b, 3, "concept").attractor.any() == diagram.concept[i, j]


def test_without_load_few_children_leave_memory_at_the_sign_condition():
    """(s - 1) b^2 < 1 keeps every unit; beyond it the memory of three children is gone at any load."""
    assert attractor_loads("memory", 0.69, 3, 1e-5)
    assert not attractor_loads("memory", 0.72, 3, 1e-5)


def test_many_children_leave_memory_beyond_the_sign_condition():
    """Units whose siblings all disagree turn; with twenty siblings these are too few to turn others."""
    b, s = 0.23, 21
    assert (s - 1) * b**2 > 1.05
    state = family_states(0.002, b, s, "memory")
    assert state.attractor[0]
    assert 0.999 < state.overlap[0] < 1.0


def test_all_children_alike_have_no_memory_of_their_own():
    assert np.isnan(memory_branch(np.array([3.0, 5.0]), 1.0, 3).load).all()
    assert float(concept_branch(5.0, 1.0, 3).overlap) > 0.999


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: concept_branch(1.0, 1.2, 3), "b must be"),
        (lambda: concept_branch(1.0, -0.1, 3), "b must be"),
        (lambda: concept_branch(0.0, 0.5, 3), "x must be > 0"),
        (lambda: concept_branch(1.0, 0.5, 4), "s must be odd"),
        (lambda: memory_branch(1.0, 0.5, 1), "s must be an integer >= 2"),
        (lambda: memory_spinodal(0.9, 3), "b must leave the memory an attractor"),
        (lambda: family_states(0.0, 0.5, 3, "memory"), "alpha must be"),
        (lambda: family_states(0.1, 0.5, 3, "both"), "kind must be one of"),
        (lambda: attractor_loads("memory", 0.5, 3, 0.0), "smallest_load must be"),
        (lambda: phase_diagram([0.0], [0.5], 3), "alpha must be"),
        (lambda: phase_diagram([0.1], [1.5], 3), "b must lie in"),
        (lambda: phase_diagram([0.1], [0.5], 2), "s must be odd"),
        (lambda: FamilyMap(0.1, 0.5, 13), "s must be"),
    ],
)
def test_bad_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
