"""Hebbian neurons: rules, rests, receptive fields, Lyapunov functions, populations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing import (
    HebbNeuron,
    HebbPopulation,
    InhibitedNeuron,
    InhibitedWeights,
    Inputs,
    Response,
    circle,
    linear,
    mean_shift_step,
    sigmoid,
    step,
)

VARIANTS = ("plain", "gated", "normalised", "shift")
RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(40, 3))
CHANCES = RANDOM.random(40)
CHANCES /= CHANCES.sum()


def by_hand(variant, w, tau, gain, points, chances, f):
    """The averaged rules, written out in numpy."""
    total = np.zeros(len(w))
    for v, p in zip(points, chances, strict=True):
        u = gain * w @ v - w @ w / 2 - tau if variant == "shift" else w @ v - tau
        h = f(u)
        if variant == "plain":
            total += p * (gain * h * v - w)
        elif variant == "normalised":
            total += p * (h * v - w * (w @ (h * v)) / (w @ w))
        else:
            total += p * h * (gain * v - w)
    return total


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "response, f",
    [(None, lambda u: float(u > 0)), (sigmoid(0.3), lambda u: 1 / (1 + np.exp(-u / 0.3)))],
)
def test_velocity_is_the_mean_of_changes_and_as_written(double, variant, response, f):
    inputs, w = Inputs(POINTS, CHANCES), jnp.asarray([0.4, -0.7, 0.2])
    neuron = HebbNeuron(1.7, 0.15, variant, response)
    found = neuron.velocity(w, inputs)
    changes = np.stack([neuron.change(w, v) for v in inputs.points[:3]])
    each = np.stack(
        [by_hand(variant, np.asarray(w), 0.15, 1.7, [v], [1.0], f) for v in np.asarray(inputs.points[:3])]
    )
    assert np.allclose(changes, each, rtol=1e-12)
    assert np.allclose(found, by_hand(variant, np.asarray(w), 0.15, 1.7, POINTS, CHANCES, f), rtol=1e-12)


@pytest.mark.parametrize("variant", ["plain", "normalised", "shift"])
@pytest.mark.parametrize("response", [step(), sigmoid(0.3)])
def test_lyapunov_functions_have_the_rule_as_gradient(double, variant, response):
    """A3.1: dL/dt = |dw/dt|^2; on the sphere that is the tangential gradient."""
    inputs, w = Inputs(POINTS, CHANCES), jnp.asarray([0.4, -0.7, 0.2])
    neuron = HebbNeuron(1.7, 0.15, variant, response)
    gradient, velocity = jax.grad(neuron.lyapunov)(w, inputs), neuron.velocity(w, inputs)
    if variant == "normalised":
        gradient = gradient - w * (w @ gradient) / (w @ w)
    assert np.allclose(gradient, velocity, rtol=1e-10, atol=1e-13)
    assert float(jnp.abs(velocity).max()) > 0.05


@pytest.mark.parametrize("variant", ["plain", "shift"])
def test_steps_never_lower_the_lyapunov_function(double, variant):
    """A3.1, by steps: the convex part lies above its tangent, so no step of length up to one falls."""
    inputs = Inputs(POINTS, CHANCES)
    neuron = HebbNeuron(1.0, 0.1, variant)
    flow = neuron.flow(inputs)
    w = jnp.asarray([0.5, 0.3, -0.2])
    lyapunov = jax.jit(lambda w: neuron.lyapunov(w, inputs))
    velocity = jax.jit(lambda w: neuron.velocity(w, inputs))
    values = []
    for _ in range(60):
        values.append(float(lyapunov(w)))
        assert float(flow.descends(w)) == pytest.approx(-values[-1], rel=1e-12)
        w = w + 0.1 * velocity(w)
    assert np.diff(values).min() >= -1e-15
    assert values[-1] - values[0] > 0.01


def test_the_gated_rule_is_refused_a_lyapunov_function():
    """A3.3: it lowers the plain rule's function, and its flow declares none; the shift has its own."""
    inputs = Inputs([[1.0], [0.0]])
    gated, plain = HebbNeuron(1.0, 0.1, "gated"), HebbNeuron(1.0, 0.1)
    with pytest.raises(ValueError, match="or 'shift' to have a Lyapunov function, got 'gated'"):
        gated.lyapunov(jnp.asarray([0.5]), inputs)
    assert gated.flow(inputs).descends is None
    assert plain.flow(inputs).descends is not None
    learned = gated.learn(inputs, [0.5], duration=40.0, dt=0.1).weights
    assert float(learned[0]) == pytest.approx(1.0, abs=1e-6)
    before, after = (float(plain.lyapunov(w, inputs)) for w in (jnp.asarray([0.5]), learned))
    assert (before, after) == pytest.approx((0.075, -0.05), abs=1e-6)
    # What the rule climbs while it fires, <(c w.v - |w|^2/2 - kappa)^+>, has it as gradient.
    shift = HebbNeuron(1.0, 0.1, "shift")
    assert np.allclose(shift.velocity(learned / 2, inputs), gated.velocity(learned / 2, inputs))


