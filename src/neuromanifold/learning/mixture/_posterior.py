"""The posterior of a Gaussian mixture as a function of expected sufficient statistics.

Prior and likelihood are conjugate, so the posterior of weights, means and precisions is the prior updated by

    n_k = sum_n r_nk,  s_k = sum_n r_nk x_n,  S_k = sum_n r_nk x_n x_n^T  (x measured from prior mean)
    beta_k = beta_0 + n_k,   m_k = s_k / beta_k,   nu_k = nu_0 + n_k
    W_k^-1 = scale + S_k - s_k s_k^T / beta_k  (Bishop 2006, 10.58-10.63)

"tied" has one nu = nu_0 + N and W^-1 = scale + S - sum_k s_k s_k^T / beta_k; "diagonal" is the one-
dimensional
law of each feature; "spherical" has nu_k = nu_0 + n_features n_k. What a data point sees of the posterior
is a
quadratic form,

    rho_k(x) = offset_k - (x - m_k)^T P_k (x - m_k) / 2,      P_k = E[Lambda_k]        (10.46, 10.64)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, digamma, gammaln
from jaxtyping import Array, Float

from neuromanifold.learning.mixture._prior import MixturePrior


class Statistics(NamedTuple):
    """Expected sufficient statistics, of data measured from the prior mean.

    Args:
        counts: n_k, shape (n_components,).
        sums: s_k, shape (n_components, n_features).
        squares: S_k, (n_components, n_features, n_features) for "full"; its sum over k for "tied"; its
        diagonal
            for "diagonal"; its trace for "spherical".
    """

    counts: Float[Array, " n_components"]
    sums: Float[Array, "n_components n_features"]
    squares: Float[Array, "..."]


class Quadratic(NamedTuple):
    """rho_k(x) = offset_k - (x - m_k)^T P_k (x - m_k) / 2 for all components.

    Args:
        offset: shape (n_components,).
        means: m_k measured from the prior mean, shape (n_components, n_features).
        precisions: P_k: (K, D, D) "full", (D, D) "tied", (K, D) "diagonal", (K,) "spherical".
    """

    offset: Float[Array, " n_components"]
    means: Float[Array, "n_components n_features"]
    precisions: Float[Array, "..."]


class MixturePosterior(NamedTuple):
    """The posterior in the terms of the literature.

    Args:
        weights: E[pi_k], made to sum to one, shape (n_components,).
        means: m_k, shape (n_components, n_features).
        covariances: E[Lambda_k]^-1, in the shape of the prior's scale, with a leading axis n_components
        unless
            tied.
        precisions: E[Lambda_k], likewise.
        concentration: Dirichlet parameters (n_components,), or Beta parameters (2, n_components).
        mean_precision: beta_k, shape (n_components,).
        degrees_of_freedom: nu_k, shape (n_components,), or () when tied.
        counts: n_k, the points each component answers for, shape (n_components,).
    """

    weights: Float[Array, " n_components"]
    means: Float[Array, "n_components n_features"]
    covariances: Float[Array, "..."]
    precisions: Float[Array, "..."]
    concentration: Float[Array, "..."]
    mean_precision: Float[Array, " n_components"]
    degrees_of_freedom: Float[Array, "..."]
    counts: Float[Array, " n_components"]


class _Precision(NamedTuple):
    log_normaliser: Array
    log_det: Array
    precisions: Array
    covariances: Array
    means: Array
    mean_precision: Array
    degrees_of_freedom: Array


def zeros(prior: MixturePrior) -> Statistics:
    """The statistics of no data."""
    k, d, dtype = prior.n_components, prior.n_features, prior.mean.dtype
    shape = {"full": (k, d, d), "tied": (d, d), "diagonal": (k, d), "spherical": (k,)}[prior.covariance]
    return Statistics(jnp.zeros(k, dtype), jnp.zeros((k, d), dtype), jnp.zeros(shape, dtype))


def _inverse(scale: Array) -> tuple[Array, Array]:
    """Inverse and log-determinant of positive definite matrices.

    One matrix at a time: XLA's kernel for a batch waits, in a thread of a pool, for work that it gives to the
    same pool, and two batches at once can wait for each other for ever where there are two threads.
    """
    eye = jnp.eye(scale.shape[-1], dtype=scale.dtype)

    def one(matrix: Array) -> tuple[Array, Array]:
        factor = jnp.linalg.cholesky(matrix)
        root = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
        return root.T @ root, 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))

    flat = scale.reshape(-1, *scale.shape[-2:])
    inverse, log_det = jax.lax.map(one, flat)
    return inverse.reshape(scale.shape), log_det.reshape(scale.shape[:-2])


def _precision(prior: MixturePrior, statistics: Statistics) -> _Precision:
    """The laws of means and precisions, their normaliser and E log |Lambda_k|."""
    n, s, squares = statistics
    d, log_two = prior.n_features, math.log(2.0)
    beta = prior.mean_precision + n
    means = s / beta[:, None]
    if prior.covariance in ("full", "tied"):
        about_means = "ki,kj->kij" if prior.covariance == "full" else "ki,kj->ij"
        nu = prior.degrees_of_freedom + (n if prior.covariance == "full" else n.sum())
        scale = (
            prior.scale.reshape((1,) * (squares.ndim - 2) + (d, d))
            + squares
            - jnp.einsum(about_means, s, means)
        )
        inverse, log_det_scale = _inverse(scale)
        halves = 0.5 * (nu[..., None] - jnp.arange(d, dtype=n.dtype).reshape((1,) * nu.ndim + (d,)))
        log_det = digamma(halves).sum(-1) + d * log_two - log_det_scale
        normaliser = 0.5 * nu * (d * log_two - log_det_scale) + gammaln(halves).sum(-1)
        wide = nu[..., None, None]
        precisions, covariances = wide * inverse, scale / wide
    elif prior.covariance == "diagonal":
        nu = prior.degrees_of_freedom + n
        scale = prior.scale[None] + squares - s * means
        log_det = d * digamma(0.5 * nu) - jnp.log(0.5 * scale).sum(1)
        normaliser = d * gammaln(0.5 * nu) - 0.5 * nu * jnp.log(0.5 * scale).sum(1)
        precisions, covariances = nu[:, None] / scale, scale / nu[:, None]
    else:
        nu = prior.degrees_of_freedom + d * n
        scale = prior.scale + squares - (s * means).sum(1)
        log_det = d * (digamma(0.5 * nu) - jnp.log(0.5 * scale))
        normaliser = gammaln(0.5 * nu) - 0.5 * nu * jnp.log(0.5 * scale)
        precisions, covariances = nu / scale, scale / nu
    total = normaliser.sum() - 0.5 * d * jnp.log(beta).sum()
    return _Precision(total, jnp.broadcast_to(log_det, n.shape), precisions, covariances, means, beta, nu)


def _concentration(prior: MixturePrior, counts: Array) -> Array:
    if prior.weights == "dirichlet":
        return prior.concentration + counts
    after = jnp.cumsum(counts[::-1])[::-1] - counts
    return jnp.stack([1.0 + counts, prior.concentration + after])


def _log_weights(prior: MixturePrior, counts: Array) -> tuple[Array, Array]:
    """E log pi_k, and the normaliser of the law of the weights."""
    c = _concentration(prior, counts)
    if prior.weights == "dirichlet":
        return digamma(c) - digamma(c.sum()), gammaln(c).sum() - gammaln(c.sum())
    both = digamma(c.sum(0))
    here, not_here = digamma(c[0]) - both, digamma(c[1]) - both
    return here + jnp.cumsum(not_here) - not_here, betaln(c[0], c[1]).sum()


def log_normaliser(prior: MixturePrior, statistics: Statistics) -> Float[Array, ""]:
    """The posterior's log Z, up to a constant of the prior and - n_features log(2 pi) / 2 a point."""
    return _precision(prior, statistics).log_normaliser + _log_weights(prior, statistics.counts)[1]


