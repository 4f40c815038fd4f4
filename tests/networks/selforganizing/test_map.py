"""Maps: winners, errors on maps whose errors are known, and both rules against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import Schedule, cooling, run
from neuromanifold.learning.competitive import batch_map, online_map
from neuromanifold.networks.selforganizing import (
    Lattice,
    Neighbourhood,
    SelfOrganizingMap,
    check_memory,
    folded_cells,
    hit_map,
    map_errors,
    quantisation_error,
    random_map,
    topographic_error,
    u_matrix,
)

KEY = jax.random.key(3)


def flat(lattice):
    """The lattice as a map of the space it lies in."""
    return SelfOrganizingMap(lattice.positions.astype(np.float32), lattice)


def uniform(n, *low_high, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([random.uniform(low, high, n) for low, high in low_high], 1).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_winners_are_the_nearest_units_also_far_from_the_origin(offset):
    random = np.random.default_rng(0)
    weights = random.normal(size=(37, 5)) + offset
    rows = random.normal(size=(300, 5)) + offset
    rows[random.random(rows.shape) < 0.2] = np.nan
    rows[:, 0] = offset
    made = SelfOrganizingMap(weights.astype(np.float32), Lattice((37,)))
    squares = np.nansum((rows[:, None].astype(np.float32) - np.asarray(made.weights)[None]) ** 2, -1)
    found = map_errors(made, rows, missing=True)
    order = np.argsort(squares, axis=1)
    agree = (found.winner == order[:, 0]) & (found.second == order[:, 1])
    assert agree.mean() > 0.99
    np.testing.assert_allclose(found.squared_distance, squares.min(1), rtol=2e-3)
    assert int(made.winner(jnp.asarray(rows[0], jnp.float32))) == order[0, 0]


def test_the_first_of_equals_wins():
    made = SelfOrganizingMap(np.zeros((10, 2)), Lattice((10,)))
    found = map_errors(made, np.ones((3, 2)))
    assert found.winner.tolist() == [0, 0, 0]
    assert found.second.tolist() == [1, 1, 1]


def test_quantisation_error_of_a_square_lattice():
    # Mean distance of a point of the unit square to its centre.
    exact = (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 6
    rows = uniform(20000, (-0.5, 5.5), (-0.5, 3.5))
    distances = np.sqrt(map_errors(flat(Lattice((6, 4))), rows).squared_distance)
    assert abs(quantisation_error(flat(Lattice((6, 4))), rows) - exact) < 5 * distances.std() / np.sqrt(20000)


@pytest.mark.parametrize("kind", ["rectangular", "hexagonal"])
def test_a_flat_map_has_no_topographic_error(kind):
    # The bisector of two units that are not neighbours touches no cell but at corners.
    lattice = Lattice((6, 7), kind)
    rows = uniform(5000, (0, lattice.positions[:, 0].max()), (0, lattice.positions[:, 1].max()))
    assert topographic_error(flat(lattice), rows, diagonal=False) == 0


def test_topographic_error_of_a_ring_needs_a_lattice_that_closes():
    angles = 2 * np.pi * np.arange(12) / 12
    weights = np.stack([np.cos(angles), np.sin(angles)], 1)
    turns = np.random.default_rng(0).uniform(0, 2 * np.pi, 12000)
    rows = np.stack([np.cos(turns), np.sin(turns)], 1)
    assert topographic_error(SelfOrganizingMap(weights, Lattice((12,), periodic=True)), rows) == 0
    # Rows between the last unit and the first.
    share = topographic_error(SelfOrganizingMap(weights, Lattice((12,))), rows)
    assert abs(share - 1 / 12) < 5 * np.sqrt(1 / 12 * 11 / 12 / 12000)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("kind", ["rectangular", "hexagonal"])
def test_topographic_error_of_a_shuffled_map_is_that_of_random_pairs(kind, periodic):
    lattice = Lattice((12, 12), kind, periodic=periodic)
    rows = uniform(3000, (-0.5, 11.5), (-0.5, 11.5))
    shares = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(144)
        shares.append(
            topographic_error(SelfOrganizingMap(lattice.positions[order], lattice), rows, diagonal=False)
        )
    expected = 1 - (lattice.neighbours >= 0).sum() / (144 * 143)
    assert abs(np.mean(shares) - expected) < 5 * np.std(shares, ddof=1) / np.sqrt(20)


def test_hits_and_distances_between_neighbours():
    lattice = Lattice((3, 4))
    rows = np.repeat(lattice.positions, np.arange(12), axis=0)
    assert np.array_equal(hit_map(flat(lattice), rows), np.arange(12).reshape(3, 4))
    weights = np.array([[0.0], [1.0], [5.0]])
    assert u_matrix(SelfOrganizingMap(weights, Lattice((3,)))).tolist() == [1.0, 2.5, 4.0]
    assert u_matrix(SelfOrganizingMap(weights, Lattice((3,), periodic=True))).tolist() == [3.0, 2.5, 4.5]
    assert flat(lattice).component_planes().shape == (3, 4, 2)


@pytest.mark.parametrize("kind", ["rectangular", "hexagonal"])
def test_folds_are_seen(kind):
    lattice = Lattice((5, 6), kind)
    assert folded_cells(flat(lattice))[0] == 0
    mirrored = SelfOrganizingMap(lattice.positions * [1, -1] + [3, 0], lattice)
    assert folded_cells(mirrored)[0] == 0
    folded = np.abs(lattice.positions - [1.6, 0])
    turned, corners = folded_cells(SelfOrganizingMap(folded, lattice))
    assert 0 < turned < corners
    swapped = lattice.positions.copy()
    swapped[[14, 15]] = swapped[[15, 14]]
    assert folded_cells(SelfOrganizingMap(swapped, lattice))[0] > 0


def brute_pass(weights, rows, squared, variance):
    """Weights after a pass of the batch rule, row by row."""
    above, below = np.zeros_like(weights), np.zeros_like(weights)
    for x in rows:
        there = ~np.isnan(x)
        winner = (((weights - x) ** 2)[:, there]).sum(1).argmin()
        reach = np.exp(-squared[winner] / (2 * variance))[:, None] * there
        above += reach * np.nan_to_num(x)
        below += reach
    return np.where(below > 0, above / np.where(below > 0, below, 1), weights)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ["rectangular", "hexagonal"])
def test_batch_rule_is_its_definition(kind, missing):
    random = np.random.default_rng(1)
    rows = random.normal(size=(101, 3))
    if missing:
        rows[random.random(rows.shape) < 0.3] = np.nan
        rows[np.isnan(rows).all(1)] = 0.0
    lattice = Lattice((4, 3), kind)
    begun = random.normal(size=(12, 3))
    squared = np.array([lattice.squared_distances(i) for i in range(12)])
    expected = brute_pass(begun, rows, squared, 0.8**2)
    expected = brute_pass(expected, rows, squared, 0.4**2)
    with jax.enable_x64(True):
        rule = batch_map(rows, Schedule("geometric", 0.8, 0.4, 1), 2, chunk=16, missing=missing)
        made = run(rule, KEY, SelfOrganizingMap(begun, lattice), 2).state
    np.testing.assert_allclose(np.asarray(made.weights), expected, rtol=1e-5, atol=1e-6)


def test_units_that_nothing_reaches_keep_their_weights():
    begun = np.array([[0.0], [1.0], [50.0]], np.float32)
    made = SelfOrganizingMap(begun, Lattice((3,)), Neighbourhood("bubble"))
    after = run(batch_map([[0.1], [0.9], [1.1]], 0.5, 1), KEY, made, 1).state
    np.testing.assert_allclose(after.weights, [[0.1], [1.0], [50.0]])


@pytest.mark.parametrize("kind", ["gaussian", "mexican-hat"])
def test_online_rule_is_its_definition(kind):
    random = np.random.default_rng(2)
    rows = random.normal(size=(6, 2)).astype(np.float32)
    rows[1, 0] = np.nan
    begun = random.normal(size=(9, 2)).astype(np.float32)
    lattice = Lattice((9,))
    made = SelfOrganizingMap(begun, lattice, Neighbourhood(kind, convention="lecture"))
    rate, radius = Schedule("linear", 0.5, 0.1, 4), Schedule("linear", 3.0, 1.0, 4)
    rule = online_map(rows, rate, radius, 4, key=KEY, missing=True)
    after = run(rule, KEY, made, 4).state.params
    order = np.asarray(jax.random.permutation(KEY, np.arange(6, dtype=np.int32)))
    weights = begun.astype(float)
    for t in range(4):
        x = rows[order[t]]
        winner = np.nansum((weights - x) ** 2, 1).argmin()
        squared = (np.arange(9) - winner) ** 2 / (3.0 - 0.5 * t) ** 2
        reach = np.exp(-squared) * (1 if kind == "gaussian" else 1 - 2 * squared)
        weights += (0.5 - 0.1 * t) * reach[:, None] * np.nan_to_num(x - weights)
    np.testing.assert_allclose(after.weights, weights, rtol=1e-4, atol=1e-5)


def test_principal_beginning_lies_in_the_plane_of_the_data():
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, 2)) @ np.array([[3.0, 0, 0, 1.0], [0, 1.0, 0.5, 0]]) + 7
    made = random_map(KEY, Lattice((3, 8)), rows, begin="principal")
    weights = np.asarray(made.weights) - rows.mean(0)
    _, values, directions = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    assert abs(weights @ directions[2:].T).max() < 1e-4
    # The longer axis of the lattice spans two standard deviations of the larger component to each side.
    along = weights @ directions[0]
    np.testing.assert_allclose(np.abs(along).max(), 2 * values[0] / np.sqrt(500), rtol=1e-3)
    lengths = np.ptp(along.reshape(3, 8), axis=1), np.ptp(along.reshape(3, 8), axis=0)
    assert lengths[0].min() > 100 * lengths[1].max()


@pytest.mark.parametrize("begin", ["uniform", "rows", "principal"])
def test_maps_begin_inside_data_with_missing_values(begin):
    rows = uniform(50, (0, 1), (5, 6))
    rows[::3, 0] = np.nan
    weights = np.asarray(random_map(KEY, Lattice((4, 4)), rows, begin=begin).weights)
    assert np.isfinite(weights).all()
    assert (abs(weights.mean(0) - [0.5, 5.5]) < 0.3).all()


ROWS = np.zeros((4, 2), np.float32)
HOLES = np.array([[0.0, np.nan], [1.0, 2.0]])
MAP = SelfOrganizingMap(np.zeros((6, 2)), Lattice((2, 3)))


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: SelfOrganizingMap(np.zeros((5, 2)), Lattice((2, 3))),
            r"weights must have shape \(6, n_features",
        ),
        (lambda: SelfOrganizingMap(np.full((6, 2), np.nan), Lattice((2, 3))), "weights must be finite"),
        (lambda: map_errors(MAP, np.zeros((3, 4))), r"rows must have shape \(n_rows, 2\)"),
        (lambda: map_errors(MAP, HOLES), r"rows must be finite .* got nan at index \(0, 1\)"),
        (lambda: map_errors(MAP, [[np.nan, np.nan]], missing=True), "rows must have a value in each row"),
        (lambda: map_errors(MAP, [[np.inf, 0.0]], missing=True), "rows must be finite or NaN"),
        (
            lambda: folded_cells(SelfOrganizingMap(np.zeros((6, 2)), Lattice((6,)))),
            "network must have two axes",
        ),
        (lambda: batch_map(HOLES, 1.0, 2), "rows must be finite"),
        (lambda: batch_map(np.zeros((0, 2)), 1.0, 2), "rows must have shape"),
        (
            lambda: batch_map(ROWS, Schedule("linear", 1.0, 2.0, 5), 5),
            "radius must never rise, but does between steps 0",
        ),
        (lambda: batch_map(ROWS, Schedule("linear", 1.0, 0.0, 5), 5), "radius must be finite and > 0"),
        (lambda: batch_map(ROWS, lambda t: 2.0 + jnp.sin(t), 5), "radius must never rise"),
        (lambda: batch_map(ROWS, 0.0, 2), "radius must be finite and > 0, got 0"),
        (lambda: batch_map(ROWS, 1.0, 0), "n_passes must be an integer >= 1"),
        (lambda: batch_map(ROWS, 1.0, 2, chunk=0), "chunk must be an integer >= 1"),
        (lambda: online_map(ROWS, Schedule("linear", 0.1, 0.5, 9), 1.0, 9, key=KEY), "rate must never rise"),
        (lambda: online_map(ROWS, 1.5, 1.0, 9, key=KEY), "rate must be <= 1, got 1.5"),
        (
            lambda: online_map(ROWS, 0.5, cooling("linear", 2.0, 0.0, 9), 9, key=KEY),
            "radius must be finite and > 0",
        ),
        (lambda: online_map(ROWS, 0.5, 1.0, 9), "key must be given"),
        (lambda: online_map(HOLES, 0.5, 1.0, 9, key=KEY), "samples must be finite"),
        (lambda: random_map(KEY, Lattice((2,)), ROWS, begin="zero"), "begin must be one of"),
        (
            lambda: random_map(KEY, Lattice((2,)), [[np.nan, 1.0]]),
            "rows must have each feature at least once, got 0",
        ),
        (
            lambda: random_map(KEY, Lattice((10**5, 10**5)), np.zeros((2, 64), np.float32), memory=1e9),
            r"lattice must fit into 1e\+09 bytes with its 64 features \(7.68e\+12 bytes are needed\)",
        ),
        (lambda: check_memory(Lattice((10**8, 10**6)), 3), r"\(3.6e\+15 bytes are needed\)"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
