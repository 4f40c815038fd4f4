"""Kernels tile by tile are those in one piece; arcs are arcs; kernels handed in are checked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.theory.wide import (
    Aggregate,
    Conv,
    Dense,
    Dropout,
    Erf,
    Flatten,
    GlobalAvgPool,
    Kernel,
    Relu,
    Sign,
    _tiles,
    repeat,
    serial,
)
from neuromanifold.theory.wide._arcs import arcsine, rectified, supplement
from neuromanifold.theory.wide._tiles import n_tiles

RANDOM = np.random.default_rng(7)
ROWS, OTHERS = RANDOM.normal(size=(7, 5)), RANDOM.normal(size=(5, 5))
IMAGES, MORE = RANDOM.normal(size=(3, 3, 2, 2)), RANDOM.normal(size=(2, 3, 2, 2))
GRAPHS = RANDOM.normal(size=(3, 3, 3)), RANDOM.normal(size=(2, 3, 3))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


BODY = serial(Conv(3, (2, 2), None, "SAME", 1.2, 0.1), Relu(), Conv(3, (2, 1), None, "CIRCULAR", 1.1))
NETWORKS = {
    "rows": (serial(Dense(3, 1.3, 0.2), Relu(), Dropout(0.8), Dense(3, 1.1)), ROWS, OTHERS, {}),
    "pairs of positions": (BODY, IMAGES, MORE, {}),
    "equal positions": (serial(BODY, Erf(), Flatten()), IMAGES, MORE, {}),
    "graphs": (serial(BODY, Relu(), Aggregate(1), GlobalAvgPool()), IMAGES, MORE, {"pattern": GRAPHS}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_make_the_same_kernels_as_one_piece(name, monkeypatch):
    network, one, other, kwargs = NETWORKS[name]
    own = {key: value[0] for key, value in kwargs.items()}

    def both(x, y):
        return network.kernel_fn(x, None, **own), network.kernel_fn(x, y, **kwargs)

    whole = jax.jit(lambda x, y: both(x, y))(jnp.asarray(one), jnp.asarray(other))
    # Two rows a tile at most; sides do not come out even.
    places = 1 if name == "rows" else 6 if name == "equal positions" else 36
    monkeypatch.setattr(_tiles, "_CPU_ENTRIES", 4 * places)
    assert n_tiles(one, other, places) == -(-len(one) // 2) * -(-len(other) // 2) > 1
    tiled = jax.jit(lambda x, y: both(x, y))(jnp.asarray(one), jnp.asarray(other))
    for got, expected in zip(tiled, whole, strict=True):
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), got, expected)
    assert tiled[0].x1_is_x2
    assert tiled[0].shape1[0] == len(one)


def test_tiles_are_compiled_once_outside_of_jit_and_differentiate(monkeypatch):
    network = serial(Dense(3, 1.3, 0.2), Relu(), Dense(3, 1.1))

    def both(x):
        return jax.value_and_grad(lambda x: network.kernel_fn(x, None, "ntk")[0].sum())(x)

    whole = jax.jit(lambda x: both(x))(ROWS)
    monkeypatch.setattr(_tiles, "_CPU_ENTRIES", 9)
    tiled = jax.jit(lambda x: both(x))(ROWS)
    np.testing.assert_allclose(tiled[0], whole[0], rtol=1e-12)
    np.testing.assert_allclose(tiled[1], whole[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(network.kernel_fn(ROWS, None, "ntk")[0].sum(), whole[0], rtol=1e-12)
    assert network.kernel_fn(2 * ROWS, None, "ntk").shape == (7, 7)
    assert network.kernel_fn._compiled._cache_size() == 1


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_arcs_are_good_to_rounding(precision):
    x = np.concatenate([np.linspace(-1, 1, 20001), 1 - np.logspace(-15, -1, 300), np.logspace(-30, -1, 99)])
    x = x.astype(precision)
    eps = np.finfo(precision).eps
    exact = x.astype(np.longdouble)
    found = np.asarray(jax.jit(arcsine)(x)), np.asarray(jax.jit(supplement)(x))
    # Near the ends a rounding of 1 - x^2, relative eps, moves the angle by eps of itself.
    assert (np.abs(found[0] - np.arcsin(exact)) <= 3 * eps * np.abs(np.arcsin(exact))).all()
    assert (np.abs(found[1] - (np.pi - np.arccos(exact))) <= 3 * eps * np.pi).all()
    assert found[0].dtype == precision


def test_gradients_are_finite_where_an_input_meets_itself_or_is_zero():
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [0.0, 0.0], [0.5, -0.3]])

    def total(x):
        q = jnp.sum(x * x, axis=1)
        return rectified(x @ x.T, q[:, None], q[None]).sum()

    compiled = jax.jit(jax.value_and_grad(total))
    slope = compiled(rows)[1]
    assert np.isfinite(np.asarray(slope)).all()
    # E max(U, 0)^2 = q / 2 whatever the row.
    alone = jax.jit(jax.grad(lambda x: rectified(x @ x, x @ x, x @ x)))(rows[0])
    np.testing.assert_allclose(alone, rows[0], rtol=1e-12)
    x, step = np.array([[1.0, 0.2], [0.3, -0.7], [0.5, 1.1], [-0.2, 0.4], [2.0, 0.1]]), 1e-6
    bump = np.zeros_like(x)
    bump[1, 0] = step
    measured = (compiled(x + bump)[0] - compiled(x - bump)[0]) / (2 * step)
    np.testing.assert_allclose(compiled(x)[1][1, 0], measured, rtol=1e-7)


def test_single_precision_keeps_the_diagonal_at_depth():
    network = serial(Dense(1, 2**0.5), repeat(serial(Relu(), Dense(1, 2**0.5)), 30))
    with jax.enable_x64(False):
        kernel = jax.jit(lambda x: network.kernel_fn(x, None, "ntk"))(ROWS.astype(np.float32))
    exact = 62 * (ROWS**2).sum(axis=1) / 5
    np.testing.assert_allclose(np.diag(kernel), exact, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nngp": jnp.ones((7, 6))}, r"nngp of a Kernel must have shape \(7, 7\), got \(7, 6\)"),
        ({"ntk": jnp.full((7, 7), jnp.nan)}, "ntk of a Kernel must be finite"),
        ({"cov1": -jnp.ones(7)}, "cov1 of a Kernel must hold variances >= 0, got -1.0"),
        ({"cov2": jnp.ones(7)}, "cov2 of a Kernel must be None for one set"),
        ({"shape2": (7, 4, 3)}, r"shape2 must have the positions \(\), got \(7, 4, 3\)"),
        ({"cov1": None}, "a Kernel given to a nonlinearity must hold cov1, got None"),
    ],
)
def test_kernels_that_were_made_by_hand_are_checked(change, sentence):
    kernel = Dense(3).kernel_fn(ROWS)
    assert isinstance(kernel, Kernel)
    with pytest.raises(ValueError, match=sentence):
        Sign().kernel_fn(kernel.replace(**change))
