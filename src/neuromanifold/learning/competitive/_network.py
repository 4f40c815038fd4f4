"""What competitive rules ask of a network, and schedules that never rise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from neuromanifold._base import check_integer, require
from neuromanifold.dynamics import as_schedule

# A schedule that is not one of ours is looked at in so many places.
_PLACES = 513


@runtime_checkable
class CompetitiveNetwork(Protocol):
    """Units that compete for rows; a `neuromanifold.networks.selforganizing.SelfOrganizingMap` is one.

    Args:
        weights: shape (n_units, n_features).
    """

    weights: Float[Array, "n_units n_features"]

    def winner(self, x: Float[Array, " n_features"]) -> Int[Array, ""]:
        """The unit that wins a row; NaN is a missing value."""
        ...

    def winners(
        self, rows: Float[Array, "n_rows n_features"], *, missing: bool = False
    ) -> Int[Array, " n_rows"]:
        """The units that win some rows."""
        ...

    def reach(self, unit: Int[Array, ""], radius: ArrayLike) -> Float[Array, " n_units"]:
        """How much of what a unit learns reaches each unit."""
        ...

    def spread(
        self, values: Float[Array, "n_units columns"], radius: ArrayLike
    ) -> Float[Array, "n_units columns"]:
        """Values of the units, each spread over what it reaches, and summed."""
        ...


def falling(name: str, value: Any, n_steps: int, *, high: float | None = None) -> Callable[..., Any]:
    """A schedule that stays above zero and never rises.

    Args:
        name: what it is, for the message.
        value: a number, or a schedule t -> number; it is looked at in some hundred places of [0, n_steps].
        n_steps: steps over which it must fall, >= 0.
        high: largest value allowed, or None.

    Raises:
        ValueError: it rises, is not positive, not finite, or above `high`.
    """
    n_steps = check_integer("n_steps", n_steps, 0)
    schedule = as_schedule(name, value)
    places = np.unique(np.linspace(0, n_steps, min(n_steps + 1, _PLACES)).astype(np.int32))
    seen = np.asarray(jax.vmap(lambda t: jnp.asarray(schedule(t), float))(jnp.asarray(places)))
    require(np.isfinite(seen).all() and (seen > 0).all(), name, "be finite and > 0", float(seen.min()))
    if high is not None:
        require((seen <= high).all(), name, f"be <= {high:g}", float(seen.max()))
    rise = np.diff(seen) > 1e-6 * seen[:-1]
    if rise.any():
        at = int(np.argmax(rise))
        pair = (float(seen[at]), float(seen[at + 1]))
        require(False, name, f"never rise, but does between steps {places[at]} and {places[at + 1]}", pair)
    return schedule
