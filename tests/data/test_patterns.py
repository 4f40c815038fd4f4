"""Random patterns and cues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import flip_cue, overlap_cue, random_patterns


def test_patterns_are_balanced_and_independent(key):
    patterns = np.asarray(random_patterns(key, 40, 5003), np.float64)
    assert patterns.shape == (40, 5003)
    assert set(np.unique(patterns)) == {-1.0, 1.0}
    # Sums of independent signs have variance 1: five sigma over all 40 means and 780 overlaps.
    assert np.abs(patterns.mean(1)).max() < 5 / np.sqrt(5003)
    overlaps = (patterns @ patterns.T / 5003)[np.triu_indices(40, 1)]
    assert np.abs(overlaps).max() < 5 / np.sqrt(5003)
    assert abs(overlaps.var() * 5003 - 1) < 5 * np.sqrt(2 / len(overlaps))
    # Neighbouring units come from the same octet of bits: they must be independent as well.
    shifted = np.mean(patterns[:, 1:] * patterns[:, :-1])
    assert abs(shifted) < 5 / np.sqrt(40 * 5002)


def test_patterns_of_other_keys_differ(key):
    one, two = jax.vmap(lambda k: random_patterns(k, 3, 100))(jax.random.split(key))
    assert not np.array_equal(one, two)
    assert np.array_equal(random_patterns(key, 3, 100), random_patterns(key, 3, 100))


def test_patterns_are_int8(key):
    assert random_patterns(key, 2, 9).dtype == jnp.int8


def test_flip_cue_flips_the_stated_fraction(key):
    pattern = random_patterns(key, 1, 20000)[0]
    cue = flip_cue(key, pattern, 0.2)
    # Variance of the overlap: 4 f (1 - f) / N.
    overlap = float(np.mean(np.asarray(cue, float) * np.asarray(pattern)))
    assert abs(overlap - 0.6) < 5 * np.sqrt(4 * 0.2 * 0.8 / 20000)
    assert abs(overlap - 0.5) > 5 * np.sqrt(4 * 0.2 * 0.8 / 20000)


@pytest.mark.parametrize("n_units", [7, 100, 1001])
@pytest.mark.parametrize("overlap", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_overlap_cue_is_exact_to_one_flip(key, n_units, overlap):
    pattern = random_patterns(key, 1, n_units)[0]
    cue = overlap_cue(key, pattern, overlap)
    reached = np.mean(np.asarray(cue, float) * np.asarray(pattern))
    assert abs(reached - overlap) <= 1 / n_units + 1e-6


def test_overlap_cue_flips_every_unit_alike(key):
    keys = jax.random.split(key, 4000)
    cues = jax.vmap(overlap_cue, (0, None, None))(keys, jnp.ones(20, jnp.int8), 0.5)
    flipped = np.mean(np.asarray(cues) < 0, axis=0)
    assert np.abs(flipped - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 4000)


def test_batches_equal_loops_and_jit_equals_eager(key):
    keys, patterns = jax.random.split(key, 5), random_patterns(key, 5, 33)
    for cue in (flip_cue, overlap_cue):
        batch = jax.jit(jax.vmap(cue, (0, 0, None)))(keys, patterns, 0.3)
        assert np.array_equal(batch, [cue(k, p, 0.3) for k, p in zip(keys, patterns, strict=True)])


@pytest.mark.parametrize("counts", [(0, 5), (5, 0), (-1, 5), (True, 5)])
def test_counts_out_of_range_are_refused(key, counts):
    with pytest.raises(ValueError, match="must be an integer"):
        random_patterns(key, *counts)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_fractions_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match="fraction must be a finite number in"):
        flip_cue(key, jnp.ones(4), value)


@pytest.mark.parametrize("value", [-1.1, 1.1, float("inf")])
def test_overlaps_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match="overlap must be a finite number in"):
        overlap_cue(key, jnp.ones(4), value)


@pytest.mark.parametrize(
    "make", [lambda key, x: flip_cue(key, x, 0.1), lambda key, x: overlap_cue(key, x, 0.1)]
)
def test_patterns_of_other_values_are_refused(key, make):
    with pytest.raises(ValueError, match="pattern must hold only -1 and \\+1, got 5 at index"):
        make(key, jnp.array([1, -1, 5]))
