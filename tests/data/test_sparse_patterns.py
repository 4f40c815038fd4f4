"""Biased and sparse patterns, and cues made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import biased_patterns, mixture_cue, random_patterns, sparse_cue, sparse_patterns


@pytest.mark.parametrize("bias", [-0.6, 0.0, 0.9])
def test_bias_is_the_mean(key, bias):
    patterns = np.asarray(biased_patterns(key, 20, 2000, bias), np.float64)
    assert set(np.unique(patterns)) == {-1.0, 1.0}
    error = np.sqrt((1 - bias**2) / 40000)
    assert abs(patterns.mean() - bias) < 5 * error
    assert abs(patterns.mean() - bias - 0.05) > 5 * error
    # Different patterns are independent: their overlap is bias^2.
    overlap = np.mean(patterns[0] * patterns[1])
    assert abs(overlap - bias**2) < 5 * np.sqrt((1 - bias**4) / 2000)


def test_sparse_patterns_have_their_activity(key):
    loose = np.asarray(sparse_patterns(key, 200, 500, 0.1), np.float64)
    counts = loose.sum(1)
    assert abs(counts.mean() - 50) < 5 * np.sqrt(45 / 200)
    # Binomial counts: variance N f (1 - f), whose own relative error is sqrt(2/200).
    assert abs(counts.var(ddof=1) / 45 - 1) < 5 * np.sqrt(2 / 199)
    exact = np.asarray(sparse_patterns(key, 200, 500, 0.1, exact=True))
    assert exact.dtype == np.int8
    assert (exact.sum(1) == 50).all()
    # All places alike: a chi-square of 500 counts with mean 20, one dependent on the others.
    counts = exact.sum(0)
    chi_square = ((counts - 20) ** 2 / (20 * 0.9)).sum() * 499 / 500
    assert abs(chi_square - 499) < 5 * np.sqrt(2 * 499)
    assert not np.array_equal(exact[0], exact[1])


@pytest.mark.parametrize("missing, added", [(0.0, 0.0), (0.25, 0.1), (1.0, 0.0), (0.5, 1.0)])
def test_sparse_cue_counts_are_exact(key, missing, added):
    pattern = sparse_patterns(key, 1, 200, 0.2, exact=True)[0]
    cue = np.asarray(sparse_cue(key, pattern, missing, added))
    ones = np.asarray(pattern) == 1
    assert cue[ones].sum() == 40 - round(missing * 40)
    assert cue[~ones].sum() == round(added * 160)
    assert set(np.unique(cue)) <= {0, 1}


def test_sparse_cue_takes_every_place_alike(key):
    pattern = jnp.asarray([1] * 10 + [0] * 10, jnp.int8)
    keys = jax.random.split(key, 4000)
    cues = np.asarray(jax.vmap(sparse_cue, (0, None, None, None))(keys, pattern, 0.3, 0.2))
    error = 5 * np.sqrt(0.25 / 4000)
    assert np.abs(cues[:, :10].mean(0) - 0.7).max() < error
    assert np.abs(cues[:, 10:].mean(0) - 0.2).max() < error
    loop = [sparse_cue(k, pattern, 0.3, 0.2) for k in keys[:3]]
    assert np.array_equal(cues[:3], loop)


@pytest.mark.parametrize("count, overlap", [(3, 1 / 2), (5, 3 / 8), (2, 1 / 2)])
def test_mixture_resembles_its_parts(key, count, overlap):
    patterns = random_patterns(key, count, 20000)
    cue = mixture_cue(key, patterns)
    found = np.asarray(patterns, float) @ np.asarray(cue) / 20000
    assert np.abs(found - overlap).max() < 5 / np.sqrt(20000)
    other = mixture_cue(jax.random.key(1), patterns)
    # Ties occur for even numbers alone.
    assert np.array_equal(cue, other) == (count % 2 == 1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda key: biased_patterns(key, 0, 5, 0.1), "n_patterns must be an integer >= 1"),
        (lambda key: biased_patterns(key, 2, 5, 1.5), "bias must be a finite number in"),
        (lambda key: sparse_patterns(key, 2, 5, 0.0), "activity must be a finite number in"),
        (lambda key: sparse_patterns(key, 2, 5, 0.05, exact=True), "activity must leave ones and zeros"),
        (lambda key: sparse_cue(key, jnp.array([0, 1]), 1.2), "missing must be a finite number in"),
        (lambda key: sparse_cue(key, jnp.array([0, 1]), 0.2, -1), "added must be a finite number in"),
        (lambda key: sparse_cue(key, jnp.array([0, -1]), 0.2), "pattern must hold only 0 and 1, got -1"),
        (lambda key: mixture_cue(key, jnp.ones((0, 3))), "patterns must have shape"),
        (lambda key: mixture_cue(key, jnp.array([[1, 0]])), "patterns must hold only -1 and"),
    ],
)
def test_bad_input_is_refused(key, make, message):
    with pytest.raises(ValueError, match=message):
        make(key)
