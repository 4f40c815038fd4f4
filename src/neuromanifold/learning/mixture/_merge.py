"""Merging: components that share a cluster are made one wherever this raises the evidence bound.

Coordinate ascent stops at local maxima in which several components share a cluster. Statistics add, so that
two
components i, j merged have T_i + T_j, and the pairs are ranked by

    log Z(T with i and j merged) - log Z(T),

which needs no data and leaves out only the entropy of who of the two owns a point. The first of them are
tried
in turn: a merger is kept if the evidence bound, with the best law of the components for it, is
higher than before by the tolerance. Merging is the idea of Ueda, Nakano, Ghahramani and Hinton (2000); here
the test is on the bound itself.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold.learning.mixture._expectation import Chunks, expect
from neuromanifold.learning.mixture._posterior import (
    Statistics,
    expectation,
    log_evidence,
    log_normaliser,
    pairing,
)
from neuromanifold.learning.mixture._prior import MixturePrior

_PAIRS_TOGETHER = 16


def evidence_bound(prior: MixturePrior, statistics: Statistics, chunks: Chunks) -> Float[Array, ""]:
    """sum_n log sum_k exp(rho_k(x_n)) - KL(law of the parameters || prior).

    Args:
        prior: the prior.
        statistics: expected sufficient statistics, which give the law of the parameters.
        chunks: the data, as `cut` makes them.
    """
    quadratic = expectation(prior, statistics)
    log_norm = expect(prior, quadratic, chunks).log_norm
    return log_norm - pairing(quadratic, statistics, prior.covariance) + log_evidence(prior, statistics)


def merged(statistics: Statistics, i: Any, j: Any, covariance: str) -> Statistics:
    """Component i with the points of i and j, j with none."""

    def move(leaf: Array) -> Array:
        return leaf.at[i].add(leaf[j]).at[j].set(0.0)

    counts, sums, squares = statistics
    return Statistics(move(counts), move(sums), squares if covariance == "tied" else move(squares))


def gains(
    prior: MixturePrior, statistics: Statistics, first: Array, second: Array
) -> Float[Array, " n_pairs"]:
    """Change of log Z(T) by merging each pair; 0 where one of the two is empty.

    Args:
        prior: the prior.
        statistics: T.
        first: component i of each pair.
        second: component j of each pair.
    """
    now = log_normaliser(prior, statistics)

    def gain(pair: tuple[Array, Array]) -> Array:
        i, j = pair
        both = jnp.minimum(statistics.counts[i], statistics.counts[j]) > 0
        change = log_normaliser(prior, merged(statistics, i, j, prior.covariance)) - now
        return jnp.where(both, change, 0.0)

    return jax.lax.map(gain, (first, second), batch_size=_PAIRS_TOGETHER)


@eqx.filter_jit
def merge(
    prior: MixturePrior,
    statistics: Statistics,
    bound: Array,
    chunks: Chunks,
    tolerance: Array,
    n_candidates: int,
) -> tuple[Statistics, Float[Array, ""], Array]:
    """Statistics and bound after the mergers that raise it by the tolerance, and whether there were any."""
    first, second = (jnp.asarray(x) for x in np.triu_indices(prior.n_components, 1))
    best, order = jax.lax.top_k(gains(prior, statistics, first, second), min(n_candidates, len(first)))
    n_tried = jnp.sum(best > 0)

    def attempt(place: Array, carry: tuple[Statistics, Array, Array]) -> tuple[Statistics, Array, Array]:
        old, bound, any_kept = carry
        i, j = first[order[place]], second[order[place]]
        new = merged(old, i, j, prior.covariance)
        higher = evidence_bound(prior, new, chunks)
        keep = (higher - bound > tolerance) & (jnp.minimum(old.counts[i], old.counts[j]) > 0)
        chosen = jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, old)
        return chosen, jnp.where(keep, higher, bound), any_kept | keep

    return jax.lax.fori_loop(0, n_tried, attempt, (statistics, bound, jnp.asarray(False)))
