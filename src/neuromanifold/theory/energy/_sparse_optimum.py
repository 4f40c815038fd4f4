"""The optimal sparse code, one coordinate at a time, and how fast first-order methods must reach it.

    E(a) = (1/2) |x - a Phi|^2 + lambda sum_i |a_i|,   G = Phi Phi^T, b = x Phi^T

Along one coordinate the minimum is explicit, a_i = S_lambda(b_i - sum_{j != i} a_j G_ji) / G_ii, and the
whole converges (Tseng 2001). From a = 0, with L the largest eigenvalue of G, after k steps

    ISTA   E - E* <= L |a*|^2 / (2 k),       FISTA   E - E* <= 2 L |a*|^2 / (k + 1)^2.

Source: Tseng 2001, J. Optim. Theory Appl. 109:475; Beck and Teboulle 2009, SIAM J. Imaging Sci. 2:183.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, check_integer, check_real, require


class SparseOptimum(NamedTuple):
    """An optimal code.

    Args:
        codes: a*, shape (n_data, n_atoms).
        energy: E*, shape (n_data,).
        violation: the largest distance of b - a G from lambda times a subgradient, shape (n_data,).
    """

    codes: NDArray[np.float64]
    energy: NDArray[np.float64]
    violation: NDArray[np.float64]


def sparse_optimum(
    dictionary: ArrayLike,
    data: ArrayLike,
    penalty: float,
    *,
    tolerance: float = 1e-12,
    max_sweeps: int = 100_000,
) -> SparseOptimum:
    """Optimal codes by coordinate descent, to a change of at most `tolerance` in a sweep.

    Args:
        dictionary: Phi, no atom of zeros, shape (n_atoms, n_features).
        data: shape (n_data, n_features).
        penalty: lambda > 0.
        tolerance: > 0.
        max_sweeps: >= 1.

    Raises:
        ValueError: an argument outside its range, or no convergence within max_sweeps.
    """
    phi, x = (
        check_finite(name, v).astype(np.float64) for name, v in (("dictionary", dictionary), ("data", data))
    )
    fits = phi.ndim == x.ndim == 2 and phi.shape[1] == x.shape[1]
    require(fits, "data", "have shape (n_data, n_features), as the dictionary has features", x.shape)
    weight = check_real("penalty", penalty, 0, open_low=True)
    check_real("tolerance", tolerance, 0, open_low=True)
    gram, drive = phi @ phi.T, x @ phi.T
    size = np.diagonal(gram)
    require(np.all(size > 0), "dictionary", "have no atom of zeros", size.min())
    codes, largest = np.zeros_like(drive), np.inf
    for _ in range(check_integer("max_sweeps", max_sweeps, 1)):
        largest = 0.0
        for i in range(len(phi)):
            pull = drive[:, i] - codes @ gram[:, i] + codes[:, i] * size[i]
            new = np.sign(pull) * np.maximum(np.abs(pull) - weight, 0.0) / size[i]
            largest = max(largest, float(np.abs(new - codes[:, i]).max()))
            codes[:, i] = new
        if largest <= tolerance:
            break
    else:
        require(
            False,
            "max_sweeps",
            f"suffice to reach {tolerance:g}, the last change was {largest:g}",
            max_sweeps,
        )
    rest = drive - codes @ gram
    inside = np.maximum(np.abs(rest) - weight, 0.0)
    violation = np.where(codes == 0, inside, np.abs(rest - weight * np.sign(codes))).max(1)
    energy = 0.5 * np.sum((x - codes @ phi) ** 2, 1) + weight * np.abs(codes).sum(1)
    return SparseOptimum(codes, energy, violation)


def first_order_bounds(
    dictionary: ArrayLike, optimum: ArrayLike, steps: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of E - E* for ISTA and for FISTA begun at 0, each of shape (n_data, n_steps).

    Args:
        dictionary: Phi, shape (n_atoms, n_features).
        optimum: a*, shape (n_data, n_atoms).
        steps: k >= 1, shape (n_steps,).

    Raises:
        ValueError: steps below one.
    """
    phi, codes = np.asarray(dictionary, np.float64), np.asarray(optimum, np.float64)
    k = check_finite("steps", steps).astype(np.float64)
    require(np.all(k >= 1), "steps", "be >= 1", steps)
    far = (np.linalg.norm(phi, 2) ** 2 * np.sum(codes**2, -1))[:, None]
    return np.asarray(far / (2 * k)), np.asarray(2 * far / (k + 1) ** 2)
