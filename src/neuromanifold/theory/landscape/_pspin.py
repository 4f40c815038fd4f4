"""Critical points of a random function on the sphere: how many, at which heights, with how many ways down.

H is Gaussian on the sphere |x|^2 = N with covariance N q^p, q = x . x'/N (the pure spherical p-spin glass),
and eps = H/N. Where the gradient vanishes, and indeed everywhere, the Hessian in the tangent space is a
GOE matrix of scale s = sqrt(p(p - 1)) less p eps times the identity. So the share of descending directions is

    alpha(eps) = 1/2 + (y sqrt(1 - y^2) + arcsin y)/pi,     y = eps/eps_th cut to [-1, 1],

with the threshold eps_th = 2 sqrt((p - 1)/p): a critical point can be a minimum only below -eps_th. Their
number there is exp(N Theta(eps)) on average,

    Theta(eps) = log(p - 1)/2 - (p - 2) eps^2/(4(p - 1)) - I(eps),
    I(eps) = log(eps_th) - (eps/eps_th^2) r - log(r - eps),     r = sqrt(eps^2 - eps_th^2),

and it ends at the ground state, Theta(eps_0) = 0: minima gather in the narrow band between the two.

Source: Crisanti and Sommers 1995, J. Physique I 5:805; Bray and Dean 2007, Phys. Rev. Lett. 98:150201;
Auffinger, Ben Arous and Cerny 2013, Commun. Pure Appl. Math. 66:165 (Theta, theorem 2.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from neuromanifold._base import check_finite, check_integer, require
from neuromanifold.theory.landscape._random_matrices import index_fraction


def threshold_energy(order: int) -> float:
    """eps_th = 2 sqrt((p - 1)/p); minima have energies a unit below minus this.

    Args:
        order: p >= 2.

    >>> from neuromanifold.theory.landscape import threshold_energy
    >>> round(threshold_energy(3), 4)
    1.633
    """
    p = check_integer("order", order, 2)
    return float(2 * np.sqrt((p - 1) / p))


def index_at_energy(energy: ArrayLike, order: int) -> NDArray[np.float64]:
    """Share alpha of descending directions at a critical point of energy a unit eps, N -> infinity.

    Args:
        energy: eps, any shape.
        order: p >= 2.
    """
    p = check_integer("order", order, 2)
    return index_fraction(-p * check_finite("energy", energy).astype(np.float64), float(np.sqrt(p * (p - 1))))


def complexity_of_minima(energy: ArrayLike, order: int) -> NDArray[np.float64]:
    """Theta(eps), the logarithm of the mean number of minima below a unit energy, a unit.

    Args:
        energy: eps <= -eps_th, any shape.
        order: p >= 3.

    Raises:
        ValueError: an energy above minus the threshold, where critical points are saddles.
    """
    p = check_integer("order", order, 3)
    edge = threshold_energy(p)
    eps = check_finite("energy", energy).astype(np.float64)
    require(np.all(eps <= -edge), "energy", f"be at most -eps_th = {-edge:.6g}", energy)
    root = np.sqrt(eps**2 - edge**2)
    rate = np.log(edge) - eps / edge**2 * root - np.log(root - eps)
    return np.asarray(0.5 * np.log(p - 1) - (p - 2) / (4 * (p - 1)) * eps**2 - rate)


def ground_state_energy(order: int) -> float:
    """eps_0, the lowest energy a unit, where the number of minima stops growing with N.

    Args:
        order: p >= 3.

    >>> from neuromanifold.theory.landscape import ground_state_energy
    >>> round(ground_state_energy(3), 4)
    -1.657
    """
    p = check_integer("order", order, 3)
    edge = threshold_energy(p)
    lowest = -2.0 * edge - np.log(p)
    found: Any = brentq(lambda e: float(complexity_of_minima(e, p)), lowest, -edge, xtol=1e-13)
    return float(found)
