"""Random +-1 patterns and cues that resemble them.

A pattern is xi in {-1, +1}^N; its overlap with a state x is m = (1/N) sum_i xi_i x_i. Patterns and cues are
int8: eight times smaller than the float64 they are compared with, and exact.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Int8, Key, Real

from neuromanifold._base import check_integer, check_real, check_signs


def random_patterns(key: Key[Array, ""], n_patterns: int, n_units: int) -> Int8[Array, "n_patterns n_units"]:
    """Independent patterns with P(+1) = P(-1) = 1/2, one random bit an entry.

    Args:
        key: a typed key.
        n_patterns: number of patterns P, >= 1.
        n_units: number of units N, >= 1.

    Raises:
        ValueError: a count below one.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> random_patterns(jax.random.key(0), 3, 1000).shape
    (3, 1000)
    """
    n_patterns = check_integer("n_patterns", n_patterns, 1)
    n_units = check_integer("n_units", n_units, 1)
    return _draw(key, n_patterns, n_units)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _draw(key: Array, n_patterns: int, n_units: int) -> Array:
    octets = jax.random.bits(key, (n_patterns, -(-n_units // 8)), jnp.uint8)
    bits = jnp.unpackbits(octets, axis=1)[:, :n_units]
    return 2 * bits.astype(jnp.int8) - 1


def flip_cue(
    key: Key[Array, ""], pattern: Real[Array, " n_units"], fraction: ArrayLike
) -> Int8[Array, " n_units"]:
    """A cue in which each unit of a pattern is flipped independently with a given probability.

    The overlap with the pattern is 1 - 2 fraction on average, with variance 4 fraction (1 - fraction) / N.

    Args:
        key: a typed key.
        pattern: +-1, shape (n_units,); `jax.vmap` over keys and patterns makes batches.
        fraction: probability of a flip, in [0, 1].

    Raises:
        ValueError: a fraction outside [0, 1], or a pattern that is not +-1.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.data import flip_cue
    >>> flip_cue(jax.random.key(0), jnp.ones(4), 1.0).tolist()
    [-1, -1, -1, -1]
    """
    if not isinstance(fraction, Tracer):
        check_real("fraction", fraction, 0, 1)
    _check_pattern(pattern)
    flipped = jax.random.uniform(key, pattern.shape) < fraction
    signs = pattern.astype(jnp.int8)
    return jnp.where(flipped, -signs, signs)


def overlap_cue(
    key: Key[Array, ""], pattern: Real[Array, " n_units"], overlap: ArrayLike
) -> Int8[Array, " n_units"]:
    """A cue with a given overlap: exactly round(N (1 - overlap)/2) units, drawn at random, are flipped.

    The overlap is exact up to 1/N, the nearest that N units can have; it does not fluctuate from cue to cue.

    Args:
        key: a typed key.
        pattern: +-1, shape (n_units,); `jax.vmap` over keys and patterns makes batches.
        overlap: overlap m of cue and pattern, in [-1, 1].

    Raises:
        ValueError: an overlap outside [-1, 1], or a pattern that is not +-1.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.data import overlap_cue
    >>> round(float(overlap_cue(jax.random.key(0), jnp.ones(200), 0.3).mean()), 6)
    0.3
    """
    if not isinstance(overlap, Tracer):
        check_real("overlap", overlap, -1, 1)
    _check_pattern(pattern)
    return _flip_some(key, pattern, jnp.asarray(overlap, jnp.float32))


def _check_pattern(pattern: Array) -> None:
    """Refuse anything but +-1 where the values are known."""
    if not isinstance(pattern, Tracer):
        check_signs("pattern", pattern)


@jax.jit
def _flip_some(key: Array, pattern: Array, overlap: Array) -> Array:
    n_units = pattern.shape[0]
    n_flips = jnp.round(n_units * (1 - overlap) / 2).astype(jnp.int32)
    # One sort; jax.random.permutation takes several and compiles for as many times as long.
    order = jnp.argsort(jax.random.bits(key, (n_units,)))
    flipped = jnp.zeros(n_units, bool).at[order].set(jnp.arange(n_units) < n_flips)
    signs = pattern.astype(jnp.int8)
    return jnp.where(flipped, -signs, signs)
