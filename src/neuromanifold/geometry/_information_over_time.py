"""Information about labels in the responses of single cells, window by window, with the bias shuffled away.

For each window and cell the plug-in information between the label of a sample and its response is computed
as it is, and again with the labels permuted among the samples, which leaves nothing but the bias:

    I = I_plug-in - mean of I_shuffled,      standard error of the bias = sd / sqrt(n_shuffles)

With `within`, a coarser label that the finer one determines, it is the information about the finer label
beyond that about the coarser one,

    I(label; r | within) = I(label; r) - I(within; r),

and labels are permuted only among samples that share the coarser one. Single cells, quantised counts and
information as mean over cells are those of Sugase, Yamane, Ueno and Kawano (1999, Nature 400:869).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_finite, check_integer, require


class InformationCurve(NamedTuple):
    """Information in bits, one number a window and cell; arrays of shape (n_windows, n_cells).

    Args:
        bits: plug-in estimate less the bias; may fall below zero.
        plug_in: the plug-in estimate.
        bias: mean of the estimates with shuffled labels.
        bias_standard_error: of `bias`, over the shuffles.
    """

    bits: Float[np.ndarray, "n_windows n_cells"]
    plug_in: Float[np.ndarray, "n_windows n_cells"]
    bias: Float[np.ndarray, "n_windows n_cells"]
    bias_standard_error: Float[np.ndarray, "n_windows n_cells"]


def quantise(counts: Any, n_levels: int) -> Int[np.ndarray, "*batch n_cells"]:
    """Counts in at most n_levels levels, cut for each cell at quantiles of all its counts.

    Equal counts get equal levels, so that a cell with few different counts has fewer levels.

    Args:
        counts: shape (..., n_cells).
        n_levels: >= 2.

    Raises:
        ValueError: an argument outside its range.

    >>> import numpy as np
    >>> from neuromanifold.geometry import quantise
    >>> quantise(np.arange(8)[:, None], 4).ravel().tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    values = check_finite("counts", counts)
    require(values.ndim >= 2, "counts", "have shape (..., n_cells)", values.shape)
    n_levels = check_integer("n_levels", n_levels, 2)
    flat = values.reshape(-1, values.shape[-1])
    cuts = np.quantile(flat, np.arange(1, n_levels) / n_levels, axis=0)
    levels = [np.searchsorted(np.unique(cut), column) for cut, column in zip(cuts.T, flat.T, strict=True)]
    return np.stack(levels, -1).reshape(values.shape)


def information_over_time(
    responses: Any, labels: Any, key: Key[Array, ""], n_shuffles: int = 20, *, within: Any = None
) -> InformationCurve:
    """Bias-corrected information of single cells in every window.

    Args:
        responses: small integers >= 0, counts or levels, shape (n_samples, n_windows, n_cells); memory grows
            with the largest.
        labels: one a sample, shape (n_samples,).
        key: of the shuffles.
        n_shuffles: permutations of the labels, >= 2.
        within: a coarser label a sample, shape (n_samples,), or None; see the module's header.

    Raises:
        ValueError: an argument outside its range, or a label that occurs with two values of `within`.

    >>> import jax, numpy as np
    >>> from neuromanifold.geometry import information_over_time
    >>> labels = np.arange(400) % 2
    >>> found = information_over_time(labels[:, None, None], labels, jax.random.key(0))
    >>> round(float(found.bits[0, 0]), 2)
    1.0
    """
    values = np.asarray(responses)
    shape = "(n_samples, n_windows, n_cells)"
    require(values.ndim == 3 and values.size > 0, "responses", f"have shape {shape}", values.shape)
    require(values.dtype.kind in "iu", "responses", "be integers", values.dtype)
    require((values >= 0).all(), "responses", "be >= 0", int(values.min()))
    n_shuffles = check_integer("n_shuffles", n_shuffles, 2)
    n_samples = len(values)
    fine = _codes("labels", labels, n_samples)
    coarse = np.zeros(n_samples, int) if within is None else _codes("within", within, n_samples)
    for code in range(fine.max() + 1):
        owners = np.unique(coarse[fine == code])
        require(len(owners) == 1, "labels", "each occur with one value of within", owners.tolist())
    orders = _orders(key, coarse, n_shuffles)
    permuted = np.concatenate([fine[None], fine[orders]])
    one_hot = (np.arange(fine.max() + 1) == permuted[..., None]).astype(np.float32)
    outer = (np.arange(coarse.max() + 1) == coarse[:, None]).astype(np.float32)
    moved = jnp.asarray(np.moveaxis(values, 1, 0), jnp.int32)
    found = _information(moved, jnp.asarray(one_hot), jnp.asarray(outer), int(values.max()) + 1)
    bits = np.asarray(found, np.float64)
    shuffled = bits[:, 1:]
    bias = shuffled.mean(1)
    error = shuffled.std(1, ddof=1) / np.sqrt(n_shuffles)
    return InformationCurve(bits[:, 0] - bias, bits[:, 0], bias, error)


def _codes(name: str, labels: Any, n_samples: int) -> np.ndarray:
    values = np.asarray(labels)
    require(values.shape == (n_samples,), name, f"have shape ({n_samples},)", values.shape)
    return np.unique(values, return_inverse=True)[1]


def _orders(key: Array, groups: np.ndarray, n_shuffles: int) -> np.ndarray:
    """Permutations of the samples within each group, shape (n_shuffles, n_samples)."""
    noise = np.asarray(jax.random.uniform(key, (n_shuffles, len(groups))), np.float64)
    # Sorting by group and then by noise lines the members of a group up in a random order.
    drawn = np.argsort(groups + noise, axis=1)
    orders = np.empty_like(drawn)
    np.put_along_axis(orders, np.broadcast_to(np.argsort(groups, kind="stable"), drawn.shape), drawn, 1)
    return orders


@functools.partial(jax.jit, static_argnums=3)
def _information(responses: Array, labels: Array, groups: Array, n_levels: int) -> Array:
    """I(label; r) - I(group; r) of each window, labelling and cell, shape (n_windows, 1 + shuffles, n_cells).

    Counts below 2^24 are exact in single precision; sums of n log n are taken relative to the total.
    """
    n_samples = responses.shape[1]
    levels = jnp.arange(n_levels)

    def plogp(counts: Array) -> Array:
        p = counts / n_samples
        return jnp.where(counts > 0, p * jnp.log2(jnp.where(counts > 0, p, 1.0)), 0.0)

    def gained(table: Array) -> Array:
        """Sum over labels and responses of p log p, less that over labels."""
        return plogp(table).sum((-2, -1)) - plogp(table.sum(-1)).sum(-1)

    def of_window(window: Array) -> Array:
        hot = (window[..., None] == levels[None, None]).astype(jnp.float32)
        fine = gained(jnp.einsum("ncr,kns->kcsr", hot, labels))
        coarse = gained(jnp.einsum("ncr,ng->cgr", hot, groups))
        return fine - coarse[None]

    return jax.lax.map(of_window, responses)
