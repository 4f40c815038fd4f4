"""Learning of the Gaussian machine: averages against sampled ones, steps at the border, bad input."""

import jax
import numpy as np
import pytest

from neuromanifold.dynamics import run
from neuromanifold.networks.energy import Gaussian, GaussianLearning, RestrictedBoltzmann

C = np.array([[3.0, 0.5, 0.2], [0.5, 1.5, 0.0], [0.2, 0.0, 0.7]])
W = np.array([[0.5, 0.2, 0.1], [-0.1, 0.4, 0.3]])


def test_velocity_is_the_difference_of_sampled_averages(key):
    machine = RestrictedBoltzmann(Gaussian(3), Gaussian(2), W.astype(np.float32))
    n = 8000
    data = np.random.default_rng(0).multivariate_normal(np.zeros(3), C, n).astype(np.float32)
    near = np.asarray(machine.sweep(key, jax.numpy.asarray(data)))
    far = np.asarray(run(machine.process(), key, np.zeros((n, 3)), 40).state)
    for rule, v in (("cd", near), ("ml", far)):
        # <h v^T> with h averaged given v.
        samples = np.einsum("ki,si,sj->skj", W, data, data) - np.einsum("ki,si,sj->skj", W, v, v)
        expected = np.asarray(GaussianLearning(C, rule).velocity(0.0, jax.numpy.asarray(W, np.float32)))
        z = (samples.mean(0) - expected) / (samples.std(0) / np.sqrt(n))
        assert abs(z).max() < 5
        other = np.asarray(
            GaussianLearning(C, {"ml": "cd", "cd": "ml"}[rule]).velocity(
                0.0, jax.numpy.asarray(W, np.float32)
            )
        )
        assert abs((samples.mean(0) - other) / (samples.std(0) / np.sqrt(n))).max() > 5


def test_steps_that_would_leave_are_halved(key):
    learning = GaussianLearning(100.0 * C)
    begin = np.diag([0.9, 0.1, 0.0])[:2]
    made = run(learning.process(0.5), key, begin, 60, observe_info=lambda info: info)
    assert np.isfinite(made.state).all()
    assert made.infos.halvings.sum() > 0
    assert made.infos.norm.max() < 1
    # Where nothing threatens no step is halved, and the divergence falls.
    gentle = GaussianLearning(C)
    made = run(gentle.process(0.02), key, 0.3 * W, 200, observe_info=lambda info: info.halvings)
    assert made.infos.max() == 0
    assert float(gentle.divergence(made.state)) < float(gentle.divergence(jax.numpy.asarray(W)))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GaussianLearning(C[:2]), "covariance must be a square matrix"),
        (lambda: GaussianLearning([[1.0, 2.0], [0.0, 1.0]]), "covariance must be symmetric"),
        (lambda: GaussianLearning(-C), "covariance must be positive semidefinite"),
        (lambda: GaussianLearning(C, "pcd"), "rule must be one of 'ml', 'cd'"),
        (lambda: GaussianLearning(C).process(0.0), "rate must be a finite number > 0"),
        (
            lambda: run(GaussianLearning(C).process(0.1), jax.random.key(0), 3 * W, 1),
            "x0 must have a largest singular value below 1",
        ),
        (
            lambda: run(GaussianLearning(C).process(0.1), jax.random.key(0), W[:, :2], 1),
            r"x0 must have shape \(k, 3\)",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
