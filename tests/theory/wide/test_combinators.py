"""Kernels against exact sums over weights, closed numbers of the literature, and networks of finite width."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neuromanifold.theory.wide import (
    ABRelu,
    AvgPool,
    Conv,
    Dense,
    Dropout,
    Elementwise,
    Erf,
    FanInConcat,
    FanInProd,
    FanInSum,
    FanOut,
    Flatten,
    GlobalAvgPool,
    Identity,
    LayerNorm,
    Relu,
    Sign,
    Tanh,
    parallel,
    repeat,
    serial,
)
from neuromanifold.theory.wide._layer import Needs, Own

RANDOM = np.random.default_rng(5)
ROWS = RANDOM.normal(size=(4, 6))
OTHERS = RANDOM.normal(size=(3, 6))
IMAGES = RANDOM.normal(size=(3, 5, 4, 2))
MORE = RANDOM.normal(size=(2, 5, 4, 2))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_standard_parameterisation_counts_its_widths(key):
    network = Dense(3, 1.3, 0.4, parameterization="standard", s=(2, 5))
    kernel = network.kernel_fn(ROWS, OTHERS)
    np.testing.assert_allclose(kernel.nngp, 1.3**2 * ROWS @ OTHERS.T / 6 + 0.16, rtol=1e-12)
    # Weights are drawn scaled, so that the function has unit Jacobians: z = W x / sqrt(s_in) + b.
    np.testing.assert_allclose(kernel.ntk, ROWS @ OTHERS.T / 2 + 1, rtol=1e-12)
    assert kernel.shape1 == (4, 15)
    shape, (w, b) = network.init_fn(key, (4, 2000))
    assert shape == (4, 15)
    assert w.shape == (2000, 15)
    assert float(w.std()) == pytest.approx(1.3 / math.sqrt(1000), rel=0.05)
    assert float(b.std()) == pytest.approx(0.4, rel=0.9)


def test_numbers_of_the_arc_cosine_recursion():
    angle = math.acos(0.5)
    x = math.sqrt(2.0) * np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    expected = {
        1: (1.2179955621, 1.8846622288),
        2: (1.3678113018, 2.7029591222),
        3: (1.4762563846, 3.4756893584),
    }
    networks = [
        serial(*[layer for _ in range(depth) for layer in (Dense(9, 2**0.5), Relu())], Dense(1, 2**0.5))
        for depth in expected
    ]
    found = jax.jit(lambda x: [n.kernel_fn(x, None, ("nngp", "ntk")) for n in networks])(x)
    for (depth, (nngp, ntk)), kernel in zip(expected.items(), found, strict=True):
        assert float(kernel.nngp[0, 1]) == pytest.approx(nngp, abs=1e-9)
        assert float(kernel.ntk[0, 1]) == pytest.approx(ntk, abs=1e-9)
        assert float(kernel.ntk[0, 0]) == pytest.approx(2 * (depth + 1), rel=1e-12)


WIDTH = 48
MIXED = serial(
    Conv(WIDTH, (3, 2), None, "SAME", 1.4, 0.2),
    Relu(),
    FanOut(2),
    parallel(
        serial(Conv(WIDTH, (2, 2), (2, 1), "SAME", 1.2, 0.1), LayerNorm(), Erf(), GlobalAvgPool()),
        serial(Conv(WIDTH // 2, (1, 2), None, "CIRCULAR", 1.1), ABRelu(0.3, 1.0), Flatten(), Dense(WIDTH)),
    ),
    FanInConcat(),
    Dense(WIDTH, 1.2, 0.1),
    FanOut(2),
    parallel(Identity(), serial(Relu(), Dense(WIDTH, 1.1, 0.2))),
    FanInSum(),
    FanOut(2),
    parallel(serial(Erf(), Dense(WIDTH, 1.2)), serial(Relu(), Dense(WIDTH, 0.9, 0.3))),
    FanInProd(),
    Dense(8, 1.1, 0.2),
)


def drawn(network, x, n_draws):
    """Both kernels of random networks of finite width, one row a network."""

    def one(key):
        _, params = network.init_fn(key, x.shape)
        f, back = jax.vjp(lambda p: network.apply_fn(p, x), params)
        # The gradient of the first output of each input in turn.
        tables = [back(jnp.zeros_like(f).at[k, 0].set(1.0))[0] for k in range(len(x))]
        flat = jnp.stack([ravel_pytree(table)[0] for table in tables])
        return f @ f.T / f.shape[1], flat @ flat.T

    return jax.lax.map(one, jax.random.split(jax.random.key(3), n_draws))


def test_every_combinator_at_once_is_what_wide_networks_do():
    n_draws = 120
    pair = np.stack([IMAGES[0], MORE[0]])
    kernel = jax.jit(lambda x: MIXED.kernel_fn(x, None, ("nngp", "ntk")))(pair)
    with jax.enable_x64(False):
        single = pair.astype(np.float32)
        samples = [np.asarray(s, np.float64) for s in jax.jit(lambda x: drawn(MIXED, x, n_draws))(single)]
    for expected, found in zip(kernel, samples, strict=True):
        error = found.std(axis=0, ddof=1) / math.sqrt(n_draws)
        # The width leaves a bias of its inverse for each of the five layers.
        bias = 5 / WIDTH * np.abs(expected)
        assert (np.abs(found.mean(axis=0) - expected) < 5 * error + bias).all()
        # Half as much of it would be seen.
        assert (np.abs(found.mean(axis=0) - expected / 2) > 5 * error + bias / 2).any()


def test_dropout_raises_what_an_input_shares_with_itself():
    network = serial(Dense(7, 1.2, 0.3), Relu(), Dropout(0.8), Dense(7, 1.1))
    without = serial(Dense(7, 1.2, 0.3), Relu(), Dense(7, 1.1))
    kernel, plain = jax.jit(lambda x: [n.kernel_fn(x) for n in (network, without)])(ROWS)
    ratio = np.asarray(kernel.nngp / plain.nngp)
    np.testing.assert_allclose(ratio, np.where(np.eye(4, dtype=bool), 1.25, 1.0), rtol=1e-12)
    np.testing.assert_allclose(kernel.cov1, 1.25 * plain.cov1, rtol=1e-12)
    _, params = network.init_fn(jax.random.key(0), (4, 6))
    with pytest.raises(ValueError, match="rng must be a key for Dropout in training, got None"):
        network.apply_fn(params, ROWS)
    many = jax.vmap(lambda k: Dropout(0.8).apply_fn((), jnp.ones(2000), rng=k))(
        jax.random.split(jax.random.key(1), 50)
    )
    assert float(many.mean()) == pytest.approx(1.0, abs=5 * 0.5 / math.sqrt(100_000))
    np.testing.assert_array_equal(Dropout(0.8, "test").apply_fn((), ROWS), ROWS)


def test_a_repeated_layer_is_the_layers_in_a_row():
    one = serial(Relu(), Dense(6, 1.3, 0.2))
    begun = Dense(6, 1.3, 0.2)
    networks = serial(begun, repeat(one, 4)), serial(begun, one, one, one, one)
    looped, plain = jax.jit(lambda x, y: [n.kernel_fn(x, y, ("nngp", "ntk")) for n in networks])(ROWS, OTHERS)
    for a, b in zip(looped, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    shape, params = serial(begun, repeat(one, 4)).init_fn(jax.random.key(0), (4, 6))
    assert shape == (4, 6)
    assert serial(begun, repeat(one, 4)).apply_fn(params, ROWS).shape == (4, 6)
    assert repeat(one, 0).kernel_fn(begun.kernel_fn(ROWS)).nngp.shape == (4, 4)


def test_kernels_go_on_from_kernels_and_one_set_is_both():
    first, second = serial(Dense(5, 1.3, 0.2), Relu()), serial(Dense(5, 1.1), Tanh(8), Dense(5))
    network = serial(first, second)

    def everything(x, y):
        return {
            "whole": network.kernel_fn(x, y),
            "parts": second.kernel_fn(first.kernel_fn(x, y)),
            "alone": network.kernel_fn(x),
            "given": network.kernel_fn(x, x, "ntk"),
        }

    found = jax.jit(everything)(ROWS, OTHERS)
    np.testing.assert_allclose(found["whole"].ntk, found["parts"].ntk, rtol=1e-12)
    np.testing.assert_allclose(found["alone"].ntk, found["given"], rtol=1e-12)
    assert found["alone"].nngp.shape == (4, 4)
    assert found["alone"].x1_is_x2
    assert not found["whole"].x1_is_x2
    eager = serial(first, Dense(5, 1.1)).kernel_fn(ROWS, OTHERS, "ntk")
    compiled = jax.jit(lambda x, y: serial(first, Dense(5, 1.1)).kernel_fn(x, y, "ntk"))(ROWS, OTHERS)
    np.testing.assert_allclose(eager, compiled, rtol=1e-12)


def test_pairs_of_positions_are_kept_only_where_they_are_needed():
    body = serial(Conv(4, (3, 3), None, "SAME"), Relu())
    assert serial(body, Flatten()).kernel_fn.needs(Needs(True, Own.FULL)) == Needs(False, Own.ALONE)
    assert serial(body, GlobalAvgPool()).kernel_fn.needs(Needs(True, Own.NONE)) == Needs(True, Own.ALONE)
    assert jax.eval_shape(body.kernel_fn, IMAGES).full

    def both(x):
        alone = serial(body, Flatten(), Dense(1)).kernel_fn(x, None, "ntk")
        return alone, Dense(1).kernel_fn(Flatten().kernel_fn(body.kernel_fn(x))).ntk

    alone, full = jax.jit(both)(IMAGES)
    np.testing.assert_allclose(alone, full, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: serial(Dense(3), Relu(), Erf()).kernel_fn(ROWS), "two nonlinearities in a row"),
        (lambda: Relu().kernel_fn(ROWS), "Relu must follow a layer with Gaussian outputs"),
        (lambda: serial(Dense(3), Relu(), LayerNorm()).kernel_fn(ROWS), "LayerNorm must follow"),
        (lambda: Dense(3).kernel_fn(ROWS, OTHERS[:, :5]), r"x2 must have shape \(n2, 6\), got \(3, 5\)"),
        (lambda: Dense(3).kernel_fn(ROWS[0]), r"x1 must have shape \(n, \*spatial, n_channels\)"),
        (lambda: Dense(3).kernel_fn(np.where(ROWS > 1, np.nan, ROWS)), "x1 must be finite, got nan"),
        (lambda: Dense(3).kernel_fn(ROWS, None, "ntks"), "get must be one of nngp, ntk"),
        (
            lambda: Dense(3).kernel_fn(Dense(3).kernel_fn(ROWS), ROWS),
            "x2 must be left out where x1 is a Kernel",
        ),
        (lambda: Dense(0), "out_dim must be an integer >= 1, got 0"),
        (lambda: Dense(3, -1.0), "W_std must be a finite number >= 0, got -1.0"),
        (lambda: Dense(3, 1.0, math.nan), "b_std must be"),
        (lambda: Dense(3, channel_axis=1), "channel_axis must be -1, the last axis, got 1"),
        (lambda: Dense(3, parameterization="ntx"), "parameterization must be"),
        (lambda: Dense(3, s=(0, 1)), r"s\[0\] must be an integer >= 1"),
        (lambda: Dense(3, s=(1, 2)), r"s must be \(1, 1\) but for the standard parameterisation"),
        (lambda: Conv(3, (3, 3)).kernel_fn(ROWS), "inputs must have 2 spatial axes"),
        (lambda: Conv(3, (6, 1)).kernel_fn(IMAGES), "window must fit into 5 positions, got 6"),
        (lambda: Conv(3, (3, 3), (1,)), r"strides must have 2 entries, as filter_shape has, got \(1,\)"),
        (lambda: Conv(3, (3, 3), None, "FULL"), "padding must be"),
        (lambda: AvgPool((2, 2)).kernel_fn(ROWS), "inputs must have 2 spatial axes"),
        (lambda: GlobalAvgPool().kernel_fn(ROWS), "inputs must have spatial axes"),
        (
            lambda: GlobalAvgPool().kernel_fn(serial(Conv(3, (1, 1)), Flatten()).kernel_fn(IMAGES)),
            "inputs must have spatial axes",
        ),
        (lambda: serial(), "layers must hold at least one layer, got 0"),
        (lambda: serial(FanOut(2), parallel(Dense(3))).kernel_fn(ROWS), "inputs must hold 1 branches"),
        (
            lambda: serial(FanOut(2), parallel(Dense(3), Dense(4)), FanInSum()).kernel_fn(ROWS),
            r"branches of FanInSum must agree in shape with the first, \(4, 3\), got \(4, 4\)",
        ),
        (lambda: FanInSum().kernel_fn(ROWS), "what comes before FanInSum must be branches, got 'Kernel'"),
        (lambda: Dropout(0.0), r"rate must be a finite number in \(0, 1\], got 0.0"),
        (lambda: LayerNorm((1,)).apply_fn((), IMAGES), "axis must be -1 or all of 1, ..., 3"),
        (lambda: Elementwise(jnp.tanh), "nngp_fn must be given"),
        (lambda: serial(Dense(1), Tanh(1)), "deg must be an integer >= 2, got 1"),
        (lambda: repeat(Dense(3), -1), "times must be an integer >= 0, got -1"),
        (
            lambda: repeat(Dense(3), 2).init_fn(jax.random.key(0), (4, 6)),
            r"layer must keep the shape of its input, got \(4, 3\)",
        ),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_branches_that_share_what_they_carry_are_refused():
    shared = parallel(Identity(), Identity())
    cases = {
        "FanInSum": [
            serial(FanOut(2), shared, FanInSum()),
            serial(FanOut(2), parallel(serial(Dense(6), Relu()), serial(Dense(6), Relu())), FanInSum()),
            serial(Dense(6), FanOut(2), parallel(Identity(), Relu()), FanInSum()),
        ],
        "FanInProd": [serial(Dense(6), FanOut(2), parallel(Identity(), Erf()), FanInProd())],
    }
    for name, networks in cases.items():
        for network in networks:
            with pytest.raises(ValueError, match=f"each branch of {name} but one must .*, got 2 that do not"):
                network.kernel_fn(ROWS)
    # Odd functions of layers of their own, and a branch within a branch, leave nothing over.
    odd = parallel(serial(Dense(6), Erf()), serial(Dense(6), Erf()))
    both = serial(FanOut(2), odd, FanInSum()).kernel_fn(ROWS).nngp
    np.testing.assert_allclose(both, 2 * serial(Dense(6), Erf()).kernel_fn(ROWS).nngp, rtol=1e-12)
    odd = parallel(serial(Dense(6), Tanh()), serial(Dense(6), Tanh()))
    assert jax.eval_shape(serial(FanOut(2), odd, FanInSum()).kernel_fn, ROWS).centred
    inner = serial(FanOut(2), parallel(Identity(), serial(Relu(), Dense(6))), FanInSum())
    outer = serial(Dense(6), FanOut(2), parallel(Identity(), serial(inner, Relu(), Dense(6))), FanInSum())
    assert outer.kernel_fn(ROWS).nngp.shape == (4, 4)
    with pytest.raises(ValueError, match="each branch of FanInSum but one"):
        serial(Dense(6), FanOut(2), parallel(Identity(), inner), FanInSum()).kernel_fn(ROWS)


def test_behind_a_sign_the_tangent_kernel_begins_anew():
    kernel = serial(Dense(5), Sign(), Dense(5, 1.2)).kernel_fn(ROWS)
    np.testing.assert_allclose(kernel.ntk, kernel.nngp, rtol=1e-12)
