"""The recurrent auto-encoder: where signals rest, that what does not rest is said, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import SolveError, solve
from neuromanifold.networks.energy import AutoencoderWeights, RecurrentAutoencoder

RANDOM = np.random.default_rng(0)
W = 0.3 * RANDOM.normal(size=(2, 3))
A = RANDOM.normal(size=3)


def weights(w=W, s=W):
    return AutoencoderWeights(jnp.asarray(w, float), jnp.asarray(s, float))


def test_linear_signals_rest_at_the_inverse():
    with jax.enable_x64(True):
        rest = RecurrentAutoencoder("identity", "identity").settle(weights(), jnp.asarray(A))
        assert bool(rest.settled)
        np.testing.assert_allclose(rest.visible, np.linalg.solve(np.eye(3) - W.T @ W, A), atol=1e-9)


def test_rest_states_are_those_of_the_fast_signals():
    with jax.enable_x64(True):
        network = RecurrentAutoencoder("tanh", "tanh", threshold=0.2)
        rest = network.settle(weights(2 * W, 3 * W), jnp.asarray(A))
        h, v = np.asarray(rest.hidden), np.asarray(rest.visible)
        np.testing.assert_allclose(h, np.tanh(2 * W @ v - 0.2), atol=1e-9)
        np.testing.assert_allclose(v, np.tanh(3 * W.T @ h) + A, atol=1e-9)


def test_what_does_not_settle_is_said():
    with jax.enable_x64(True):
        loop = np.array([[4.0, 0.0, 0.0]])
        turning = RecurrentAutoencoder("tanh", "identity", max_steps=50)
        rest = turning.settle(weights(loop, -loop), jnp.asarray([0.5, 0.0, 0.0]))
        assert not bool(rest.settled)
        with pytest.raises(SolveError):
            solve(turning.learning([[0.5, 0.0, 0.0]]), weights(loop, -loop), [0.0, 0.1], dt=0.05)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: RecurrentAutoencoder("relu"), "encoder must be one of"),
        (lambda: RecurrentAutoencoder("tanh", "step"), "decoder must be one of"),
        (lambda: RecurrentAutoencoder("step", "identity", gain=1.0), "gain must be below 1 for a step"),
        (lambda: RecurrentAutoencoder(gain=0.0), "gain must be a finite number > 0"),
        (lambda: RecurrentAutoencoder(max_steps=0), "max_steps must be an integer >= 1"),
        (lambda: RecurrentAutoencoder(tolerance=0.0), "tolerance must be a finite number > 0"),
        (
            lambda: RecurrentAutoencoder("identity", "identity").settle(
                weights(5 * W, 5 * W), jnp.asarray(A, float)
            ),
            r"weights must have a largest singular value of W\^T S below 1",
        ),
        (lambda: RecurrentAutoencoder().learning(A), "inputs must have shape"),
        (lambda: RecurrentAutoencoder().learning(A[None], weights=[0.5]), "weights must be probabilities"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
