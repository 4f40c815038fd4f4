"""Averaged learning: the interaction matrix, CD-1 against sampling, un-mixing, what cannot be inverted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks.energy import (
    AveragedLearning,
    Bernoulli,
    Gaussian,
    RestrictedBoltzmann,
    Spins,
    interaction_matrix,
    interaction_solution,
    unmixing_error,
    whitened,
)
from neuromanifold.theory.energy import separation, source

RANDOM = np.random.default_rng(0)
W = 0.5 * RANDOM.normal(size=(3, 4))
B, C = 0.3 * RANDOM.normal(size=4), 0.4 * RANDOM.normal(size=3)


@pytest.mark.parametrize("units", [Bernoulli(3), Spins(3)])
def test_moments_are_the_interaction_times_the_weights(units):
    with jax.enable_x64(True):
        machine = RestrictedBoltzmann(Gaussian(4), units, W, B, C)
        gradient = jax.jit(jax.grad(lambda m: m.log_partition()))(machine)
        r = np.asarray(interaction_matrix(machine))
        fired = np.asarray(gradient.hidden_bias)
        np.testing.assert_allclose(gradient.couplings, r @ W + np.outer(fired, B), atol=1e-14)
        np.testing.assert_array_equal(r, r.T)
        assert np.linalg.eigvalsh(r)[0] > 0
        np.testing.assert_allclose(np.diag(r), fired if isinstance(units, Bernoulli) else 1.0, atol=1e-14)
        # The wrong matrix, that of independent units, does not do.
        assert abs(np.outer(fired, fired) @ W + np.outer(fired, B) - gradient.couplings).max() > 1e-3


def test_orthogonal_rows_do_not_interact():
    with jax.enable_x64(True):
        rows = np.linalg.qr(RANDOM.normal(size=(4, 4)))[0][:3] * np.array([[0.5], [1.0], [2.0]])
        machine = RestrictedBoltzmann(Gaussian(4), Spins(3), rows)
        np.testing.assert_allclose(interaction_matrix(machine), np.eye(3), atol=1e-14)


def test_interaction_in_data_is_that_of_the_model_where_it_fits(key):
    machine = RestrictedBoltzmann(Gaussian(4), Bernoulli(3), W.astype(np.float32), B, C)
    h = machine.hidden.configuration(jnp.arange(8))
    p = np.asarray(jax.nn.softmax(machine.flipped.log_weight(h)), np.float64)
    n = 40_000
    states = np.asarray(h)[RANDOM.choice(8, n, p=p / p.sum())]
    points = states @ W + B + RANDOM.normal(size=(n, 4))
    data = np.asarray(interaction_matrix(machine, "data", points.astype(np.float32)))
    # Each entry is a mean of numbers between 0 and 1.
    assert abs(data - np.asarray(interaction_matrix(machine))).max() < 5 * 0.5 / np.sqrt(n)


def test_one_step_of_cd_is_that_of_samples(key):
    w = np.array([[0.8, 0.3], [-0.2, 0.6]])
    n = 20_000
    v = (RANDOM.uniform(-1, 1, size=(n, 2)) * np.sqrt(3)).astype(np.float32)
    machine = RestrictedBoltzmann(Gaussian(2, 0.25), Spins(2), w.astype(np.float32))
    expected = np.asarray(AveragedLearning(v, rule="cd").velocity(0.0, machine).couplings)

    def outer(x):
        return np.einsum("si,sj->sij", np.tanh(x @ w.T / 0.25), x)

    samples = outer(v) - outer(np.asarray(jax.jit(lambda v: machine.sweep(key, v))(jnp.asarray(v))))
    z = (samples.mean(0) - expected) / (samples.std(0) / np.sqrt(n))
    assert abs(z).max() < 5
    other = np.asarray(AveragedLearning(v).velocity(0.0, machine).couplings)
    assert abs((samples.mean(0) - other) / (samples.std(0) / np.sqrt(n))).max() > 5


def test_divergence_rests_where_likelihood_does():
    """A10.2, A10.3, A10.5 of the specification: uniform sources, sigma = 1/2, by quadrature.

    The rate of symmetric mixing under CD-1 is that of a plain sum over h, with v' by Gauss and Hermite.
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    pairs = np.sqrt(3) * np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    c, s = np.cos(0.6), np.sin(0.6)
    mixing = np.array([[c, -s], [s, c]])
    found = separation(source("uniform"), 0.5)
    modes = {"rotation": [[0, 1], [-1, 0]], "symmetric": [[0, 1], [1, 0]], "relaxation": [[1, 0], [0, 1]]}
    with jax.enable_x64(True):
        for rule, symmetric in (("ml", found.symmetric), ("cd", -1.93528)):
            learning = AveragedLearning(pairs @ mixing.T, np.outer(weights, weights).ravel() / 4, rule)

            @jax.jit
            def velocity(w, learning=learning):
                return learning.velocity(0.0, RestrictedBoltzmann(Gaussian(2, 0.25), Spins(2), w)).couplings

            rest = found.amplitude * mixing.T
            assert abs(velocity(rest)).max() < 3e-6
            expected = {"rotation": found.rotation, "symmetric": symmetric, "relaxation": found.relaxation}
            for name, mode in modes.items():
                along = np.array(mode) @ mixing.T
                change = np.asarray(velocity(rest + 1e-4 * along) - velocity(rest - 1e-4 * along)) / 2e-4
                assert (change * along).sum() / 2 == pytest.approx(expected[name], abs=1e-4), (rule, name)
            # Euler's steps are stable below 2/6.04, the largest rate; the slowest mode falls by .9 a step.
            w = 0.1 * np.array([[1.0, 0.3], [-0.2, 0.8]])
            for _ in range(250):
                w = w + 0.3 * velocity(w)
            onto = np.abs(np.asarray(w) @ mixing)
            onto = onto if onto[0, 0] > onto[0, 1] else onto[:, ::-1]
            np.testing.assert_allclose(onto, found.amplitude * np.eye(2), atol=1e-4)


