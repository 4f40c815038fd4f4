"""Hetero-associative memories and their cues, drawn anew for each replica of a run."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.networks.memory import Bidirectional, BidirectionalState, LayeredMemory, LayeredState


class CascadeState(NamedTuple):
    memory: LayeredMemory
    state: LayeredState
    layer: Int[Array, ""]


class Cascade(eqx.Module):
    """A layered memory and its cues, drawn anew for each replica."""

    sizes: tuple[int, ...] = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], overlaps: Float[Array, " n_starts"]) -> CascadeState:
        key_cues, key_patterns = jax.random.split(key)
        # One draw for all layers: each generator costs time to compile.
        drawn = random_patterns(key_patterns, self.n_patterns, sum(self.sizes))
        layers = jnp.split(drawn, np.cumsum(self.sizes)[:-1].tolist(), axis=1)
        memory = LayeredMemory(layers)
        cues = _cues(key_cues, layers[0][: self.n_cues], overlaps)
        return CascadeState(memory, memory.init(None, cues), jnp.int32(0))

    def step(self, key: Any, t: Any, state: CascadeState) -> tuple[CascadeState, None]:
        moved, _ = state.memory.step(key, t, state.state)
        return CascadeState(state.memory, moved, state.layer + 1), None


class PairState(NamedTuple):
    memory: Bidirectional
    state: BidirectionalState


class Pair(eqx.Module):
    """A bidirectional memory and its cues, drawn anew for each replica."""

    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], overlaps: Float[Array, " n_starts"]) -> PairState:
        key_cues, key_patterns = jax.random.split(key)
        drawn = random_patterns(key_patterns, self.n_patterns, 2 * self.n_units)
        first, second = jnp.split(drawn, 2, axis=1)
        memory = Bidirectional(first, second)
        return PairState(memory, memory.init(None, _cues(key_cues, first[: self.n_cues], overlaps)))

    def step(self, key: Any, t: Any, state: PairState) -> tuple[PairState, None]:
        return PairState(state.memory, state.memory.step(key, t, state.state)[0]), None


def _cues(key: Array, patterns: Array, overlaps: Array) -> Array:
    of_all = jax.vmap(jax.vmap(overlap_cue, (0, 0, None)), (None, None, 0))
    return of_all(jax.random.split(key, len(patterns)), patterns, overlaps).astype(jnp.float32)


def cascade_overlap(state: CascadeState) -> Array:
    """Overlap of every cue with its own pattern, averaged over the cues of a start."""
    n_cues = state.state.units.shape[1]
    wanted = state.memory.patterns[state.layer, :n_cues]
    return jnp.mean(jnp.sum(state.state.units * wanted[None], -1), -1) / state.memory.sizes[state.layer]


def pair_overlaps(state: PairState) -> Array:
    """Overlaps of both layers, (2, n_starts, n_cues)."""
    parts = zip(state.memory.patterns, (state.state.first, state.state.second), strict=True)
    return jnp.stack([jnp.mean(units * p[None, : units.shape[1]], -1) for p, units in parts])


def budget(each: float, count: int) -> float | None:
    """Replicas move together while their patterns take no more than half a gigabyte."""
    return None if each * count <= 5e8 else max(5e8, 8.0 * each)
