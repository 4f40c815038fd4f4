"""Hierarchical patterns: overlaps at every distance in the tree, families, majorities, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import hierarchical_patterns, mixed_state, random_patterns, whole_families

N_UNITS = 40_000
# Overlaps of independent units have variance at most 1/N.
FIVE_SIGMA = 5 / np.sqrt(N_UNITS)


@pytest.fixture(scope="module")
def trees():
    return hierarchical_patterns(jax.random.key(0), N_UNITS, 2, (2, 3, 2), (0.9, 0.6, 0.8))


def overlaps(one, other):
    return np.asarray(one, np.float64) @ np.asarray(other, np.float64).T / N_UNITS


def test_shapes_and_signs(trees):
    assert trees.patterns.shape == (24, N_UNITS)
    assert [level.shape[0] for level in trees.ancestors] == [2, 4, 12]
    assert trees.family.shape == (3, 24)
    for array in (trees.patterns, *trees.ancestors):
        assert array.dtype == jnp.int8
        assert set(np.unique(array)) == {-1, 1}


def test_family_indices_count_from_the_root(trees):
    leaves = np.arange(24)
    np.testing.assert_array_equal(trees.family, [leaves // 12, leaves // 6, leaves // 2])


def test_overlap_of_leaves_is_the_product_below_their_common_ancestor(trees):
    b = np.array([0.9, 0.6, 0.8]) ** 2
    same = np.asarray(trees.family)[:, :, None] == np.asarray(trees.family)[:, None, :]
    root, middle, parent = same
    expected = np.where(parent, b[2], np.where(middle, b[1] * b[2], np.where(root, b.prod(), 0.0)))
    expected[np.diag_indices(24)] = 1.0
    assert np.abs(overlaps(trees.patterns, trees.patterns) - expected).max() < FIVE_SIGMA
    # The product above the common ancestor, the other reading, is told from it.
    above = np.where(parent, b[0] * b[1], np.where(middle, b[0], 0.0))
    assert np.abs(overlaps(trees.patterns, trees.patterns) - above).max() > 10 * FIVE_SIGMA


def test_overlap_with_ancestors_is_the_product_between(trees):
    for level, expected in enumerate((0.9 * 0.6 * 0.8, 0.6 * 0.8, 0.8)):
        found = overlaps(trees.patterns, trees.ancestors[level])
        own = np.asarray(trees.family[level])[:, None] == np.arange(len(trees.ancestors[level]))
        assert np.abs(found[own] - expected).max() < FIVE_SIGMA


def test_roots_are_unbiased_and_independent(trees):
    roots = np.asarray(trees.ancestors[0], np.float64)
    assert np.abs(roots.mean(1)).max() < FIVE_SIGMA
    assert abs(overlaps(roots, roots)[0, 1]) < FIVE_SIGMA


def test_siblings_are_independent_given_their_parent(trees):
    agree = trees.patterns * np.repeat(trees.ancestors[2], 2, axis=0)
    first, second = np.asarray(agree[::2], np.float64), np.asarray(agree[1::2], np.float64)
    covariance = ((first - 0.8) * (second - 0.8)).mean()
    assert abs(covariance) < 5 * (1 - 0.8**2) / np.sqrt(first.size)


@pytest.mark.parametrize("b, equal", [(1.0, True), (0.0, False)])
def test_extreme_correlations(b, equal):
    made = hierarchical_patterns(jax.random.key(1), 5000, 3, 4, b)
    parents = np.repeat(made.ancestors[0], 4, axis=0)
    assert np.array_equal(made.patterns, parents) == equal
    if not equal:
        assert np.abs((made.patterns * parents).mean(1)).max() < 5 / np.sqrt(5000)


def test_under_jit_and_vmap_as_in_a_loop():
    keys = jax.random.split(jax.random.key(2), 3)

    def draw(key):
        return hierarchical_patterns(key, 100, 2, (2, 2), (0.5, 0.9)).patterns

    together = jax.jit(jax.vmap(draw))(keys)
    np.testing.assert_array_equal(together, np.stack([draw(key) for key in keys]))
    assert not np.array_equal(together[0], together[1])


def test_mixed_state_is_the_majority():
    children = random_patterns(jax.random.key(3), 15, 200).reshape(3, 5, 200)
    found = np.asarray(mixed_state(children))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, np.sign(np.asarray(children, int).sum(1)))
    np.testing.assert_array_equal(jax.jit(mixed_state)(children), found)


def test_mixed_state_of_one_is_itself():
    child = random_patterns(jax.random.key(4), 1, 50)
    np.testing.assert_array_equal(mixed_state(child), child[0])


def test_whole_families():
    assert whole_families(12, 3) == 4
    with pytest.raises(ValueError, match="n_patterns must be a multiple of branching = 5"):
        whole_families(12, 5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 2, 3, 0.5), "n_units must"),
        ((10, 0, 3, 0.5), "n_parents must"),
        ((10, 2, 0, 0.5), r"branching\[0\] must be an integer >= 1"),
        ((10, 2, (), 0.5), "branching must hold at least one level"),
        ((10, 2, 3, -0.1), r"correlation\[0\] must be .*\[0, 1\]"),
        ((10, 2, 3, 1.1), r"correlation\[0\] must be .*\[0, 1\]"),
        ((10, 2, 3, float("nan")), r"correlation\[0\] must be"),
        ((10, 2, (3, 2), (0.5,)), "correlation must hold one number for each of 2 levels"),
    ],
)
def test_bad_trees_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hierarchical_patterns(jax.random.key(0), *arguments)


@pytest.mark.parametrize(
    "children, message",
    [
        (jnp.ones((2, 10)), "children must have shape .* with s odd"),
        (jnp.ones((4, 10)), "children must have shape"),
        (jnp.zeros((3, 10)), "children must hold only -1 and \\+1"),
    ],
)
def test_undecided_majorities_are_refused(children, message):
    with pytest.raises(ValueError, match=message):
        mixed_state(children)
