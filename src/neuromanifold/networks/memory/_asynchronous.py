"""Asynchronous recall: one unit at a time, x_i <- sgn(h_i(x)).

With symmetric couplings and zero diagonal a change of x_i changes the energy by
Delta E = -(Delta x_i) h_i <= 0: no update raises it, and every run ends. Time: one step is one sweep of N
updates unless said otherwise.

Source: Hopfield 1982, PNAS 79:2554.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory._network import RecallInfo, RecallNetwork

ORDERS = ("permutation", "uniform", "sequential")


class _Asynchronous(eqx.Module):
    network: RecallNetwork
    order: str = eqx.field(static=True)
    updates: int = eqx.field(static=True)

    def init(self, key: Any, cue: Any) -> Float[Array, "*cues n_units"]:
        del key
        return self.network.start(cue)

    def units(self, key: Key[Array, ""], t: Int[Array, ""]) -> Int[Array, " updates"]:
        n = self.network.n_units
        if self.order == "permutation":
            return jax.random.permutation(key, n)
        if self.order == "uniform":
            return jax.random.randint(key, (self.updates,), 0, n)
        first = 0 if self.updates == n else (t % n) * self.updates
        return (first + jnp.arange(self.updates)) % n

    def step(
        self, key: Key[Array, ""], t: Any, state: Float[Array, "*cues n_units"]
    ) -> tuple[Float[Array, "*cues n_units"], RecallInfo]:
        network, n = self.network, self.network.n_units
        flat = state.reshape(-1, n)

        def update(loop: tuple[Any, Any, Any], unit: Array) -> tuple[tuple[Any, Any, Any], None]:
            units_first, carry, changed = loop
            before = jax.lax.dynamic_index_in_dim(units_first, unit, 0, keepdims=False)
            after = network.respond(network.unit_field(carry, unit, before), before)
            units_first = jax.lax.dynamic_update_index_in_dim(units_first, after, unit, 0)
            carry = network.carry_change(carry, unit, after - before)
            return (units_first, carry, changed + (after != before)), None

        changed = jnp.zeros(len(flat), jnp.int32)
        (units_first, _, changed), _ = jax.lax.scan(
            update, (flat.T, network.carry(flat), changed), self.units(key, t)
        )
        return units_first.T.reshape(state.shape), RecallInfo(changed.reshape(state.shape[:-1]))


def asynchronous(network: RecallNetwork, order: str = "permutation", updates: int | None = None) -> Process:
    """The process of updating one unit after the other.

    It begins with a cue of shape (n_units,) or with cues of shape (..., n_units), which visit their units in
    the same order; replicas of a run have orders of their own. A sweep costs O(P N) with factored couplings.
    `descends` of the process is the network's energy where it has one.

    Args:
        network: `Hopfield`, `DenseHopfield`, `ThresholdNetwork` or another `RecallNetwork`.
        order: "permutation" (every unit once a sweep, in a fresh random order), "uniform" (each update a unit
            drawn at random), or "sequential" (units 0, 1, 2 ...).
        updates: single-unit updates a step, >= 1; None is one sweep, N. A permutation is always a sweep.

    Raises:
        ValueError: an unknown order, or updates that do not fit it.
    """
    check_choice("order", order, ORDERS)
    n = network.n_units
    count = n if updates is None else check_integer("updates", updates, 1, 2**31 - 1)
    require(order != "permutation" or count == n, "updates", "be None for a permutation", updates)
    fits = order != "sequential" or count == n or n * count < 2**31
    require(fits, "updates", f"be None or below 2^31 / {n} in sequential order", updates)
    moved = _Asynchronous(network, order, count)
    return Process(moved.init, moved.step, descends=network.energy if network.has_energy else None)
