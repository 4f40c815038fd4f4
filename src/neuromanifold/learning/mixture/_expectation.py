"""Who answers for which point: responsibilities and expected statistics, a chunk of data at a time.

    r_nk = exp(rho_k(x_n)) / sum_j exp(rho_j(x_n)),        log_norm_n = log sum_j exp(rho_j(x_n))

Complete rows: rho is linear in the features (1, x, x x^T), so both the exponents and the statistics are
matrix
products with K rows, and nothing of size K x D x N is formed. Rows with missing entries m and observed o: the
missing ones are integrated out exactly; given component k they are Gaussian,

    E[x_m] = m_m - P_mm^-1 P_mo (x_o - m_o),      Cov = P_mm^-1,      P = E[Lambda_k],
    rho_k(x_o) = offset_k - (x_o - m_o)^T (P_oo - P_om P_mm^-1 P_mo) (x_o - m_o) / 2 + |m| log(2 pi) / 2
                 - log |P_mm| / 2,

at a cost of K D^3 a row. In single precision the features lose (distance of a cluster from the prior mean /
its width)^2 x 6e-8 of a variance; take double precision for clusters many widths apart.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_integer, require
from neuromanifold.learning.mixture._posterior import Quadratic, Statistics, times, zeros
from neuromanifold.learning.mixture._prior import MixturePrior

_CHUNK_BYTES = 2**22


class Chunks(eqx.Module):
    """Data measured from a prior's mean, cut into pieces that are handled one at a time.

    Args:
        values: shape (n_chunks, n_features, chunk), 0 where missing.
        seen: 1 where there is an entry and 0 where it is missing, same shape; None when all are there.
        weights: shape (n_chunks, chunk), 1 for a point and 0 for padding.
    """

    values: Float[Array, "n_chunks n_features chunk"]
    seen: Float[Array, "n_chunks n_features chunk"] | None
    weights: Float[Array, "n_chunks chunk"]


class Expected(NamedTuple):
    """What a pass over data finds.

    Args:
        statistics: expected statistics.
        log_norm: sum over points of log sum_k exp(rho_k).
    """

    statistics: Statistics
    log_norm: Float[Array, ""]


def check_data(data: Any, *, missing: bool, least: int = 2, n_features: int | None = None) -> np.ndarray:
    """Points as floats, refused where they are no matrix, too few, not finite, or NaN without being declared.

    Raises:
        ValueError: with the rule and the offending value.
    """
    values = np.asarray(data)
    require(values.ndim == 2, "data", "have shape (n_points, n_features)", values.shape)
    require(values.dtype.kind in "fiub", "data", "be real numbers", values.dtype)
    require(len(values) >= least, "data", f"have at least {least} points", len(values))
    require(values.shape[1] >= 1, "data", "have at least one feature", values.shape[1])
    if n_features is not None:
        require(values.shape[1] == n_features, "data", f"have {n_features} features", values.shape[1])
    if values.dtype.kind != "f":
        values = values.astype(float)
    bad = ~np.isfinite(values)
    if missing:
        bad &= ~np.isnan(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        rule = "be finite or NaN for missing" if missing else "be finite (missing=True allows NaN)"
        raise ValueError(f"data must {rule}, got {float(values[index])!r} at index {index}.")
    return values


def chunk_length(prior: MixturePrior, n_points: int, *, missing: bool, chunk: int | None = None) -> int:
    """Points handled together: `chunk`, or as many as fit a few megabytes of temporaries."""
    if chunk is not None:
        return min(check_integer("chunk", chunk, 1), n_points)
    k, d, size = prior.n_components, prior.n_features, prior.mean.dtype.itemsize
    numbers = (
        4 * k * d * d if missing else 2 * k + d + (d * (d + 1) // 2 if prior.covariance == "full" else d)
    )
    fits = max(16, 2 ** int(math.log2(max(_CHUNK_BYTES // (size * numbers), 1))))
    return min(n_points, fits)


def cut(prior: MixturePrior, data: Any, chunk: int, *, missing: bool) -> Chunks:
    """Chunks of data of shape (n_points, n_features), NaN where missing."""
    values = np.asarray(data, prior.mean.dtype) - np.asarray(prior.mean)[None]
    n_points, _ = values.shape
    n_chunks = -(-n_points // chunk)
    weights = (np.arange(n_chunks * chunk) < n_points).astype(values.dtype).reshape(n_chunks, chunk)
    seen = None
    if missing:
        there = ~np.isnan(values)
        values = np.where(there, values, 0.0).astype(values.dtype)
        seen = _shape(there.astype(values.dtype), n_chunks, chunk, 1.0)
    return Chunks(_shape(values, n_chunks, chunk, 0.0), seen, jnp.asarray(weights))


def _shape(values: np.ndarray, n_chunks: int, chunk: int, fill: float) -> Array:
    n_points, d = values.shape
    padded = np.pad(values, ((0, n_chunks * chunk - n_points), (0, 0)), constant_values=fill)
    return jnp.asarray(padded.reshape(n_chunks, chunk, d).transpose(0, 2, 1))


def _pairs(d: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(d)


def _features(x: Array, covariance: str) -> Array:
    """The quadratic features of a chunk, shape (n_quadratic, chunk)."""
    if covariance == "full":
        i, j = _pairs(x.shape[0])
        return x[i] * x[j]
    return x * x if covariance == "diagonal" else (x * x).sum(0, keepdims=True)


def _exponents(quadratic: Quadratic, x: Array, squares: Array | None, covariance: str) -> Array:
    """rho_k(x_n), shape (n_components, chunk), for complete points."""
    offset, means, p = quadratic
    pulled = times(p, means, covariance)
    start = offset - 0.5 * (pulled * means).sum(1)
    rho = start[:, None] + pulled @ x
    if covariance == "tied":
        return rho - 0.5 * (x * (p @ x)).sum(0)[None]
    if covariance == "full":
        i, j = _pairs(x.shape[0])
        coefficient = jnp.where(jnp.asarray(i == j), 0.5, 1.0).astype(p.dtype)[None] * p[:, i, j]
    else:
        coefficient = 0.5 * (p if covariance == "diagonal" else p[:, None])
    return rho - coefficient @ squares  # pyright: ignore[reportOperatorIssue]


def _statistics(r: Array, x: Array, squares: Array | None, covariance: str) -> Statistics:
    """Statistics of complete points with responsibilities r of shape (n_components, chunk)."""
    d = x.shape[0]
    if covariance == "tied":
        second = (x * r.sum(0)[None]) @ x.T
    else:
        second = r @ squares.T  # pyright: ignore[reportOptionalMemberAccess]
        if covariance == "full":
            i, j = _pairs(d)
            place = np.zeros((d, d), int)
            place[i, j] = place[j, i] = np.arange(len(i))
            second = second[:, place]
        elif covariance == "spherical":
            second = second[:, 0]
    return Statistics(r.sum(1), r @ x.T, second)


class _Filled(NamedTuple):
    rho: Array
    mean: Array
    covariance: Array


def _fill(quadratic: Quadratic, x: Array, seen: Array, covariance: str) -> _Filled:
    """Missing entries given each component: rho (K, n), mean (K, n, D), covariance (K, n, D, D)."""
    offset, means, p = quadratic
    k, d = means.shape
    eye = jnp.eye(d, dtype=x.dtype)
    if covariance == "tied":
        p = jnp.broadcast_to(p, (k, d, d))
    elif covariance == "diagonal":
        p = p[:, :, None] * eye[None]
    elif covariance == "spherical":
        p = p[:, None, None] * eye[None]

    def one(offset: Array, mean: Array, p: Array, x: Array, seen: Array) -> tuple[Array, Array, Array]:
        gone = 1.0 - seen
        block = p * gone[:, None] * gone[None, :] + eye * seen[:, None]
        factor = jnp.linalg.cholesky(block)
        root = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
        inverse = (root.T @ root) * gone[:, None] * gone[None, :]
        away = (x - mean) * seen
        pull = p @ away
        shift = -inverse @ pull
        form = away @ pull - pull @ inverse @ pull
        log_det = 2.0 * jnp.log(jnp.diagonal(factor)).sum()
        rho = offset - 0.5 * form + 0.5 * (gone.sum() * math.log(2.0 * math.pi) - log_det)
        return rho, jnp.where(seen > 0, x, mean + shift), inverse

    over_points = jax.vmap(one, (None, None, None, 1, 1))
    return _Filled(*jax.vmap(over_points, (0, 0, 0, None, None))(offset, means, p, x, seen))


def _filled_statistics(r: Array, filled: _Filled, covariance: str) -> Statistics:
    mean, spread = filled.mean, filled.covariance
    sums = jnp.einsum("kn,knd->kd", r, mean)
    if covariance in ("full", "tied"):
        second = jnp.einsum("kn,kni,knj->kij", r, mean, mean) + jnp.einsum("kn,knij->kij", r, spread)
        second = second if covariance == "full" else second.sum(0)
    else:
        variance = mean * mean + jnp.diagonal(spread, axis1=2, axis2=3)
        second = jnp.einsum("kn,knd->kd", r, variance)
        second = second if covariance == "diagonal" else second.sum(1)
    return Statistics(r.sum(1), sums, second)


@eqx.filter_jit
def expect(prior: MixturePrior, quadratic: Quadratic, chunks: Chunks) -> Expected:
    """Expected statistics of all points, in one pass over the chunks."""
    covariance = prior.covariance

    def add(total: Expected, chunk: tuple[Array, Array | None, Array]) -> tuple[Expected, None]:
        x, seen, weights = chunk
        squares = None
        filled = None
        if seen is not None:
            filled = _fill(quadratic, x, seen, covariance)
            rho = filled.rho
        else:
            squares = None if covariance == "tied" else _features(x, covariance)
            rho = _exponents(quadratic, x, squares, covariance)
        top = rho.max(0)
        r = jnp.exp(rho - top[None])
        norm = r.sum(0)
        log_norm = (weights * (top + jnp.log(norm))).sum()
        r = r * (weights / norm)[None]
        if filled is not None:
            found = _filled_statistics(r, filled, covariance)
        else:
            found = _statistics(r, x, squares, covariance)
        return jax.tree.map(jnp.add, total, Expected(found, log_norm)), None

    start = Expected(zeros(prior), jnp.zeros((), prior.mean.dtype))
    total, _ = jax.lax.scan(add, start, (chunks.values, chunks.seen, chunks.weights))
    return total


@eqx.filter_jit
def statistics_of_labels(prior: MixturePrior, chunks: Chunks, labels: Array) -> Statistics:
    """Statistics of points with given components; a missing entry counts as the prior mean."""
    n_chunks, _, chunk = chunks.values.shape
    padded = jnp.pad(labels, (0, n_chunks * chunk - labels.shape[0])).reshape(n_chunks, chunk)

    def add(total: Statistics, piece: tuple[Array, Array, Array]) -> tuple[Statistics, None]:
        x, weights, labels = piece
        r = (jnp.arange(prior.n_components)[:, None] == labels[None]) * weights[None]
        squares = None if prior.covariance == "tied" else _features(x, prior.covariance)
        return jax.tree.map(jnp.add, total, _statistics(r, x, squares, prior.covariance)), None

    return jax.lax.scan(add, zeros(prior), (chunks.values, chunks.weights, padded))[0]


@eqx.filter_jit
def log_joint(
    prior: MixturePrior, quadratic: Quadratic, chunks: Chunks
) -> Float[Array, "n_places n_components"]:
    """rho_k(x_n) of all points, padding included."""

    def one(chunk: tuple[Array, Array | None]) -> Array:
        x, seen = chunk
        if seen is not None:
            return _fill(quadratic, x, seen, prior.covariance).rho.T
        squares = None if prior.covariance == "tied" else _features(x, prior.covariance)
        return _exponents(quadratic, x, squares, prior.covariance).T

    return jax.lax.map(one, (chunks.values, chunks.seen)).reshape(-1, prior.n_components)