def test_normalised_rule_keeps_the_length(double):
    inputs = Inputs(POINTS, CHANCES)
    neuron = HebbNeuron(threshold=0.1, variant="normalised")
    w = jnp.asarray([0.4, -0.7, 0.2])
    assert abs(float(w @ neuron.velocity(w, inputs))) < 1e-15
    assert float(neuron.flow(inputs).conserves(w)) == pytest.approx(float(w @ w))


def test_shift_is_mean_shift_with_a_flat_kernel(double):
    """For c = 1 and |v| = 1 the field is the ball |v - w|^2 < 1 - 2 kappa, and w + dw/dt / P its mean."""
    inputs = Inputs(POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True), CHANCES)
    w, kappa = jnp.asarray([0.1, -0.5, 0.6]), 0.2
    neuron = HebbNeuron(1.0, kappa, "shift")
    field = neuron.receptive_field(w, inputs)
    near = jnp.sum((inputs.points - w[None]) ** 2, 1) < 1 - 2 * kappa
    assert np.array_equal(field.mask, near)
    moved = w + neuron.velocity(w, inputs) / field.probability
    assert np.allclose(moved, mean_shift_step(w, inputs, np.sqrt(1 - 2 * kappa)), rtol=1e-12)
    assert np.allclose(mean_shift_step(w + 9, inputs, 0.1), w + 9)


def test_at_rest_the_centre_is_the_centre_of_gravity(double):
    """A1.5: 500 random points of the sphere in four dimensions, tau = .03."""
    points = np.random.default_rng(5).normal(size=(500, 4))
    inputs = Inputs(points / np.linalg.norm(points, axis=1, keepdims=True))
    for variant, tau in (("plain", 0.03), ("gated", 0.3), ("normalised", 0.03)):
        neuron = HebbNeuron(1.0, tau, variant)
        learned = neuron.learn(inputs, [0.3, 0.2, -0.1, 0.4], duration=200.0, dt=0.25)
        field = neuron.receptive_field(learned.weights, inputs)
        assert float(field.misalignment) < 1e-6
        assert learned.speed < 1e-8
        assert not learned.silent
        assert 0.05 < float(field.probability) < 0.6
        if variant == "plain":
            assert np.allclose(learned.weights, field.probability * field.gravity, atol=1e-8)
        if variant == "gated":
            assert np.allclose(learned.weights, field.gravity, atol=1e-8)


def test_receptive_fields_are_what_they_say():
    inputs = circle(8)
    neuron = HebbNeuron(1.0, 0.6)
    field = neuron.receptive_field(jnp.asarray([2.0, 0.0]), inputs)
    assert field.mask.tolist() == [True, True, False, False, False, False, False, True]
    assert float(field.probability) == pytest.approx(3 / 8)
    assert np.allclose(field.gravity, [(1 + np.sqrt(2)) / 3, 0], atol=1e-6)
    assert float(field.misalignment) < 1e-6
    assert neuron.angular_radius(jnp.asarray([2.0, 0.0]), inputs) == pytest.approx(np.arccos(0.3), abs=1e-6)
    empty = neuron.receptive_field(jnp.asarray([0.1, 0.0]), inputs)
    assert not empty.mask.any()
    assert np.isnan(empty.misalignment)
    # A field of exactly zero does not fire.
    assert not HebbNeuron(1.0, 0.0).receptive_field(jnp.asarray([0.0, 1.0]), Inputs([[1.0, 0.0]])).mask.any()


def test_silence_is_told():
    """A1: w = 0 with tau >= 0 is absorbing under the rules with decay."""
    inputs = circle(50)
    for variant in ("plain", "gated"):
        neuron = HebbNeuron(1.0, 0.1, variant)
        with pytest.warns(UserWarning, match="fires for no input at the start"):
            learned = neuron.learn(inputs, [0.0, 0.0], duration=5.0, dt=0.1)
        assert learned.silent
        assert np.all(np.asarray(learned.weights) == 0)
    woken = HebbNeuron(1.0, -0.1).learn(Inputs([[1.0, 0.0]]), [0.0, 0.0], duration=20.0, dt=0.1)
    assert not woken.silent
    assert np.allclose(woken.weights, [1, 0], atol=1e-6)


