"""Laws of an output y given what a network returns, f: their Fisher information in f, and scores.

    gaussian      y ~ N(f, I)                          Lambda = I                       score y - f
    categorical   P(y = k) = softmax(f)_k              Lambda = diag(p) - p p^T         score onehot(y) - p
    bernoulli     P(y_k = 1) = logistic(f_k)           Lambda = diag(p (1 - p))         score y - p

`root` applies a square root S, Lambda = S S^T; for categorical S = diag(sqrt p) - p sqrt(p)^T.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

FAMILIES = ("gaussian", "categorical", "bernoulli")


def root_transposed(family: str, f: Float[Array, " c"], rows: Float[Array, "c p"]) -> Float[Array, "c p"]:
    """S^T rows."""
    if family == "gaussian":
        return rows
    if family == "bernoulli":
        p = jax.nn.sigmoid(f)
        return jnp.sqrt(p * (1 - p))[:, None] * rows
    p = jax.nn.softmax(f)
    return jnp.sqrt(p)[:, None] * (rows - (p @ rows)[None, :])


def metric_product(family: str, f: Float[Array, " c"], u: Float[Array, " c"]) -> Float[Array, " c"]:
    """The product Lambda u."""
    if family == "gaussian":
        return u
    if family == "bernoulli":
        p = jax.nn.sigmoid(f)
        return p * (1 - p) * u
    p = jax.nn.softmax(f)
    return p * (u - p @ u)


def sampled_score(family: str, key: Key[Array, ""], f: Float[Array, " c"]) -> Float[Array, " c"]:
    """The score d log P(y | f) / d f of an output drawn from the network's own law."""
    if family == "gaussian":
        return jax.random.normal(key, f.shape, f.dtype)
    if family == "bernoulli":
        p = jax.nn.sigmoid(f)
        return jax.random.bernoulli(key, p).astype(f.dtype) - p
    drawn = jax.random.categorical(key, f)
    return jax.nn.one_hot(drawn, f.size, dtype=f.dtype) - jax.nn.softmax(f)
