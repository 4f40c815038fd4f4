"""Minibatches: every example once an epoch, in an order that is a pure function of key and step.

    epoch e = t // n_batches,   place i = t mod n_batches,   batch = examples pi_e(i B), ..., pi_e(i B + B
    - 1)

pi_e is a pseudorandom permutation keyed by fold_in(key, e). Sorting random numbers at each step would cost
as much as a step of a small network, and a stored permutation would be state, so the permutation is
evaluated only where it is needed, by the swap-or-not shuffle (Hoang, Morris and Rogaway 2012, CRYPTO,
figure 1): in each round r

    x' = K_r - x mod n,   x -> x' if a hash of max(x, x') and r says so,

an involution of {0, ..., n - 1}, so that the whole is a permutation for every n.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from neuromanifold._base import check_integer, require


class Batch(NamedTuple):
    """Some examples with their weights.

    Args:
        data: the pytree of examples, every leaf with a leading axis of the batch.
        weights: (batch_size,), 1 for an example and 0 for a place left empty by the last batch of an epoch.
    """

    data: PyTree
    weights: Float[Array, " batch_size"]


class Minibatches(eqx.Module):
    """A stream of shuffled batches; `minibatches(t)` is the batch of step t.

    Where the batch size does not divide the number of examples the last batch of an epoch is short: it has
    the same shape, its empty places repeat an example at weight zero, and a mean over weights is the mean
    of the examples that are there. With `drop_last` it is left out instead, and with it other examples
    each epoch.

    Args:
        data: a pytree of arrays with a common leading axis of n examples.
        batch_size: examples of a batch, in [1, n].
        key: the order of all epochs; the key of the stream, not of a run, so that a step sees the same
            examples however a run is cut.
        drop_last: leave out the short batch at the end of an epoch.

    Raises:
        ValueError: arrays of different or no length, or a batch size outside its range.
    """

    data: PyTree
    key: Key[Array, ""]
    batch_size: int = eqx.field(static=True)
    n_examples: int = eqx.field(static=True)
    drop_last: bool = eqx.field(static=True)

    def __init__(
        self, data: PyTree, batch_size: int, *, key: Key[Array, ""], drop_last: bool = False
    ) -> None:
        self.data = jax.tree.map(jnp.asarray, data)
        lengths = {leaf.shape[:1] for leaf in jax.tree.leaves(self.data)}
        require(len(lengths) == 1 and () not in lengths, "data", "be arrays of one length", sorted(lengths))
        self.n_examples = check_integer("the number of examples", lengths.pop()[0], 1, 2**31 - 1)
        self.batch_size = check_integer("batch_size", batch_size, 1, self.n_examples)
        self.key = key
        self.drop_last = drop_last

    @property
    def n_batches(self) -> int:
        """Steps of an epoch."""
        whole = self.n_examples // self.batch_size
        return whole if self.drop_last else math.ceil(self.n_examples / self.batch_size)

    def __call__(self, t: Any) -> Batch:
        """The batch of step t."""
        t = jnp.asarray(t)
        places = (t % self.n_batches) * self.batch_size + jnp.arange(self.batch_size, dtype=t.dtype)
        key = jax.random.fold_in(self.key, t // self.n_batches)
        index = permuted(key, jnp.minimum(places, self.n_examples - 1), self.n_examples)
        weights = (places < self.n_examples).astype(jnp.float32)
        return Batch(jax.tree.map(lambda leaf: leaf[index], self.data), weights)


def permuted(key: Key[Array, ""], index: Int[Array, "..."], n: int) -> Int[Array, "..."]:
    """Where a pseudorandom permutation of {0, ..., n - 1} sends some indices, by the swap-or-not shuffle.

    Args:
        key: chooses the permutation.
        index: integers in [0, n); others give no sense.
        n: length of the permutation, in [1, 2^31 - 1].
    """
    n_rounds = 6 * max(math.ceil(math.log2(max(n, 2))), 4)
    shift_key, hash_key = jax.random.split(key)
    shifts = jax.random.randint(shift_key, (n_rounds,), 0, n, dtype=jnp.int32)
    salts = jax.random.bits(hash_key, (n_rounds,), jnp.uint32)

    def round_(r: Array, x: Array) -> Array:
        partner = shifts[r] - x
        partner = jnp.where(partner < 0, partner + n, partner)
        bit = _mixed(jnp.maximum(x, partner).astype(jnp.uint32) ^ salts[r]) >> 31
        return jnp.where(bit == 1, partner, x)

    return jax.lax.fori_loop(0, n_rounds, round_, jnp.asarray(index, jnp.int32))


def _mixed(x: Array) -> Array:
    """The finaliser of MurmurHash3: each bit in flips each bit out with probability near one half."""
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
