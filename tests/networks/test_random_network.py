"""Random deep networks: statistics of weights, symmetry of the code paths, agreement with exact laws."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import run
from neuromanifold.networks.random import (
    activities,
    correlations,
    distances,
    distances_from_first,
    overlaps,
    random_deep_network,
    sphere_inputs,
)


def identity(x):
    return x


def everything(state):
    return (
        activities(state),
        overlaps(state),
        distances(state),
        correlations(state),
        distances_from_first(state),
    )


def test_observables_are_consistent(key):
    x = sphere_inputs(key, 40, 0.7, [[1, 0.6, -0.2], [0.6, 1, 0.1], [-0.2, 0.1, 1]])
    made = run(random_deep_network(jnp.tanh, 40, sigma_w=1.5, sigma_b=0.3), key, x, 3, observe=everything)
    a, c, d, rho, first = made.values
    np.testing.assert_allclose(a[0], 0.7, rtol=1e-5)
    np.testing.assert_allclose(rho[0], [[1, 0.6, -0.2], [0.6, 1, 0.1], [-0.2, 0.1, 1]], atol=1e-5)
    np.testing.assert_allclose(d, a[:, :, None] + a[:, None, :] - 2 * c, atol=1e-5)
    np.testing.assert_allclose(first, d[:, 0, 1:], rtol=1e-5)
    np.testing.assert_allclose(np.diagonal(c, axis1=1, axis2=2), a, rtol=1e-5)
    np.testing.assert_allclose(rho, c / np.sqrt(a[:, :, None] * a[:, None, :]), rtol=1e-4)


def test_inputs_share_the_weights(key):
    x = jax.random.normal(key, (1, 30))
    process = random_deep_network(jnp.tanh, 30, sigma_w=2.0, sigma_b=0.5)
    final = run(process, key, jnp.concatenate([x, x]), 5).state
    np.testing.assert_array_equal(final.signal[0], final.signal[1])
    single = run(process, key, x[0], 5).state
    np.testing.assert_allclose(single.signal[0], final.signal[0], rtol=1e-4, atol=1e-5)


def test_one_layer_has_the_exact_law(key):
    """Linear units: u is Gaussian with variance q, so n |u|^2/(n q) is chi-squared with n degrees."""
    n, replicas, s_w, s_b = 50, 4000, 1.3, 0.4
    x = sphere_inputs(key, n, 2.0, [[1.0]])
    made = run(
        random_deep_network(identity, n, sigma_w=s_w, sigma_b=s_b),
        key,
        x,
        1,
        observe=activities,
        replicas=replicas,
    )
    q = s_w**2 * 2.0 + s_b**2
    values = np.asarray(made.values)[:, 1, 0]
    # chi-squared/n has variance 2/n; its sample variance a relative error sqrt((2 + 12/n)/replicas).
    assert abs(values.mean() - q) < 5 * q * np.sqrt(2 / n / replicas)
    assert values.var() == pytest.approx(q**2 * 2 / n, rel=5 * np.sqrt((2 + 12 / n) / replicas))


def test_mutated_scale_of_weights_is_seen(key):
    """The same measurement tells sigma_w^2/n from sigma_w/n."""
    n, replicas = 50, 400
    x = sphere_inputs(key, n, 2.0, [[1.0]])
    process = random_deep_network(identity, n, sigma_w=1.3, sigma_b=0.4)
    values = np.asarray(run(process, key, x, 1, observe=activities, replicas=replicas).values)[:, 1, 0]
    error = 5 * values.std() / np.sqrt(replicas)
    assert abs(values.mean() - (1.3**2 * 2 + 0.16)) < error
    assert abs(values.mean() - (1.3 * 2 + 0.16)) > error


def test_orthogonal_weights_keep_lengths_and_angles(key):
    x = jax.random.normal(key, (3, 24))
    process = random_deep_network(identity, 24, sigma_w=1.1, sigma_b=0.0, weights="orthogonal")
    c = np.asarray(run(process, key, x, 4, observe=overlaps).values)
    for depth in range(5):
        np.testing.assert_allclose(c[depth], 1.1 ** (2 * depth) * c[0], rtol=2e-4, atol=1e-5)


def test_orthogonal_weights_have_the_right_variance(key):
    process = random_deep_network(identity, 20, sigma_w=1.7, sigma_b=0.0, weights="orthogonal", mode="reused")
    state = run(process, key, jnp.ones((1, 20)), 0, replicas=200).state
    assert state.weights is not None
    square = np.asarray(state.weights.weight) ** 2
    # Rows have norm sigma_w exactly, so the mean square is sigma_w^2/n without error.
    assert square.mean() == pytest.approx(1.7**2 / 20, rel=1e-5)
    first = square[:, 0, 0]
    assert abs(first.mean() - 1.7**2 / 20) < 5 * first.std() / np.sqrt(200)


def test_reused_weights_make_a_recurrent_network(key):
    x = jax.random.normal(key, (2, 16))
    process = random_deep_network(jnp.tanh, 16, sigma_w=1.5, sigma_b=0.2, mode="reused")
    made = run(process, key, x, 4, observe=lambda state: state.signal)
    weights = run(process, key, x, 0).state.weights
    assert weights is not None
    expected = np.asarray(x)
    for depth in range(1, 5):
        expected = np.tanh(expected @ np.asarray(weights.weight).T + np.asarray(weights.bias))
        np.testing.assert_allclose(made.values[depth], expected, atol=1e-5)


def test_fresh_weights_keep_no_weights(key):
    assert (
        run(random_deep_network(jnp.tanh, 8, sigma_w=1.0, sigma_b=0.1), key, jnp.ones(8), 2).state.weights
        is None
    )


def test_unequal_widths(key):
    widths, replicas = (10, 40, 5, 20), 3000
    process = random_deep_network(identity, widths, sigma_w=1.2, sigma_b=0.3)
    x = sphere_inputs(key, 10, 1.0, [[1.0]])
    made = run(process, key, x, 5, observe=activities, replicas=replicas)
    assert made.state.signal.shape == (replicas, 1, 40)
    assert np.all(np.asarray(made.state.n_units) == 20)
    assert np.all(np.asarray(made.state.signal)[:, :, 20:] == 0)
    expected = 1.0
    values = np.asarray(made.values)[:, :, 0]
    for depth in range(1, 6):
        expected = 1.44 * expected + 0.09
        assert abs(values[:, depth].mean() - expected) < 5 * values[:, depth].std() / np.sqrt(replicas)


def test_jit_equals_eager(key):
    process = random_deep_network(jnp.tanh, 12, sigma_w=1.5, sigma_b=0.3)
    state = process.init(key, jnp.ones((2, 12)))
    eager, length = process.step(key, jnp.int32(0), state)
    compiled, length_too = eqx.filter_jit(process.step)(key, jnp.int32(0), state)
    np.testing.assert_allclose(eager.signal, compiled.signal, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(length, length_too, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": 0}, "widths must be an integer >= 1, got 0"),
        ({"widths": ()}, "at least one width"),
        ({"sigma_w": -1.0}, "sigma_w must be"),
        ({"sigma_b": float("nan")}, "sigma_b must be"),
        ({"weights": "uniform"}, "weights must be one of"),
        ({"mode": "old"}, "mode must be one of"),
        ({"widths": (3, 4), "weights": "orthogonal"}, "equal for orthogonal"),
        ({"widths": (3, 4), "mode": "reused"}, "equal for weights that are reused"),
    ],
)
def test_bad_networks_are_refused(changes, words):
    arguments = {"widths": 8, "sigma_w": 1.0, "sigma_b": 0.1} | changes
    with pytest.raises(ValueError, match=words):
        random_deep_network(jnp.tanh, arguments.pop("widths"), **arguments)


def test_bad_inputs_are_refused(key):
    process = random_deep_network(jnp.tanh, 8, sigma_w=1.0, sigma_b=0.1)
    with pytest.raises(ValueError, match="as many entries as the input layer has units, 8, got 7"):
        run(process, key, jnp.ones(7), 1)
    with pytest.raises(ValueError, match="positive semidefinite"):
        sphere_inputs(key, 8, 1.0, [[1, 2], [2, 1]])
    with pytest.raises(ValueError, match="ones on its diagonal"):
        sphere_inputs(key, 8, 1.0, [[2.0]])
    with pytest.raises(ValueError, match="at least the number of inputs"):
        sphere_inputs(key, 1, 1.0, np.eye(2))
