"""Hebbian rules as signals: online learning follows the averaged rule; principal components."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neuromanifold.dynamics import run
from neuromanifold.learning import Signal, learner
from neuromanifold.learning.hebbian import oja_change, sampled, sanger_change, sanger_velocity

SCALES = np.array([2.0, 1.4, 1.0, 0.5])
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]


def draw(key):
    return jnp.asarray(TURN * SCALES, jnp.float32) @ jax.random.normal(key, (4,))


def test_one_row_of_sanger_is_oja():
    random = np.random.default_rng(0)
    w, v = random.normal(size=(3, 4)).astype(np.float32), random.normal(size=4).astype(np.float32)
    changed = sanger_change(jnp.asarray(w), jnp.asarray(v))
    assert np.allclose(changed[0], oja_change(jnp.asarray(w[0]), jnp.asarray(v)), rtol=1e-5)
    # The second neuron sees what the first leaves: v minus y_1 w_1.
    y = w @ v
    left = v - y[0] * w[0]
    assert np.allclose(changed[1], y[1] * (left - y[1] * w[1]), rtol=1e-4, atol=1e-5)


def test_averages_of_changes_are_the_velocity():
    random = np.random.default_rng(1)
    w, points = random.normal(size=(2, 3)), random.normal(size=(50, 3))
    with jax.enable_x64(True):
        mean = np.mean([sanger_change(jnp.asarray(w), jnp.asarray(v)) for v in points], axis=0)
        flow = sanger_velocity(jnp.asarray(w), jnp.asarray(points.T @ points / 50))
    assert np.allclose(mean, flow, rtol=1e-10)


def test_eigenvectors_are_rests_and_only_the_order_is_stable():
    covariance = jnp.asarray(TURN * SCALES**2 @ TURN.T, jnp.float32)
    ordered, swapped = TURN.T[:2], TURN.T[:2][::-1]
    for rows in (ordered, swapped):
        assert np.abs(sanger_velocity(jnp.asarray(rows, jnp.float32), covariance)).max() < 1e-5
    # The first neuron, moved a little towards the larger eigenvector, goes on in that direction.
    nudged = swapped[0] + 1e-2 * TURN.T[0]
    velocity = sanger_velocity(jnp.asarray(nudged[None], jnp.float32), covariance)[0]
    assert float(velocity @ TURN.T[0]) == pytest.approx(1e-2 * (SCALES[0] ** 2 - SCALES[1] ** 2), rel=0.02)


def test_online_rules_find_the_components(key):
    rule = sampled(sanger_change, draw, batch=10)
    assert isinstance(rule, Signal)
    start = jax.random.normal(jax.random.key(1), (2, 4)) / 2
    found = run(learner(rule, optax.sgd(0.01)), key, start, 3000)
    overlaps = np.abs(np.asarray(found.state.params) @ TURN)
    # Fluctuations of the angles are of the order sqrt(rate/batch) = .03.
    assert np.diag(overlaps).min() > 0.97
    one, _, info = sampled(sanger_change, draw)(key, 0, start, None)
    assert np.allclose(one, -sanger_change(start, draw(key)), rtol=1e-5)
    assert float(info.moved) == pytest.approx(float(jnp.linalg.norm(one)), rel=1e-5)


def test_batches_average(key):
    start = jnp.ones((1, 4))
    several, _, _ = sampled(sanger_change, draw, batch=3)(key, 0, start, None)
    each = [-sanger_change(start, draw(k)) for k in jax.random.split(key, 3)]
    assert np.allclose(several, np.mean(each, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [0, -1])
def test_bad_batches_are_refused(batch):
    with pytest.raises(ValueError, match="batch must be an integer >= 1"):
        sampled(oja_change, draw, batch=batch)
