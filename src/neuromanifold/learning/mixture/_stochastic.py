"""Stochastic variational inference: natural-gradient steps on minibatches (Hoffman et al. 2013).

In the natural parameters of the posterior, prior + T, the natural gradient of the evidence bound is
T(data) - T. A batch of B points in N estimates it without bias, and a step of size rho_t is

    T <- (1 - rho_t) T + rho_t (N / B) T(batch),        rho_t = (t + delay)^-forgetting.

Memory is that of one batch and of T. The sum of rho_t diverges and that of rho_t^2 converges for 1/2 <
forgetting <= 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.dynamics import Process
from neuromanifold.learning.mixture._ascent import MixtureInfo
from neuromanifold.learning.mixture._expectation import Chunks, expect
from neuromanifold.learning.mixture._posterior import Statistics, expectation, log_evidence, pairing
from neuromanifold.learning.mixture._prior import MixturePrior


class StochasticAscent(eqx.Module):
    """Natural-gradient ascent as a process on `Statistics`; `stochastic_ascent` makes one."""

    prior: MixturePrior
    batches: Callable[..., Any]
    population: Float[Array, ""]
    delay: Float[Array, ""]
    forgetting: Float[Array, ""]
    missing: bool = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Statistics) -> Statistics:
        """The statistics to begin with."""
        return x0

    def step(self, key: Key[Array, ""], t: Any, state: Statistics) -> tuple[Statistics, MixtureInfo]:
        """One natural-gradient step; the info has an unbiased estimate of the bound before it."""
        batch = self.batches(t)
        dtype = self.prior.mean.dtype
        weights = jnp.asarray(batch.weights, dtype)
        x = jnp.asarray(batch.data, dtype) - self.prior.mean[None]
        seen = None
        if self.missing:
            there = ~jnp.isnan(x)
            x, seen = jnp.where(there, x, 0.0), there.astype(dtype).T[None]
        chunks = Chunks(x.T[None], seen, weights[None])
        rate = (jnp.asarray(t, dtype) + self.delay) ** -self.forgetting
        return natural_step(self.prior, state, chunks, self.population, rate)


def natural_step(
    prior: MixturePrior, state: Statistics, chunks: Chunks, population: Array, rate: Array
) -> tuple[Statistics, MixtureInfo]:
    """One natural-gradient step of size `rate` on a batch that stands for `population` points.

    Args:
        prior: the prior.
        state: statistics of the whole population, as they are believed before.
        chunks: the batch, as `cut` makes it.
        population: points in all, > 0.
        rate: size of the step in (0, 1]; 1 forgets everything before.

    Returns:
        The statistics after, and the bound and counts of the batch.
    """
    quadratic = expectation(prior, state)
    found, log_norm = expect(prior, quadratic, chunks)
    scale = population / chunks.weights.sum()
    moved = jax.tree.map(lambda old, new: (1.0 - rate) * old + rate * scale * new, state, found)
    kept = log_evidence(prior, state) - pairing(quadratic, state, prior.covariance)
    return moved, MixtureInfo(scale * log_norm + kept, moved.counts)


def stochastic_ascent(
    prior: MixturePrior,
    batches: Callable[..., Any],
    population: int,
    *,
    delay: float = 1.0,
    forgetting: float = 0.6,
    missing: bool = False,
) -> Process:
    """The process `run(stochastic_ascent(prior, batches, population), key, statistics, n_steps)`.

    Args:
        prior: the prior; the type of its mean is that of all numbers.
        batches: `batches(t)` with fields `data`, (batch, n_features), and `weights`, (batch,), for
            example a `Minibatches`.
        population: number of points that the batches are drawn from, N >= 2.
        delay: >= 1; large values make the first steps small.
        forgetting: exponent of the step size, in (0.5, 1].
        missing: NaN in a batch marks a missing entry; without it NaN ends the run with an error.

    Raises:
        ValueError: an argument outside its range.
    """
    check_integer("population", population, 2)
    rule = f"be at most the population, {population}"
    require(prior.n_components <= population, "n_components", rule, prior.n_components)
    dtype = prior.mean.dtype
    moves = StochasticAscent(
        prior,
        batches,
        jnp.asarray(float(population), dtype),
        jnp.asarray(check_real("delay", delay, 1), dtype),
        jnp.asarray(check_real("forgetting", forgetting, 0.5, 1, open_low=True), dtype),
        missing,
    )
    return Process(moves.init, moves.step)
