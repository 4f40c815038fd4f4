"""Wide and deep linear perceptrons: against the formula, the theory of their kernels, and what is refused."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.geometry import empirical_ntk_fn
from neuromanifold.networks.perceptron import (
    DeepLinear,
    deep_linear,
    linear_loss,
    nearest_solution,
    wide_perceptron,
)
from neuromanifold.theory.wide import Dense, Erf, serial


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def erf(u):
    return jax.scipy.special.erf(u / math.sqrt(2.0))


def test_network_is_the_formula(key):
    network = wide_perceptron(key, (3, 5, 4, 2), jnp.tanh, 1.5, 0.3)
    x = np.array([0.3, -1.0, 2.0])
    for k, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        u = 1.5 / np.sqrt(w.shape[1]) * np.asarray(w) @ x + 0.3 * np.asarray(b)
        x = np.tanh(u) if k < 2 else u
    np.testing.assert_allclose(network(jnp.array([0.3, -1.0, 2.0])), x, rtol=1e-12)


def test_two_hidden_layers_scatter_as_one_over_root_width_about_the_limit(key):
    """B16.1, depth 2."""
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 4)))
    dense = Dense(1, 1.5, 0.3)
    limit = np.asarray(serial(dense, Erf(b=2**-0.5), dense, Erf(b=2**-0.5), dense).kernel_fn(x, None, "ntk"))
    widths, n = np.array([12, 36, 108]), 200
    ntk_fn = empirical_ntk_fn(lambda net, x: jax.vmap(net)(x), vmap_axes=0, implementation=1)
    scatter = []
    for width, part in zip(widths, jax.random.split(key, 3), strict=True):

        @jax.jit
        def kernels(keys, width=int(width)):
            return jax.lax.map(
                lambda k: ntk_fn(x, None, wide_perceptron(k, (4, width, width, 1), erf, 1.5, 0.3)), keys
            )

        made = np.asarray(kernels(jax.random.split(part, n)))
        scatter.append(np.sqrt(np.mean(np.sum((made - limit) ** 2, (1, 2)))) / np.linalg.norm(limit))
    slope = np.polyfit(np.log(widths), np.log(scatter), 1)[0]
    # Squared norms of 200 networks with a relative spread near 1: their root has an error of 1/(2 sqrt(200)).
    assert slope == pytest.approx(-0.5, abs=5 * 0.035 * np.sqrt(2) / np.log(9))
    error = made.std(0) / np.sqrt(n)
    bias = 3.0 / widths[-1] * limit.max()
    assert (np.abs(made.mean(0) - limit) < 5 * error + bias).all()


def test_nearest_solution_is_the_least_of_all_that_fit(key):
    network = wide_perceptron(key, (3, 40, 2), erf, 1.5, 0.3)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((6, 3)), random.standard_normal((6, 2))
    found = nearest_solution(network, x, y)
    np.testing.assert_allclose(jax.vmap(found.network)(x), y, atol=1e-12)
    phi = np.asarray(jax.vmap(network.hidden)(x))
    missing = y - np.asarray(jax.vmap(network)(x))
    least = np.linalg.pinv(phi) @ missing * math.sqrt(40) / 1.5
    np.testing.assert_allclose(found.change, least.T, atol=1e-10)
    assert float(found.condition) == pytest.approx(np.linalg.cond(phi @ phi.T), rel=1e-8)


def test_nearest_solution_of_all_layers(key):
    """Orthogonal to what leaves the outputs as they are, shorter than in the last layer, O(1) in width."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5, 3)), random.standard_normal((5, 1))
    lengths = []
    for width in (100, 1600):
        network = wide_perceptron(key, (3, width, 1), erf, 1.5, 0.3)
        found, last = nearest_solution(network, x, y, "all"), nearest_solution(network, x, y)
        np.testing.assert_allclose(jax.vmap(found.network)(x), y, atol=1e-10)
        change, back = jax.flatten_util.ravel_pytree(found.change)
        theta = jax.flatten_util.ravel_pytree(found.network)[0]
        slopes = np.asarray(jax.jacrev(lambda theta, back=back: jax.vmap(back(theta))(x).ravel())(theta))
        left = change - slopes.T @ np.linalg.lstsq(slopes.T, np.asarray(change), rcond=None)[0]
        assert float(jnp.linalg.norm(left)) < 1e-8
        lengths.append(float(jnp.linalg.norm(change)))
        assert lengths[-1] < float(jnp.linalg.norm(last.change))
        assert float(found.condition) == pytest.approx(np.linalg.cond(slopes @ slopes.T), rel=1e-6)
    assert 0.5 < lengths[1] / lengths[0] < 2


def test_deep_linear_loss_and_map(key):
    network = deep_linear(key, (4, 2, 3))
    x, y = np.random.default_rng(0).standard_normal((4, 5)), np.zeros((3, 5))
    product = np.asarray(network.weights[1]) @ np.asarray(network.weights[0])
    np.testing.assert_allclose(network.matrix(), product, rtol=1e-12)
    np.testing.assert_allclose(network(jnp.asarray(x[:, 0])), product @ x[:, 0], rtol=1e-12)
    assert float(linear_loss(network, x, y)) == pytest.approx(0.5 * np.sum((product @ x) ** 2))
    # At zero the slope vanishes although the loss does not: a saddle.
    slopes = jax.grad(linear_loss)(DeepLinear([0.0 * w for w in network.weights]), x, y + 1.0)
    assert all(float(jnp.abs(w).max()) == 0.0 for w in slopes.weights)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda key: wide_perceptron(key, (3, 0, 1), erf, 1.0, 0.0), r"widths\[1\] must be"),
        (lambda key: wide_perceptron(key, (3,), erf, 1.0, 0.0), "widths must hold"),
        (lambda key: wide_perceptron(key, (3, 1), erf, 0.0, 0.0), "sigma_w must be"),
        (lambda key: wide_perceptron(key, (3, 1), erf, 1.0, -1.0), "sigma_b must be"),
        (lambda key: deep_linear(key, (3, 2), 0.0), "scale must be"),
        (lambda key: deep_linear(key, (3,)), "sizes must hold"),
        (
            lambda key: nearest_solution(
                wide_perceptron(key, (3, 4, 1), erf, 1.0, 0.0), np.ones((5, 3)), np.ones((5, 1))
            ),
            "x must hold no more examples",
        ),
        (
            lambda key: nearest_solution(
                wide_perceptron(key, (3, 4, 1), erf, 1.0, 0.0), np.ones((3, 3)), np.ones((3, 1)), "first"
            ),
            "layers must be one of",
        ),
        (
            lambda key: nearest_solution(
                wide_perceptron(key, (3, 4, 1), erf, 1.0, 0.0), np.eye(3), 99.0 * np.ones((3, 1)), "all"
            ),
            "network must be wide enough",
        ),
    ],
)
def test_bad_input_is_refused(key, make, words):
    with pytest.raises(ValueError, match=words):
        make(key)
