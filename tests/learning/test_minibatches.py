"""Minibatches: every example once an epoch, a pure function of key and step; the shuffle is fair."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from neuromanifold.learning import Minibatches, permuted


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_permuted_is_a_permutation_for_every_length(n, seed):
    found = np.asarray(permuted(jax.random.key(seed), jnp.arange(n), n))
    assert sorted(found.tolist()) == list(range(n))


def test_permuted_large_is_a_permutation():
    n = 60_000
    found = np.asarray(permuted(jax.random.key(0), jnp.arange(n), n))
    np.testing.assert_array_equal(np.sort(found), np.arange(n))
    # No trace of the order: correlation of index and image is 0 +- 1/sqrt(n), and few stay near.
    assert abs(np.corrcoef(found, np.arange(n))[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("n", [4, 5])
def test_permuted_is_fair(n):
    """Over many keys all n! permutations occur equally often: chi-square at five sigma."""
    trials = 24_000
    keys = jax.random.split(jax.random.key(2), trials)
    found = np.asarray(jax.jit(jax.vmap(lambda key: permuted(key, jnp.arange(n), n)))(keys))
    names, counts = np.unique(found, axis=0, return_counts=True)
    n_all = int(np.prod(np.arange(1, n + 1)))
    assert len(names) == n_all
    statistic = np.sum((counts - trials / n_all) ** 2) / (trials / n_all)
    assert statistic < chi2.isf(2.9e-7, n_all - 1)
    # A shuffle with half of its permutations missing would be seen.
    assert n_all * 0.5 * trials / n_all > chi2.isf(2.9e-7, n_all - 1)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (12, 4), (7, 7), (5, 1), (1, 1)])
def test_every_example_once_an_epoch(n, size):
    stream = Minibatches((jnp.arange(n), 10.0 * jnp.arange(n)), size, key=jax.random.key(1))
    assert stream.n_batches == -(-n // size)
    for epoch in range(3):
        seen = []
        for i in range(stream.n_batches):
            batch = stream(epoch * stream.n_batches + i)
            (index, other), weights = batch.data, np.asarray(batch.weights)
            assert index.shape == (size,)
            np.testing.assert_array_equal(other, 10.0 * index)
            seen += np.asarray(index)[weights == 1].tolist()
            assert set(weights.tolist()) <= {0.0, 1.0}
        assert sorted(seen) == list(range(n))


def test_drop_last_leaves_out_the_short_batch_and_other_examples_each_epoch():
    stream = Minibatches(jnp.arange(10), 4, key=jax.random.key(1), drop_last=True)
    assert stream.n_batches == 2
    left = []
    for epoch in range(8):
        batches = [stream(2 * epoch), stream(2 * epoch + 1)]
        assert all(float(batch.weights.sum()) == 4 for batch in batches)
        seen = np.concatenate([batch.data for batch in batches])
        assert len(set(seen.tolist())) == 8
        left.append(frozenset(range(10)) - set(seen.tolist()))
    assert len(set(left)) > 4


def test_stream_is_a_pure_function_of_key_and_step(key):
    stream = Minibatches(jnp.arange(1000), 64, key=key)
    steps = jnp.array([0, 3, 17, 40])
    eager = [np.asarray(stream(int(t)).data) for t in steps]
    compiled = jax.jit(jax.vmap(lambda t: stream(t).data))(steps)
    np.testing.assert_array_equal(np.stack(eager), compiled)
    assert (eager[0] != np.asarray(stream(16).data)).any()
    other = Minibatches(jnp.arange(1000), 64, key=jax.random.key(9))
    assert (np.asarray(other(0).data) != eager[0]).any()


@pytest.mark.parametrize(
    ("data", "size", "words"),
    [
        (np.arange(5), 6, "batch_size"),
        (np.arange(5), 0, "batch_size"),
        ((np.arange(5), np.arange(4)), 2, "arrays of one length"),
        (np.asarray(3.0), 1, "arrays of one length"),
        ((), 1, "arrays of one length"),
        (np.zeros((0, 3)), 1, "number of examples"),
    ],
)
def test_bad_values_are_refused(data, size, words, key):
    with pytest.raises(ValueError, match=words):
        Minibatches(data, size, key=key)
