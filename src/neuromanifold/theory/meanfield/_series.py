"""The covariance map as a power series in the correlation (Mehler's formula).

    E phi(U) phi(V) = sum_k a_k(q) a_k(q') rho^k,   a_k(q) = E phi(sqrt(q) z) He_k(z) / sqrt(k!)

All coefficients a_k^2 are >= 0, so for equal variances and 0 <= rho <= 1 the part left out after K terms is
at most rho^(K+1) times what is missing in sum a_k^2 = E phi^2: the truncation error is known. Once the
a_k^2 of a point are known, the map and its fixed point cost a polynomial; that is what makes phase diagrams
fast.

Source: Mehler (1866); Daniely, Frostig and Singer (2016), section 4, "dual activation".
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._quadrature import safe_sqrt

ORDER = 192
_NODES, _REACH = 641, 11.0


@functools.cache
def _table(order: int) -> np.ndarray:
    """Weights times normalised Hermite polynomials on a uniform grid, shape (order + 1, nodes)."""
    z = np.linspace(-_REACH, _REACH, _NODES)
    rows = np.empty((order + 1, _NODES))
    # Carried with sqrt(weight), so that neither factor leaves the range of a float64.
    rows[0] = np.exp(-0.25 * z * z)
    if order:
        rows[1] = z * rows[0]
    for k in range(1, order):
        rows[k + 1] = (z * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1)
    return rows * np.exp(-0.25 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)


def hermite_coefficients(
    phi: Activation, q: Float[Array, ""], order: int = ORDER
) -> tuple[Float[Array, "k"], Float[Array, ""]]:
    """a_0 ... a_order of a smooth activation at variance q, and an estimate of their quadrature error.

    Args:
        phi: an activation without kinks.
        q: variance, accurate below about 100.
        order: K, at most about 200 on this grid.
    """
    table = _table(order)
    z = jnp.linspace(-_REACH, _REACH, _NODES, dtype=q.dtype)
    values = phi.function(safe_sqrt(q) * z)
    weights = jnp.asarray(table[0], q.dtype)
    fine = jnp.sum(weights * values**2)
    coarse = 2.0 * jnp.sum(weights[::2] * values[::2] ** 2)
    # Even polynomials see the even part of phi, odd ones the odd part: half the nodes are enough.
    middle = _NODES // 2
    right, left = values[middle:], values[middle::-1]
    half = np.copy(table[:, middle:])
    half[:, 0] *= 0.5
    even = jnp.asarray(half[0::2], q.dtype) @ (right + left)
    odd = jnp.asarray(half[1::2], q.dtype) @ (right - left)
    odd = jnp.pad(odd, (0, even.size - odd.size))
    return jnp.stack([even, odd], axis=1).ravel()[: order + 1], jnp.abs(fine - coarse)


def overlap_series(coefficients: Float[Array, "k"], rho: Float[Array, ""]) -> Float[Array, ""]:
    """sum_k a_k^2 rho^k."""
    return jnp.polyval(coefficients[::-1] ** 2, rho)
