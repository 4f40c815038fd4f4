"""Duals: Gaussian averages of products of a nonlinearity, in closed form.

    pair(c, q, q')  = E phi(U) phi(V)          (U, V) ~ N(0, [[q, c], [c, q']])
    slope(c, q, q') = E phi'(U) phi'(V) = d pair / dc
    single(q)       = pair(q, q, q) = E phi(U)^2

All are elementwise in arrays that broadcast. With r = c / sqrt(q q') = cos(theta):

    |u|          (2/pi) sqrt(q q') (sin(theta) + (pi/2 - theta) cos(theta))        slope (2/pi) arcsin(r)
    max(u, 0)^n  (q q')^(n/2) / (2 pi) J_n(theta),   J_n = sin(theta) p_n(r) + (pi - theta) r_n(r)
    erf(b u)     (2/pi) arcsin(2 b^2 c / sqrt((1 + 2 b^2 q)(1 + 2 b^2 q')))
    sin(b u + s) (e^(-b^2 (q + q' - 2c)/2) - cos(2 s) e^(-b^2 (q + q' + 2c)/2)) / 2
    exp(-b u^2)  1 / sqrt((1 + 2 b q)(1 + 2 b q') - 4 b^2 c^2)
    sum a_k u^k  sum over i, j of a_i a_j E U^i V^j, by Wick's theorem

Source: Williams 1998, Neural Computation 10:1203 (erf); Cho and Saul 2009, NeurIPS (arc-cosine kernels);
Tsuchida, Pearce, van der Heide, Roosta and Gallagher 2021, AAAI (GELU); the rest by elementary integrals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold.theory.wide._arcs import (
    arcsine,
    correlation,
    inverse_root,
    rectified,
    sine_of,
    supplement,
)
from neuromanifold.theory.wide._arcs import polynomial as polynomial_in

Pair = Callable[[Any, Any, Any], Any]


class Dual(NamedTuple):
    """A nonlinearity as kernels see it.

    Args:
        pair: E phi(U) phi(V) from c, q, q'.
        slope: E phi'(U) phi'(V) from the same.
        single: E phi(U)^2 from q.
    """

    pair: Pair
    slope: Pair
    single: Callable[[Any], Any]


def dual(pair: Pair, slope: Pair | None = None, single: Callable[[Any], Any] | None = None) -> Dual:
    """A dual from its pair average; the slope by automatic differentiation where none is given."""

    def by_differentiation(c: Any, q1: Any, q2: Any) -> Any:
        c, q1, q2 = jnp.broadcast_arrays(c, q1, q2)
        return jax.jvp(lambda x: pair(x, q1, q2), (c,), (jnp.ones_like(c),))[1]

    return Dual(
        pair,
        by_differentiation if slope is None else slope,
        (lambda q: pair(q, q, q)) if single is None else single,
    )


def angle(c: Any, q1: Any, q2: Any) -> tuple[Array, Array, Array, Array]:
    """sqrt(q q'), cos(theta), sin(theta) and pi - theta with theta in [0, pi]."""
    r = correlation(c, q1, q2)
    return _root(q1) * _root(q2), r, sine_of(r), supplement(r)


def _root(x: Any) -> Array:
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def two_slopes(a: float, b: float) -> Dual:
    """phi(u) = a min(u, 0) + b max(u, 0) = a u + (b - a) max(u, 0)."""
    straight, bent = a * b, (b - a) ** 2

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        kinked = rectified(c, q1, q2)
        return kinked if (straight, bent) == (0.0, 1.0) else straight * c + bent * kinked

    def slope(c: Any, q1: Any, q2: Any) -> Array:
        return straight + bent / (2 * math.pi) * supplement(correlation(c, q1, q2))

    return dual(pair, slope, lambda q: (a * a + b * b) / 2 * q)


def sign() -> Dual:
    """phi(u) = sign of u; its derivative is zero but for the jump, which no gradient sees."""

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        return (2 / math.pi) * arcsine(correlation(c, q1, q2))

    return dual(pair, lambda c, q1, q2: jnp.zeros_like(c * q1 * q2), jnp.ones_like)


def rectified_power(degree: int) -> Dual:
    """phi(u) = max(u, 0)^degree, degree >= 0; the arc-cosine kernels."""
    sines, rest = arc_cosine(degree)

    def evaluated(degree: int, sines: list[int], rest: list[int], c: Any, q1: Any, q2: Any) -> Array:
        root, cos, sin, supplementary = angle(c, q1, q2)
        total = supplementary * polynomial_in(rest, cos)
        total = total + sin * polynomial_in(sines, cos) if any(sines) else total
        return root**degree * total / (2 * math.pi)

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        return evaluated(degree, sines, rest, c, q1, q2)

    def slope(c: Any, q1: Any, q2: Any) -> Array:
        if degree == 0:
            return jnp.zeros_like(c * q1 * q2)
        return degree**2 * evaluated(degree - 1, *arc_cosine(degree - 1), c, q1, q2)

    moment = float(math.prod(range(2 * degree - 1, 0, -2))) / 2
    return dual(pair, slope, lambda q: moment * q**degree)


def arc_cosine(degree: int) -> tuple[list[int], list[int]]:
    """Polynomials p and r, lowest power first, with J_n = sin(theta) p(r) + (pi - theta) r(r).

    From d J_n / d cos(theta) = n^2 J_(n-1):  r_n' = n^2 r_(n-1)  and
    (1 - x^2) p_n' - x p_n = n^2 (1 - x^2) p_(n-1) - r_n, solved power by power; J_0 = pi - theta.
    """
    p, r = [Fraction(0)], [Fraction(1)]
    for n in range(1, degree + 1):
        r = [Fraction(0)] + [n * n * x / (k + 1) for k, x in enumerate(r)]
        known = [Fraction(0)] * (n + 2)
        for k, x in enumerate(p):
            known[k] += n * n * x
            known[k + 2] -= n * n * x
        for k, x in enumerate(r):
            known[k] -= x
        # Power k:  (k + 1) p[k + 1] - k p[k - 1] = known[k], from above.
        p = [Fraction(0)] * (n + 2)
        for k in range(n, 0, -1):
            p[k - 1] = ((k + 1) * p[k + 1] - known[k]) / k
        # Power 0 holds the constant of r.
        r[0] += known[0] - p[1]
        p = p[: max(1, n)]
    return [int(x) for x in p], [int(x) for x in r]


def error_function(a: float, b: float, shift: float) -> Dual:
    """phi(u) = a erf(b u) + shift, the usual erf."""

    def correlated(c: Any, q1: Any, q2: Any) -> tuple[Any, Any]:
        scale = inverse_root(1 + 2 * b * b * q1) * inverse_root(1 + 2 * b * b * q2)
        return jnp.clip(2 * b * b * c * scale, -1.0, 1.0), scale

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        return a * a * (2 / math.pi) * arcsine(correlated(c, q1, q2)[0]) + shift * shift

    def slope(c: Any, q1: Any, q2: Any) -> Array:
        r, scale = correlated(c, q1, q2)
        return a * a * b * b * (4 / math.pi) * scale * inverse_root((1 - r) * (1 + r))

    return dual(pair, slope)


def gelu() -> Dual:
    """phi(u) = u Phi(u) = u/2 + u erf(u / sqrt 2) / 2, by partial integration."""

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        scale = inverse_root(1 + q1) * inverse_root(1 + q2)
        density = (2 / math.pi) * scale * inverse_root((1 - c * scale) * (1 + c * scale))
        both = (2 / math.pi) * arcsine(jnp.clip(c * scale, -1.0, 1.0))
        rest = q1 * q2 + c * c * (1 / (1 + q1) + 1 / (1 + q2) - 1)
        return (c + c * both + density * rest) / 4

    return dual(pair)


def sine(a: float, b: float, shift: float) -> Dual:
    """phi(u) = a sin(b u + shift)."""

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        near = jnp.exp(-b * b * (q1 + q2 - 2 * c) / 2)
        far = jnp.exp(-b * b * (q1 + q2 + 2 * c) / 2)
        return a * a * (near - math.cos(2 * shift) * far) / 2

    return dual(pair)


def exponential(a: float, b: float) -> Dual:
    """phi(u) = a exp(b u)."""
    return dual(lambda c, q1, q2: a * a * jnp.exp(b * b * (q1 + q2 + 2 * c) / 2))


def bell(a: float, b: float) -> Dual:
    """phi(u) = a exp(-b u^2), b >= 0."""
    return dual(lambda c, q1, q2: a * a / jnp.sqrt((1 + 2 * b * q1) * (1 + 2 * b * q2) - 4 * b * b * c * c))


def gabor() -> Dual:
    """phi(u) = exp(-u^2) sin(u)."""

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        det = (1 + 2 * q1) * (1 + 2 * q2) - 4 * c * c
        # exp(-k' S (1 + 2 S)^(-1) k / 2) for k = (1, -1) and (1, 1).
        own = (q1 * (1 + 2 * q2) + q2 * (1 + 2 * q1) - 4 * c * c) / det
        near, far = (jnp.exp(-(own - sign * 2 * c / det) / 2) for sign in (1, -1))
        return (near - far) / (2 * jnp.sqrt(det))

    return dual(pair)


def polynomial(coefficients: tuple[float, ...]) -> Dual:
    """phi(u) = sum_k a_k u^k, by Wick's theorem.

    E U^i V^j = sum_m i! j! / (m! ((i-m)/2)! ((j-m)/2)! 2^((i+j-2m)/2)) c^m q^((i-m)/2) q'^((j-m)/2)
    """
    terms: dict[tuple[int, int, int], float] = {}
    for i, first in enumerate(coefficients):
        for j, second in enumerate(coefficients):
            for m in range(min(i, j) % 2 if (i - j) % 2 == 0 else min(i, j) + 1, min(i, j) + 1, 2):
                x, y = (i - m) // 2, (j - m) // 2
                ways = (
                    math.factorial(i)
                    * math.factorial(j)
                    / (math.factorial(m) * math.factorial(x) * math.factorial(y) * 2 ** (x + y))
                )
                terms[m, x, y] = terms.get((m, x, y), 0.0) + first * second * ways

    def pair(c: Any, q1: Any, q2: Any) -> Array:
        total = jnp.zeros_like(c * q1 * q2)
        for (m, x, y), weight in terms.items():
            if weight != 0.0:
                total = total + weight * c**m * q1**x * q2**y
        return total

    def slope(c: Any, q1: Any, q2: Any) -> Array:
        total = jnp.zeros_like(c * q1 * q2)
        for (m, x, y), weight in terms.items():
            if weight != 0.0 and m > 0:
                total = total + weight * m * c ** (m - 1) * q1**x * q2**y
        return total

    return dual(pair, slope)
