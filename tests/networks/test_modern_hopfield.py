"""Continuous modern Hopfield memory: attention, energy, kinds of fixed point, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from neuromanifold.dynamics import run
from neuromanifold.networks.memory import ModernHopfield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_update_and_energy_by_definition(key):
    patterns, cues = normal(0, 7, 5), normal(1, 4, 5)
    memory = ModernHopfield(patterns, 1.3)
    weights = softmax(1.3 * cues @ patterns.T, axis=1)
    np.testing.assert_allclose(memory.weights(jnp.asarray(cues)), weights, rtol=1e-5)
    after, info = memory.step(key, 0, jnp.asarray(cues))
    np.testing.assert_allclose(after, weights @ patterns, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(info.moved, np.linalg.norm(after - cues, axis=1), rtol=1e-5)
    energy = -logsumexp(1.3 * cues @ patterns.T, axis=1) / 1.3 + np.sum(cues**2, 1) / 2 + np.log(7) / 1.3
    energy += np.max(np.sum(patterns**2, 1)) / 2
    np.testing.assert_allclose(memory.energy(jnp.asarray(cues)), energy, rtol=1e-5, atol=1e-5)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.05, 20.0))
def test_no_update_raises_the_energy_and_it_lies_in_its_bounds(seed, beta):
    patterns = normal(seed, 9, 6)
    memory = ModernHopfield(patterns, beta)
    energies = run(
        memory.process(), jax.random.key(0), 3 * normal(seed + 1, 5, 6), 25, observe=memory.energy
    ).values
    assert np.diff(energies, axis=0).max() < 2e-5 * (1 + np.abs(energies).max())
    largest = np.max(np.sum(patterns**2, 1))
    assert energies[1:].min() > -1e-4 * largest
    assert energies[1:].max() < 2 * largest


def test_three_kinds_of_fixed_point(key):
    # Two close pairs and two lone patterns, far from each other.
    patterns = np.eye(6, dtype=np.float32)
    patterns[1] = 0.95 * patterns[0] + np.sqrt(1 - 0.95**2) * patterns[1]
    ends = {}
    for beta in (0.5, 15.0, 200.0):
        memory = ModernHopfield(patterns, beta)
        ends[beta] = memory.kind(run(memory.process(), key, patterns, 100).state)
    assert set(ends[0.5]) == {"global"}
    assert list(ends[15.0]) == ["metastable"] * 2 + ["pattern"] * 4
    assert set(ends[200.0]) == {"pattern"}
    memory = ModernHopfield(patterns, 0.5)
    centre = run(memory.process(), key, patterns, 200).state
    np.testing.assert_allclose(memory.weights(centre).sum(1), 1, rtol=1e-6)
    assert np.all(memory.participants(centre) == 6)
    assert np.all(memory.participants(centre, 0.5) < 6)


def test_batches_move_as_alone_and_each_cue_may_have_its_beta(key):
    patterns, cues = normal(2, 8, 4), normal(3, 2, 3, 4)
    memory = ModernHopfield(patterns, 0.7)
    together = run(memory.process(), key, cues, 5).state
    alone = [[run(memory.process(), key, cue, 5).state for cue in row] for row in cues]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    betas = np.array([[0.3], [2.0]], np.float32)
    mixed = run(ModernHopfield(patterns, betas).process(), key, cues, 5).state
    for row, beta in enumerate((0.3, 2.0)):
        np.testing.assert_allclose(
            mixed[row], run(ModernHopfield(patterns, beta).process(), key, cues[row], 5).state, atol=1e-5
        )


def test_large_scores_do_not_overflow(key):
    memory = ModernHopfield(100 * normal(4, 30, 50), 10.0)
    moved = run(memory.process(), key, memory.patterns, 2)
    np.testing.assert_allclose(moved.state, memory.patterns, rtol=1e-6)
    assert np.isfinite(memory.energy(moved.state)).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ModernHopfield(np.ones(3), 1.0), "patterns must have shape"),
        (lambda: ModernHopfield(np.full((2, 2), np.nan), 1.0), "patterns must be finite"),
        (lambda: ModernHopfield(np.ones((2, 2)), 0.0), "beta must be > 0, got 0.0"),
        (lambda: ModernHopfield(np.ones((2, 2)), -1.0), "beta must be > 0, got -1.0"),
        (lambda: ModernHopfield(np.ones((2, 2)), np.inf), "beta must be finite"),
        (lambda: ModernHopfield(np.ones((2, 2)), 1.0).start(None, np.ones(3)), "cue must have 2 components"),
        (lambda: ModernHopfield(np.ones((2, 2)), 1.0).start(None, np.full(2, np.nan)), "cue must be finite"),
        (
            lambda: ModernHopfield(np.ones((2, 2)), 1.0).kind(jnp.ones(2), 1.0),
            "mass must be a finite number in",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
