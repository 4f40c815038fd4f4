"""Graphs: each node the sum of those that point to it.

    z(j) = sum_i A(i, j) x(i)                                      A the graph's matrix, one for each input
    nngp'(j, j') = sum_(i, i') A(i, j) nngp(i, i') A'(i', j')      A of the first input, A' of the second

Graphs come with the inputs, as `pattern`: matrices, or lists of edges for graphs of few.

Source: Du et al. 2019, NeurIPS (graph neural tangent kernel).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.theory.wide._dense import check_axes
from neuromanifold.theory.wide._kernel import Kernel
from neuromanifold.theory.wide._layer import Layer
from neuromanifold.theory.wide._maps import on_both
from neuromanifold.theory.wide._masks import layer
from neuromanifold.theory.wide._spatial import all_pairs, poolable


def Aggregate(
    aggregate_axis: int | Sequence[int] | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    to_dense: Callable[[Any], Any] | None = None,
    implementation: str = "DENSE",
) -> Layer:
    """Sums over the neighbours in a graph whose nodes are positions; see the module's header.

    `apply_fn(params, x, pattern=A)` and `kernel_fn(x1, x2, get, pattern=(A1, A2))` take the graphs; without
    them nothing changes.

    Args:
        aggregate_axis: the K spatial axes whose positions are nodes; None: all.
        batch_axis: 0.
        channel_axis: -1.
        to_dense: from the given patterns to matrices, for "DENSE"; None: they are matrices.
        implementation: "DENSE": matrices of shape (n, *nodes, *nodes), entry (i, j) the weight of the edge
            from i to j. "SPARSE": integers of shape (n, n_edges, K, 2), tail and head of each edge (for K = 1
            also (n, n_edges, 2)); an edge given twice counts twice, one with a negative number not at all.

    Raises:
        ValueError: a pattern whose shape does not go with the inputs, or an axis that is none of positions.

    Source: Du et al. 2019, NeurIPS.
    """
    check_axes(batch_axis, channel_axis)
    check_choice("implementation", implementation, ("DENSE", "SPARSE"))
    given = (aggregate_axis,) if isinstance(aggregate_axis, int) else aggregate_axis
    named = None if given is None else tuple(check_integer("aggregate_axis", a) for a in given)

    def node_axes(n_axes: int) -> tuple[int, ...]:
        axes = tuple(range(1, n_axes - 1)) if named is None else tuple(a % n_axes for a in named)
        inside = len(axes) > 0 and len(set(axes)) == len(axes) and all(0 < a < n_axes - 1 for a in axes)
        require(inside, "aggregate_axis", f"name axes of positions, 1 to {n_axes - 2}", aggregate_axis)
        return axes

    def sums(x: Array, pattern: Any) -> Array:
        axes = node_axes(x.ndim)
        nodes = tuple(x.shape[a] for a in axes)
        behind = tuple(range(1, 1 + len(axes)))
        flat = jnp.moveaxis(x, axes, behind)
        rows = flat.reshape(flat.shape[0], math.prod(nodes), -1)
        if implementation == "DENSE":
            matrix = jnp.asarray(pattern if to_dense is None else to_dense(pattern))
            wanted = (x.shape[0], *nodes, *nodes)
            require(matrix.shape == wanted, "pattern", f"have shape {wanted}", matrix.shape)
            matrix = matrix.reshape(len(matrix), rows.shape[1], rows.shape[1]).astype(x.dtype)
            found = jnp.einsum("nij,nic->njc", matrix, rows, precision="highest")
        else:
            found = jax.vmap(_along_edges)(*_edges(pattern, x.shape[0], nodes), rows)
        return jnp.moveaxis(found.reshape(flat.shape), behind, axes)

    def apply(params: Any, inputs: Any, pattern: Any = None, **kwargs: Any) -> Any:
        node_axes(jnp.ndim(inputs))
        return inputs if pattern is None else sums(inputs, pattern)

    def transform(kernel: Kernel, pattern: Any = None, **kwargs: Any) -> Kernel:
        node_axes(len(kernel.shape1))
        kernel = poolable(kernel)
        if pattern is None:
            return kernel
        first, second = pattern
        n1, n2 = kernel.nngp.shape[:2]

        def across(covariance: Any) -> Any:
            # Rows are pairs of inputs, those of the first set outermost.
            one = jax.tree.map(lambda a: jnp.repeat(jnp.asarray(a), n2, axis=0), first)
            other = jax.tree.map(lambda a: jnp.tile(jnp.asarray(a), (n1, *(1,) * (jnp.ndim(a) - 1))), second)
            return on_both(covariance, 2, lambda x: sums(x, one), lambda x: sums(x, other))

        def own(covariance: Any, graphs: Any) -> Any:
            return None if covariance is None else on_both(covariance, 1, lambda x: sums(x, graphs))

        return kernel.replace(
            nngp=across(kernel.nngp),
            ntk=None if kernel.ntk is None else across(kernel.ntk),
            cov1=own(kernel.cov1, first),
            cov2=own(kernel.cov2, second),
        )

    return layer(lambda key, input_shape: (input_shape, ()), apply, transform, all_pairs)


def _edges(pattern: Any, n: int, nodes: tuple[int, ...]) -> tuple[Array, Array]:
    """Tails and heads as numbers of nodes, shape (n, n_edges), -1 for edges that do not count."""
    edges = jnp.asarray(pattern)
    edges = edges[:, :, None] if len(nodes) == 1 and edges.ndim == 3 else edges
    fits = edges.ndim == 4 and edges.shape[0] == n and edges.shape[2:] == (len(nodes), 2)
    require(fits, "pattern", f"have shape ({n}, n_edges, {len(nodes)}, 2)", edges.shape)
    whole = jnp.issubdtype(edges.dtype, jnp.integer)
    require(whole, "pattern", "hold integers for the sparse implementation", str(edges.dtype))
    strides = jnp.asarray([math.prod(nodes[k + 1 :]) for k in range(len(nodes))])
    ends = jnp.einsum("nekd,k->ned", edges, strides)
    counted = (edges >= 0).all(axis=(2, 3))[..., None]
    ends = jnp.where(counted, ends, -1)
    return ends[..., 0], ends[..., 1]


def _along_edges(tails: Array, heads: Array, x: Array) -> Array:
    messages = jnp.where(tails[:, None] >= 0, x[tails], 0.0)
    return jax.ops.segment_sum(messages, jnp.where(heads < 0, len(x), heads), num_segments=len(x) + 1)[:-1]
