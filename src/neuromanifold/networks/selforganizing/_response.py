"""How a self-organising neuron answers to its field u: h = f(u), with the integral F' = f.

    step       f = 1 for u > 0, 0 for u <= 0        F = u for u > 0, 0 for u <= 0
    sigmoid    f = 1 / (1 + exp(-u / delta))        F = delta ln(1 + exp(u / delta))
    linear     f = u                                F = u^2 / 2

The integral makes the Lyapunov function of a learning rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_real, require


class Response(eqx.Module):
    """A response f and its integral; `step`, `sigmoid` and `linear` make those of the house.

    Args:
        value: f, elementwise, written in JAX.
        integral: F with F' = f, or None; without it there is no Lyapunov function.
        bounded: whether f >= 0, bounded and non-decreasing; a rule with decay asks for it.

    Raises:
        ValueError: an f that is said to be bounded and falls, or is negative, between -50 and 50.
    """

    value: Callable[..., Any] = eqx.field(static=True)
    integral: Callable[..., Any] | None = eqx.field(static=True, default=None)
    bounded: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        if self.bounded:
            values = np.asarray(self.value(jnp.linspace(-50.0, 50.0, 2001)))
            require(bool(np.all(np.isfinite(values))), "value", "be finite", float(values.max()))
            require(float(values.min()) >= 0, "value", "be >= 0 everywhere", float(values.min()))
            fall = float(np.diff(values).min())
            require(fall >= 0, "value", "never fall", fall)

    def __call__(self, field: Float[Array, "..."]) -> Float[Array, "..."]:
        """f(u)."""
        return self.value(field)


def step() -> Response:
    """The step: 1 for u > 0, and 0 for u <= 0."""
    return Response(_step, jax.nn.relu)


def sigmoid(width: float) -> Response:
    """A step of a given width.

    Args:
        width: delta > 0.

    Raises:
        ValueError: a width that is not positive.
    """
    delta = check_real("width", width, 0.0, open_low=True)
    return Response(_Sigmoid(delta), _Softplus(delta))


def linear() -> Response:
    """No threshold at all: f(u) = u, unbounded, for rules that keep the length of the weights."""
    return Response(_same, _half_square, bounded=False)


def _step(u: Array) -> Array:
    return jnp.where(u > 0, 1, 0).astype(u.dtype)


def _same(u: Array) -> Array:
    return u


def _half_square(u: Array) -> Array:
    return u**2 / 2


class _Sigmoid(eqx.Module):
    width: float = eqx.field(static=True)

    def __call__(self, u: Array) -> Array:
        return jax.nn.sigmoid(u / self.width)


class _Softplus(eqx.Module):
    width: float = eqx.field(static=True)

    def __call__(self, u: Array) -> Array:
        return self.width * jax.nn.softplus(u / self.width)
