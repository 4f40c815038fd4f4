"""Laws of hetero-association: layers, there and back, the end states of a bidirectional memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import erf

from neuromanifold.theory.memory import (
    bidirectional_branch,
    bidirectional_capacity,
    bidirectional_overlap,
    dynamical_capacity,
    layered_recall,
    recall_dynamics,
    retrieval_overlap,
    there_and_back,
)


def test_equal_layers_follow_the_law_of_a_sequence():
    starts = np.array([[0.2, 0.407], [0.8, 1.0]])
    found = layered_recall(np.full(9, 0.2), starts)
    expected = recall_dynamics(0.2, starts, 8, "sequence")
    np.testing.assert_allclose(found.overlap, expected.overlap, atol=1e-12)
    np.testing.assert_allclose(found.noise, expected.noise, atol=1e-12)


def test_layers_of_different_sizes_by_hand():
    alphas, m, variance = [0.2, 0.3, 0.1], 0.6, 0.2
    expected = [m]
    for alpha in alphas[1:]:
        u = m / np.sqrt(variance)
        m, variance = erf(u / np.sqrt(2)), alpha + 4 * (np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)) ** 2
        expected.append(m)
    np.testing.assert_allclose(layered_recall(alphas, 0.6).overlap, expected, atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.floats(0.02, 0.5), st.floats(0.02, 0.5), st.floats(0.0, 1.0))
def test_there_and_back_keeps_its_symmetries(one, other, overlap):
    found, mirrored = there_and_back(one, other, overlap), there_and_back(one, other, -overlap)
    np.testing.assert_allclose(mirrored.first, -found.first, atol=1e-12)
    np.testing.assert_allclose(found.second, erf(overlap / np.sqrt(2 * one)), atol=1e-12)
    # From the pattern itself the returning state helps.
    whole = there_and_back(one, other, 1.0)
    assert whole.first >= whole.first_without


def test_end_states_solve_their_equations():
    u = np.linspace(1.2, 5, 30)
    branch = bidirectional_branch(u)
    sigma = branch.overlap / u
    c = 2 * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) / sigma
    m_cross = (1 + c**2) / (1 - c**2) ** 2
    np.testing.assert_allclose(sigma**2, branch.load * m_cross, rtol=1e-12)
    # Variance of M_y = A_y + c M_x, M_x = A_x + c M_y by the linear algebra of the pair.
    for factor, expected in zip(c[::6], m_cross[::6], strict=True):
        mixed = np.linalg.inv(np.array([[1, -factor], [-factor, 1]]))
        assert (mixed @ mixed.T)[0, 0] == pytest.approx(expected, rel=1e-10)


def test_capacities_are_in_order():
    single, pair, layers = 0.137906, bidirectional_capacity(), dynamical_capacity("sequence")
    assert single < pair.load < layers.load
    assert pair.load == pytest.approx(0.1998, abs=5e-5)
    assert layers.load == pytest.approx(0.2691, abs=5e-5)
    assert bidirectional_overlap(0.1) > retrieval_overlap(0.1)
    root = brentq(lambda a: bidirectional_overlap(a) - 0.98, 0.05, 0.19)
    assert 0.16 < root < 0.19


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: layered_recall([0.2, 0.0], 0.5), "alphas must be > 0"),
        (lambda: layered_recall([0.2], 0.5), "alphas must have shape"),
        (lambda: layered_recall([0.2, 0.2], 1.5), "overlap must lie in"),
        (lambda: there_and_back(0.0, 0.1, 0.5), "alpha_first must be > 0"),
        (lambda: there_and_back(0.1, -0.1, 0.5), "alpha_second must be > 0"),
        (lambda: bidirectional_branch(0.0), "signal must be > 0"),
        (lambda: bidirectional_overlap(0.25), "alpha must be a finite number in"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
