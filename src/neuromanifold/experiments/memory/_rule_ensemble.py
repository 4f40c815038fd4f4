"""Several learning rules on the same patterns, at several loads, in many independent sets.

A replica of a run draws one set of patterns; every load stores the first P of them and has zeros in place of
the others, so that one compiled program serves all loads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.dynamics import Process
from neuromanifold.evidence import Estimate, estimate, measured_variables
from neuromanifold.networks.memory import (
    AdatronLearning,
    DenseHopfield,
    FactoredNetwork,
    PerceptronLearning,
    embedded_margin,
    pseudo_inverse,
    storkey_update,
    synchronous,
)

# Sets are learnt one after the other where together they would not stay in a processor's cache.
_CACHE = 5e6

RULES = ("hebb", "pseudo-inverse", "pseudo-inverse with diagonal", "storkey")


class RecallState(NamedTuple):
    """One set of patterns under every rule, and the states recalled.

    Args:
        networks: by rule, each with a leading axis of loads.
        units: by rule, shape (n_loads, n_starts, n_cues, n_units).
        targets: the patterns that should be recalled.
    """

    networks: dict[str, Any]
    units: dict[str, Float[Array, "n_loads n_starts n_cues n_units"]]
    targets: Float[Array, "n_cues n_units"]


class RecallEnsemble(eqx.Module):
    """Synchronous recall under all `RULES`; it begins with initial overlaps, shape (n_starts,).

    Args:
        counts: P of every load, increasing.
        n_units: N.
        n_patterns: patterns drawn, the largest P.
        n_cues: cues a set, each of another pattern, at every initial overlap.
    """

    counts: Int[Array, " n_loads"]
    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    @eqx.filter_jit
    def init(self, key: Key[Array, ""], overlaps: Float[Array, " n_starts"]) -> RecallState:
        """Draw patterns, learn them by every rule, draw cues."""
        key_patterns, key_cues = jax.random.split(key)
        drawn = random_patterns(key_patterns, self.n_patterns, self.n_units)
        patterns = drawn.astype(jnp.float32)
        of_all = jax.vmap(jax.vmap(overlap_cue, (0, 0, None)), (None, None, 0))
        cues = of_all(jax.random.split(key_cues, self.n_cues), drawn[: self.n_cues], overlaps)
        units = jnp.broadcast_to(cues.astype(jnp.float32), (len(self.counts), *cues.shape))
        kept = stored(patterns, self.counts)
        projection = eqx.filter_vmap(pseudo_inverse)(kept)
        networks = {
            "hebb": eqx.filter_vmap(FactoredNetwork)(kept),
            "pseudo-inverse": projection,
            "pseudo-inverse with diagonal": eqx.filter_vmap(_with_diagonal)(projection),
            "storkey": eqx.filter_vmap(DenseHopfield)(self._storkey(patterns)),
        }
        return RecallState(networks, dict.fromkeys(RULES, units), patterns[: self.n_cues])

    def step(self, key: Any, t: Any, state: RecallState) -> tuple[RecallState, None]:
        """One synchronous update of all cues under every rule."""

        def update(network: Any, units: Array) -> Array:
            return synchronous(network).step(key, t, units)[0]

        units = {rule: eqx.filter_vmap(update)(state.networks[rule], state.units[rule]) for rule in RULES}
        return RecallState(state.networks, units, state.targets), None

    def _storkey(self, patterns: Array) -> Array:
        """Couplings after the first P patterns for every P, in one pass."""

        def learn(index: Array, couplings: Array) -> Array:
            return storkey_update(couplings, patterns[index])

        def until(carry: tuple[Array, Array], count: Array) -> tuple[tuple[Array, Array], Array]:
            couplings = jax.lax.fori_loop(carry[1], count, learn, carry[0])
            return (couplings, count), couplings

        start = (jnp.zeros((self.n_units, self.n_units)), jnp.zeros((), self.counts.dtype))
        return jax.lax.scan(until, start, self.counts)[1]


def overlaps_by_rule(state: RecallState) -> dict[str, Float[Array, "n_loads n_starts n_cues"]]:
    """Overlap of each state with the pattern it should be at."""
    wanted = state.targets[None, None]
    return {rule: jnp.mean(units * wanted, axis=-1) for rule, units in state.units.items()}


def _with_diagonal(network: FactoredNetwork) -> FactoredNetwork:
    assert network.sources is not None
    return FactoredNetwork(network.targets.T, network.sources.T, symmetric=True, self_coupling=True)


def stored(patterns: Array, counts: Array) -> Array:
    """The first P patterns and zeros instead of the others, for every P, on a leading axis."""
    keep = jnp.arange(len(patterns))[None] < counts[:, None]
    return patterns[None] * keep[..., None]


class LearningState(NamedTuple):
    """One set of patterns and what is learnt from it at every load."""

    patterns: Float[Array, "n_loads n_patterns n_units"]
    learner: Any


class LearningEnsemble(eqx.Module):
    """Perceptron or AdaTron learning at several loads; it begins with numbers of patterns, shape (n_loads,).

    Args:
        n_units: N.
        n_patterns: patterns drawn, the largest P.
        rule: "perceptron" (margin 0) or "adatron".
        tolerance: of the AdaTron.
    """

    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    rule: str = eqx.field(static=True)
    tolerance: float = eqx.field(static=True, default=1e-3)

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    @eqx.filter_jit
    def init(self, key: Key[Array, ""], counts: Int[Array, " n_loads"]) -> LearningState:
        """Draw patterns; nothing is learnt yet."""
        patterns = stored(random_patterns(key, self.n_patterns, self.n_units).astype(jnp.float32), counts)

        def begin(kept: Array) -> Any:
            size = self.n_units if self.rule == "perceptron" else self.n_patterns
            return self._learning(kept).init(None, jnp.zeros((size, self.n_units)))

        return LearningState(patterns, jax.vmap(begin)(patterns))

    def step(self, key: Any, t: Any, state: LearningState) -> tuple[LearningState, None]:
        """One pass over the patterns at every load."""

        def sweep(kept: Array, learner: Any) -> Any:
            return self._learning(kept).step(key, t, learner)[0]

        return LearningState(state.patterns, jax.vmap(sweep)(state.patterns, state.learner)), None

    def _learning(self, kept: Array) -> Any:
        if self.rule == "perceptron":
            return PerceptronLearning(kept, 0.0)
        return AdatronLearning(kept, self.tolerance)


def largest_stabilities(
    run: Callable[..., Any],
    key: Key[Array, ""],
    sizes: tuple[int, ...],
    loads: tuple[float, ...],
    n_sweeps: int,
    n_sets: int,
) -> dict[str, Any]:
    """The largest stability at the larger of two sizes, and extrapolated in 1/N from both."""
    margins = []
    for index, size in enumerate(sizes):
        counts = [round(load * size) for load in loads]
        bytes_of_a_set = 10 * 4.0 * len(counts) * max(counts) * size
        state = run(
            LearningEnsemble(size, max(counts), "adatron").process(),
            jax.random.fold_in(key, index),
            jnp.array(counts),
            n_sweeps,
            replicas=n_sets,
            memory_budget=max(_CACHE, bytes_of_a_set),
            label=f"AdaTron, N = {size}",
        ).state
        strengths, patterns = np.asarray(state.learner.strengths), np.asarray(state.patterns)
        margins.append(
            [
                [embedded_margin(x, xi).mean() for x, xi in zip(*each, strict=True)]
                for each in zip(strengths, patterns, strict=True)
            ]
        )
    small, large = (estimate(np.array(each)) for each in margins)
    error = np.sqrt(4 * large.standard_error**2 + small.standard_error**2)
    limit = Estimate(2 * large.mean - small.mean, error, large.n)
    variables = measured_variables(
        "stability", large, ("stability_load",), long_name="largest stability of all patterns"
    )
    return variables | measured_variables(
        "stability_limit", limit, ("stability_load",), long_name="the same, extrapolated in 1/N"
    )


def served_fraction(
    run: Callable[..., Any],
    key: Key[Array, ""],
    n_units: int,
    counts: list[int],
    n_sweeps: int,
    n_sets: int,
) -> dict[str, Any]:
    """The fraction of units that perceptron learning serves, for every number of patterns."""
    state = run(
        LearningEnsemble(n_units, max(counts), "perceptron").process(),
        key,
        jnp.array(counts),
        n_sweeps,
        replicas=n_sets,
        label="perceptron",
    ).state
    served = np.asarray(state.learner.served, np.float64).mean(-1)
    return measured_variables(
        "served", estimate(served), ("learning_load",), long_name="fraction of units served"
    )
