"""Learned inhibition and neural fields."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks.selforganizing import (
    InhibitedNeuron,
    InhibitedWeights,
    Inputs,
    NeuralField,
    circle,
    linear,
    sigmoid,
)

POINTS = np.random.default_rng(1).normal(size=(30, 3))


def hat(x):
    return 3 * jnp.exp(-(x**2) / 2) - 1.5 * jnp.exp(-(x**2) / 8)


def weights_of(w, b):
    return InhibitedWeights(jnp.asarray(w), jnp.asarray(b))


def test_velocity_is_as_written():
    with jax.enable_x64(True):
        chances = np.random.default_rng(2).random(30)
        chances /= chances.sum()
        inputs, state = Inputs(POINTS, chances), weights_of([0.4, -0.7, 0.2], 0.15)
        moved = InhibitedNeuron(0.6, 1.7, 2.5).velocity(state, inputs)
        h = (POINTS @ np.array([0.4, -0.7, 0.2]) > 0.15) * chances
        assert np.allclose(moved.excitatory, 1.7 * h @ POINTS - np.array([0.4, -0.7, 0.2]), rtol=1e-12)
        assert float(moved.inhibition) == pytest.approx((1.7 * 0.6 * h.sum() - 0.15) / 2.5, rel=1e-12)
        changes = [InhibitedNeuron(0.6, 1.7, 2.5).change(state, v) for v in inputs.points]
        assert np.allclose(chances @ np.array([c.inhibition for c in changes]), moved.inhibition, rtol=1e-10)


def test_the_field_does_not_depend_on_the_probabilities():
    """v is in R iff v.E[v|R] > lambda; signals of unequal probability are told apart all the same."""
    signals = np.array([[1.0, 0.0], [0.6, 0.8]])
    for chances in ([0.5, 0.5], [0.9, 0.1]):
        inputs = Inputs(signals, chances)
        for first in (0, 1):
            w = 0.5 * signals[first]
            neuron = InhibitedNeuron(0.7)
            learned = neuron.learn(inputs, weights_of(w, 0.35), duration=30.0, dt=0.1)
            assert neuron.receptive_field(learned.weights, inputs).mask.tolist() == [first == 0, first == 1]
            assert np.allclose(learned.weights.excitatory, chances[first] * signals[first], atol=1e-5)
            assert float(learned.weights.inhibition) == pytest.approx(0.7 * chances[first], abs=1e-5)
            assert not learned.silent
    ring = circle(1000)
    neuron = InhibitedNeuron(0.5)
    learned = neuron.learn(ring, weights_of([0.5, 0.0], 0.0), duration=30.0, dt=0.1)
    assert neuron.angular_radius(learned.weights, ring) == pytest.approx(0.94775, abs=2e-3)


def test_there_is_no_lyapunov_function():
    neuron, inputs = InhibitedNeuron(0.5), circle(8)
    with pytest.raises(ValueError, match="must not be given a Lyapunov function"):
        neuron.lyapunov(weights_of([0.5, 0.0], 0.0), inputs)
    assert neuron.flow(inputs).descends is None
    # And none can be had: the flow is no gradient, its Jacobian not symmetric even with another metric of b.
    smooth = InhibitedNeuron(0.5, response=sigmoid(0.2))

    def flat(x):
        moved = smooth.velocity(InhibitedWeights(x[:2], x[2]), inputs)
        return jnp.append(moved.excitatory, moved.inhibition)

    jacobian = np.asarray(jax.jacfwd(flat)(jnp.array([0.5, 0.1, 0.1])))
    assert jacobian[0, 2] * jacobian[2, 0] < 0


def test_a_ratio_too_large_is_silence():
    """A2: lambda >= max |v|^2."""
    inputs = Inputs(2.0 * np.eye(2))
    for ratio, fires in ((3.9, True), (4.0, False), (9.0, False)):
        neuron = InhibitedNeuron(ratio)
        assert neuron.can_fire(inputs) is fires
    learned = neuron.learn(inputs, weights_of([1.0, 0.0], 0.0), duration=5.0, dt=0.1)
    assert learned.silent
    assert float(jnp.abs(learned.weights.excitatory).max()) == 0.0
    with pytest.warns(UserWarning, match="fires for no input"):
        assert InhibitedNeuron(0.5).learn(inputs, weights_of([0.0, 0.0], 0.0), duration=2.0, dt=0.1).silent


def test_lateral_sums_are_those_of_the_kernel():
    field = NeuralField(hat, -0.5, 16.0, 64)
    active = np.random.default_rng(0).random(64).astype(np.float32)
    x = field.spacing * np.arange(64)
    apart = np.abs(x[:, None] - x)
    matrix = np.asarray(hat(jnp.asarray(np.minimum(apart, 16.0 - apart)))) * field.spacing
    assert np.allclose(field.lateral(jnp.asarray(active)), matrix @ active, atol=1e-4)
    moved = field.flow(0.2).velocity(0.0, jnp.zeros(64))
    assert np.allclose(moved, -0.3, atol=1e-6)
    pair = jnp.stack([jnp.asarray(active) - 0.5, 0.5 - jnp.asarray(active)])
    both = field.flow().velocity(0.0, pair)
    assert np.allclose(both[1], field.flow().velocity(0.0, pair[1]), atol=1e-5)


def test_starts_have_the_width_they_are_given():
    field = NeuralField(hat, -0.5, 16.0, 1600)
    for width in (0.1, 1.0, 7.0):
        assert field.width(field.excited(width)) == pytest.approx(width, abs=1e-6)
    shown = field.excited(1.0)
    assert np.array_equal(shown, shown[::-1])


RING = circle(8)
BAD = [
    (lambda: InhibitedNeuron(-0.1), "ratio must be a finite number >= 0, got -0.1"),
    (lambda: InhibitedNeuron(0.5, gain=0.0), "gain must be a finite number > 0"),
    (lambda: InhibitedNeuron(0.5, kappa=0.0), "kappa must be a finite number > 0"),
    (lambda: InhibitedNeuron(0.5, response=linear()), "response must be bounded"),
    (lambda: InhibitedNeuron(0.5).start(RING, weights_of([1.0], 0.0)), r"excitatory must have shape \(2,\)"),
    (
        lambda: InhibitedNeuron(0.5).start(RING, weights_of([1.0, 0.0], [0.0])),
        r"inhibition must have shape \(\)",
    ),
    (
        lambda: InhibitedNeuron(0.5, kappa=0.05).learn(
            RING, weights_of([1.0, 0.0], 0.0), duration=1.0, dt=0.1
        ),
        r"dt must be a finite number in \(0, 0.05\]",
    ),
    (
        lambda: InhibitedNeuron(0.5).angular_radius(weights_of([0.2, 0.0], 0.3), RING),
        r"threshold must lie within \+-\|w\| r",
    ),
    (lambda: NeuralField(lambda x: jnp.exp(-jnp.abs(x - 1)), -0.5, 20.0, 400), "kernel must be even"),
    (lambda: NeuralField(lambda x: jnp.ones_like(x), -0.5, 20.0, 400), "kernel must be summable"),
    (lambda: NeuralField(lambda x: 1 / (1 + jnp.abs(x)), -0.5, 20.0, 400), "kernel must be summable"),
    (lambda: NeuralField(hat, -0.5, 20.0, 40), r"length / n_units must be at most a third of the excitatory"),
    (lambda: NeuralField(hat, -0.5, 0.0, 40), "length must be a finite number > 0"),
    (lambda: NeuralField(hat, np.nan, 20.0, 400), "resting must be a finite number"),
    (lambda: NeuralField(hat, -0.5, 20.0, 4), "n_units must be an integer >= 8"),
    (lambda: NeuralField(hat, -0.5, 20.0, 400).excited(20.0), "width must be a finite number in"),
    (lambda: NeuralField(hat, -0.5, 20.0, 400).excited(1.0, 0.0), "level must be a finite number > 0"),
    (lambda: NeuralField(hat, -0.5, 20.0, 400).flow(np.ones(3)), r"stimulus must have shape \(400,\)"),
]


@pytest.mark.parametrize("make, message", BAD)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