@eqx.filter_jit
def log_evidence(prior: MixturePrior, statistics: Statistics) -> Float[Array, ""]:
    """The evidence of statistics T: log integral p(theta) exp(sum_k <t_k(theta), T_k>) d theta.

    For responsibilities 0 and 1 it is the exact log p(X, Z); for any, adding their entropy gives the bound at
    its maximum over the law of the parameters (Bishop 2006, 10.70 to 10.77).
    """
    half = 0.5 * prior.n_features * math.log(2.0 * math.pi)
    # One after the other in a loop, whose body is compiled once.
    both = jax.tree.map(lambda before, after: jnp.stack([before, after]), zeros(prior), statistics)
    reference, found = jax.lax.map(lambda s: log_normaliser(prior, s), both)
    return found - reference - half * statistics.counts.sum()


@eqx.filter_jit
def expectation(prior: MixturePrior, statistics: Statistics) -> Quadratic:
    """E log p(x, z = k) under the posterior, as a function of x (Bishop 2006, 10.46)."""
    law, d = _precision(prior, statistics), prior.n_features
    log_weights, _ = _log_weights(prior, statistics.counts)
    spread = law.log_det - d * math.log(2.0 * math.pi) - d / law.mean_precision
    return Quadratic(log_weights + 0.5 * spread, law.means, law.precisions)


