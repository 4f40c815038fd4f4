"""Derivatives along curves and surfaces, pushed through a function without forming its Jacobian.

For y = f(x) and a curve x(t) with first and second derivative v, h,

    y' = Df v,    y'' = D^2f[v, v] + Df h,

and for a surface with tangent vectors e_a and second derivatives H_ab likewise with D^2f[e_a, e_b] + Df H_ab.
Both are one forward derivative of a forward derivative; pushed layer by layer they cost a few times the
layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from neuromanifold._base import require

Map = Callable[[Any], Any]


def push_curve(
    f: Map, x: Float[Array, " n"], v: Float[Array, "..."], h: Float[Array, "..."]
) -> tuple[Float[Array, " m"], Float[Array, " m"], Float[Array, " m"]]:
    """Point, first and second derivative of f along a curve.

    Args:
        f: from (n,) to (m,), twice differentiable at x.
        x: point of the curve.
        v: its first derivative.
        h: its second derivative.

    Raises:
        ValueError: vectors of different shapes.
    """
    require(v.shape == x.shape and h.shape == x.shape, "v and h", f"have shape {x.shape}", (v.shape, h.shape))
    (y, moved), (_, bent) = jax.jvp(lambda p, d: jax.jvp(f, (p,), (d,)), (x, v), (v, h))
    return y, moved, bent


def push_surface(
    f: Map, x: Float[Array, " n"], e: Float[Array, "..."], h: Float[Array, "..."]
) -> tuple[Float[Array, " m"], Float[Array, "k m"], Float[Array, "k k m"]]:
    """Point, tangent vectors and second derivatives of f along a surface.

    Args:
        f: from (n,) to (m,), twice differentiable at x.
        x: point of the surface.
        e: tangent vectors e_a.
        h: second derivatives H_ab.

    Raises:
        ValueError: shapes that do not fit.
    """
    k = len(e)
    require(e.shape == (k, *x.shape), "e", f"have shape (k, {x.shape[0]})", e.shape)
    require(h.shape == (k, *e.shape), "h", f"have shape {(k, *e.shape)}", h.shape)

    def pair(first: Array, second: Array, both: Array) -> tuple[Array, Array, Array]:
        (y, moved), (_, bent) = jax.jvp(lambda p, d: jax.jvp(f, (p,), (d,)), (x, first), (second, both))
        return y, moved, bent

    rows = jax.vmap(jax.vmap(pair, (None, 0, 0), (None, None, 0)), (0, None, 0), (None, 0, 0))
    return rows(e, e, h)
