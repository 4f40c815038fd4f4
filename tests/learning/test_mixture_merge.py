"""Mergers after minibatches: what they keep, and that they find the clusters a stochastic fit has split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import run
from neuromanifold.learning import Minibatches
from neuromanifold.learning.mixture import (
    cut,
    default_prior,
    evidence_bound,
    initial_labels,
    initial_statistics,
    merge_components,
    n_found,
    stochastic_ascent,
)

KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def fitted():
    """Four clusters, a fit by minibatches with eight components."""
    random = np.random.default_rng(0)
    labels = random.integers(4, size=4000)
    data = (6.0 * random.normal(size=(4, 3))[labels] + random.normal(size=(4000, 3))).astype(np.float32)
    prior = default_prior(data, 8)
    few = data[:400]
    start = initial_statistics(prior, few, initial_labels(KEY, few, 8), population=4000)
    batches = Minibatches(data, 200, key=KEY)
    state = run(stochastic_ascent(prior, batches, 4000, delay=5.0), KEY, start, 60).state
    return prior, data, state


def bound(prior, statistics, data):
    return float(evidence_bound(prior, statistics, cut(prior, data, len(data), missing=False)))


def test_mergers_find_the_clusters_and_raise_the_bound(fitted):
    prior, data, state = fitted
    before = bound(prior, state, data)
    assert int(n_found(state)) > 4
    found = merge_components(prior, state, data)
    assert int(n_found(found.statistics)) == 4
    assert found.n_merged >= 1
    after = bound(prior, found.statistics, data)
    assert after > before
    assert abs(after - before - found.gain) < 1e-4 * abs(before)
    np.testing.assert_allclose(found.statistics.counts.sum(), state.counts.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.statistics.squares.sum(0), state.squares.sum(0), rtol=1e-3)


def test_a_sample_decides_as_all_points_do(fitted):
    prior, data, state = fitted
    found = merge_components(prior, state, data[:1000], population=4000)
    assert int(n_found(found.statistics)) == 4


def test_different_clusters_are_not_merged(fitted):
    prior, data, state = fitted
    four = merge_components(prior, state, data).statistics
    again = merge_components(prior, four, data)
    assert again.n_merged == 0
    assert again.gain == 0.0
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), again.statistics, four))


def test_bad_input_is_refused(fitted):
    prior, data, state = fitted
    with pytest.raises(ValueError, match="population must be an integer >= 4000"):
        merge_components(prior, state, data, population=10)
    with pytest.raises(ValueError, match="tolerance must be"):
        merge_components(prior, state, data, tolerance=0.0)
    with pytest.raises(ValueError, match="sigmas must be"):
        merge_components(prior, state, data, sigmas=-1.0)
    with pytest.raises(ValueError, match="data must have 3 features"):
        merge_components(prior, state, data[:, :2])
    with pytest.raises(ValueError, match="statistics must be of 7 components"):
        merge_components(default_prior(data, 7), state, data)
