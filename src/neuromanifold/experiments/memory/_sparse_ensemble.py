"""Recall of sparse patterns in many independent sets, with control of the activity and without.

A replica of a run draws one set of patterns; every load gives the patterns beyond the first P strength zero,
so that one compiled program serves all loads.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuromanifold.data import sparse_cue, sparse_patterns
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory import SparseMemory, synchronous

CONTROLS = ("control", "fixed")


class SparseState(NamedTuple):
    """One set of patterns and the states recalled from it.

    Args:
        patterns: 0/1.
        units: by control, shape (n_loads, n_starts, n_cues, n_units).
    """

    patterns: Float[Array, "n_patterns n_units"]
    units: dict[str, Float[Array, "n_loads n_starts n_cues n_units"]]


class SparseEnsemble(eqx.Module):
    """Recall of sparse patterns under both controls; it begins with fractions missing, shape (n_starts,).

    Args:
        counts: P of every load; a memory of P patterns gives the others strength zero.
        threshold: theta of the memory without control.
        n_units: N.
        n_patterns: patterns drawn, the largest P.
        n_cues: cues a set, each of another pattern.
        activity: f; every pattern has exactly round(f N) ones.
    """

    counts: Int[Array, " n_loads"]
    threshold: float
    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)
    activity: float = eqx.field(static=True)

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    @eqx.filter_jit
    def init(self, key: Key[Array, ""], missing: Float[Array, " n_starts"]) -> SparseState:
        """Draw patterns and cues."""
        key_patterns, key_cues = jax.random.split(key)
        patterns = sparse_patterns(key_patterns, self.n_patterns, self.n_units, self.activity, exact=True)
        of_all = jax.vmap(jax.vmap(sparse_cue, (0, 0, None)), (None, None, 0))
        cues = of_all(jax.random.split(key_cues, self.n_cues), patterns[: self.n_cues], missing)
        units = jnp.broadcast_to(cues.astype(jnp.float32), (len(self.counts), *cues.shape))
        return SparseState(patterns.astype(jnp.float32), dict.fromkeys(CONTROLS, units))

    def step(self, key: Any, t: Any, state: SparseState) -> tuple[SparseState, None]:
        """One synchronous update of all cues at every load."""

        def update(control: str, count: Array, units: Array) -> Array:
            memory = self.memory(state.patterns, control, count)
            return synchronous(memory).step(key, t, units)[0]

        units = {
            control: jax.vmap(functools.partial(update, control))(self.counts, state.units[control])
            for control in CONTROLS
        }
        return SparseState(state.patterns, units), None

    def memory(self, patterns: Array, control: str, count: Array) -> SparseMemory:
        """The memory of the first patterns."""
        controlled = control == "control"
        return SparseMemory(
            patterns,
            activity=self.activity,
            n_active=round(self.activity * self.n_units) if controlled else None,
            thresholds=0.0 if controlled else self.threshold,
            strengths=(jnp.arange(self.n_patterns) < count).astype(jnp.float32),
        )

    def overlaps(self, state: SparseState) -> dict[str, Float[Array, "n_loads n_starts n_cues"]]:
        """Hits minus false alarms of each state with its pattern."""
        wanted = state.patterns[: self.n_cues]
        ones = jnp.sum(wanted, -1)

        def overlap(units: Array) -> Array:
            hits = jnp.sum(units * wanted[None, None], -1)
            false = (jnp.sum(units, -1) - hits) / (self.n_units - ones)[None, None]
            return hits / ones[None, None] - false

        return {control: overlap(units) for control, units in state.units.items()}
