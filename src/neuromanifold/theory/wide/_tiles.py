"""Many pairs of inputs, tile by tile.

A kernel of n1 x n2 pairs is made of tiles small enough for a processor's cache; memory is that of the result
and one tile. Within one set of inputs only tiles (i, j) with i <= j are computed,

    nngp(x_j, p'; x_i, p) = nngp(x_i, p; x_j, p'),

so that m tiles a side cost (m + 1) / (2 m) of all. The last tile of a side begins earlier where tiles do not
come out even.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neuromanifold.theory.wide._kernel import Kernel

# Entries of a covariance in a tile: a few such arrays fill the cache of one core, or keep a GPU busy.
_CPU_ENTRIES, _GPU_ENTRIES = 2**16, 2**26


def n_tiles(x1: Any, x2: Any | None, entries: int) -> int:
    """Tiles in which the pairs of two sets, or of one with itself, are taken.

    Args:
        x1: inputs, arrays with n1 rows.
        x2: the second set; None: the first again.
        entries: of the covariance of one pair.
    """
    (n1, side1), (n2, side2) = _sides(x1, x2, entries)
    return -(-n1 // side1) * -(-n2 // side2)


def by_tiles(
    of: Callable[[Any, Any, bool], Any], x1: Any, x2: Any | None, entries: int, with_own: bool
) -> Any:
    """Kernels of all pairs of inputs.

    Args:
        of: kernels of inputs, a `Kernel` or a tuple of such, from two sets (the second None for one with
            itself) and whether variances are wanted.
        x1: as for `n_tiles`.
        x2: as for `n_tiles`.
        entries: as for `n_tiles`.
        with_own: whether variances are wanted.
    """
    if n_tiles(x1, x2, entries) == 1:
        return of(x1, x2, with_own)
    (n1, side1), (n2, side2) = _sides(x1, x2, entries)
    one_set = x2 is None
    starts1, starts2 = _starts(n1, side1), _starts(n2, side2)
    places = [(i, j) for k, i in enumerate(starts1) for j in starts2[k if one_set else 0 :]]
    table = jnp.asarray(np.array(places))
    other = x1 if x2 is None else x2

    def across(i: Any, j: Any) -> Any:
        return _pairs_alone(of(_rows(x1, i, side1), _rows(other, j, side2), False), one_set)

    def within(i: Any, j: Any) -> Any:
        return _pairs_alone(of(_rows(x1, i, side1), None, False), one_set)

    def tile(i: Any, j: Any) -> Any:
        return jax.lax.cond(i == j, within, across, i, j) if one_set else across(i, j)

    def step(k: Any, whole: Any) -> Any:
        i, j = table[k, 0], table[k, 1]
        made = tile(i, j)
        whole = jax.tree.map(lambda a, b: _written(a, b, i, j), whole, made)
        if one_set:
            whole = jax.tree.map(lambda a, b: _written(a, b, j, i), whole, _over(_mirrored, made))
        return whole

    shapes = jax.eval_shape(tile, table[0, 0], table[0, 1])
    whole = jax.tree.map(lambda a: jnp.zeros((n1, n2, *a.shape[2:]), a.dtype), shapes)
    whole = jax.lax.fori_loop(0, len(places), step, whole)
    whole = _over(lambda k: k.replace(shape1=(n1, *k.shape1[1:]), shape2=(n2, *k.shape2[1:])), whole)
    if not with_own:
        return whole
    first = _alone(of, x1, entries)
    second = first if x2 is None else _alone(of, x2, entries)
    return jax.tree.map(
        lambda k, a, b: k.replace(
            cov1=a.cov1,
            cov2=None if one_set else b.cov1,
            mask1=a.mask1,
            mask2=b.mask1,
            own_full=a.own_full,
        ),
        whole,
        first,
        second,
        is_leaf=_is_kernel,
    )


def _alone(of: Callable[[Any, Any, bool], Any], x: Any, entries: int) -> Any:
    """Variances of one set, input by input."""

    def one(row: Any) -> Any:
        made = of(jax.tree.map(lambda a: a[None], row), None, True)
        return _over(lambda k: k.replace(nngp=jnp.zeros((1, 1)), ntk=None), made)

    found = jax.lax.map(one, x, batch_size=max(1, _room() // entries))
    return jax.tree.map(lambda a: a[:, 0], found)


def _room() -> int:
    return _CPU_ENTRIES if jax.default_backend() == "cpu" else _GPU_ENTRIES


def _sides(x1: Any, x2: Any | None, entries: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows of both sets, and of a tile."""
    n1, n2 = (jax.tree.leaves(x)[0].shape[0] for x in (x1, x1 if x2 is None else x2))
    most = max(1, round((_room() / entries) ** 0.5))
    # Tiles of nearly one size.
    return (n1, -(-n1 // -(-n1 // most))), (n2, -(-n2 // -(-n2 // most)))


def _starts(n: int, side: int) -> list[int]:
    return [min(start, n - side) for start in range(0, n, side)]


def _rows(x: Any, start: Any, count: int) -> Any:
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, count), x)


def _written(whole: Any, part: Any, i: Any, j: Any) -> Any:
    return jax.lax.dynamic_update_slice(whole, part, (i, j, *(0,) * (whole.ndim - 2)))


def _is_kernel(node: Any) -> bool:
    return isinstance(node, Kernel)


def _over(function: Callable[[Kernel], Any], kernels: Any) -> Any:
    return jax.tree.map(function, kernels, is_leaf=_is_kernel)


def _pairs_alone(kernels: Any, one_set: bool) -> Any:
    """What pairs have, alike for tiles on and off the diagonal."""

    def bare(k: Kernel) -> Kernel:
        return k.replace(cov1=None, cov2=None, mask1=None, mask2=None, own_full=False, x1_is_x2=one_set)

    return _over(bare, kernels)


def _mirrored(kernel: Kernel) -> Kernel:
    """The tile on the other side of the diagonal."""
    order = [1, 0]
    for k in range(2, kernel.nngp.ndim, 2 if kernel.full else 1):
        order += [k + 1, k] if kernel.full else [k]
    ntk = None if kernel.ntk is None else kernel.ntk.transpose(order)
    return kernel.replace(nngp=kernel.nngp.transpose(order), ntk=ntk)
