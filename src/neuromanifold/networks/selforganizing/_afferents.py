"""Connections from the inputs to the cells of sheets and rings, and checks of those between cells."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_real, require


def nonnegative(name: str, afferents: Any) -> Float[Array, "n_cells n_inputs"]:
    """Connections as an array; the values are checked where they come from outside of JAX.

    Args:
        name: what they are, for the message.
        afferents: shape (n_cells, n_inputs), >= 0.

    Raises:
        ValueError: a value that is negative or not finite.
    """
    if not isinstance(afferents, jax.Array):
        afferents = check_finite(name, afferents)
        require((afferents >= 0).all(), name, "be >= 0", float(afferents.min()))
    return jnp.asarray(afferents, float)


def known_strength(name: str, value: Any, high: float | None = None, *, positive: bool = False) -> bool:
    """Whether a strength is known, and not traced by JAX; a known one is checked.

    Args:
        name: what it is, for the message.
        value: a number >= 0.
        high: its largest value, if there is one.
        positive: 0 is refused.

    Raises:
        ValueError: a known value outside its range.
    """
    if isinstance(value, Tracer):
        return False
    check_real(name, value, 0, high, open_low=positive)
    return True


def refuse_growth(excitation: Any, growth: float, limit: float) -> None:
    """Refuse excitation by which activity without input would grow.

    Args:
        excitation: p.
        growth: rate at which activity grows.
        limit: what the rate must stay below.

    Raises:
        ValueError: a rate that is not below the limit.
    """
    rule = f"not exceed decay and inhibition (activity would grow at the rate {growth:.3g})"
    require(growth < limit, "excitation", rule, excitation)


def rough_order(
    cells: np.ndarray, inputs: np.ndarray, *, closed: bool, order: float, order_width: float
) -> np.ndarray:
    """A broad Gaussian in place, order exp(-d^2/(2 order_width^2)), shape (n_cells, n_inputs).

    Args:
        cells: their places in the unit cube, shape (n_cells, n_dims).
        inputs: their places, shape (n_inputs, n_dims).
        closed: whether the cube closes to a torus.
        order: height, >= 0.
        order_width: width, in sides of the cube, > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    height = check_real("order", order, 0)
    width = check_real("order_width", order_width, 0, open_low=True)
    return height * np.exp(-(distances(cells, inputs, closed) ** 2) / (2 * width**2))


def rough_afferents(
    key: Key[Array, ""], order: Float[Array, "n_cells n_inputs"]
) -> Float[Array, "n_cells n_inputs"]:
    """Connections with a sum of one for each cell: uniform in [0, 1] plus an order such as `rough_order`."""
    order = jnp.asarray(order, float)
    drawn = jax.random.uniform(key, order.shape) + order
    return drawn / jnp.sum(drawn, axis=1, keepdims=True)


def distances(one: np.ndarray, other: np.ndarray, closed: bool) -> np.ndarray:
    """Distances between places in the unit cube, the shorter way around where it closes."""
    apart = one[:, None] - other[None]
    if closed:
        apart = apart - np.rint(apart)
    return np.sqrt(np.sum(apart**2, axis=-1))
