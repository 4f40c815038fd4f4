"""The batch rule of competitive maps: all rows, then all weights.

    w_i = sum_x h_{c(x) i} x / sum_x h_{c(x) i}

A step is a pass over the rows, in chunks: each row is added to the sum of its winner; at the end the sums are
spread over the neighbourhoods. Memory is that of a chunk's scores and a few arrays like the weights, however
many rows there are. Features that rows have not (NaN) are left out of both sums. A unit that nothing reaches
keeps its weights.

A neighbourhood with negative parts has no batch rule, because the denominator may vanish.

Symbols: h neighbourhood, c(x) winner of x. Time t: passes.

Source: Kohonen 1995, Self-Organizing Maps, section 3.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_integer, check_rows
from neuromanifold.dynamics import Process
from neuromanifold.learning.competitive._network import CompetitiveNetwork, falling


class BatchInfo(NamedTuple):
    """Diagnostics of a pass.

    Args:
        distortion: mean squared distance of the rows to their winners, before the weights were set.
    """

    distortion: Float[Array, ""]


class BatchCompetition(eqx.Module):
    """The batch rule as a process; `batch_map` makes one.

    Args:
        chunks: the rows, shape (n_chunks, chunk, n_features), the last chunk filled up with anything.
        radius: schedule of the neighbourhood, pass -> sigma > 0.
        n_rows: rows that are none of the filling.
        missing: NaN marks a missing value.
    """

    chunks: Float[Array, "n_chunks chunk n_features"]
    radius: Callable[..., Any]
    n_rows: int | Int[Array, ""]
    missing: bool = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: CompetitiveNetwork) -> CompetitiveNetwork:
        """The network to begin with."""
        return x0

    def step(self, key: Key[Array, ""], t: Any, state: CompetitiveNetwork) -> tuple[Any, BatchInfo]:
        """One pass."""
        sums, counts, squares = self._pass(state)
        joined = state.spread(jnp.concatenate([sums, counts], axis=1), self.radius(t))
        above, below = joined[:, : sums.shape[1]], joined[:, sums.shape[1] :]
        reached = below > jnp.finfo(below.dtype).tiny
        weights = jnp.where(reached, above / jnp.where(reached, below, 1.0), state.weights)
        moved = eqx.tree_at(lambda network: network.weights, state, weights)
        return moved, BatchInfo(squares / self.n_rows)

    def _pass(self, network: CompetitiveNetwork) -> tuple[Array, Array, Array]:
        """Sums and numbers of the rows that each unit wins, and the squared distances of all."""
        dtype = network.weights.dtype
        n_units, n_features = network.weights.shape
        _, length, _ = self.chunks.shape

        def add(total: tuple[Array, Array, Array], part: tuple[Array, Array]) -> tuple[Any, None]:
            sums, counts, squares = total
            start, rows = part
            rows = jnp.asarray(rows, dtype)
            winners = network.winners(rows, missing=self.missing)
            there = (start + jnp.arange(length) < self.n_rows).astype(dtype)[:, None]
            if self.missing:
                there = there * ~jnp.isnan(rows)
            rows = jnp.where(there > 0, rows, 0.0)
            apart = there * (rows - network.weights[winners])
            return (
                sums.at[winners].add(rows),
                counts.at[winners].add(there),
                squares + jnp.sum(apart**2),
            ), None

        none = jnp.zeros((n_units, n_features), dtype)
        start = (none, none if self.missing else none[:, :1], jnp.zeros((), dtype))
        places = length * jnp.arange(self.chunks.shape[0])
        return jax.lax.scan(add, start, (places, self.chunks))[0]


def batch_map(rows: Any, radius: Any, n_passes: int, *, chunk: int = 512, missing: bool = False) -> Process:
    """The process `run(batch_map(rows, radius, n_passes), key, network, n_passes)`.

    Args:
        rows: shape (n_rows, n_features).
        radius: a number > 0, or a schedule of the pass that never rises.
        n_passes: passes over which the schedule is checked, >= 1.
        chunk: rows handled together, >= 1; their distances to all units are held at once.
        missing: NaN marks a missing value; without it NaN is refused.

    Returns:
        A process whose state is the network.

    Raises:
        ValueError: a schedule that rises or leaves its range; rows that are not finite.
    """
    radius = falling("radius", radius, check_integer("n_passes", n_passes, 1))
    values = check_rows("rows", rows, missing=missing)
    n_rows = len(values)
    # Few rows fill a power of two, so that few programs are compiled for data of many lengths.
    length = min(check_integer("chunk", chunk, 1), 2 ** (n_rows - 1).bit_length())
    n_chunks = -(-n_rows // length)
    if n_chunks * length > n_rows:
        values = np.concatenate([values, np.repeat(values[-1:], n_chunks * length - n_rows, axis=0)])
    chunks = jnp.asarray(values.reshape(n_chunks, length, -1))
    moves = BatchCompetition(chunks, radius, jnp.int32(n_rows), missing)
    return Process(moves.init, moves.step)
