"""Eigenvalues of a large matrix known by its products only, and statistics of a Fisher information.

    largest eigenvalues    implicitly restarted Lanczos (ARPACK)
    trace                  Hutchinson: mean of z^T F z over random signs z, with its standard error
    mean, second moment    (1/P) tr F, (1/P) tr F^2, from the dual where that is smaller

Source: Hutchinson (1990); Karakida, Akaho and Amari (2019) for what the statistics mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator, eigsh

from neuromanifold._base import check_finite, check_integer, require
from neuromanifold.geometry.fisher._information import FisherInformation


class TraceEstimate(NamedTuple):
    """A trace with its standard error."""

    value: float
    standard_error: float


class FisherStatistics(NamedTuple):
    """Statistics of all P eigenvalues.

    Args:
        mean: (1/P) tr F.
        second_moment: (1/P) tr F^2.
        largest: the largest eigenvalue.
        n_parameters: P.
    """

    mean: float
    second_moment: float
    largest: float
    n_parameters: int


def largest_eigenvalues(
    product: Callable[[Any], Any], size: int, key: Key[Array, ""], n: int = 1
) -> Float[np.ndarray, " n"]:
    """The n largest eigenvalues of a symmetric matrix, in decreasing order.

    Args:
        product: `product(v)`, the matrix times a vector of shape (size,).
        size: rows of the matrix, > n.
        key: of the vector to begin with.
        n: how many, >= 1.

    Raises:
        ValueError: n not in [1, size - 1].
    """
    n = check_integer("n", n, 1, size - 1)
    kind = np.dtype(jnp.result_type(float))

    def apply(v: np.ndarray) -> np.ndarray:
        return np.asarray(product(jnp.asarray(np.ravel(v), kind)))

    operator = LinearOperator((size, size), matvec=apply, dtype=kind)  # pyright: ignore[reportCallIssue]
    start = np.asarray(jax.random.normal(key, (size,)), kind)
    return np.asarray(eigsh(operator, n, which="LA", v0=start, return_eigenvectors=False))[::-1]


def hutchinson_trace(
    product: Callable[[Any], Any], size: int, key: Key[Array, ""], n_probes: int
) -> TraceEstimate:
    """The trace of a symmetric matrix from products with random signs.

    Args:
        product: `product(v)`, the matrix times a vector of shape (size,).
        size: rows of the matrix.
        key: a typed key.
        n_probes: products, >= 2.

    Raises:
        ValueError: fewer than two probes.
    """
    n_probes = check_integer("n_probes", n_probes, 2)
    signs = jax.random.rademacher(key, (n_probes, size), jnp.result_type(float))
    values = np.asarray(jax.lax.map(lambda z: z @ product(z), signs), np.float64)
    return TraceEstimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n_probes)))


def fisher_statistics(information: FisherInformation) -> FisherStatistics:
    """Mean, second moment and largest of the eigenvalues, exactly, from F or its dual, whichever is smaller.

    Args:
        information: with C T or P small enough for a dense matrix.

    Raises:
        ValueError: the information is not finite.
    """
    p = information.n_parameters
    shape = jax.eval_shape(information.rooted).shape
    dense = information.dual() if shape[0] * shape[1] < p else information.matrix()
    return matrix_statistics(dense, p)


def matrix_statistics(dense: ArrayLike, n_parameters: int) -> FisherStatistics:
    """The same from a matrix that is there already, F or its dual.

    Args:
        dense: symmetric, shape (m, m).
        n_parameters: P, >= 1.

    Raises:
        ValueError: a matrix that is not square or not finite.
    """
    p = check_integer("n_parameters", n_parameters, 1)
    values = check_finite("dense", np.asarray(dense, np.float64))
    require(values.ndim == 2 and values.shape[0] == values.shape[1], "dense", "be square", values.shape)
    largest = float(np.linalg.eigvalsh(values)[-1])
    return FisherStatistics(float(np.trace(values) / p), float((values**2).sum() / p), largest, p)
