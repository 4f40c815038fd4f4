"""The Gaussian Boltzmann machine: all equilibria of its learning, their divergence and their stability.

Data of covariance C, machine q(v, h) ~ exp(-|v|^2/2 - |h|^2/2 + h^T W v) with k hidden units. Learning by
maximum likelihood is the flow

    dW/dt = W C - (I - W W^T)^{-1} W.

With C = V^T diag(lambda) V its equilibria are W = U D V: U any orthogonal k x k matrix, and in D the singular
value sqrt(1 - 1/lambda_i) for m <= k chosen eigenvalues lambda_i > 1. There

    KL[data : machine] = 1/2 sum_{j not chosen} (lambda_j - 1 - log lambda_j),

and the flow linearised has, for chosen i, i' and any j not chosen, the rates

    -2 lambda_i (lambda_i - 1)                                  of the singular value of i
    -lambda_i (lambda_i' - 1) - lambda_i' (lambda_i - 1), 0     of i and i' mixed; the zero rotates U
    lambda_j - lambda_i                                         of i turning towards j
    lambda_j - 1                                                of each of k - m empty units growing towards j
    0                                                           of each empty unit and each i, rotating U

so that it is stable just where the m = min(k, number of lambda > 1) largest are chosen. Learning by CD-1,
averaged exactly, dW/dt = W (C - A C A - A - I) with A = W^T W, has the same equilibria; the singular value
of i relaxes at -2 (1 - 1/lambda_i)(2 lambda_i - 1).

Source: Karakida, Okada and Amari 2016, Neural Networks 79:78; the rates of i and i' mixed are derived here.
The optimum is that of Tipping and Bishop 1999 (probabilistic principal components).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, check_integer, require


class GaussianEquilibrium(NamedTuple):
    """A state in which learning rests.

    Args:
        couplings: W, shape (k, n), for U the identity.
        chosen: the eigenvalues taken up, falling, shape (m,).
        divergence: KL[data : machine] in nats, for Gaussian data.
        rates: all k n eigenvalues of the linearised flow of maximum likelihood, falling.
        stable: whether none of them is positive.
    """

    couplings: NDArray[np.float64]
    chosen: NDArray[np.float64]
    divergence: float
    rates: NDArray[np.float64]
    stable: bool


def _spectrum(covariance: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, falling, and eigenvectors as rows."""
    matrix = check_finite("covariance", covariance).astype(np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    require(square, "covariance", "be a square matrix", matrix.shape)
    symmetric = np.abs(matrix - matrix.T).max() <= 1e-10 * np.abs(matrix).max()
    require(symmetric, "covariance", "be symmetric", covariance)
    values, vectors = np.linalg.eigh(matrix)
    smallest = float(values[0])
    require(smallest >= -1e-10 * values[-1], "covariance", "be positive semidefinite", smallest)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1].T


def gaussian_equilibrium(
    covariance: ArrayLike, n_hidden: int, choose: Sequence[int] | None = None
) -> GaussianEquilibrium:
    """The equilibrium that takes up some principal components of the data.

    Args:
        covariance: C, shape (n, n), symmetric and positive definite.
        n_hidden: k, hidden units, >= 1.
        choose: numbers of the eigenvalues taken up, 0 the largest, all of them above 1, at most k; None for
            the stable choice.

    Raises:
        ValueError: a covariance that is none, or a choice outside its rule.

    >>> import numpy as np
    >>> from neuromanifold.theory.energy import gaussian_equilibrium
    >>> C = np.diag([5.0, 3.0, 2.0, 1.5, 0.8, 0.5])
    >>> for choice in (None, [0, 1, 3]):
    ...     found = gaussian_equilibrium(C, 3, choice)
    ...     print(f"{found.divergence:.6f} {found.stable} {abs(found.rates[0]):.2f}")
    0.155413 True 0.00
    0.261572 False 0.50
    """
    values, vectors = _spectrum(covariance)
    require(values[-1] > 0, "covariance", "be positive definite", float(values[-1]))
    k, n = check_integer("n_hidden", n_hidden, 1), len(values)
    above = int((values > 1).sum())
    numbers = list(range(min(k, above))) if choose is None else sorted(set(choose))
    require(
        choose is None or len(numbers) == len(list(choose)), "choose", "name each eigenvalue once", choose
    )
    require(len(numbers) <= k, "choose", f"name at most k = {k} eigenvalues", choose)
    for number in numbers:
        inside = check_integer("choose", number, 0, n - 1)
        require(values[inside] > 1, "choose", "name eigenvalues above 1", float(values[inside]))
    taken = values[numbers]
    left = np.delete(values, numbers)
    couplings = np.zeros((k, n))
    couplings[: len(numbers)] = np.sqrt(1.0 - 1.0 / taken)[:, None] * vectors[numbers]
    empty = k - len(numbers)
    rates = [
        -2.0 * taken * (taken - 1.0),
        *([-a * (b - 1.0) - b * (a - 1.0), 0.0] for a, b in itertools.combinations(taken, 2)),
        (left[None, :] - taken[:, None]).ravel(),
        np.tile(left - 1.0, empty),
        np.zeros(empty * len(taken)),
    ]
    ordered = np.sort(np.concatenate([np.ravel(part) for part in rates]))[::-1]
    divergence = 0.5 * float(np.sum(left - 1.0 - np.log(left)))
    return GaussianEquilibrium(couplings, taken, divergence, ordered, bool(ordered[0] <= 0))


def gaussian_equilibria(covariance: ArrayLike, n_hidden: int) -> list[GaussianEquilibrium]:
    """All equilibria up to rotations of the hidden units, from the smallest divergence on.

    Args:
        covariance: C, shape (n, n), symmetric, positive definite, with at most 16 eigenvalues above 1.
        n_hidden: k, hidden units, >= 1.
    """
    values, _ = _spectrum(covariance)
    above = int((values > 1).sum())
    require(above <= 16, "covariance", "have at most 16 eigenvalues above 1", above)
    n_hidden = check_integer("n_hidden", n_hidden, 1)
    choices = (c for m in range(min(n_hidden, above) + 1) for c in itertools.combinations(range(above), m))
    found = [gaussian_equilibrium(covariance, n_hidden, choice) for choice in choices]
    return sorted(found, key=lambda one: one.divergence)


def relaxation(eigenvalue: ArrayLike, rule: str = "ml") -> NDArray[np.float64]:
    """The rate at which the singular value of a chosen eigenvalue comes back, < 0.

    Args:
        eigenvalue: lambda > 1, any shape.
        rule: "ml", -2 lambda (lambda - 1), or "cd", -2 (1 - 1/lambda)(2 lambda - 1).
    """
    require(rule in ("ml", "cd"), "rule", "be 'ml' or 'cd'", rule)
    values = check_finite("eigenvalue", eigenvalue).astype(np.float64)
    require(np.all(values > 1), "eigenvalue", "be above 1", eigenvalue)
    if rule == "ml":
        return np.asarray(-2.0 * values * (values - 1.0))
    return np.asarray(-2.0 * (1.0 - 1.0 / values) * (2.0 * values - 1.0))
