"""Boltzmann machines: detailed balance, gradients of the divergence, extremes of temperature, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from neuromanifold.dynamics import run
from neuromanifold.learning import Batch
from neuromanifold.learning.contrastive import likelihood, phase_difference
from neuromanifold.networks.energy import BoltzmannMachine
from neuromanifold.theory.energy import boltzmann_law, shared_code_levels

N, VISIBLE = 5, 3
RANDOM = np.random.default_rng(0)
W = np.triu(RANDOM.normal(size=(N, N)), 1)
W = W + W.T
B = 0.5 * RANDOM.normal(size=N)
STATES = (np.arange(2**N)[:, None] >> np.arange(N) & 1).astype(np.float64)
SEEN = STATES[:8, :VISIBLE]
DATA = np.array([0.3, 0.05, 0.05, 0.1, 0.2, 0.1, 0.15, 0.05])


def machine(w=W, b=B, temperature=1.3):
    return BoltzmannMachine(w, b, n_visible=VISIBLE, temperature=temperature)


def divergence(w, b, temperature=1.3):
    """KL[data : visible law], with no code of the machine."""
    logs = (0.5 * ((STATES @ w) * STATES).sum(1) + STATES @ b) / temperature
    visible = logsumexp((logs - logsumexp(logs)).reshape(4, 8), axis=0)
    return float((DATA * (np.log(DATA) - visible)).sum())


class Law:
    def __call__(self, t):
        return Batch(jnp.asarray(SEEN), jnp.asarray(DATA))


def test_sums_are_the_law_of_the_theory():
    with jax.enable_x64(True):
        law = boltzmann_law(W, B, 1.3)
        made = machine()
        logs = np.asarray(made.log_joint(jnp.asarray(STATES))) - float(made.log_partition())
        np.testing.assert_allclose(np.exp(logs), law, atol=1e-14)
        visible = np.exp(np.asarray(made.log_likelihood(jnp.asarray(SEEN))))
        np.testing.assert_allclose(visible, law.reshape(4, 8).sum(0), atol=1e-14)


@pytest.mark.parametrize("temperature", [0.5, 1.3])
def test_detailed_balance(temperature):
    with jax.enable_x64(True):
        law = boltzmann_law(W, B, temperature)
        made = machine(temperature=temperature)
        for i in range(N):
            up = np.asarray(jax.vmap(lambda u, i=i: made.probability(i, u))(jnp.asarray(STATES)))
            on = np.flatnonzero(STATES[:, i] == 1)
            off = on - (1 << i)
            # Flow from off to on against flow from on to off.
            np.testing.assert_allclose(law[off] * up[off], law[on] * (1 - up[on]), atol=1e-15)


def test_gradient_is_the_derivative_of_the_divergence(key):
    with jax.enable_x64(True):
        made = machine()
        gradient, _, info = jax.jit(likelihood(Law()))(key, 0, made, None)
        assert float(info.loss) + (DATA * np.log(DATA)).sum() == pytest.approx(divergence(W, B), abs=1e-12)
        step, rows = 1e-5, np.transpose(np.triu_indices(N, 1))
        numeric = []
        for i, j in rows:
            moved = np.zeros((N, N))
            moved[i, j] = moved[j, i] = step
            numeric.append((divergence(W + moved, B) - divergence(W - moved, B)) / (2 * step))
        np.testing.assert_allclose(gradient.weights, numeric, atol=1e-6)
        bias = [(divergence(W, B + step * e) - divergence(W, B - step * e)) / (2 * step) for e in np.eye(N)]
        np.testing.assert_allclose(gradient.bias, bias, atol=1e-6)
        assert float(gradient.temperature) == 0
        # The rule itself: clamped minus free averages, over T.
        law = boltzmann_law(W, B, 1.3)
        given = law.reshape(4, 8) / law.reshape(4, 8).sum(0)
        clamped = (given * DATA).ravel()
        pairs = STATES[:, rows[:, 0]] * STATES[:, rows[:, 1]]
        np.testing.assert_allclose(gradient.weights, -((clamped - law) @ pairs) / 1.3, atol=1e-12)


def test_sampled_phases_agree_with_the_sum(key):
    made = machine()
    exact = np.asarray(jax.jit(likelihood(Law()))(key, 0, made, None)[0].weights)
    signal = phase_difference(Law(), STATES.astype(np.float32), 6)
    begin = signal.aux(key, made)
    found = np.asarray(
        jax.jit(jax.vmap(lambda key: signal(key, 0, made, begin)[0].weights))(jax.random.split(key, 100))
    )
    z = (found.mean(0) - exact) / (found.std(0) / 10)
    assert abs(z).max() < 5
    assert abs((found.mean(0) + exact) / (found.std(0) / 10)).max() > 5


def test_extremes_of_temperature(key):
    hot = np.asarray(machine(temperature=1e8).log_likelihood(jnp.asarray(SEEN, jnp.float32)))
    np.testing.assert_allclose(np.exp(hot), 1 / 8, rtol=1e-5)
    cold = machine(temperature=1e-6)
    assert np.isfinite(float(cold.log_partition()))
    # Threshold units: sweeps end where every unit follows its field, and the energy has not risen.
    begin = jnp.asarray(STATES[13], jnp.float32)
    end = run(cold.process(order="sequential"), key, begin, 20).state
    field = W @ np.asarray(end, np.float64) + B
    assert ((field > 0) == (np.asarray(end) > 0)).all()
    assert float(cold.energy(end)) <= float(cold.energy(begin))
    held = run(cold.process(clamped=True), key, begin, 20).state
    assert (held[:VISIBLE] == begin[:VISIBLE]).all()


def test_levels_of_shared_codes():
    levels = shared_code_levels(4)
    np.testing.assert_allclose(levels, [0, np.log(2) / 2, np.log(2), 0.75 * np.log(3), np.log(4)], atol=1e-9)
    # Codes of two bits for four patterns with two alike: what is decoded for them is either, half the time.
    decoded = np.array([0.5, 0.5, 1.0, 1.0])
    assert levels[1] == pytest.approx(-np.log(decoded).mean())


ONES = np.ones((3, 3)) - np.eye(3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: BoltzmannMachine(np.ones((2, 3)), n_visible=1), "couplings must be a square matrix"),
        (lambda: BoltzmannMachine(np.triu(ONES), n_visible=1), "couplings must be symmetric"),
        (lambda: BoltzmannMachine(np.eye(3), n_visible=1), "couplings must have a zero diagonal"),
        (lambda: BoltzmannMachine(np.nan * ONES, n_visible=1), "couplings must be finite"),
        (lambda: BoltzmannMachine(ONES, n_visible=4), r"n_visible must be an integer in \[1, 3\]"),
        (
            lambda: BoltzmannMachine(ONES, n_visible=1, temperature=0.0),
            "temperature must be a finite number > 0",
        ),
        (lambda: BoltzmannMachine(ONES, [1.0], n_visible=1), "bias must be a number or have shape"),
        (lambda: BoltzmannMachine(ONES, n_visible=1, connected=ONES), "connected must be a symmetric 3 x 3"),
        (
            lambda: BoltzmannMachine(ONES, n_visible=1, connected=np.eye(3, dtype=bool)),
            "couplings must be zero where",
        ),
        (
            lambda: BoltzmannMachine(np.zeros((21, 21)), n_visible=21).log_partition(),
            "n_units must be at most 20",
        ),
        (
            lambda: BoltzmannMachine(np.zeros((25, 25)), n_visible=2).log_weight(jnp.zeros(2)),
            "the number of hidden units must be at most 20",
        ),
        (
            lambda: run(machine().process(), jax.random.key(0), np.full(5, 0.5), 1),
            "x0 must hold only 0 and 1",
        ),
        (lambda: phase_difference(Law(), STATES, 0), "n_sweeps must be an integer >= 1"),
        (lambda: boltzmann_law(np.eye(2), [0, 0]), "couplings must be symmetric, zero on the diagonal"),
        (lambda: boltzmann_law(ONES, [0, 0]), "bias must have shape"),
        (lambda: boltzmann_law(ONES, [0, 0, 0], 0.0), "temperature must be a finite number > 0"),
        (lambda: boltzmann_law(np.zeros((21, 21)), np.zeros(21)), "couplings must be of at most 20 units"),
        (lambda: shared_code_levels(0), "n_patterns must be an integer in"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
