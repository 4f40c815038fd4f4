"""Coordinate ascent on the evidence bound of a Bayesian Gaussian mixture (Attias 1999; Bishop 2006, 10.2).

One step,

    r_nk = exp(rho_k(x_n)) / sum_j exp(rho_j(x_n))      the law of the components given that of the parameters
    T    = sum_n E[(1, x_n, x_n x_n^T) r_nk]            the law of the parameters, prior + T, given the former

Each half maximises the bound L over one factor, so L never falls. With Z the normaliser of the posterior,

    L after a step = sum_n log sum_k exp(rho_k(x_n)) - <T, E log p> + log Z(T) / Z(0),
    <T, E log p>   = sum_nk r_nk rho_k(x_n),

which needs no pass over the data beyond the step's own. No constant is dropped: with one component and
complete
data L is the log evidence itself. Where a step no longer raises L by the tolerance, components are merged
if that
does (see `_merge.py`); only if it does not has the ascent converged.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.dynamics import Process
from neuromanifold.learning.mixture._expectation import (
    Chunks,
    check_data,
    chunk_length,
    cut,
    expect,
    statistics_of_labels,
)
from neuromanifold.learning.mixture._merge import evidence_bound, merge
from neuromanifold.learning.mixture._posterior import Statistics, expectation, log_evidence, pairing
from neuromanifold.learning.mixture._prior import MixturePrior


class MixtureState(NamedTuple):
    """The law of the parameters, as prior + statistics, and where the ascent is.

    Args:
        statistics: expected sufficient statistics.
        bound: evidence bound after the last step; the lowest number of its type before the first.
        n_updates: steps that changed the state.
        converged: whether the last step raised the bound by less than the tolerance.
    """

    statistics: Statistics
    bound: Float[Array, ""]
    n_updates: Int[Array, ""]
    converged: Bool[Array, ""]


class MixtureInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        bound: evidence bound after it.
        counts: points that each component answers for, shape (n_components,).
    """

    bound: Float[Array, ""]
    counts: Float[Array, " n_components"]


class MixtureAscent(eqx.Module):
    """Coordinate ascent as a process; `mixture_ascent` makes one."""

    prior: MixturePrior
    chunks: Chunks
    tolerance: Float[Array, ""]
    n_candidates: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Any) -> MixtureState:
        """The state whose components own the points as the labels x0 say."""
        statistics = statistics_of_labels(self.prior, self.chunks, jnp.asarray(x0))
        lowest = jnp.asarray(jnp.finfo(self.prior.mean.dtype).min, self.prior.mean.dtype)
        return MixtureState(statistics, lowest, jnp.int32(0), jnp.asarray(False))

    def step(self, key: Key[Array, ""], t: Any, state: MixtureState) -> tuple[MixtureState, MixtureInfo]:
        """One step, or none once the ascent has converged."""
        state = jax.lax.cond(state.converged, lambda s: s, lambda s: self._climb(s), state)
        return state, MixtureInfo(state.bound, state.statistics.counts)

    def _climb(self, state: MixtureState) -> MixtureState:
        quadratic = expectation(self.prior, state.statistics)
        statistics, log_norm = expect(self.prior, quadratic, self.chunks)
        entropy = log_norm - pairing(quadratic, statistics, self.prior.covariance)
        bound = entropy + log_evidence(self.prior, statistics)
        settled = bound - state.bound < self.tolerance
        found = (statistics, bound, jnp.asarray(False))
        if self.n_candidates > 0 and self.prior.n_components > 1:
            found = jax.lax.cond(settled, lambda s, b: self._merge(s, b), lambda *_: found, statistics, bound)
        statistics, bound, went_on = found
        return MixtureState(statistics, bound, state.n_updates + 1, settled & ~went_on)

    def _merge(self, statistics: Statistics, bound: Array) -> tuple[Statistics, Array, Array]:
        return merge(self.prior, statistics, bound, self.chunks, self.tolerance, self.n_candidates)

    def descends(self, state: MixtureState) -> Float[Array, ""]:
        """Minus the evidence bound of the state, with the best law of the components for it."""
        return -evidence_bound(self.prior, state.statistics, self.chunks)


def mixture_ascent(
    prior: MixturePrior,
    data: Any,
    *,
    missing: bool = False,
    tolerance: float = 1e-3,
    n_candidates: int | None = None,
    chunk: int | None = None,
) -> Process:
    """The process that fits a mixture: `run(mixture_ascent(prior, data), key, labels, n_steps)`.

    It begins with labels, integers in [0, n_components) of shape (n_points,), for example those of
    `initial_labels`. Data of double precision need `jax.enable_x64` around this call and the run.

    Args:
        prior: the prior; the type of its mean is that of all numbers.
        data: shape (n_points, n_features), n_points >= 2 and >= prior.n_components.
        missing: NaN marks a missing entry; without it NaN is refused.
        tolerance: > 0; where a step raises the bound by less, in nats, mergers are tried, and if none is kept
            the state stays as it is from then on.
        n_candidates: pairs of components whose merger is tried at a time, >= 0; each costs a pass over the
            data; 0: plain coordinate ascent; None: n_components.
        chunk: points handled together; None: as many as fit a few megabytes of temporaries.

    Raises:
        ValueError: an argument outside its range.
    """
    values = check_data(data, missing=missing, n_features=prior.n_features)
    rule = f"be at most the number of points, {len(values)}"
    require(prior.n_components <= len(values), "n_components", rule, prior.n_components)
    tolerance = check_real("tolerance", tolerance, 0, open_low=True)
    n_candidates = (
        prior.n_components if n_candidates is None else check_integer("n_candidates", n_candidates, 0)
    )
    length = chunk_length(prior, len(values), missing=missing, chunk=chunk)
    chunks = cut(prior, values, length, missing=missing)
    moves = MixtureAscent(prior, chunks, jnp.asarray(tolerance, prior.mean.dtype), n_candidates)
    return Process(moves.init, moves.step, descends=moves.descends)


def check_labels(labels: Any, n_points: int, n_components: int) -> np.ndarray:
    """Labels as integers.

    Raises:
        ValueError: another shape, type or range.
    """
    values = np.asarray(labels)
    require(values.shape == (n_points,), "labels", f"have shape ({n_points},)", values.shape)
    require(values.dtype.kind in "iu", "labels", "be integers", values.dtype)
    inside = (values >= 0) & (values < n_components)
    require(inside.all(), "labels", f"lie in [0, {n_components})", int(values[np.argmin(inside)]))
    return values.astype(np.int32)
