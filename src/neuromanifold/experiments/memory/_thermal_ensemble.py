"""Recall at several temperatures in many independent memories; a replica of a run is one set of patterns."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold.data import mixed_state, random_patterns
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory import Hopfield, asynchronous


class ThermalState(NamedTuple):
    """One set of patterns as a memory, and the states that move in it."""

    memory: Hopfield
    units: Float[Array, "n_temperatures n_cues n_units"]


class ThermalEnsemble(eqx.Module):
    """Asynchronous recall in a memory that is drawn anew for each replica; one step is one sweep.

    Units are visited in their order, which keeps the same law exp(-E/T) as any other.

    Args:
        n_units: N.
        n_patterns: P.
        n_drawn: patterns drawn, at least P, of which the first P are stored.
        starts: (first, count) of each state: it begins in the majority of `count` patterns, an odd number,
            from pattern `first` on; a count of 1 is the pattern itself.
        temperature: T of each group of states, shape (n_temperatures, 1).
    """

    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_drawn: int = eqx.field(static=True)
    starts: tuple[tuple[int, int], ...] = eqx.field(static=True)
    temperature: Float[Array, "n_temperatures 1"]

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> ThermalState:
        """Draw patterns, store them, begin in them or in their mixtures."""
        del x0
        patterns, starts = _draw(key, self.n_drawn, self.n_units, self.starts)
        memory = Hopfield(patterns[: self.n_patterns], storage="float32")
        return ThermalState(memory, jnp.broadcast_to(starts, (len(self.temperature), *starts.shape)))

    def step(self, key: Key[Array, ""], t: Any, state: ThermalState) -> tuple[ThermalState, None]:
        """One sweep of all states."""
        moved = asynchronous(state.memory, "sequential", temperature=self.temperature)
        units, _ = moved.step(key, t, state.units)
        return ThermalState(state.memory, units), None

    def overlaps(self, state: ThermalState) -> Float[Array, "n_temperatures n_cues n_seen"]:
        """Overlap of each state with all patterns that some state began in."""
        seen = max(first + count for first, count in self.starts)
        return jnp.einsum("tcn,mn->tcm", state.units, state.memory.select(jnp.arange(seen))) / self.n_units


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _draw(key: Array, n_drawn: int, n_units: int, starts: tuple[tuple[int, int], ...]) -> tuple[Array, Array]:
    patterns = random_patterns(key, n_drawn, n_units)
    states = [mixed_state(patterns[first : first + count]) for first, count in starts]
    return patterns, jnp.stack(states).astype(jnp.float32)