def test_populations_are_their_neurons(key):
    """A5.3: without couplings, and with couplings of zero, each neuron learns as if it were alone."""
    inputs = Inputs(POINTS.astype(np.float32), CHANCES)
    weights = jax.random.normal(key, (4, 3))
    taus = np.array([-0.1, 0.0, 0.2, 0.5])
    for variant in ("plain", "gated"):
        alone = np.stack(
            [HebbNeuron(1.5, t, variant).velocity(w, inputs) for t, w in zip(taus, weights, strict=True)]
        )
        free = HebbPopulation(taus, gain=1.5, variant=variant)
        zero = HebbPopulation(taus, gain=1.5, variant=variant, coupling=np.zeros((4, 4)))
        assert np.allclose(free.velocity(weights, inputs), alone, rtol=1e-5, atol=1e-6)
        assert np.array_equal(zero.velocity(weights, inputs), free.velocity(weights, inputs))
        one = free.change(weights, inputs.points[0])
        assert np.allclose(
            one,
            [
                HebbNeuron(1.5, t, variant).change(w, inputs.points[0])
                for t, w in zip(taus, weights, strict=True)
            ],
            rtol=1e-5,
            atol=1e-6,
        )
    inhibited = HebbPopulation(ratios=np.abs(taus), gain=1.5, kappa=2.0)
    state = inhibited.start(inputs, weights, taus)
    moved = inhibited.velocity(state, inputs)
    for k in range(4):
        neuron = InhibitedNeuron(abs(taus[k]), 1.5, 2.0)
        alone = neuron.velocity(InhibitedWeights(weights[k], jnp.float32(taus[k])), inputs)
        assert np.allclose(moved.excitatory[k], alone.excitatory, rtol=1e-5, atol=1e-6)
        assert float(moved.inhibition[k]) == pytest.approx(float(alone.inhibition), rel=1e-5)


def test_coupled_activities_settle(key):
    """h is the activity of a rest of u = K f(u) + s; inhibition among neurons leaves fewer of them active."""
    inputs = Inputs(POINTS.astype(np.float32), CHANCES)
    weights = jax.random.normal(key, (5, 3))
    inhibiting = -0.4 * (1 - np.eye(5))
    population = HebbPopulation(
        np.zeros(5), response=sigmoid(0.5), coupling=inhibiting, settle_steps=200, settle_rate=0.3
    )
    h = np.asarray(population.activities(weights, inputs.points), np.float64)
    drive = np.asarray(inputs.points @ weights.T, np.float64)
    assert np.abs(h - 1 / (1 + np.exp(-(h @ inhibiting.T + drive) / 0.5))).max() < 1e-5
    free = HebbPopulation(np.zeros(5), response=sigmoid(0.5)).activities(weights, inputs.points)
    assert h.sum() < float(free.sum())
    # A resting level is a threshold with the other sign.
    resting, lowered = HebbPopulation([0.1, 0.4], resting=0.3), HebbPopulation([-0.2, 0.1])
    some = resting.activities(weights[:2], inputs.points)
    assert np.array_equal(some, lowered.activities(weights[:2], inputs.points))
    # Excitation from neuron 0 to neuron 1 alone: column index is where a signal comes from.
    one_way = np.zeros((2, 2))
    one_way[1, 0] = 5.0
    pair = HebbPopulation([0.0, 1.0], coupling=one_way)
    assert pair.fires(np.array([[1.0], [0.0]]), jnp.asarray([[1.0], [-1.0]])).tolist() == [
        [True, True],
        [False, False],
    ]


def test_the_linear_limit_is_ojas_flow(double):
    """A5.4: the normalised rule with f(u) = u is dw/dt = (I - w w^T) C w; it ends at the top eigenvector."""
    inputs = Inputs(POINTS, CHANCES)
    covariance = POINTS.T @ (CHANCES[:, None] * POINTS)
    neuron = HebbNeuron(variant="normalised", response=linear())
    w = jnp.asarray([0.6, 0.0, 0.8])
    expected = (np.eye(3) - np.outer(w, w)) @ covariance @ w
    assert np.allclose(neuron.velocity(w, inputs), expected, rtol=1e-12)
    learned = neuron.learn(inputs, w, duration=200.0, dt=0.2)
    values, vectors = np.linalg.eigh(covariance)
    # From anywhere, what is along another eigenvector fades at the difference of the eigenvalues.
    growth = vectors.T @ np.asarray(neuron.velocity(w, inputs)) / (vectors.T @ np.asarray(w))
    assert np.allclose(growth - growth[-1], values - values[-1], rtol=1e-9, atol=1e-12)
    # Euler's steps gain some length.
    unit = learned.weights / jnp.linalg.norm(learned.weights)
    assert abs(float(unit @ vectors[:, -1])) == pytest.approx(1, abs=1e-9)
    assert float(neuron.lyapunov(unit, inputs)) == pytest.approx(values[-1] / 2, rel=1e-6)


