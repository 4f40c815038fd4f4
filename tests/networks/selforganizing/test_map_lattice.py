"""Lattices and neighbourhoods against brute force: all images of all units."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks.selforganizing import Lattice, Neighbourhood

LATTICES = [
    Lattice((7,)),
    Lattice((6,), periodic=True),
    Lattice((1, 2), periodic=True),
    Lattice((4, 5)),
    Lattice((4, 5), periodic=(True, False)),
    Lattice((3, 2, 4), periodic=(False, True, True)),
    Lattice((4, 5), "hexagonal"),
    Lattice((5, 4), "hexagonal", periodic=(False, True)),
    Lattice((4, 5), "hexagonal", periodic=True),
    Lattice((2, 4, 3), "hexagonal", periodic=(True, True, False)),
]


def brute_offsets(lattice):
    """Shortest offsets r_j - r_i over all images, shape (n_units, n_units, n_dims)."""
    positions = lattice.positions
    plain = positions[None] - positions[:, None]
    choices = [(0.0,) if p is None else (-p, 0.0, p) for p in lattice.periods]
    images = np.array([plain + np.array(shift) for shift in itertools.product(*choices)])
    nearest = (images**2).sum(-1).argmin(0)
    return np.take_along_axis(images, nearest[None, :, :, None], 0)[0]


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_distances_neighbours_and_adjacency_are_those_of_all_images(lattice):
    offsets = brute_offsets(lattice)
    squared = (offsets**2).sum(-1)
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(lattice.squared_distances))(jnp.arange(lattice.n_units))
    i, j = np.indices(squared.shape)
    touching = lattice.adjacent(i, j, diagonal=False)
    loosely = lattice.adjacent(i, j)
    np.testing.assert_allclose(found, squared, atol=1e-12)
    near = np.isclose(squared, 1.0)
    for unit, row in enumerate(lattice.neighbours):
        assert row[row >= 0].tolist() == np.flatnonzero(near[unit]).tolist()
    assert np.array_equal(touching, near | np.eye(lattice.n_units, dtype=bool))
    if lattice.kind == "rectangular":
        assert np.array_equal(loosely, np.abs(offsets).max(-1) < 1.5)
    else:
        layer = np.abs(offsets[..., :-2]).max(-1, initial=0.0)
        assert np.array_equal(loosely, (layer < 1.5) & ((offsets[..., -2:] ** 2).sum(-1) < 1.5))


def test_inner_units_of_a_hexagonal_lattice_have_six_neighbours():
    table = Lattice((6, 7), "hexagonal", periodic=True).neighbours
    assert table.shape == (42, 6)
    assert (table >= 0).all()


@pytest.mark.parametrize("kind", ["gaussian", "bubble"])
@pytest.mark.parametrize("lattice", LATTICES[3:8], ids=str)
def test_spread_is_the_matrix_of_neighbourhoods(lattice, kind, monkeypatch):
    squared = (brute_offsets(lattice) ** 2).sum(-1)
    values = np.random.default_rng(0).normal(size=(lattice.n_units, 3))
    matrix = np.exp(-squared / 1.3**2) if kind == "gaussian" else (squared <= 1.3**2).astype(float)
    neighbourhood = Neighbourhood(kind, convention="lecture")
    # Blocks of a few rows, the last one short.
    monkeypatch.setattr("neuromanifold.networks.selforganizing._neighbourhood._BLOCK_ENTRIES", 150)
    with jax.enable_x64(True):
        found = np.asarray(neighbourhood.spread(lattice, jnp.asarray(values), 1.3))
    np.testing.assert_allclose(found, matrix @ values, rtol=1e-12, atol=1e-12)


def test_conventions_differ_by_the_root_of_two():
    squared = jnp.arange(9.0)
    for kind in ("gaussian", "mexican-hat"):
        one = Neighbourhood(kind)(squared, 1.5, 2)
        other = Neighbourhood(kind, convention="lecture")(squared, 1.5 * np.sqrt(2), 2)
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(Neighbourhood()(squared, 2.0), np.exp(-np.arange(9) / 8), rtol=1e-6)


@pytest.mark.parametrize("shape", [(41,), (25, 25)])
def test_a_mexican_hat_sums_to_zero(shape):
    lattice = Lattice(shape, periodic=True)
    hat = Neighbourhood("mexican-hat")(lattice.squared_distances(0), 2.0, lattice.n_dims)
    assert abs(float(hat.sum())) < 2e-4
    assert float(hat.min()) < -0.1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Lattice((0, 3)), r"shape\[0\] must be an integer >= 1, got 0"),
        (lambda: Lattice(()), r"shape must have 1 or more axes"),
        (lambda: Lattice((5,), "hexagonal"), "shape must have 2 or more axes for a hexagonal"),
        (lambda: Lattice((3, 4), "hexagonal", periodic=True), r"shape\[0\] must be even"),
        (lambda: Lattice((3, 4), "cubic"), "kind must be one of"),
        (lambda: Lattice((3, 4), periodic=(True,)), "periodic must be a bool or one for each of the 2 axes"),
        (lambda: Neighbourhood("triangle"), "kind must be one of"),
        (lambda: Neighbourhood(convention="mine"), "convention must be one of"),
        (
            lambda: Neighbourhood("mexican-hat").spread(Lattice((3,)), jnp.ones((3, 1)), 1.0),
            "kind must have no negative parts",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
