"""Independent components of white data by FastICA, all at once.

    W+ = < g(W x) x^T > - diag< g'(W x) > W,    W <- (W+ W+^T)^(-1/2) W+,    g = tanh

Fixed points make <ln cosh> of every component extreme under |w_i| = 1 and w_i w_j = 0: the components are as
far from Gaussian as they can be. Data must be white: mean 0, covariance 1.

Source: Hyvarinen 1999, IEEE Trans. Neural Netw. 10:626; Bell and Sejnowski 1997, Vision Res. 37:3327, for
natural pictures.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_finite, require
from neuromanifold.dynamics import Process


class _FastICA(eqx.Module):
    data: Float[Array, "n_examples n_features"]

    def init(self, key: Any, filters: Any) -> Float[Array, "n_components n_features"]:
        del key
        start = jnp.asarray(filters, self.data.dtype)
        n = self.data.shape[1]
        fits = start.ndim == 2 and 1 <= start.shape[0] <= n == start.shape[1]
        require(fits, "filters", f"have shape (n_components, {n}), n_components <= {n}", start.shape)
        return _orthonormal(start)

    def step(self, key: Any, t: Any, filters: Array) -> tuple[Array, Array]:
        """All filters once; the info is the largest 1 - |cosine| between a filter before and after."""
        del key, t
        response = jnp.tanh(self.data @ filters.T)
        slope = jnp.mean(1.0 - response**2, 0)
        moved = _orthonormal(response.T @ self.data / len(self.data) - slope[:, None] * filters)
        return moved, jnp.max(1.0 - jnp.abs(jnp.sum(moved * filters, 1)))


def _orthonormal(filters: Array) -> Array:
    """The nearest matrix with orthonormal rows, (W W^T)^(-1/2) W."""
    values, vectors = jnp.linalg.eigh(filters @ filters.T)
    floor = jnp.finfo(filters.dtype).eps * values[-1]
    return (vectors * (jnp.maximum(values, floor) ** -0.5)[None, :]) @ vectors.T @ filters


def independent_components(data: Any) -> Process:
    """The process of FastICA on white data, begun with filters of shape (n_components, n_features).

    Args:
        data: mean 0 and covariance 1, shape (n_examples, n_features).

    Raises:
        ValueError: data that are no finite matrix, or not white to a tenth.

    >>> import jax, numpy as np
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.learning.sparse import independent_components
    >>> sources = np.random.default_rng(0).laplace(size=(5000, 2)) / np.sqrt(2)
    >>> turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> filters = run(independent_components(sources @ turn), jax.random.key(0), np.eye(2), 20).state
    >>> np.sort(np.abs(filters @ turn.T).ravel()).round(1).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    values = check_finite("data", data)
    require(
        values.ndim == 2 and len(values) > values.shape[1], "data", "be more rows than columns", values.shape
    )
    centred = values.astype(np.float64)
    off = np.abs(centred.T @ centred / len(centred) - np.eye(centred.shape[1])).max()
    require(off < 0.1 and np.abs(centred.mean(0)).max() < 0.1, "data", "be white to a tenth", float(off))
    module = _FastICA(jnp.asarray(values, jnp.result_type(float)))
    return Process(module.init, module.step)
