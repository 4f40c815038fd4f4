"""The Sherrington-Kirkpatrick model: its ground-state energy by Parisi's formula, and exact relations.

    E(s) = - sum_{i<j} J_ij s_i s_j,   J_ij of mean 0 and variance 1/N,   s_i = +-1,   N -> infinity

Zero temperature. With a rising step function gamma(t) >= 0 on [0, 1],

    e_0 = - inf_gamma { Phi(0, 0) - (1/2) int_0^1 t gamma(t) dt },
    d Phi/dt = - (1/2) (Phi_xx + gamma Phi_x^2),   Phi(1, x) = |x|.

Where gamma is a constant g over a time d the equation is solved by a Gaussian average,
Phi(t, x) = (1/g) ln < exp(g Phi(t + d, x + sqrt(d) z)) >. No step is the replica-symmetric energy
-sqrt(2/pi) = -.79788, one step -.76526, and more approach -.76317 from below, as they must: every gamma gives
a lower bound of the energy.

Above T = 1 the model is a paramagnet with e = -1/(2T). At every T and N, for Gaussian couplings,

    <E>/N = - (1/(2T)) ((N - 1)/N) (1 - Q),   Q = mean over pairs i < j of <s_i s_j>^2,

by integration by parts; Q comes from two copies, Q = <q_l>, q_l = mean of s_i s_j s'_i s'_j over pairs.

Source: Sherrington and Kirkpatrick 1975, Phys. Rev. Lett. 35:1792; Parisi 1980, J. Phys. A 13:L115;
Auffinger and Chen 2017, Ann. Probab. 45:4617, for zero temperature; finite size: Boettcher 2005, Eur. Phys.
J. B 46:501.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.special import log_ndtr

from neuromanifold._base import check_finite, check_integer, check_real, require

# Crisanti and Rizzo 2002, Phys. Rev. E 65:046137; all digits of Oppermann and Schmidt 2008, Phys. Rev. E
# 78:061124.
PARISI_ENERGY = -0.7631667
# Coefficient of N^(-2/3) and the error of its last digit, fitted by Boettcher 2005 to N up to 1023.
_FINITE_SIZE, _FINITE_SIZE_ERROR = 0.70, 0.01


class GroundState(NamedTuple):
    """A bound on the ground-state energy and the order function that gives it.

    Args:
        energy: e_0, per unit.
        times: where gamma jumps, shape (n_steps,).
        heights: gamma behind each jump, shape (n_steps,).
    """

    energy: float
    times: NDArray[np.float64]
    heights: NDArray[np.float64]


def parisi_functional(times: ArrayLike, heights: ArrayLike) -> float:
    """Minus Phi(0, 0) plus half the integral of t gamma: a lower bound of the ground-state energy.

    Args:
        times: where gamma jumps, rising, in [0, 1), shape (n_steps,).
        heights: gamma behind each jump, rising, > 0, shape (n_steps,).

    Raises:
        ValueError: times or heights that do not rise, or lie outside their range.
    """
    t, g = (check_finite(name, x).astype(np.float64) for name, x in (("times", times), ("heights", heights)))
    require(t.ndim == 1 and t.shape == g.shape, "heights", f"have the shape {t.shape} of times", g.shape)
    rises = np.all(np.diff(t) > 0) and (not t.size or (t[0] >= 0 and t[-1] < 1))
    require(rises, "times", "rise within [0, 1)", times)
    require(np.all(np.diff(g, prepend=0.0) > 0), "heights", "rise from above 0", heights)
    return _bound(t, g)


def _bound(t: NDArray[np.float64], g: NDArray[np.float64]) -> float:
    if not t.size:
        return -float(np.sqrt(2.0 / np.pi))
    ends = np.append(t, 1.0)
    x, nodes, weights = _grid()
    spread = np.sqrt(1.0 - t[-1])
    # The first average, of exp(g |x|), in closed form.
    up, down = (sign * g[-1] * x + log_ndtr(sign * x / spread + g[-1] * spread) for sign in (1, -1))
    phi = (np.logaddexp(up, down) + 0.5 * (g[-1] * spread) ** 2) / g[-1]
    for k in range(t.size - 2, -1, -1):
        values = _at(x, phi, x[:, None] + np.sqrt(t[k + 1] - t[k]) * nodes)
        top = values.max(1)
        phi = top + np.log(np.exp(g[k] * (values - top[:, None])) @ weights) / g[k]
    last = float(_at(x, phi, np.sqrt(t[0]) * nodes) @ weights)
    return -last + 0.25 * float(np.sum(g * np.diff(ends**2)))


@functools.cache
def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return np.linspace(-10.0, 10.0, 401), nodes, weights / np.sqrt(2.0 * np.pi)


def _at(x: NDArray[np.float64], phi: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phi between and beyond its grid, where it is a straight line of slope 1."""
    inside = CubicSpline(x, phi)(np.clip(points, x[0], x[-1]))
    return inside + np.maximum(np.abs(points) - x[-1], 0.0)


