"""Retinotopy: couplings and responses by hand, known receptive fields, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import solve
from neuromanifold.networks.selforganizing import TopographicRing, random_ring, receptive_fields


def test_couplings_are_a_difference_of_gaussians_around_the_ring():
    ring = random_ring(jax.random.key(0), 40, 20, excitation=0.8, inhibition=2.0)
    w = ring.couplings
    np.testing.assert_allclose(w.sum(1), 0.8 - 2.0, rtol=1e-5)
    np.testing.assert_allclose(w, w.T, atol=1e-7)
    np.testing.assert_allclose(w[0], np.roll(w[7], -7), atol=1e-7)
    # The same distance both ways around.
    np.testing.assert_allclose(w[0, 1:], w[0, 1:][::-1], atol=1e-7)
    bells = [np.exp(-(np.arange(-20, 20) ** 2) / (2 * (40 * width) ** 2)) for width in (0.05, 0.3)]
    np.testing.assert_allclose(
        w[0, 3], 0.8 * bells[0][23] / bells[0].sum() - 2.0 * bells[1][23] / bells[1].sum(), rtol=1e-5
    )


def test_strengths_share_one_program_and_are_mapped_over():
    afferents = random_ring(jax.random.key(2), 30, 20).afferents
    stimulus = jnp.exp(-((jnp.arange(20) - 9.0) ** 2) / 4)
    traces = []

    @eqx.filter_jit
    def respond(ring):
        traces.append(0)
        return ring.respond(stimulus)

    strengths = np.array([0.5, 0.9], np.float32)
    alone = [respond(TopographicRing(afferents, excitation=float(p), inhibition=2.0)) for p in strengths]
    assert len(traces) == 1
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    together = jax.vmap(lambda p: TopographicRing(afferents, excitation=p, inhibition=2.0).respond(stimulus))
    np.testing.assert_allclose(together(strengths), alone, atol=1e-5)


def test_response_is_the_flow_at_its_end():
    ring = random_ring(jax.random.key(1), 30, 20, n_steps=4000, order=30.0, order_width=0.05)
    stimulus = jnp.exp(-((jnp.arange(20) - 9.0) ** 2) / 4)
    end = np.asarray(solve(ring.flow(stimulus), jnp.zeros(30), [0.0, 12.0], rtol=1e-5, atol=1e-6).states[-1])
    expected = np.maximum(end, 0) / end.max()
    assert 0 < (expected > 0).mean() < 0.8
    np.testing.assert_allclose(ring.respond(stimulus), expected, atol=0.01)


def test_centres_of_known_receptive_fields():
    y = np.arange(50) / 50
    wanted = np.array([0.02, 0.3, 0.55, 0.97])
    apart = wanted[:, None] - y
    apart -= np.rint(apart)
    found = receptive_fields(np.exp(-(apart**2) / (2 * 0.05**2)))
    np.testing.assert_allclose(found.centres, wanted, atol=1e-6)
    np.testing.assert_allclose(found.sharpness, np.exp(-2 * (np.pi * 0.05) ** 2), rtol=1e-5)
    np.testing.assert_allclose(found.steps, [0.28, 0.25, 0.42, 0.05], atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: random_ring(jax.random.key(0), 30, 20, excitation=1.2, inhibition=0.1),
            "excitation must not exceed",
        ),
        (
            lambda: random_ring(
                jax.random.key(0),
                60,
                20,
                excitation=4.0,
                excitation_width=0.03,
                inhibition=4.0,
                inhibition_width=0.1,
            ),
            "excitation must not exceed decay and inhibition",
        ),
        (lambda: random_ring(jax.random.key(0), 2, 20), "n_cells must be an integer >= 3"),
        (lambda: random_ring(jax.random.key(0), 30, 20, order=-1.0), "order must be a finite number >= 0"),
        (lambda: random_ring(jax.random.key(0), 30, 20, excitation_width=0.7), "excitation_width must be"),
        (lambda: TopographicRing(-np.ones((5, 5))), "afferents must be >= 0"),
        (lambda: TopographicRing(np.ones(5)), "afferents must have shape"),
        (lambda: receptive_fields(np.zeros((3, 4))), "afferents must be >= 0 with a positive sum"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
