"""Families of correlated patterns and their recall, an ensemble of memories drawn anew for each replica."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8, Key

from neuromanifold.data import hierarchical_patterns, mixed_state
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory import Hopfield, synchronous


class FamilyRecall(NamedTuple):
    """Memories of one set of families at several loads, states recalled from each, and where they belong."""

    memories: tuple[Hopfield, ...]
    units: Float[Array, "n_loads n_starts n_cues n_units"]
    children: Float[Array, "n_cues s n_units"]
    concepts: Float[Array, "n_cues n_units"]


def blended_cue(
    key: Key[Array, ""],
    memory: Int8[Array, " n_units"],
    concept: Int8[Array, " n_units"],
    shares: Float[Array, "2"],
) -> Int8[Array, " n_units"]:
    """Units in a random order: the first share from the memory, the second from the concept.

    Of the rest one half agrees with the memory and one does not, so that overlaps do not fluctuate with it.
    Shares a and d make the overlaps a + d M with the memory and a b^2 + d M with its siblings, M the overlap
    of a concept with its children.
    """
    n_units = memory.shape[0]
    place = jnp.argsort(jax.random.bits(key, (n_units,)))
    ends = jnp.round(jnp.cumsum(shares) * n_units)
    rest = jnp.where(place < jnp.round((ends[1] + n_units) / 2), memory, -memory)
    return jnp.where(place < ends[0], memory, jnp.where(place < ends[1], concept, rest))


class FamilyEnsemble(eqx.Module):
    """Synchronous recall in memories of families, drawn anew for each replica, each cue of another family.

    States begin as blends of the first child of a family and the family's mixed state, see `blended_cue`.
    The memories of a replica hold the first families of one set: loads share cues and noise.

    Args:
        n_units: N.
        n_families: families stored in each memory.
        branching: children a family.
        correlation: b.
        n_cues: families that are recalled, at most the smallest of n_families.
    """

    n_units: int = eqx.field(static=True)
    n_families: tuple[int, ...] = eqx.field(static=True)
    branching: int = eqx.field(static=True)
    correlation: float = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)

    def process(self) -> Process:
        """The process; it begins with shares of memory and concept, shape (n_starts, 2)."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], shares: Float[Array, "n_starts 2"]) -> FamilyRecall:
        """Draw families, store all children, draw cues."""
        key_patterns, key_cues = jax.random.split(key)
        patterns = hierarchical_patterns(
            key_patterns, self.n_units, max(self.n_families), self.branching, self.correlation
        ).patterns
        families = patterns[: self.n_cues * self.branching].reshape(self.n_cues, self.branching, self.n_units)
        concepts = mixed_state(families)
        blend = jax.vmap(jax.vmap(blended_cue, (0, 0, 0, None)), (None, None, None, 0))
        units = blend(jax.random.split(key_cues, self.n_cues), families[:, 0], concepts, shares)
        return FamilyRecall(
            tuple(
                Hopfield(patterns[: count * self.branching], storage="float32") for count in self.n_families
            ),
            jnp.broadcast_to(units.astype(jnp.float32), (len(self.n_families), *units.shape)),
            families.astype(jnp.float32),
            concepts.astype(jnp.float32),
        )

    def step(self, key: Any, t: Any, state: FamilyRecall) -> tuple[FamilyRecall, None]:
        """One synchronous update of all states in all memories."""
        moved = [
            synchronous(memory).step(key, t, units)[0]
            for memory, units in zip(state.memories, state.units, strict=True)
        ]
        return state._replace(units=jnp.stack(moved)), None


def family_overlaps(state: FamilyRecall) -> Float[Array, "quantity n_loads n_starts n_cues"]:
    """Overlaps with the first child, with its siblings on average, and with the concept."""
    n_units = state.units.shape[-1]
    children = jnp.einsum("lkcn,csn->slkc", state.units, state.children) / n_units
    concept = jnp.einsum("lkcn,cn->lkc", state.units, state.concepts) / n_units
    return jnp.stack([children[0], jnp.mean(children[1:], 0), concept])


def tree_overlaps(
    key: Key[Array, ""], n_units: int, n_trees: int, correlations: tuple[float, float]
) -> np.ndarray:
    """Overlaps, shape (n_trees, 5): child and parent, leaf and root, siblings, cousins, strangers."""
    trees = hierarchical_patterns(key, n_units, n_trees, (2, 2), correlations)
    leaf = np.asarray(trees.patterns).reshape(n_trees, 2, 2, n_units).astype(np.float32)
    root, parent = (np.asarray(level).astype(np.float32) for level in trees.ancestors)
    first = leaf[:, 0, 0]
    others = (parent[::2], root, leaf[:, 0, 1], leaf[:, 1, 0], np.roll(first, 1, 0))
    return np.stack([np.mean(first * other, -1, dtype=np.float64) for other in others], -1)
