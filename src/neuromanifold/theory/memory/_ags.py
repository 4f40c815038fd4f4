"""Replica-symmetric theory of Hebb's memory at zero temperature (Amit, Gutfreund and Sompolinsky).

P = alpha N independent patterns, J_ij = (1/N) sum_mu xi_i^mu xi_j^mu, J_ii = 0, N -> infinity, T = 0. With m
the overlap with one pattern, r the mean of N times the squared overlap with any other pattern, and
C = lim beta (1 - q):

    m = erf(m / sqrt(2 alpha r))
    C = sqrt(2 / (pi alpha r)) exp(-m^2 / (2 alpha r))
    r = 1 / (1 - C)^2

With y = m / sqrt(2 alpha r) all of it is explicit along one branch: m = erf(y) and

    sqrt(2 alpha) = erf(y)/y - (2/sqrt(pi)) exp(-y^2).

alpha(y) rises from 0 at y = 0 to its maximum alpha_c at y_c and falls again: below alpha_c two retrieval
solutions exist, the stable one with y > y_c and an unstable one with y < y_c; they meet at the fold. The
spin glass m = 0 exists for every alpha. Energy per unit of each: E/N = -(m^2 + alpha (r - 1)) / 2.

Symbols: alpha load P/N; m overlap; r noise; C susceptibility. Replica symmetry is broken at T = 0 in a way
that moves alpha_c only to .1382.

Source: Amit, Gutfreund and Sompolinsky 1985, Phys. Rev. Lett. 55:1530; 1987, Ann. Phys. 173:30.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf

from neuromanifold._base import check_choice, check_finite, require

# Beyond it 1 - erf(y) is below the resolution of float64.
_LARGEST_Y = 6.0


class Retrieval(NamedTuple):
    """Solutions of the theory, all arrays of one shape.

    Args:
        load: alpha = P/N.
        overlap: m, the overlap with the recalled pattern.
        noise: r, the mean of N m_nu^2 over all other patterns.
        susceptibility: C = lim beta (1 - q).
        energy: E/N.
    """

    load: NDArray[np.float64]
    overlap: NDArray[np.float64]
    noise: NDArray[np.float64]
    susceptibility: NDArray[np.float64]
    energy: NDArray[np.float64]


class Capacity(NamedTuple):
    """The largest load at which retrieval exists, and the overlap there."""

    load: float
    overlap: float


def retrieval_branch(y: ArrayLike) -> Retrieval:
    """Both retrieval solutions along y = m / sqrt(2 alpha r), explicitly and without iteration.

    Args:
        y: any shape, > 0. The load is largest at the fold y_c = 1.5112; y > y_c is the stable solution.

    Raises:
        ValueError: a y that is not positive and finite.

    Source: Amit, Gutfreund and Sompolinsky 1987, section 4 (T = 0).
    """
    point = check_finite("y", y).astype(np.float64)
    require(np.all(point > 0), "y", "be > 0", y)
    overlap = erf(point)
    gauss = 2.0 / np.sqrt(np.pi) * np.exp(-(point**2))
    root = overlap / point - gauss  # sqrt(2 alpha)
    load = root**2 / 2.0
    noise = (overlap / (point * root)) ** 2
    susceptibility = gauss * point / overlap
    energy = -0.5 * (overlap**2 + load * (noise - 1.0))
    return Retrieval(load, overlap, noise, susceptibility, energy)


def _fold() -> float:
    found: Any = minimize_scalar(
        lambda y: -float(retrieval_branch(y).load),
        bounds=(0.5, 3.0),
        method="bounded",
        options={"xatol": 1e-12},
    )
    # The maximum itself is flat; the zero of the derivative is sharp.
    root: Any = brentq(_slope, found.x - 1e-3, found.x + 1e-3, xtol=1e-15)
    return float(root)


def _slope(y: float) -> float:
    """D sqrt(2 alpha) / dy."""
    gauss = 2.0 / np.sqrt(np.pi) * np.exp(-(y**2))
    return float(gauss / y - erf(y) / y**2 + 2.0 * y * gauss)


def capacity() -> Capacity:
    """The load at which retrieval ends, alpha_c = .137906, and the overlap there, m_c = .96742.

    >>> from neuromanifold.theory.memory import capacity
    >>> print(f"{capacity().load:.6f} {capacity().overlap:.5f}")
    0.137906 0.96742
    """
    point = retrieval_branch(_fold())
    return Capacity(float(point.load), float(point.overlap))


def retrieval(alpha: ArrayLike, branch: str = "stable") -> Retrieval:
    """The retrieval solution at given loads.

    Args:
        alpha: load P/N, any shape, in (0, alpha_c].
        branch: "stable" (the memory) or "unstable" (the state between the memory and the spin glass).

    Raises:
        ValueError: alpha not positive, or above the capacity, where no retrieval solution exists.
    """
    check_choice("branch", branch, ("stable", "unstable"))
    loads = check_finite("alpha", alpha).astype(np.float64)
    fold = _fold()
    largest = float(retrieval_branch(fold).load)
    require(np.all((loads > 0) & (loads <= largest)), "alpha", f"lie in (0, {largest:.6f}]", alpha)

    def solve(load: Any) -> float:
        def excess(y: float) -> float:
            return float(retrieval_branch(y).load - load)

        if load == largest:
            return fold
        if branch == "unstable":
            root: Any = brentq(excess, 1e-5, fold, xtol=1e-14)
            return float(root)
        # erf(y)/y ~ 1/y bounds the solution from above at small loads.
        root = brentq(excess, fold, 2.0 * _LARGEST_Y + 1.0 / np.sqrt(2.0 * load), xtol=1e-14)
        return float(root)

    points = np.array([solve(load) for load in loads.ravel()]).reshape(loads.shape)
    return retrieval_branch(points)._replace(load=loads)


def retrieval_overlap(alpha: ArrayLike) -> NDArray[np.float64]:
    """Overlap of the memory with its pattern, 0 above the capacity, where only the spin glass is left.

    Args:
        alpha: load P/N, any shape, > 0.

    Raises:
        ValueError: alpha not positive.

    >>> from neuromanifold.theory.memory import retrieval_overlap
    >>> retrieval_overlap([0.05, 0.1, 0.13, 0.15]).round(5).tolist()
    [0.99999, 0.998, 0.98721, 0.0]
    """
    loads = check_finite("alpha", alpha).astype(np.float64)
    require(np.all(loads > 0), "alpha", "be > 0", alpha)
    overlap = np.zeros_like(loads)
    below = loads <= capacity().load
    overlap[below] = retrieval(loads[below]).overlap
    return overlap


def spin_glass(alpha: ArrayLike) -> Retrieval:
    """The solution without memory: m = 0, sqrt(r) = 1 + sqrt(2/(pi alpha)), E/N = -1/pi - sqrt(2 alpha/pi).

    It is the ground state above alpha = .051, where its energy crosses that of the memory.

    Args:
        alpha: load P/N, any shape, > 0.

    Raises:
        ValueError: alpha not positive.
    """
    loads = check_finite("alpha", alpha).astype(np.float64)
    require(np.all(loads > 0), "alpha", "be > 0", alpha)
    root = 1.0 + np.sqrt(2.0 / (np.pi * loads))
    return Retrieval(
        loads, np.zeros_like(loads), root**2, 1.0 - 1.0 / root, -1.0 / np.pi - np.sqrt(2.0 * loads / np.pi)
    )
