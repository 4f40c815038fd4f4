"""Asynchronous recall: one unit at a time, x_i <- sgn(h_i(x)).

With symmetric couplings and zero diagonal a change of x_i changes the energy by
Delta E = -(Delta x_i) h_i <= 0: no update raises it, and every run ends. At a temperature T > 0 units are
drawn instead, P(x_i = +1) = 1/(1 + exp(-2 h_i/T)) for units +-1, and exp(-E/T) is stationary. Time: one step
is one sweep of N updates unless said otherwise.

Source: Hopfield 1982, PNAS 79:2554; Glauber 1963, J. Math. Phys. 4:294.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory._network import RecallInfo, RecallNetwork
from neuromanifold.networks.memory._thermal import (
    Temperature,
    field_noise,
    stationary_law,
    temperature_schedule,
)

ORDERS = ("permutation", "uniform", "sequential")


class _Asynchronous(eqx.Module):
    network: RecallNetwork
    temperature: Callable[..., Any] | None
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
        noise = None
        if self.temperature is not None:
            key, key_noise = jax.random.split(key)
            noise = field_noise(network, self.temperature, key_noise, t, state.shape[:-1], self.updates)
            noise = noise.reshape(-1, self.updates).T.astype(state.dtype)

        units, repeated = self.units(key, t), self.order == "uniform" or self.updates > n
        units_first, carry = flat.T, network.carry(flat)

        def respond(carry: Any, unit: Array, before: Array, heat: Any) -> tuple[Any, Array]:
            field = network.unit_field(carry, unit, before)
            after = network.respond(field if heat is None else field + heat, before)
            return network.carry_change(carry, unit, after - before), after

        def update(loop: tuple[Any, Any, Any], at: tuple[Array, Any]) -> tuple[tuple[Any, Any, Any], None]:
            units_first, carry, changed = loop
            unit, heat = at
            before = jax.lax.dynamic_index_in_dim(units_first, unit, 0, keepdims=False)
            carry, after = respond(carry, unit, before, heat)
            units_first = jax.lax.dynamic_update_index_in_dim(units_first, after, unit, 0)
            return (units_first, carry, changed + (after != before)), None

        def visit(carry: Any, at: tuple[Array, Array, Any]) -> tuple[Any, Array]:
            unit, before, heat = at
            return respond(carry, unit, before, heat)

        if repeated:
            start = (units_first, carry, jnp.zeros(len(flat), jnp.int32))
            (units_first, _, changed), _ = jax.lax.scan(update, start, (units, noise))
        else:
            # Each unit once: no step reads what another wrote, and the states stay out of the loop's carry,
            # which XLA copies at every step where it is both read and written.
            before = units_first[units]
            _, after = jax.lax.scan(visit, carry, (units, before, noise))
            changed = jnp.sum(after != before, axis=0, dtype=jnp.int32)
            units_first = units_first.at[units].set(after, unique_indices=True)
        return units_first.T.reshape(state.shape), RecallInfo(changed.reshape(state.shape[:-1]))


def asynchronous(
    network: RecallNetwork,
    order: str = "permutation",
    updates: int | None = None,
    *,
    temperature: Temperature = 0.0,
) -> Process:
    """The process of updating one unit after the other.

    It begins with a cue of shape (n_units,) or with cues of shape (..., n_units), which visit their units in
    the same order; replicas of a run have orders of their own. A sweep costs O(P N) with factored couplings.
    Of the process, `descends` is the network's energy where it has one and T = 0; `log_weight` is -E/T where
    it has one and T > 0 is constant.

    Args:
        network: `Hopfield`, `DenseHopfield`, `ThresholdNetwork` or another `RecallNetwork`.
        order: "permutation" (every unit once a sweep, in a fresh random order), "uniform" (each update a unit
            drawn at random), or "sequential" (units 0, 1, 2 ...).
        updates: single-unit updates a step, >= 1; None is one sweep, N. A permutation is always a sweep.
        temperature: T >= 0, an array of them that broadcasts against the shape of the cues (one temperature a
            cue), or a schedule t -> T; 0 is the deterministic recall.

    Raises:
        ValueError: an unknown order, or updates that do not fit it; a temperature below zero.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import Hopfield, asynchronous
    >>> memory = Hopfield(jnp.ones((1, 500)))
    >>> hot = asynchronous(memory, temperature=0.5)
    >>> magnet = run(hot, jax.random.key(0), jnp.ones(500), 40)    # m = tanh(m/T): .9575
    >>> bool(abs(memory.overlaps(magnet.state)[0] - 0.9575) < 0.07)
    True
    """
    check_choice("order", order, ORDERS)
    n = network.n_units
    count = n if updates is None else check_integer("updates", updates, 1, 2**31 - 1)
    require(order != "permutation" or count == n, "updates", "be None for a permutation", updates)
    fits = order != "sequential" or count == n or n * count < 2**31
    require(fits, "updates", f"be None or below 2^31 / {n} in sequential order", updates)
    schedule = temperature_schedule(temperature)
    moved = _Asynchronous(network, schedule, order, count)
    return Process(
        moved.init,
        moved.step,
        descends=network.energy if network.has_energy and schedule is None else None,
        log_weight=stationary_law(network, temperature),
    )
