"""Merging after minibatches: components that share a cluster are made one, judged on a sample of the data.

Stochastic updates never see all points at once, and stop, like coordinate ascent, where several components
share a cluster. A pair i, j is merged as in `_merge` (statistics add), and the change of the evidence bound
is estimated from n points that stand for the N of the population,

    change = (N / n) sum_n d_n + change of [log Z(T) - <T, E log p>],
    d_n = change of log sum_k exp(rho_k(x_n)),

with the standard error (N / sqrt(n)) sd(d_n), or zero when the points are the population. The merger is kept
if the change exceeds the tolerance by a number of standard errors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.learning.mixture._expectation import Chunks, check_data, chunk_length, cut, log_joint
from neuromanifold.learning.mixture._merge import gains, merged
from neuromanifold.learning.mixture._posterior import Statistics, expectation, log_evidence, pairing
from neuromanifold.learning.mixture._prior import MixturePrior


class Mergers(NamedTuple):
    """What `merge_components` returns.

    Args:
        statistics: after the mergers.
        n_merged: number of pairs made one.
        gain: sum of the estimated changes of the evidence bound, in nats.
    """

    statistics: Statistics
    n_merged: int
    gain: float


@eqx.filter_jit
def _judge(
    prior: MixturePrior, statistics: Statistics, chunks: Chunks
) -> tuple[Float[Array, " n_places"], Float[Array, ""]]:
    """Log sum_k exp(rho_k) of each point, and the part of the bound that needs no data."""
    quadratic = expectation(prior, statistics)
    norms = jax.nn.logsumexp(log_joint(prior, quadratic, chunks), axis=1)
    return norms, log_evidence(prior, statistics) - pairing(quadratic, statistics, prior.covariance)


_gains = eqx.filter_jit(gains)


def merge_components(
    prior: MixturePrior,
    statistics: Statistics,
    data: Any,
    *,
    population: int | None = None,
    tolerance: float = 1e-3,
    sigmas: float = 3.0,
    n_candidates: int | None = None,
    missing: bool = False,
    chunk: int | None = None,
) -> Mergers:
    """Merge components wherever that raises the evidence bound, for example after `stochastic_ascent`.

    Args:
        prior: the prior of the fit.
        statistics: of the fit, as of the whole population.
        data: points to judge by, drawn at random from the population, shape (n_points, n_features).
        population: points that the data stand for, >= n_points; None: the data are all.
        tolerance: > 0, in nats; a merger must raise the bound by more.
        sigmas: standard errors by which it must do so, >= 0; without effect when the data are all.
        n_candidates: pairs tried after each merger, >= 1; None: n_components.
        missing: NaN marks a missing entry; without it NaN is refused.
        chunk: points handled together; None: as many as fit a few megabytes of temporaries.

    Raises:
        ValueError: an argument outside its range.

    >>> import jax, numpy as np
    >>> from neuromanifold.learning.mixture import default_prior, initial_statistics, merge_components
    >>> points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    >>> prior = default_prior(points, 2)
    >>> halves = initial_statistics(prior, points, np.arange(200) % 2)
    >>> merge_components(prior, halves, points).n_merged
    1
    """
    values = check_data(data, missing=missing, n_features=prior.n_features)
    n_points = len(values)
    whole = n_points if population is None else check_integer("population", population, n_points)
    check_real("tolerance", tolerance, 0, open_low=True)
    sigmas = check_real("sigmas", sigmas, 0)
    tried = prior.n_components if n_candidates is None else check_integer("n_candidates", n_candidates, 1)
    shape = statistics.counts.shape
    require(shape == (prior.n_components,), "statistics", f"be of {prior.n_components} components", shape)
    chunks = cut(prior, values, chunk_length(prior, n_points, missing=missing, chunk=chunk), missing=missing)
    first, second = np.triu_indices(prior.n_components, 1)
    pairs = jnp.asarray(first), jnp.asarray(second)

    def judged(found: Statistics) -> tuple[np.ndarray, float]:
        norms, rest = _judge(prior, found, chunks)
        return np.asarray(norms, np.float64)[:n_points], float(rest)

    norms, rest = judged(statistics)
    n_merged, total = 0, 0.0
    while True:
        promised = np.asarray(_gains(prior, statistics, *pairs)) if len(first) else np.zeros(0)
        for place in np.argsort(promised)[::-1][:tried]:
            if not promised[place] > 0:
                continue
            new = merged(statistics, int(first[place]), int(second[place]), prior.covariance)
            new_norms, new_rest = judged(new)
            change = new_norms - norms
            raised = whole * change.mean() + new_rest - rest
            error = 0.0 if whole == n_points else whole * change.std() / math.sqrt(n_points)
            if raised > tolerance + sigmas * error:
                statistics, norms, rest = new, new_norms, new_rest
                n_merged, total = n_merged + 1, total + raised
                break
        else:
            return Mergers(statistics, n_merged, float(total))
