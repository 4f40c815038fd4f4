"""The Fisher information of small networks: definitions, duals, samples, products, blocks, refusals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neuromanifold.geometry.fisher import (
    FAMILIES,
    FisherInformation,
    fisher_statistics,
    hutchinson_trace,
    largest_eigenvalues,
    matrix_statistics,
    unit_blocks,
)

RANDOM = np.random.default_rng(0)
PARAMETERS = {
    "hidden": (RANDOM.standard_normal((3, 2)), RANDOM.standard_normal(3)),
    "out": RANDOM.standard_normal((2, 3)),
}
INPUTS = RANDOM.standard_normal((4, 2))


def network(parameters, x):
    weight, bias = parameters["hidden"]
    return parameters["out"] @ jnp.tanh(weight @ x + bias)


def hidden(parameters):
    return parameters["hidden"]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def information(family="gaussian"):
    return FisherInformation(network, PARAMETERS, INPUTS, family)


def by_definition(family):
    """Sum over outputs of P(y) score score^T, with the scores by automatic differentiation of log P."""
    flat, back = ravel_pytree(PARAMETERS)
    total = np.zeros((flat.size, flat.size))

    def log_p(p, x, y):
        f = network(back(p), x)
        if family == "categorical":
            return jax.nn.log_softmax(f)[y]
        return jnp.sum(jnp.where(y == 1, jax.nn.log_sigmoid(f), jax.nn.log_sigmoid(-f)))

    outcomes = [0, 1] if family == "categorical" else list(np.ndindex(2, 2))
    score = jax.jit(jax.value_and_grad(log_p))
    for x in INPUTS:
        for y in outcomes:
            value, gradient = score(flat, x, jnp.asarray(y))
            total += np.exp(value) * np.outer(gradient, gradient) / len(INPUTS)
    return total


@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
def test_matrix_is_the_mean_square_of_scores(family):
    np.testing.assert_allclose(information(family).matrix(), by_definition(family), atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_products_dual_and_trace_belong_to_the_matrix(family):
    made = information(family)
    matrix = np.asarray(made.matrix())
    vector = np.random.default_rng(1).standard_normal(made.n_parameters)
    np.testing.assert_allclose(made.product(vector), matrix @ vector, atol=1e-12)
    assert float(made.trace()) == pytest.approx(np.trace(matrix), rel=1e-12)
    dual = np.linalg.eigvalsh(made.dual())[::-1]
    whole = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(dual[:6], whole[:6], atol=1e-12)
    statistics = fisher_statistics(made)
    assert statistics == pytest.approx(matrix_statistics(matrix, len(matrix)), rel=1e-9)
    assert statistics.mean == pytest.approx(whole.mean(), rel=1e-9)
    assert statistics.second_moment == pytest.approx((whole**2).mean(), rel=1e-9)


def test_samples_of_outputs_average_to_the_matrix():
    made = information("categorical")
    exact, drawn = (
        np.asarray(made.matrix()),
        [np.asarray(made.sampled_matrix(jax.random.key(i), 200)) for i in range(20)],
    )
    error = np.std(drawn, axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(np.mean(drawn, axis=0) - exact) <= 6 * error + 1e-12)
    assert error.max() < 0.2 * np.abs(exact).max()


def test_largest_eigenvalues_and_trace_from_products():
    made = information()
    whole = np.linalg.eigvalsh(made.matrix())[::-1]
    found = largest_eigenvalues(made.product, made.n_parameters, jax.random.key(0), 2)
    np.testing.assert_allclose(found, whole[:2], rtol=1e-8)
    trace = hutchinson_trace(made.product, made.n_parameters, jax.random.key(1), 200)
    assert abs(trace.value - whole.sum()) < 5 * trace.standard_error
    assert trace.standard_error < 0.2 * whole.sum()


def test_blocks_of_units_are_those_of_the_matrix():
    blocks = np.asarray(unit_blocks(information(), hidden))
    matrix = np.asarray(information().matrix())
    weights, biases = np.arange(6).reshape(3, 2), np.arange(6, 9)
    for unit in range(3):
        own = np.append(weights[unit], biases[unit])
        np.testing.assert_allclose(blocks[unit], matrix[np.ix_(own, own)], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: information("poisson"), "family must"),
        (lambda: FisherInformation(network, {"a": jnp.arange(3)}, INPUTS), "params must"),
        (lambda: FisherInformation(network, jnp.ones(3), INPUTS * jnp.nan), "inputs must be finite"),
        (lambda: FisherInformation(network, PARAMETERS, jnp.zeros((0, 2))), "inputs must"),
        (lambda: information().sampled_matrix(jax.random.key(0), 0), "n_draws must"),
        (lambda: largest_eigenvalues(jnp.asarray, 3, jax.random.key(0), 3), "n must"),
        (lambda: hutchinson_trace(jnp.asarray, 3, jax.random.key(0), 1), "n_probes must"),
        (lambda: matrix_statistics(np.ones((2, 3)), 3), "dense must"),
        (lambda: unit_blocks(information(), lambda p: (p["hidden"][0], p["out"])), "where must"),
    ],
)
def test_bad_values_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
