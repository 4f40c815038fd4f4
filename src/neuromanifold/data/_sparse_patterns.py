"""Patterns with a bias, sparse 0/1 patterns, and cues made of several patterns or of damaged 0/1 patterns.

A biased pattern is xi in {-1, +1}^N with P(+1) = (1 + bias)/2; a sparse one is u in {0, 1}^N with
P(1) = activity f, or with exactly round(f N) ones. Patterns and cues are int8.

Source: Amit, Gutfreund and Sompolinsky 1987, Phys. Rev. A 35:2293 (bias); Amari 1989, Neural Networks 2:451
(sparse patterns).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Int8, Key, Real

from neuromanifold._base import check_integer, check_real, check_signs, require


def biased_patterns(
    key: Key[Array, ""], n_patterns: int, n_units: int, bias: ArrayLike
) -> Int8[Array, "n_patterns n_units"]:
    """Independent +-1 patterns with P(+1) = (1 + bias)/2.

    Args:
        key: a typed key.
        n_patterns: number of patterns P, >= 1.
        n_units: number of units N, >= 1.
        bias: mean of a unit, in [-1, 1]; 0 gives the law of `random_patterns`.

    Raises:
        ValueError: a count below one, or a bias outside [-1, 1].

    >>> import jax
    >>> from neuromanifold.data import biased_patterns
    >>> biased_patterns(jax.random.key(0), 2, 3, 1.0).tolist()
    [[1, 1, 1], [1, 1, 1]]
    """
    n_patterns = check_integer("n_patterns", n_patterns, 1)
    n_units = check_integer("n_units", n_units, 1)
    if not isinstance(bias, Tracer):
        check_real("bias", bias, -1, 1)
    up = jax.random.uniform(key, (n_patterns, n_units)) < (1.0 + jnp.asarray(bias)) / 2.0
    return jnp.where(up, 1, -1).astype(jnp.int8)


def sparse_patterns(
    key: Key[Array, ""], n_patterns: int, n_units: int, activity: float, exact: bool = False
) -> Int8[Array, "n_patterns n_units"]:
    """Independent 0/1 patterns in which a fraction of the units is 1.

    Args:
        key: a typed key.
        n_patterns: number of patterns P, >= 1.
        n_units: number of units N, >= 1.
        activity: f, in (0, 1).
        exact: every pattern has exactly round(f N) ones, all such patterns alike; otherwise units are
            independent and a pattern has f N ones on average.

    Raises:
        ValueError: a count below one, or an activity outside (0, 1); an exact one that leaves no ones or no
            zeros.

    >>> import jax
    >>> from neuromanifold.data import sparse_patterns
    >>> sparse_patterns(jax.random.key(0), 3, 200, 0.1, exact=True).sum(1).tolist()
    [20, 20, 20]
    """
    n_patterns = check_integer("n_patterns", n_patterns, 1)
    n_units = check_integer("n_units", n_units, 1)
    check_real("activity", activity, 0, 1, open_low=True, open_high=True)
    if not exact:
        return (jax.random.uniform(key, (n_patterns, n_units)) < activity).astype(jnp.int8)
    n_ones = round(activity * n_units)
    require(0 < n_ones < n_units, "activity", f"leave ones and zeros among {n_units} units", activity)
    first = jnp.arange(n_units) < n_ones
    return _place(key, jnp.broadcast_to(first, (n_patterns, n_units)))


@jax.jit
def _place(key: Array, rows: Array) -> Array:
    """The entries of each row in a random order of its own."""
    order = jnp.argsort(jax.random.bits(key, rows.shape), axis=-1)
    return jnp.take_along_axis(rows, order, -1).astype(jnp.int8)


def sparse_cue(
    key: Key[Array, ""],
    pattern: Real[Array, " n_units"],
    missing: ArrayLike,
    added: ArrayLike = 0.0,
) -> Int8[Array, " n_units"]:
    """A cue that lacks a fraction of a 0/1 pattern's ones, and has a fraction of its zeros added as ones.

    With k ones, exactly round(missing k) of them are left out and round(added (N - k)) ones are put where
    the pattern has zeros, places drawn at random.

    Args:
        key: a typed key.
        pattern: 0/1, shape (n_units,); `jax.vmap` over keys and patterns makes batches.
        missing: fraction of the ones left out, in [0, 1].
        added: fraction of the zeros that become ones, in [0, 1].

    Raises:
        ValueError: a fraction outside [0, 1], or a pattern that is not 0/1.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.data import sparse_cue
    >>> sparse_cue(jax.random.key(0), jnp.array([1, 1, 0, 0]), 1.0, 0.5).tolist()[:2]
    [0, 0]
    """
    for name, fraction in (("missing", missing), ("added", added)):
        if not isinstance(fraction, Tracer):
            check_real(name, fraction, 0, 1)
    if not isinstance(pattern, Tracer):
        _check_bits("pattern", pattern)
    return _damage(key, pattern, jnp.asarray(missing, jnp.float32), jnp.asarray(added, jnp.float32))


@jax.jit
def _damage(key: Array, pattern: Array, missing: Array, added: Array) -> Array:
    n_units = pattern.shape[0]
    ones = pattern > 0
    n_ones = jnp.sum(ones)
    n_missing = jnp.round(missing * n_ones).astype(jnp.int32)
    n_added = jnp.round(added * (n_units - n_ones)).astype(jnp.int32)
    # Ones first and zeros last, both in random order: the rank of a unit among its like.
    order = jnp.lexsort((jax.random.bits(key, (n_units,)), ~ones))
    rank = jnp.zeros(n_units, jnp.int32).at[order].set(jnp.arange(n_units))
    return jnp.where(ones, rank >= n_missing, rank - n_ones < n_added).astype(jnp.int8)


def mixture_cue(key: Key[Array, ""], patterns: Real[Array, "n_patterns n_units"]) -> Int8[Array, " n_units"]:
    """The sign of the sum of several +-1 patterns; where an even number of them cancel, a sign by chance.

    For s independent patterns, s odd, the overlap with each is binom(s - 1, (s - 1)/2) / 2^(s - 1): 1/2 for
    three, 3/8 for five.

    Args:
        key: a typed key, which matters for ties alone.
        patterns: the patterns that are mixed, +-1, shape (n_patterns, n_units).

    Raises:
        ValueError: patterns that are no +-1 matrix.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.data import mixture_cue
    >>> mixture_cue(jax.random.key(0), jnp.array([[1, 1, -1], [1, -1, -1], [-1, 1, -1]])).tolist()
    [1, 1, -1]
    """
    shape = np.shape(patterns)
    require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
    if not isinstance(patterns, Tracer):
        check_signs("patterns", patterns)
    return _majority(key, patterns)


@jax.jit
def _majority(key: Array, patterns: Array) -> Array:
    total = jnp.sum(patterns.astype(jnp.int32), 0)
    chance = jnp.where(jax.random.bernoulli(key, shape=total.shape), 1, -1)
    return jnp.where(total == 0, chance, jnp.sign(total)).astype(jnp.int8)


def _check_bits(name: str, array: Array) -> None:
    values = np.asarray(array)
    bad = (values != 0) & (values != 1)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must hold only 0 and 1, got {values[index].item()!r} at index {index}.")
