"""Layers with lateral and feedback connections: feed-forward limit, contraction, settling, flow."""

import itertools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import run, solve
from neuromanifold.networks.random import RecurrentLayered

SIZES = (3, 5, 4, 6)


def matrices(seed=0, scale=0.3):
    rng = np.random.default_rng(seed)
    forward = [scale * rng.normal(size=(k, j)) for j, k in itertools.pairwise(SIZES)]
    lateral = [scale * rng.normal(size=(k, k)) for k in SIZES[1:]]
    feedback = [scale * rng.normal(size=(j, k)) for j, k in itertools.pairwise(SIZES[1:])]
    bias = [rng.normal(size=k) for k in SIZES[1:]]
    return forward, lateral, feedback, bias, rng.normal(size=SIZES[0])


def whole(state):
    return jnp.concatenate(state)


def test_a_step_is_the_equation():
    forward, lateral, feedback, bias, signal = matrices()
    network = RecurrentLayered(forward, lateral, feedback, bias)
    x = [np.linspace(-1, 1, k) for k in SIZES[1:]]
    found = network.step(jnp.asarray(signal), tuple(map(jnp.asarray, x)))
    below = [signal, *x]
    for i in range(3):
        u = forward[i] @ below[i] + lateral[i] @ x[i] + bias[i]
        u = u + (feedback[i] @ x[i + 1] if i < 2 else 0)
        np.testing.assert_allclose(found[i], np.tanh(u), rtol=1e-5, atol=1e-6)
    batch = jax.vmap(network.step, (None, 0))(jnp.asarray(signal), tuple(jnp.stack([v, v]) for v in found))
    np.testing.assert_allclose(batch[2][1], network.step(jnp.asarray(signal), found)[2], rtol=1e-5, atol=1e-6)


def test_without_lateral_and_feedback_it_is_the_feedforward_network():
    forward, _, _, bias, signal = matrices()
    network = RecurrentLayered(forward, bias=bias)
    start = tuple(0.5 * jnp.ones(k) for k in SIZES[1:])
    end = run(network.process(signal), jax.random.key(0), start, 3).state
    x = signal
    for w, b in zip(forward, bias, strict=True):
        x = np.tanh(w @ x + b)
    np.testing.assert_allclose(end[-1], x, rtol=1e-5, atol=1e-6)
    before = run(network.process(signal), jax.random.key(0), start, 2).state
    assert np.abs(np.asarray(before[-1]) - x).max() > 1e-2


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.integers(0, 1000))
def test_distances_contract_by_the_bound(seed):
    forward, lateral, feedback, bias, signal = matrices(seed, 0.15)
    network = RecurrentLayered(forward, lateral, feedback, bias)
    bound = network.contraction()
    assert bound == pytest.approx(np.linalg.norm(network.couplings(), 2), rel=1e-6)
    assert network.is_contracting == (bound < 1)
    one, other = (
        run(network.process(signal), jax.random.key(0), start, 6, observe=whole).values
        for start in (None, tuple(jnp.ones(k) for k in SIZES[1:]))
    )
    gap = np.linalg.norm(one - other, axis=1)
    seen = gap[1:] / gap[:-1]
    assert (seen[gap[:-1] > 1e-4] <= bound * (1 + 1e-3)).all()


def test_settled_state_is_where_continuous_time_ends():
    forward, lateral, feedback, bias, signal = matrices(1, 0.15)
    with jax.enable_x64(True):
        network = RecurrentLayered(forward, lateral, feedback, bias, "tanh")
        found = network.settle(signal, 1e-10)
        assert bool(found.settled)
        assert float(found.change) <= 1e-10
        flow = network.flow(signal, tau=0.5)
        end = solve(flow, network.rest(), [0.0, 20.0], solver=diffrax.Tsit5()).states
        for a, b in zip(found.layers, end, strict=True):
            np.testing.assert_allclose(a, b[-1], atol=1e-6)


def test_a_network_that_does_not_settle_says_so():
    symmetric = np.array([[0.0, -3.0], [-3.0, 0.0]])
    network = RecurrentLayered([np.eye(2)], [symmetric])
    found = network.settle(np.array([1.0, 0.5]), 1e-5, max_steps=50)
    assert not bool(found.settled)
    assert float(found.change) > 1
    assert not network.is_contracting


def test_other_activations():
    network = RecurrentLayered([np.eye(2)], [0.9 * np.eye(2)], phi="logistic")
    assert network.contraction() == pytest.approx(0.225, rel=1e-6)
    named = RecurrentLayered([np.eye(2)], [0.9 * np.eye(2)], phi=jnp.sin, slope=1.0)
    assert named.contraction() == pytest.approx(0.9, rel=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: RecurrentLayered([]), "forward must hold at least one"),
        (lambda: RecurrentLayered([np.ones((2, 3)), np.ones((2, 3))]), r"forward\[1\] must have 2 columns"),
        (lambda: RecurrentLayered([np.ones((2, 3))], [np.ones((3, 3))]), r"lateral\[0\] must have shape"),
        (lambda: RecurrentLayered([np.ones((2, 3))], feedback=[None]), "feedback must hold 0"),
        (lambda: RecurrentLayered([np.full((2, 3), np.nan)]), r"forward\[0\] must be finite"),
        (lambda: RecurrentLayered([np.ones((2, 3))], bias=[np.ones(3)]), r"bias\[0\] must have shape"),
        (lambda: RecurrentLayered([np.ones((2, 3))], phi="cos"), "phi must be one of"),
        (lambda: RecurrentLayered([np.ones((2, 3))], phi=jnp.sin).contraction(), "slope must be given"),
        (lambda: RecurrentLayered([np.ones((2, 3))]).settle(np.ones(2), 1e-3), "signal must have shape"),
        (lambda: RecurrentLayered([np.ones((2, 3))]).settle(np.ones(3), 0.0), "tolerance must be"),
        (lambda: RecurrentLayered([np.ones((2, 3))]).flow(np.ones(3), tau=0.0), "tau must be"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
