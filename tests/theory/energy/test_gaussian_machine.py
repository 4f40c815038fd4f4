"""Equilibria of the Gaussian machine: equation, rates of a numerical Jacobian, known numbers, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.theory.energy import gaussian_equilibria, gaussian_equilibrium, relaxation

VALUES = [5.0, 3.0, 2.0, 1.5, 0.8, 0.5]
C = np.diag(VALUES)


def likelihood(w, c):
    return w @ c - np.linalg.solve(np.eye(len(w)) - w @ w.T, w)


def one_step(w, c):
    a = w.T @ w
    return w @ (c - a @ c @ a - a - np.eye(len(c)))


def jacobian(velocity, w, c, step=1e-5):
    columns = []
    for i in range(w.size):
        e = np.zeros(w.size)
        e[i] = step
        e = e.reshape(w.shape)
        columns.append((velocity(w + e, c) - velocity(w - e, c)).ravel() / (2 * step))
    return np.array(columns).T


def rates(velocity, w, c):
    return np.sort(np.linalg.eigvals(jacobian(velocity, w, c)).real)[::-1]


@pytest.mark.parametrize(
    "choice, divergence, positive, zeros, largest",
    [
        ((0, 1, 2), 0.155413, 0, 3, 0.0),
        ((0, 1, 3), 0.261572, 1, 3, 0.5),
        ((1, 2), 1.350694, 4, 3, 4.0),
        ((0,), 0.759533, 6, 2, 2.0),
    ],
)
def test_known_equilibria(choice, divergence, positive, zeros, largest):
    found = gaussian_equilibrium(C, 3, choice)
    assert abs(likelihood(found.couplings, C)).max() < 1e-13
    assert abs(one_step(found.couplings, C)).max() < 1e-13
    assert found.divergence == pytest.approx(divergence, abs=5e-7)
    precision = np.eye(6) - found.couplings.T @ found.couplings
    kl = 0.5 * (np.trace(precision @ C) - 6 - np.linalg.slogdet(precision @ C)[1])
    assert found.divergence == pytest.approx(kl, abs=1e-12)
    assert (found.rates > 0).sum() == positive
    assert (found.rates == 0).sum() == zeros
    assert found.rates[0] == pytest.approx(largest, abs=1e-12)
    assert found.stable == (positive == 0)
    np.testing.assert_allclose(found.rates, rates(likelihood, found.couplings, C), atol=2e-6)
    # The same stable set under CD-1.
    assert (rates(one_step, found.couplings, C)[0] < 1e-6) == found.stable


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_any_covariance(seed, k):
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(4, 4)))[0]
    c = basis @ np.diag(random.uniform(0.3, 3.0, 4)) @ basis.T
    c = (c + c.T) / 2
    found = gaussian_equilibria(c, k)
    above = int((np.linalg.eigvalsh(c) > 1).sum())
    assert sum(one.stable for one in found) == 1
    assert found[0].stable
    assert len(found[0].chosen) == min(k, above)
    rotation = np.linalg.qr(random.normal(size=(k, k)))[0]
    for one in found:
        assert abs(likelihood(rotation @ one.couplings, c)).max() < 1e-12
        np.testing.assert_allclose(one.rates, rates(likelihood, rotation @ one.couplings, c), atol=1e-5)


def test_relaxation():
    assert float(relaxation(4.0)) == -24
    assert float(relaxation(4.0, "cd")) == -10.5
    c, w = np.array([[4.0]]), np.sqrt([[0.75]])
    assert jacobian(likelihood, w, c)[0, 0] == pytest.approx(-24, abs=1e-6)
    assert jacobian(one_step, w, c)[0, 0] == pytest.approx(-10.5, abs=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gaussian_equilibrium(C, 3, (4,)), "choose must name eigenvalues above 1, got 0.8"),
        (lambda: gaussian_equilibrium(C, 1, (0, 1)), "choose must name at most k = 1 eigenvalues"),
        (lambda: gaussian_equilibrium(C, 3, (0, 0)), "choose must name each eigenvalue once"),
        (lambda: gaussian_equilibrium(C, 3, (7,)), r"choose must be an integer in \[0, 5\]"),
        (lambda: gaussian_equilibrium(C, 0), "n_hidden must be an integer >= 1"),
        (lambda: gaussian_equilibrium(C[:2], 1), "covariance must be a square matrix"),
        (lambda: gaussian_equilibrium([[1, 2], [0, 1]], 1), "covariance must be symmetric"),
        (
            lambda: gaussian_equilibrium(np.diag([2.0, -1.0]), 1),
            "covariance must be positive semidefinite, got -1",
        ),
        (lambda: gaussian_equilibrium(np.diag([2.0, 0.0]), 1), "covariance must be positive definite"),
        (lambda: gaussian_equilibria(np.diag([2.0] * 17), 1), "at most 16 eigenvalues above 1, got 17"),
        (lambda: relaxation(1.0), "eigenvalue must be above 1"),
        (lambda: relaxation(2.0, "pcd"), "rule must be 'ml' or 'cd'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
