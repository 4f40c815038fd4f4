"""The experiments on geometry: they hold, fail on mutated theory, refuse nonsense, and draw."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.experiments.geometry import (
    CarriedCurvature,
    DynamicalIsometry,
    FisherEigenvalues,
    JacobianDomino,
    RandomNeuralField,
    TrainableDepth,
)
from neuromanifold.experiments.geometry._carried import carried_curve, orthogonal_rows
from neuromanifold.experiments.geometry._curvature import _observe_curve
from neuromanifold.geometry.pullback import curve_geometry, curve_length
from neuromanifold.networks.random import random_deep_network

SMALL = {
    "carried-curvature": CarriedCurvature(),
    "jacobian-domino": JacobianDomino(),
    "random-neural-field": RandomNeuralField(),
    "fisher-eigenvalues": FisherEigenvalues(),
    "dynamical-isometry": DynamicalIsometry(),
    "trainable-depth": TrainableDepth(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold_and_figures_are_drawn(records, labelled, name):
    claims = SMALL[name].claims(records[name])
    assert len(claims) >= 5
    assert [claim.statement for claim in claims if not claim.holds] == []
    labelled(SMALL[name].draw(records[name]))


def failed(failing, records, name, **changes):
    return failing(SMALL[name], records[name], **changes)


def test_curvature_claims_fail_on_mutated_laws(records, failing):
    record = records["carried-curvature"]
    # chi_2 (delta + 1) in place of chi_2 (2 delta + 1).
    chi = record.metric_predicted.values[:, 1] / record.metric_predicted.values[:, 0]
    created = (record.parallel_predicted.values[:, 1] - chi) / 3
    wrong = record.parallel_predicted.values.copy()
    wrong[:, 1] -= created
    text = failed(failing, records, "carried-curvature", parallel_predicted=wrong)
    assert sum("|H_aa|^2/n along one direction after 1" in t for t in text) == 2
    # Curvature created inside: K as the outer curvature.
    wrong = record.kappa_predicted.values
    text = failed(failing, records, "carried-curvature", sectional_predicted=wrong)
    assert sum("sectional" in t for t in text) == 2
    # No radial term.
    wrong = record.metric_predicted.values * 1.64
    text = failed(failing, records, "carried-curvature", oblique_predicted=wrong)
    assert sum("oblique" in t for t in text) == 2
    # Third power of sigma_w in chi_1; a smaller metric would leave the claim undecided.
    wrong = record.metric_predicted.values * record.sigma_w.values[:, None] ** record.depth.values
    text = failed(failing, records, "carried-curvature", metric_predicted=wrong)
    assert sum("metric g" in t for t in text) >= 3


def test_circle_claims_fail_on_mutated_laws(records, failing):
    record = records["carried-curvature"]
    # The fourth root of the product of chi_1 in place of the root.
    wrong = np.sqrt(record.length_predicted.values)
    text = failed(failing, records, "carried-curvature", length_predicted=wrong)
    assert sum("length of a circle" in t for t in text) >= 6
    doubled = 2 * record.growth_predicted.values
    text = failed(failing, records, "carried-curvature", growth_predicted=doubled)
    assert sum("sqrt(chi_1)" in t for t in text) == 2
    # Tangents of a great circle.
    wrong = np.broadcast_to(np.cos(record.angle.values), record.agreement_predicted.shape)
    text = failed(failing, records, "carried-curvature", agreement_predicted=wrong)
    assert sum("cosine of tangents" in t for t in text) >= 2
    wrong = 2 * record.bent_predicted.values
    text = failed(failing, records, "carried-curvature", bent_predicted=wrong)
    assert sum("along a circle" in t for t in text) == 8
    # The curvature by itself, without the speed.
    wrong = record.turning_predicted.values / record.length_predicted.values
    text = failed(failing, records, "carried-curvature", turning_predicted=wrong)
    assert sum("unit tangents" in t for t in text) >= 6


def test_a_carried_circle_is_the_curve_of_the_composed_layers():
    """Layer by layer, and by `geometry.pullback` on t -> f(x(t)) with the same weights."""
    n, times = 12, jnp.linspace(0.0, 2 * np.pi, 9)
    plane = jnp.asarray(orthogonal_rows(jax.random.key(3), 2, n), jnp.float32)

    def circle(t):
        return jnp.cos(t) * plane[0] + jnp.sin(t) * plane[1]

    network = random_deep_network(jnp.tanh, n, sigma_w=2.0, sigma_b=0.3)
    keys = list(jax.random.split(jax.random.key(4), 2))

    def through(t):
        state = network.init(keys[0], circle(t))
        for index, key in enumerate(keys):
            state, _ = network.step(key, jnp.int32(index), state)
        return state.signal[0]

    along = carried_curve(network)
    step = jax.jit(lambda key, t, state: along.step(key, t, state)[0])
    started = jax.jit(lambda t: curve_geometry(circle, t))(times)
    state = along.init(keys[0], (started.point, started.velocity, started.acceleration))
    for index, key in enumerate(keys):
        state = step(key, jnp.int32(index), state)
    made, length = jax.jit(lambda t: (curve_geometry(through, t), curve_length(through, t)))(times)
    np.testing.assert_allclose(state.point, made.point, atol=1e-5)
    np.testing.assert_allclose(state.tangents[:, 0], made.velocity, atol=1e-4)
    np.testing.assert_allclose(state.second[:, 0, 0], made.acceleration, atol=1e-3)
    # A closed curve at equal steps: the mean of the speed is the length by the trapezoid rule.
    open_curve = state._replace(tangents=state.tangents[:-1], second=state.second[:-1])
    seen = float(jax.jit(_observe_curve)(open_curve)["length"])
    assert seen * 2 * np.pi * np.sqrt(n) == pytest.approx(float(length), rel=1e-5)


def test_domino_claims_fail_for_a_chi_that_is_the_same_in_every_layer(records, failing):
    record = records["jacobian-domino"]
    wrong = np.full(record.sizes["through"], record.ratio_predicted.values[-1])
    text = failed(failing, records, "jacobian-domino", ratio_predicted=wrong)
    assert any("through layer 1" in t for t in text)
    wrong = record.reached_predicted.values[::-1].copy()
    text = failed(failing, records, "jacobian-domino", reached_predicted=wrong)
    assert any("at the input" in t for t in text)


def test_domino_claims_fail_for_the_upper_index(records, failing):
    """Twice the deviation on the diagonal, and a spread that does not grow with depth."""
    record = records["jacobian-domino"]
    doubled = record.deviation_predicted.values * 2
    text = failed(failing, records, "jacobian-domino", deviation_predicted=doubled)
    assert sum("variance of the diagonal" in t for t in text) == 2
    flat = np.full(record.sizes["depth"], record.off_predicted.values[-1])
    text = failed(failing, records, "jacobian-domino", off_predicted=flat)
    assert any("off the diagonal" in t for t in text)


def test_field_claims_fail_if_the_activity_averaged_itself_out(records, failing):
    record = records["random-neural-field"]
    wrong = record.deviation_predicted.values * np.sqrt(32 / record.position.values)[None, :]
    text = failed(failing, records, "random-neural-field", deviation_predicted=wrong)
    assert sum("standard deviation" in t for t in text) == record.sizes["range"]
    wrong = record.potential_predicted.values / 1.5
    text = failed(failing, records, "random-neural-field", potential_predicted=wrong)
    assert len(text) >= 2


def test_fisher_claims_fail_without_overlaps(records, failing):
    """kappa_1 in place of kappa_2 in the largest eigenvalue, and a mean that does not fall."""
    record = records["fisher-eigenvalues"]
    wrong = record.largest_predicted.values * (0.9555 / 0.1396)
    text = failed(failing, records, "fisher-eigenvalues", largest_predicted=wrong)
    assert any("largest eigenvalue at" in t for t in text)
    flat = np.full(record.sizes["width"], record["mean"].values[0])
    assert any("power -1" in t for t in failed(failing, records, "fisher-eigenvalues", mean=flat))


def test_isometry_claims_fail_with_the_other_weights(records, failing):
    """Orthogonal weights with the variance of Gaussian ones."""
    record = records["dynamical-isometry"]
    wrong = record.variance_predicted.values + 4.0
    text = failed(failing, records, "dynamical-isometry", variance_predicted=wrong)
    assert sum("relative variance" in t for t in text) == record.sizes["case"]
    # Units that are off a third of the time.
    text = failed(failing, records, "dynamical-isometry", small_predicted=1 / 3)
    assert any("below" in t for t in text)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CarriedCurvature(n_directions=12, n_units=100), "n_directions must"),
        (lambda: CarriedCurvature(n_points=9), "n_points must"),
        (lambda: CarriedCurvature(circles=(2.5, 0.9)).predict(), "circles must"),
        (lambda: JacobianDomino(way=1), "way must"),
        (lambda: JacobianDomino(activation="relu"), "activation must"),
        (lambda: RandomNeuralField(ranges=(0.5,)), "ranges"),
        (lambda: FisherEigenvalues(depth=1), "depth must"),
        (lambda: DynamicalIsometry(depth=1), "depth must"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_trainable_depth_fails_on_mutated_depth_scales(records, failing):
    record = records["trainable-depth"]
    longer = failed(failing, records, "trainable-depth", depth_scale=10 * record.depth_scale.values)
    assert sum("30 layers, well within" in text for text in longer) == 2
    shorter = failed(failing, records, "trainable-depth", depth_scale=0.1 * record.depth_scale.values)
    assert sum("4 layers, beyond" in text for text in shorter) == 2


def test_trainable_depth_refuses_falling_depths():
    with pytest.raises(ValueError, match="depths must rise"):
        TrainableDepth(depths=(30, 4))
