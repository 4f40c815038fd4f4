"""A curve t -> f(t) in R^n: speed, curvature, length, and the length of its Gauss map.

    v = df/dt, h = d^2f/dt^2,   kappa = sqrt(|v|^2 |h|^2 - (v.h)^2) / |v|^3
    length = int |v| dt,        Gauss map: t -> v/|v|, of length int kappa |v| dt

`f` is anything that JAX differentiates, a network after a curve of inputs for one: the geometry is that of
the outputs. A curve that folds onto itself is longer and bends more; a straight line has curvature 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.geometry.pullback._jets import push_curve


class CurvePoint(NamedTuple):
    """A curve at some parameters; fields have the shape of the parameters in front.

    Args:
        point: f(t).
        velocity: df/dt.
        acceleration: d^2f/dt^2.
        speed: |df/dt|.
        curvature: kappa, one over the radius of the circle that fits best.
    """

    point: Float[Array, "... n"]
    velocity: Float[Array, "... n"]
    acceleration: Float[Array, "... n"]
    speed: Float[Array, "..."]
    curvature: Float[Array, "..."]


def curve_geometry(f: Callable[[Any], Any], t: ArrayLike) -> CurvePoint:
    """Speed and curvature of a curve at parameters.

    Args:
        f: from a number to a vector, twice differentiable.
        t: parameters, shape () or (m,).

    Returns:
        The curve there; the curvature is NaN where the curve stands still.

    Raises:
        ValueError: parameters of another shape, or a curve that gives no vector.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.geometry.pullback import curve_geometry
    >>> circle = curve_geometry(lambda t: 4.0 * jnp.stack([jnp.cos(t), jnp.sin(t)]), 0.3)
    >>> round(float(circle.speed), 5), round(float(circle.curvature), 5)
    (4.0, 0.25)
    """
    times = jnp.asarray(t, jnp.result_type(float))
    require(times.ndim <= 1, "t", "have shape () or (m,)", times.shape)

    def at(one: Array) -> CurvePoint:
        given = jnp.reshape(one, (1,))
        point, v, h = push_curve(lambda s: f(s[0]), given, jnp.ones_like(given), jnp.zeros_like(given))
        require(point.ndim == 1, "f", "return a vector", f"shape {point.shape}")
        square, mixed = v @ v, v @ h
        # |v|^2 |h|^2 - (v.h)^2 without cancellation.
        across = h - mixed / square * v
        return CurvePoint(point, v, h, jnp.sqrt(square), jnp.sqrt(across @ across) / square)

    return at(times) if times.ndim == 0 else jax.vmap(at)(times)


def _trapezoid(values: Array, t: Array) -> Array:
    return jnp.sum(0.5 * (values[1:] + values[:-1]) * jnp.diff(t))


def _grid(t: ArrayLike) -> Array:
    times = jnp.asarray(t, jnp.result_type(float))
    require(times.ndim == 1 and times.size >= 2, "t", "hold at least two parameters", times.shape)
    return times


def curve_length(f: Callable[[Any], Any], t: ArrayLike) -> Float[Array, ""]:
    """Length int |df/dt| dt between the first and the last parameter, by the trapezoid rule.

    Args:
        f: from a number to a vector, differentiable.
        t: increasing parameters, shape (m,), m >= 2; on a closed curve with equal steps the rule converges
            exponentially.

    Raises:
        ValueError: fewer than two parameters.
    """
    times = _grid(t)
    return _trapezoid(curve_geometry(f, times).speed, times)


def gauss_map_length(f: Callable[[Any], Any], t: ArrayLike) -> Float[Array, ""]:
    """Length int kappa |df/dt| dt of the curve of unit tangents; 2 pi for a circle.

    Arguments as those of `curve_length`.

    Raises:
        ValueError: fewer than two parameters.
    """
    times = _grid(t)
    made = curve_geometry(f, times)
    return _trapezoid(made.curvature * made.speed, times)