@eqx.filter_jit
def plug_in(prior: MixturePrior, statistics: Statistics) -> Quadratic:
    """Evaluate log(pi_k Normal(x; m_k, P_k^-1)) at the posterior expectations."""
    found = posterior(prior, statistics)
    d, p = prior.n_features, found.precisions
    if prior.covariance in ("full", "tied"):
        factor = jnp.linalg.cholesky(p)
        log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    else:
        log_det = jnp.log(p).sum(1) if prior.covariance == "diagonal" else d * jnp.log(p)
    offset = jnp.log(found.weights) + 0.5 * (log_det - d * math.log(2.0 * math.pi))
    return Quadratic(offset, found.means - prior.mean[None], p)


@eqx.filter_jit
def posterior(prior: MixturePrior, statistics: Statistics) -> MixturePosterior:
    """The posterior of weights, means and precisions."""
    law = _precision(prior, statistics)
    c = _concentration(prior, statistics.counts)
    if prior.weights == "dirichlet":
        weights = c
    else:
        stick = c / c.sum(0)[None]
        weights = stick[0] * jnp.concatenate([jnp.ones_like(c[0, :1]), jnp.cumprod(stick[1])[:-1]])
    return MixturePosterior(
        weights / weights.sum(),
        law.means + prior.mean[None],
        law.covariances,
        law.precisions,
        c,
        law.mean_precision,
        law.degrees_of_freedom,
        statistics.counts,
    )


def n_found(statistics: Statistics) -> Any:
    """Components that answer for more than one point in N, that is with a share n_k / N above 1 / N."""
    return jnp.sum(statistics.counts > 1.0)


def times(precisions: Array, vectors: Array, covariance: str) -> Array:
    """P_k v_k for all components."""
    if covariance == "full":
        return jnp.einsum("kij,kj->ki", precisions, vectors)
    if covariance == "tied":
        return vectors @ precisions
    return precisions * vectors if covariance == "diagonal" else precisions[:, None] * vectors


def pairing(quadratic: Quadratic, statistics: Statistics, covariance: str) -> Array:
    """sum_nk r_nk rho_k(x_n), which depends on the data through their statistics alone."""
    offset, means, precisions = quadratic
    pulled = times(precisions, means, covariance)
    constant = statistics.counts * (offset - 0.5 * (pulled * means).sum(1))
    linear = (statistics.sums * pulled).sum()
    return constant.sum() + linear - 0.5 * (precisions * statistics.squares).sum()
