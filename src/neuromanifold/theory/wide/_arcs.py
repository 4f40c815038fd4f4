"""Angles between Gaussian variables, in forms that a compiler turns into vector instructions.

    r     = c / sqrt(q q') = cos(theta)
    rest  = pi - theta
    E max(U, 0) max(V, 0) = sqrt(q q') (sin(theta) + rest r) / (2 pi)        (U, V) ~ N(0, [[q, c], [c, q']])

The inverse functions of the C library take some twenty times as long as all else in such a kernel. Here both
come from one rational function A(z) = arctan(sqrt(z)) / sqrt(z) on [0, 1], good to rounding:

    arcsin(x) = 2 w A(w^2),      w = x / (1 + sqrt(1 - x^2))
    arccos(t) = 2 v A(v^2),      v = sqrt((1 - t) / (1 + t)),     0 <= t <= 1

Its coefficients interpolate A at the Chebyshev points of [0, 1]; the largest relative error is 5e-17 in
double and 3e-9 in single precision.

Source: Cho and Saul 2009, NeurIPS (arc-cosine kernels); the approximation is the house's.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

_DOUBLE = (
    (
        0.99999999999999994981,
        2.4817242090618512935,
        2.2349154765019422632,
        0.88866006911935601431,
        0.15085854900786468127,
        0.0086713223028312389183,
        0.000072704891729020976241,
    ),
    (
        1.0,
        2.815057542395167495,
        2.9732679906346714232,
        1.4595950336848557587,
        0.33377659546456573521,
        0.030888667775341613802,
        0.00075533399998768210152,
    ),
)
_SINGLE = (
    (0.99999999724023168492, 1.1162602793970756958, 0.27798662851312120849, 0.0084145740950436937932),
    (1.0, 1.449593336883748576, 0.56118927026132622043, 0.048381000031224099947),
)


def polynomial(coefficients: Any, x: Any) -> Array:
    """sum_k coefficients[k] x^k."""
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def _arctan_of_root(root: Any, z: Any) -> Array:
    """arctan(root) for root^2 = z in [0, 1]."""
    top, bottom = _DOUBLE if jnp.result_type(z) == jnp.float64 else _SINGLE
    return root * polynomial(top, z) / polynomial(bottom, z)


@jax.custom_jvp
def arcsine(x: Any) -> Array:
    """arcsin(x) for -1 <= x <= 1, small values to full relative precision."""
    w = x / (1 + jnp.sqrt((1 - x) * (1 + x)))
    return 2 * _arctan_of_root(w, w * w)


@jax.custom_jvp
def supplement(r: Any) -> Array:
    """Pi - arccos(r) for -1 <= r <= 1."""
    t = jnp.abs(r)
    z = (1 - t) / (1 + t)
    acute = 2 * _arctan_of_root(jnp.sqrt(z), z)
    return jnp.where(r > 0, math.pi - acute, acute)


def _slope(primals: tuple[Any], tangents: tuple[Any], function: Any) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    return function(x), dx * inverse_root((1 - x) * (1 + x))


arcsine.defjvp(lambda primals, tangents: _slope(primals, tangents, arcsine))
supplement.defjvp(lambda primals, tangents: _slope(primals, tangents, supplement))


def inverse_root(x: Any) -> Array:
    """1 / sqrt(x), and 0 where x is not positive."""
    positive = x > 0
    return jnp.where(positive, 1 / jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def correlation(c: Any, q1: Any, q2: Any) -> Array:
    """The correlation r in [-1, 1]; 1 where a variance is zero.

    Round-off in c is no decorrelation, and would turn equal pairs by an angle of order sqrt(eps); so what is
    within 4 eps of -1 or 1 is taken there.
    """
    r = jnp.where((q1 > 0) & (q2 > 0), c * inverse_root(q1) * inverse_root(q2), 1.0)
    size = jnp.abs(r)
    near = size >= 1 - 4 * float(jnp.finfo(jnp.result_type(r)).eps)
    return r + jax.lax.stop_gradient(jnp.where(near, jnp.where(r > 0, 1 - size, size - 1), 0.0))


def sine_of(r: Any) -> Array:
    """sqrt(1 - r^2), with a finite derivative at the ends."""
    square = (1 - r) * (1 + r)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


@jax.custom_jvp
def rectified(c: Any, q1: Any, q2: Any) -> Array:
    """E max(U, 0) max(V, 0).

    Its slope in c is rest / (2 pi), in q sqrt(q' / q) sin(theta) / (4 pi): finite where those of its parts
    are not.
    """
    r = correlation(c, q1, q2)
    # Divided by the inverse roots: compilers keep quotients, and form products for each use anew.
    scale = jnp.where((q1 > 0) & (q2 > 0), 2 * math.pi * inverse_root(q1) * inverse_root(q2), jnp.inf)
    return (sine_of(r) + supplement(r) * r) / scale


@rectified.defjvp
def _(primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    (c, q1, q2), (dc, dq1, dq2) = primals, tangents
    r = correlation(c, q1, q2)
    i1, i2 = inverse_root(q1), inverse_root(q2)
    grown = sine_of(r) / (4 * math.pi) * (q2 * i1 * i2 * dq1 + q1 * i1 * i2 * dq2)
    return rectified(c, q1, q2), supplement(r) / (2 * math.pi) * dc + grown