def test_unmixing_and_whitening():
    mixing = RANDOM.normal(size=(3, 3))
    left, sizes, right = np.linalg.svd(mixing)
    rotated = np.diag([2.0, -1.0, 0.5])[[2, 0, 1]] @ (left @ right).T
    assert unmixing_error(rotated, 3.0 * left @ right) < 1e-12
    # Of whitened data the same couplings separate sources that B mixes, and of the data themselves do not.
    assert unmixing_error(rotated, mixing, whiten=True) < 1e-12
    with pytest.raises(ValueError, match="orthogonal up to a factor, or whiten be True"):
        unmixing_error(rotated, mixing)
    with pytest.raises(ValueError, match="be square and regular to be whitened"):
        unmixing_error(rotated, left @ np.diag([1.0, 1.0, 0.0]) @ right, whiten=True)
    assert unmixing_error(np.ones((2, 2)), np.eye(2)) == 1.0
    points, matrix = whitened(RANDOM.normal(size=(500, 3)) @ mixing.T + 5)
    # The symmetric whitening of B s is (B B^T)^(-1/2) up to sampling, in which sources are rotated.
    sources = np.random.default_rng(1).uniform(-(3**0.5), 3**0.5, size=(4000, 3))
    turned = whitened(sources @ mixing.T)[1] @ mixing
    np.testing.assert_allclose(turned, left @ right, atol=5 * sizes[0] / sizes[-1] / 4000**0.5)
    np.testing.assert_allclose(points.T @ points / 500, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)


POINTS = RANDOM.normal(size=(20, 4)).astype(np.float32)


def two(rows):
    return RestrictedBoltzmann(Gaussian(4), Bernoulli(2), np.asarray(rows, np.float32), 0.0, [0.0, 0.0])


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: interaction_solution(
                RestrictedBoltzmann(Gaussian(4), Bernoulli(2), np.ones((2, 4)), 0.0, [0.0, -200.0]), POINTS
            ),
            "got hidden unit 1 that never fires",
        ),
        (lambda: interaction_solution(two(np.full((2, 4), 5.0)), POINTS), "got hidden unit 1 that doubles 0"),
        # The third fires where one of the others does, and these never both.
        (
            lambda: interaction_solution(
                RestrictedBoltzmann(
                    Gaussian(2),
                    Bernoulli(3),
                    200.0 * np.array([[1, 0], [0, 1], [1, 1]]),
                    0.0,
                    np.full(3, -100.0),
                ),
                np.eye(2),
                kind="data",
            ),
            "got hidden unit 2 that depends on those before it",
        ),
        (lambda: interaction_matrix(two(np.ones((2, 4))), "data"), "points must be given"),
        (lambda: interaction_matrix(two(np.ones((2, 4))), "both"), "kind must be one of"),
        (
            lambda: interaction_matrix(RestrictedBoltzmann(Bernoulli(2), Gaussian(1), np.ones((1, 2)))),
            "machine must have two-valued hidden units, got 'Gaussian'",
        ),
        (lambda: AveragedLearning(POINTS[0]), "points must have shape"),
        (lambda: AveragedLearning(POINTS, -np.ones(20)), "weights must be >= 0"),
        (lambda: AveragedLearning(POINTS, np.ones(3)), "weights must have shape"),
        (lambda: AveragedLearning(POINTS, rule="pcd"), "rule must be one of"),
        (
            lambda: AveragedLearning(np.ones((2, 2))).velocity(
                0.0, RestrictedBoltzmann(Bernoulli(2), Spins(1), np.ones((1, 2)))
            ),
            "machine must have Gaussian visible units",
        ),
        (lambda: unmixing_error(np.eye(2), np.eye(3)), "mixing must have shape"),
        (lambda: unmixing_error(np.zeros((2, 2)), np.eye(2)), "couplings must leave no unit"),
        (lambda: whitened(np.ones((5, 2))), "points must span all dimensions"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
