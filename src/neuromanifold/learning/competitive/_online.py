"""The online rule of competitive maps: one row, its winner, and the winner's neighbourhood.

    c = winner of x,        w_i <- w_i + rate(t) h_ci(t) (x - w_i)

A Signal says -h_ci (x - w_i), and `descent(rate)` moves against it; any other transformation may take its
place. A feature that a row has not (NaN) changes no weight of that feature. Time t: rows.

Source: Kohonen 1982, Biol. Cybern. 43:59, equation 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_integer, check_rows
from neuromanifold.dynamics import Process, as_schedule
from neuromanifold.learning._learner import learner
from neuromanifold.learning.competitive._network import CompetitiveNetwork, falling


class CompetitionInfo(NamedTuple):
    """Diagnostics of one row.

    Args:
        winner: the unit that won.
        squared_distance: of the row to it, before the change.
    """

    winner: Int[Array, ""]
    squared_distance: Float[Array, ""]


class RowsInOrder(eqx.Module):
    """Rows one after the other, in an order that is drawn once and repeated.

    Args:
        rows: shape (n_rows, n_features).
        order: the numbers of the rows, in any order; of any length.
    """

    rows: Float[Array, "n_rows n_features"]
    order: Int[Array, " n"]

    def __call__(self, key: Key[Array, ""], t: Any) -> Float[Array, " n_features"]:
        """The row of step t."""
        return self.rows[self.order[t % self.order.shape[0]]]


class OnlineCompetition(eqx.Module):
    """The signal of the online rule; see the module's header.

    Args:
        samples: `samples(key, t)` -> the row of step t, shape (n_features,).
        radius: schedule of the neighbourhood, t -> sigma > 0.
    """

    samples: Callable[..., Any]
    radius: Callable[..., Any]

    def __call__(
        self, key: Key[Array, ""], t: Any, params: CompetitiveNetwork, aux: Any
    ) -> tuple[Any, Any, CompetitionInfo]:
        """Minus the wanted change of the weights."""
        x = jnp.asarray(self.samples(key, t), params.weights.dtype)
        winner = params.winner(x)
        reach = params.reach(winner, self.radius(t)).astype(params.weights.dtype)
        apart = params.weights - x[None]
        apart = jnp.where(jnp.isnan(x)[None], 0.0, apart)
        wanted = eqx.tree_at(lambda network: network.weights, params, reach[:, None] * apart)
        return wanted, aux, CompetitionInfo(winner, jnp.sum(apart[winner] ** 2))


class Descent(eqx.Module):
    """`optax.sgd(rate)` whose rate is an argument of the compiled program; `descent` makes one.

    Runs at different rates share a program, which closures of optax do not.

    Args:
        rate: schedule, t -> rate.
    """

    rate: Callable[..., Any]

    def init(self, params: Any) -> Int[Array, ""]:
        """Number of updates so far."""
        return jnp.int32(0)

    def update(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        """Minus the rate times the updates."""
        rate = self.rate(state)
        return jax.tree.map(lambda change: -jnp.asarray(rate, change.dtype) * change, updates), state + 1


def descent(rate: Any) -> optax.GradientTransformationExtraArgs:
    """The transformation u -> -rate(t) u.

    Args:
        rate: a number >= 0, or a schedule.
    """
    moves = Descent(as_schedule("rate", rate))
    return optax.GradientTransformationExtraArgs(moves.init, moves.update)


def online_map(
    samples: Any,
    rate: Any,
    radius: Any,
    n_steps: int,
    *,
    key: Key[Array, ""] | None = None,
    missing: bool = False,
) -> Process:
    """The process `run(online_map(rows, rate, radius, n_steps, key=key), key, network, n_steps)`.

    Args:
        samples: rows of shape (n_rows, n_features), taken one after the other in an order drawn from `key`;
            or a function `samples(key, t)` -> row of step t.
        rate: a number in (0, 1], or a schedule that never rises.
        radius: a number > 0, or a schedule that never rises.
        n_steps: rows over which the schedules are checked, >= 1.
        key: order of the rows; needed for rows, not for a function.
        missing: NaN marks a missing value; without it NaN is refused.

    Returns:
        A process on `LearnerState`, whose `params` is the network.

    Raises:
        ValueError: a schedule that rises or leaves its range; rows that are not finite; no key.
    """
    n_steps = check_integer("n_steps", n_steps, 1)
    rate = falling("rate", rate, n_steps, high=1.0)
    radius = falling("radius", radius, n_steps)
    if not callable(samples):
        values = check_rows("samples", samples, missing=missing)
        if key is None:
            raise ValueError("key must be given for the order of rows, got None.")
        order = jax.random.permutation(key, np.arange(len(values), dtype=np.int32))
        samples = RowsInOrder(jnp.asarray(values), order)
    return learner(OnlineCompetition(samples, radius), descent(rate))