BAD = [
    (lambda: HebbNeuron(gain=0.0), "gain must be a finite number > 0, got 0.0"),
    (lambda: HebbNeuron(gain=-1.0), "gain must be a finite number > 0"),
    (lambda: HebbNeuron(threshold=np.nan), "threshold must be a finite number"),
    (lambda: HebbNeuron(variant="oja"), "variant must be one of"),
    (lambda: HebbNeuron(response=linear()), "response must be bounded for the variant 'plain'"),
    (lambda: Inputs(np.eye(2), [1.5, -0.5]), "probabilities must be >= 0, got -0.5"),
    (lambda: Inputs(np.eye(2), [0.5, 0.6]), "probabilities must have sum 1, got 1.1"),
    (lambda: Inputs(np.eye(2), [1.0]), r"probabilities must have shape \(2,\)"),
    (lambda: Inputs(np.ones(3)), "points must have shape"),
    (lambda: Inputs([[np.inf]]), "points must be finite"),
    (lambda: circle(2), "n_points must be an integer >= 3"),
    (lambda: sigmoid(0.0), "width must be a finite number > 0"),
    (lambda: Response(jnp.cos), "value must be >= 0 everywhere"),
    (lambda: Response(lambda u: jnp.exp(-(u**2))), "value must never fall"),
    (lambda: mean_shift_step(jnp.zeros(2), circle(8), 0.0), "radius must be a finite number > 0"),
    (
        lambda: HebbNeuron(variant="normalised").learn(circle(8), [0.0, 0.0], duration=1.0, dt=0.1),
        "weights must not be zero for the variant 'normalised'",
    ),
    (lambda: HebbNeuron().learn(circle(8), [0.1], duration=1.0, dt=0.1), r"weights must have shape \(2,\)"),
    (lambda: HebbNeuron().learn(circle(8), [0.1, np.nan], duration=1.0, dt=0.1), "weights must be finite"),
    (lambda: HebbNeuron().learn(circle(8), [0.1, 0.0], duration=0.0, dt=0.1), "duration must be"),
    (lambda: HebbNeuron().learn(circle(8), [0.1, 0.0], duration=1.0, dt=1.5), "dt must be"),
    (
        lambda: HebbNeuron(1.0, 0.1).angular_radius(jnp.ones(2), Inputs([[1.0, 0.0], [0.0, 2.0]])),
        "points must have one length.*got 'lengths from 1 to 2'",
    ),
    (
        lambda: HebbNeuron(1.0, 0.5).angular_radius(jnp.asarray([0.3, 0.0]), circle(8)),
        r"threshold must lie within \+-\|w\| r = \+-0.3, got 0.5",
    ),
    (
        lambda: HebbNeuron(response=Response(jax.nn.sigmoid)).lyapunov(jnp.ones(2), circle(8)),
        "response must have an integral",
    ),
    (lambda: HebbPopulation(), "thresholds must be given, or ratios, and not both"),
    (lambda: HebbPopulation([0.1], ratios=[0.1]), "thresholds must be given, or ratios, and not both"),
    (lambda: HebbPopulation([[0.1]]), "thresholds must have shape"),
    (lambda: HebbPopulation(ratios=[-0.1]), "ratios must be >= 0, got -0.1"),
    (lambda: HebbPopulation([0.1], gain=0.0), "gain must be a finite number > 0"),
    (lambda: HebbPopulation(ratios=[0.1], kappa=0.0), "kappa must be a finite number > 0"),
    (lambda: HebbPopulation([0.1], coupling=np.zeros((2, 2))), r"coupling must have shape \(1, 1\)"),
    (lambda: HebbPopulation([0.1], settle_steps=0), "settle_steps must be an integer >= 1"),
    (lambda: HebbPopulation([0.1], settle_rate=1.5), "settle_rate must be a finite number in"),
    (lambda: HebbPopulation([0.1]).start(circle(8), np.ones((2, 2))), r"weights must have shape \(1, 2\)"),
    (lambda: HebbPopulation([0.1]).start(circle(8), np.ones((1, 2)), [0.0]), "inhibition must be None"),
    (
        lambda: HebbPopulation([0.1], variant="normalised").start(circle(8), np.zeros((1, 2))),
        "weights must not be zero",
    ),
]


@pytest.mark.parametrize("make, message", BAD)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_flows_are_flows():
    assert isinstance(HebbPopulation([0.1]).flow(circle(8)), Flow)