@functools.cache
def ground_state(n_steps: int) -> GroundState:
    """The best bound with n_steps jumps of gamma: 0 is replica symmetry, k is k-step breaking.

    Args:
        n_steps: jumps, in [0, 4].

    Raises:
        ValueError: n_steps outside its range.

    >>> from neuromanifold.theory.energy import ground_state
    >>> [f"{ground_state(k).energy:.4f}" for k in (0, 1)]
    ['-0.7979', '-0.7653']
    """
    n = check_integer("n_steps", n_steps, 0, 4)
    if n == 0:
        return GroundState(_bound(np.zeros(0), np.zeros(0)), np.zeros(0), np.zeros(0))

    def order(p: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Any 2n numbers as n rising times in (0, 1) and n rising heights."""
        left = np.cumprod(1.0 / (1.0 + np.exp(p[:n])))
        return 1.0 - left, np.cumsum(np.exp(p[n:]))

    begin = np.concatenate(
        [np.full(n, -0.5 if n > 1 else 0.0), np.linspace(-0.7, 0.7, n) if n > 1 else [0.0]]
    )
    found: Any = minimize(lambda p: -_bound(*order(p)), begin, method="BFGS", options={"gtol": 1e-7})
    return GroundState(-float(found.fun), *order(found.x))


def finite_size_energy(n_units: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean ground-state energy per unit of N units, -.76317 + .70 N^(-2/3), and the error of that fit.

    Args:
        n_units: N >= 2, any shape. The fit was made for N up to 1023; terms of higher order, not known, are
            taken to be at most .15/N (enumeration of 4 to 12 units leaves .10/N to .13/N).

    Raises:
        ValueError: fewer than two units.
    """
    n = check_finite("n_units", n_units).astype(np.float64)
    require(np.all(n >= 2), "n_units", "be >= 2", n_units)
    scale = n ** (-2.0 / 3.0)
    energy, error = PARISI_ENERGY + _FINITE_SIZE * scale, _FINITE_SIZE_ERROR * scale + 0.15 / n
    return np.asarray(energy, np.float64), np.asarray(error, np.float64)


def paramagnet_energy(temperature: ArrayLike, n_units: ArrayLike = np.inf) -> NDArray[np.float64]:
    """Energy per unit above the transition, -(1/(2T)) (1 - 1/(N (1 - 1/T^2))) up to terms of order 1/N^2.

    Args:
        temperature: T > 1, any shape.
        n_units: N, infinite where only the limit is wanted; T must be further above 1 than N^(-1/3).

    Raises:
        ValueError: a temperature too near to the transition or below it.

    The term 1/N is that of the Gaussian fluctuations of overlaps (Aizenman, Lebowitz and Ruelle 1987, Commun.
    Math. Phys. 112:3), -1/4 ln(1 - 1/T^2) in the logarithm of Z.
    """
    t, n = check_finite("temperature", temperature).astype(np.float64), np.asarray(n_units, np.float64)
    require(np.all(t - 1 > n ** (-1 / 3)), "temperature", "be above 1 by more than N^(-1/3)", temperature)
    return np.asarray(-0.5 / t * (1.0 - 1.0 / (n * (1.0 - t**-2.0))), np.float64)


def energy_from_overlap(overlap: ArrayLike, temperature: float, n_units: int) -> NDArray[np.float64]:
    """<E>/N = -(1/(2T)) ((N-1)/N) (1 - Q), exact for Gaussian couplings at every T and N.

    Args:
        overlap: Q, the mean of q_l over pairs of units, copies and couplings; any shape.
        temperature: T > 0.
        n_units: N >= 2.

    Raises:
        ValueError: T <= 0 or N < 2.
    """
    t = check_real("temperature", temperature, 0, open_low=True)
    n = check_integer("n_units", n_units, 2)
    return np.asarray(-0.5 / t * (n - 1) / n * (1.0 - check_finite("overlap", overlap)))
