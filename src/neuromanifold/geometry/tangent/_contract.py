"""Kernels from factors of derivatives, by the cheaper of two ways for each parameter.

    K[x, x', d, f, g] = sum_t sum_{c s s'} (A_{c s} . A'_{c s'}) (B_{t d f, c s} . B'_{t d g, c s'})

or, where a parameter is used at many places s, with the derivative J_o = sum_s A_s (x) B_{o s} formed first,

    K[x, x', d, f, g] = sum_t J_{t d f} . J'_{t d g}

Symbols: t, d, f as in `_axes`; A, B, c, s, a, b as in `_factors`.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold.geometry.tangent._factors import Factors


def cost(made: Factors, sizes: tuple[int, int, int, int], n1: int, n2: int) -> float:
    """Multiplications that a kernel takes, from shapes of the factors of one example."""
    t, d, f, g = sizes
    pairs = zip(made.left, made.right, strict=True)
    total = sum(min(_costs(left.shape, right.shape, sizes, n1, n2)) for left, right in pairs)
    return total + sum(n1 * n2 * t * d * f * g * whole.shape[-1] for whole in made.whole)


def _costs(
    left: tuple[int, ...], right: tuple[int, ...], sizes: tuple[int, int, int, int], n1: int, n2: int
) -> tuple[float, float]:
    """Multiplications with factors apart, and with the derivative formed."""
    (c, s, a), b, (t, d, f, g) = left[-3:], right[-1], sizes
    pairs = n1 * n2 * c * s * s
    apart = pairs * (a + t * d * f * g * b + d * f * g)
    formed = (n1 * f + n2 * g) * t * d * c * s * a * b + n1 * n2 * t * d * f * g * c * a * b
    return apart, formed if s > 1 else math.inf


def contract(first: Factors, second: Factors, sizes: tuple[int, int, int, int], keep_factors: bool) -> Array:
    """The kernel (n1, n2, D, F, G) of two sets of examples, the mean over t.

    Args:
        first: factors of n1 examples, each array with a leading axis.
        second: factors of n2 examples.
        sizes: (T, D, F, G), with G the free outputs of the second set.
        keep_factors: never form a derivative of factors.
    """
    total: Any = 0.0
    for a1, b1, a2, b2 in zip(first.left, first.right, second.left, second.right, strict=True):
        ways = _costs(a1.shape, b1.shape, sizes, a1.shape[0], a2.shape[0])
        if keep_factors or ways[0] <= ways[1]:
            total = total + _apart(a1, b1, a2, b2, sizes)
        else:
            total = total + _whole(_formed(a1, b1), _formed(a2, b2), sizes)
    for one, other in zip(first.whole, second.whole, strict=True):
        total = total + _whole(one, other, sizes)
    # The order in which products of matrices come, (D, n1, F, n2, G), is kept up to here.
    return total.transpose(1, 3, 0, 2, 4) / sizes[0]


def _apart(a1: Array, b1: Array, a2: Array, b2: Array, sizes: tuple[int, int, int, int]) -> Array:
    t, d, f, g = sizes
    (n1, c, s, _), n2, b = a1.shape, a2.shape[0], b1.shape[-1]
    if c == s == a2.shape[2] == 1:
        products = jnp.einsum("ia,ja->ij", a1.reshape(n1, -1), a2.reshape(n2, -1), precision="highest")
        slopes = _whole(b1.reshape(n1, -1, b), b2.reshape(n2, -1, b), sizes)
        return products[None, :, None, :, None] * slopes
    b1 = b1.reshape(n1, t, d, f, c, s, b)
    b2 = b2.reshape(n2, t, d, g, c, -1, b)
    products = jnp.einsum("icsa,jcra->cisjr", a1, a2, precision="highest")
    slopes = jnp.einsum("itdfcsb,jtdgcrb->cdisfjrg", b1, b2, precision="highest")
    return jnp.einsum("cisjr,cdisfjrg->difjg", products, slopes, precision="highest")


def _formed(a: Array, b: Array) -> Array:
    """Derivatives (n, o, c a b)."""
    made = jnp.einsum("ncsa,nocsb->nocab", a, b, precision="highest")
    return made.reshape(*made.shape[:2], -1)


def _whole(one: Array, other: Array, sizes: tuple[int, int, int, int]) -> Array:
    """Products (D, n1, F, n2, G) of derivatives (n1, T D F, p) and (n2, T D G, p), summed over t."""
    t, d, f, g = sizes
    n1, n2 = one.shape[0], other.shape[0]
    if d == f == g == 1:
        made = jnp.einsum("ip,jp->ij", one.reshape(n1, -1), other.reshape(n2, -1), precision="highest")
        return made[None, :, None, :, None]
    one, other = one.reshape(n1, t, d, f, -1), other.reshape(n2, t, d, g, -1)
    return jnp.einsum("itdfp,jtdgp->difjg", one, other, precision="highest")
