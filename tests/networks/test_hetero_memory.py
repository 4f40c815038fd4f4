"""Hetero-associative memories: the matrices they stand for, energy, sizes, refusals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import random_patterns
from neuromanifold.dynamics import run
from neuromanifold.networks.memory import Bidirectional, LayeredMemory

FIRST = np.asarray(random_patterns(jax.random.key(0), 6, 30), np.float32)
SECOND = np.asarray(random_patterns(jax.random.key(1), 6, 20), np.float32)
CUES = np.asarray(random_patterns(jax.random.key(2), 12, 30), np.float32)
W = SECOND.T @ FIRST / 30
LAYERS = [
    np.asarray(random_patterns(jax.random.key(k), 5, n), np.float32) for k, n in enumerate((20, 12, 25))
]


def sign(u):
    return np.where(u >= 0, 1.0, -1.0)


def test_there_and_back_are_one_matrix_and_its_transpose():
    rng = np.random.default_rng(0)
    up, down = 0.2 * rng.normal(size=20), 0.2 * rng.normal(size=30)
    memory = Bidirectional(FIRST, SECOND, first_inputs=down, second_inputs=up)
    state = memory.init(None, CUES)
    np.testing.assert_array_equal(state.second, sign(CUES @ W.T + up))
    after, changed = memory.step(None, 0, state)
    x = sign(np.asarray(state.second) @ W + down)
    np.testing.assert_array_equal(after.first, x)
    np.testing.assert_array_equal(after.second, sign(x @ W.T + up))
    moved = (np.asarray(after.first) != CUES).sum(-1) + (
        np.asarray(after.second) != np.asarray(state.second)
    ).sum(-1)
    np.testing.assert_array_equal(changed, moved)
    energy = [-(s[1] * (s[0] @ W.T)).sum(-1) - s[1] @ up - s[0] @ down for s in (state, after)]
    np.testing.assert_allclose(memory.energy(state), energy[0], rtol=1e-4, atol=1e-4)
    assert (energy[1] <= energy[0] + 1e-5).all()


def test_energy_never_rises_and_it_settles():
    memory = Bidirectional(FIRST, SECOND)
    process = memory.process()
    made = run(process, jax.random.key(0), CUES, 12, observe=process.descends)
    assert (np.diff(made.values, axis=0) <= 1e-4).all()
    assert (made.values[-1] < made.values[0]).any()
    _, changed = memory.step(None, 0, made.state)
    assert int(changed.sum()) == 0


def test_patterns_recall_each_other():
    memory = Bidirectional(FIRST[:2], SECOND[:2])
    found = run(memory.process(), jax.random.key(0), FIRST[0], 3).state
    one, other = memory.overlaps(found)
    assert float(one[0]) == float(other[0]) == 1.0


def test_layers_are_their_matrices_whatever_their_sizes():
    memory = LayeredMemory(LAYERS)
    cues = CUES[:, :20]
    states = [memory.init(None, cues)]
    for t in range(3):
        states.append(memory.step(None, jnp.int32(t), states[-1])[0])
    x = cues
    for layer, (below, above) in enumerate(itertools.pairwise(LAYERS), 1):
        x = sign(x @ below.T @ above)
        n = above.shape[1]
        np.testing.assert_array_equal(states[layer].units[:, :n], x)
        assert (np.asarray(states[layer].units)[:, n:] == 0).all()
        np.testing.assert_allclose(memory.overlaps(states[layer], layer), x @ above.T / n, atol=1e-6)
    # Past the last layer nothing moves.
    np.testing.assert_array_equal(states[3].units, states[2].units)
    single = run(memory.process(), jax.random.key(0), cues[0], 2).state
    np.testing.assert_array_equal(single.units, states[2].units[0])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: Bidirectional(FIRST, SECOND[:3]), "second must hold 6 patterns"),
        (lambda: Bidirectional(0 * FIRST, SECOND), "first must hold only -1 and"),
        (lambda: Bidirectional(FIRST[0], SECOND), "first must have shape"),
        (lambda: Bidirectional(FIRST, SECOND, second_inputs=np.ones(3)), "second_inputs must be a number or"),
        (lambda: Bidirectional(FIRST, SECOND).init(None, np.zeros(30)), "cue must hold only -1 and 1"),
        (lambda: LayeredMemory(LAYERS[:1]), "patterns must hold at least two layers"),
        (lambda: LayeredMemory([LAYERS[0], LAYERS[1][:2]]), "patterns must hold as many patterns"),
        (lambda: LayeredMemory(LAYERS).init(None, np.ones(5)), "cue must have 20 units"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
