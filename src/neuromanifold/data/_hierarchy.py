"""Hierarchically correlated +-1 patterns: families, families of families, and their mixed states.

The patterns at the root of the trees are random. A child resembles its parent unit by unit,

    P(child_i = +-1 | parent_i) = (1 +- b parent_i)/2,     0 <= b <= 1,

with a b of its own at each level. The overlap of a pattern with an ancestor is the product of the b in
between, that of two leaves the product of b^2 over the levels below their nearest common ancestor, and zero
without one.

Source: Amari 1977, Biol. Cybern. 26:175; Okada 1996, Neural Networks 9:1429.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int, Int8, Key, Num

from neuromanifold._base import check_integer, check_real, check_signs, require
from neuromanifold.data._patterns import random_patterns


class Hierarchy(NamedTuple):
    """Patterns and where they come from.

    Args:
        patterns: the leaves, shape (n_leaves, n_units); siblings are neighbours.
        ancestors: of each level from the roots down to the parents of the leaves, shape (n_level, n_units).
        family: row of `ancestors[level]` from which each leaf descends, shape (n_levels, n_leaves).
    """

    patterns: Int8[Array, "n_leaves n_units"]
    ancestors: tuple[Int8[Array, "n_level n_units"], ...]
    family: Int[Array, "n_levels n_leaves"]


def hierarchical_patterns(
    key: Key[Array, ""],
    n_units: int,
    n_parents: int,
    branching: int | Sequence[int],
    correlation: float | Sequence[float],
) -> Hierarchy:
    """Trees of patterns: n_parents random roots, b children a node at each level.

    Args:
        key: a typed key.
        n_units: number of units N, >= 1.
        n_parents: number of roots, >= 1.
        branching: children a node, >= 1; one number for trees of depth one, or one a level from the root.
        correlation: b of a child with its parent, in [0, 1]; one number for all levels, or one a level.

    Raises:
        ValueError: a count below one, a correlation outside [0, 1], or not one correlation a level.

    >>> import jax
    >>> from neuromanifold.data import hierarchical_patterns
    >>> trees = hierarchical_patterns(jax.random.key(0), 1000, 4, (3, 2), (0.5, 0.8))
    >>> trees.patterns.shape, [level.shape[0] for level in trees.ancestors]
    ((24, 1000), [4, 12])
    """
    n_units = check_integer("n_units", n_units, 1)
    n_parents = check_integer("n_parents", n_parents, 1)
    counts = (branching,) if isinstance(branching, int | np.integer) else tuple(branching)
    require(len(counts) >= 1, "branching", "hold at least one level", branching)
    counts = tuple(check_integer(f"branching[{i}]", count, 1) for i, count in enumerate(counts))
    strengths = tuple(correlation) if isinstance(correlation, Sequence) else (correlation,) * len(counts)
    require(
        len(strengths) == len(counts),
        "correlation",
        f"hold one number for each of {len(counts)} levels",
        correlation,
    )
    strengths = tuple(check_real(f"correlation[{i}]", b, 0, 1) for i, b in enumerate(strengths))

    key, key_root = jax.random.split(key)
    levels = [random_patterns(key_root, n_parents, n_units)]
    for level, (count, b) in enumerate(zip(counts, strengths, strict=True)):
        levels.append(_children(jax.random.fold_in(key, level), levels[-1], count, (1.0 - b) / 2.0))
    below = [math.prod(counts[level:]) for level in range(len(counts))]
    leaves = np.arange(n_parents * below[0])
    family = jnp.asarray(np.stack([leaves // size for size in below]), jnp.int32)
    return Hierarchy(levels[-1], tuple(levels[:-1]), family)


@functools.partial(jax.jit, static_argnums=2)
def _children(key: Array, parents: Array, count: int, flip: Array) -> Array:
    repeated = jnp.repeat(parents, count, axis=0)
    # Uniform numbers lie in [0, 1): a probability of zero flips none, of one flips all.
    return jnp.where(jax.random.uniform(key, repeated.shape) < flip, -repeated, repeated)


def whole_families(n_patterns: int, branching: int) -> int:
    """Number of families of given size that make up a number of patterns.

    Args:
        n_patterns: P, >= 1, a multiple of `branching`.
        branching: children a family s, >= 1.

    Raises:
        ValueError: a number of patterns that leaves a family incomplete.
    """
    n_patterns = check_integer("n_patterns", n_patterns, 1)
    branching = check_integer("branching", branching, 1)
    require(
        n_patterns % branching == 0, "n_patterns", f"be a multiple of branching = {branching}", n_patterns
    )
    return n_patterns // branching


def mixed_state(children: Num[Array, "*families s n_units"]) -> Int8[Array, "*families n_units"]:
    """The concept of a family, eta_i = sgn(sum of the children), the majority of an odd number.

    Args:
        children: +-1, shape (..., s, n_units), s odd.

    Raises:
        ValueError: an even number of children, whose majority may be undecided, or entries other than +-1.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.data import mixed_state
    >>> mixed_state(jnp.array([[1, 1, -1], [1, -1, -1], [1, -1, 1]])).tolist()
    [1, -1, -1]
    """
    require(
        children.ndim >= 2 and children.shape[-2] % 2 == 1,
        "children",
        "have shape (..., s, n_units) with s odd",
        tuple(children.shape),
    )
    if not isinstance(children, Tracer):
        check_signs("children", children)
    return jnp.where(jnp.sum(children, axis=-2, dtype=jnp.float32) > 0, 1, -1).astype(jnp.int8)
