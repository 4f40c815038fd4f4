"""Recall in many independent memories: every replica of a run draws patterns and cues of its own.

Cues of one set of patterns share its noise; independent samples are the sets. A replica is one set.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import require
from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory import Hopfield, synchronous

# Replicas move together while their patterns take no more than this.
_BYTES = 5e8


class EnsembleState(NamedTuple):
    """One set of patterns as a memory, the states recalled from it, and the pattern each should be at."""

    memory: Hopfield
    units: Float[Array, "n_starts n_cues n_units"]
    target: Int[Array, " n_cues"]


class Ensemble(eqx.Module):
    """Synchronous recall in a memory that is drawn anew for each replica.

    Args:
        n_units: N.
        n_patterns: P.
        n_drawn: patterns drawn, at least P, of which the first P are stored; one value for ensembles of
            several loads lets one compiled program draw for all of them.
        n_cues: cues a set, each of another pattern, at every initial overlap; at most P.
        kind: "auto" or "sequence".
    """

    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_drawn: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)
    kind: str = eqx.field(static=True)

    def process(self) -> Process:
        """The process; it begins with initial overlaps, shape (n_starts,)."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], overlaps: Float[Array, " n_starts"]) -> EnsembleState:
        """Draw patterns, store them, draw cues."""
        patterns, units = _draw(key, overlaps, self.n_drawn, self.n_units, self.n_cues)
        memory = Hopfield(patterns[: self.n_patterns], self.kind, storage="float32")
        return EnsembleState(memory, units, jnp.arange(self.n_cues))

    def step(self, key: Any, t: Any, state: EnsembleState) -> tuple[EnsembleState, None]:
        """One synchronous update of all cues."""
        units, _ = synchronous(state.memory).step(key, t, state.units)
        forward = 1 if self.kind == "sequence" else 0
        target = (state.target + forward) % self.n_patterns
        return EnsembleState(state.memory, units, target), None


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _draw(key: Array, overlaps: Array, n_drawn: int, n_units: int, n_cues: int) -> tuple[Array, Array]:
    """Patterns, and cues of every overlap with the first; those of one pattern flip in the same order."""
    key_patterns, key_cues = jax.random.split(key)
    patterns = random_patterns(key_patterns, n_drawn, n_units)
    of_all = jax.vmap(jax.vmap(overlap_cue, (0, 0, None)), (None, None, 0))
    units = of_all(jax.random.split(key_cues, n_cues), patterns[:n_cues], overlaps)
    return patterns, units.astype(jnp.float32)


def overlap(state: EnsembleState) -> Float[Array, "n_starts n_cues"]:
    """Overlap of each state with the pattern it should be at."""
    wanted = state.memory.select(state.target)
    return jnp.mean(state.units * wanted[None], axis=-1)


def run_ensemble(
    run: Callable[..., Any],
    key: Key[Array, ""],
    ensemble: Ensemble,
    overlaps: tuple[float, ...],
    n_steps: int,
    n_sets: int,
    label: str,
    every: int = 1,
) -> np.ndarray:
    """Overlaps of shape (n_sets, n_steps / every + 1, n_starts, n_cues)."""
    needed = 4.0 * n_sets * ensemble.n_patterns * ensemble.n_units
    made = run(
        ensemble.process(),
        key,
        jnp.asarray(overlaps, jnp.float32),
        n_steps,
        observe=overlap,
        every=every,
        replicas=n_sets,
        memory_budget=None if needed <= _BYTES else max(_BYTES, 8.0 * needed / n_sets),
        keep_state=False,
        label=label,
    )
    return np.asarray(made.values, np.float64)


def check_cues(n_cues: int, n_patterns: Iterable[int], what: str = "patterns") -> None:
    """Refuse more cues than the smallest memory has patterns (or families).

    Raises:
        ValueError: so many cues.
    """
    fewest = min(n_patterns)
    require(n_cues <= fewest, "n_cues", f"be at most the number of {what}, {fewest}", n_cues)


def ratio_samples(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Samples, one a set, whose mean and scatter are those of sum(values wanted)/sum(wanted).

    Linearised (delta method): sample_s = ratio + mean_c[(value - ratio) wanted] / mean(wanted); 0 where
    nothing is wanted.
    """
    share = wanted.mean()
    if share == 0:
        return np.zeros(len(values))
    ratio = (values * wanted).mean() / share
    return ratio + ((values - ratio) * wanted).mean(1) / share
