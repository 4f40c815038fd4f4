"""Dense associative memories: energies, fields by definition, n = 2 is Hebb, no overflow."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import run
from neuromanifold.networks.memory import (
    DenseAssociativeMemory,
    Hopfield,
    RecallNetwork,
    asynchronous,
    synchronous,
)

KINDS = [("polynomial", 2), ("polynomial", 3), ("polynomial", 4), ("rectified", 3), ("exponential", 2)]


def draw(seed, *shape):
    return np.random.default_rng(seed).choice([-1, 1], shape).astype(np.int8)


def energy_of(kind, order, patterns, states):
    sums = np.asarray(states, float) @ patterns.T.astype(float)
    if kind == "exponential":
        return -np.log(np.sum(np.exp(sums), -1))
    kept = np.maximum(sums, 0) if kind == "rectified" else sums
    return -np.sum(kept**order, -1) / (order * patterns.shape[1] ** (order - 1))


@pytest.mark.parametrize("kind, order", [*KINDS, ("rectified", 2), ("rectified", 5)])
def test_fields_are_differences_of_the_energy(kind, order):
    patterns = draw(1, 6, 9)
    states = np.concatenate([draw(2, 5, 9), patterns[:2], -patterns[:2]]).astype(np.float32)
    memory = DenseAssociativeMemory(patterns, kind, order=order)
    assert isinstance(memory, RecallNetwork)
    expected = np.zeros(states.shape)
    for i in range(9):
        up, down = states.copy(), states.copy()
        up[:, i], down[:, i] = 1, -1
        expected[:, i] = (energy_of(kind, order, patterns, down) - energy_of(kind, order, patterns, up)) / 2
    np.testing.assert_allclose(memory.field(jnp.asarray(states)), expected, atol=3e-6)
    carry = memory.carry(jnp.asarray(states))
    single = [memory.unit_field(carry, jnp.int32(i), jnp.asarray(states[:, i])) for i in range(9)]
    np.testing.assert_allclose(np.stack(single, 1), expected, atol=3e-6)
    np.testing.assert_allclose(
        memory.energy(jnp.asarray(states)), energy_of(kind, order, patterns, states), rtol=3e-6
    )
    # A field computed without the second-order part A, F'(S) alone, is another.
    if kind == "polynomial" and order == 4:
        slope = np.einsum("sp,pi->si", (states @ patterns.T) ** 3.0, patterns) / 9**3
        assert np.abs(slope - expected).max() > 0.05


def test_order_two_is_hebb(key):
    patterns, cues = draw(3, 7, 64), draw(4, 20, 64)  # N a power of two: fields are exact
    dense, hebb = DenseAssociativeMemory(patterns), Hopfield(patterns)
    assert np.array_equal(dense.field(dense.start(cues)), hebb.field(hebb.start(cues)))
    gap = np.asarray(dense.energy(jnp.asarray(cues)) - hebb.energy(jnp.asarray(cues)))
    np.testing.assert_allclose(gap, -7 / 2, atol=1e-5)
    for make in (synchronous, lambda network: asynchronous(network, temperature=0.4)):
        one, other = (run(make(network), key, cues, 4).state for network in (dense, hebb))
        assert np.array_equal(one, other)


@settings(deadline=None, derandomize=True, max_examples=6)
@given(st.sampled_from(KINDS), st.integers(0, 10**6))
def test_no_update_of_a_unit_raises_the_energy(kind_and_order, seed):
    kind, order = kind_and_order
    patterns = draw(seed, 12, 24)
    memory = DenseAssociativeMemory(patterns, kind, order=order)
    process = asynchronous(memory, "uniform", 1)
    path = run(process, jax.random.key(seed), draw(seed + 1, 8, 24), 150, observe=whole).values
    energies = energy_of(kind, order, patterns, path)
    assert np.diff(energies, axis=0).max() < 1e-9
    assert energies[-1].mean() < energies[0].mean()


def whole(state):
    return state


def test_exponential_memory_holds_more_patterns_than_units_at_any_size(key):
    patterns = draw(5, 400, 30)
    memory = DenseAssociativeMemory(patterns, "exponential")
    cues = patterns[:50].copy()
    cues[:, :2] *= -1
    assert np.array_equal(run(synchronous(memory), key, cues, 1).state, patterns[:50])
    large = DenseAssociativeMemory(draw(6, 20, 10_000), "exponential", storage="float32")
    state = jnp.asarray(large.patterns[:2])
    assert np.array_equal(jnp.sign(large.field(state)), state)
    np.testing.assert_allclose(large.energy(state), -10_000, rtol=1e-6)
    assert np.abs(large.field(state)).max() <= 1 + 1e-4


def test_high_orders_keep_their_digits():
    # A naive F(S) - F(S - 2) in float32 has lost this field at N = 3000, n = 6.
    patterns = draw(7, 5, 3000)
    memory = DenseAssociativeMemory(patterns, order=6)
    state = draw(8, 3, 3000)
    sums = state.astype(object) @ patterns.T.astype(object)
    i = 11
    moved = (patterns[:, i].astype(object) * state[:, i : i + 1].astype(object)) * 2
    exact = (sums**6 - (sums - moved) ** 6).sum(1).astype(object) * state[:, i].astype(object)
    expected = np.array([float(x / (12 * 3000**5)) for x in exact])
    np.testing.assert_allclose(memory.field(memory.start(state))[:, i], expected, rtol=2e-5)


def test_all_patterns_of_a_tiny_memory_by_enumeration(key):
    patterns = draw(9, 2, 6)
    memory = DenseAssociativeMemory(patterns, order=3)
    states = np.array(list(itertools.product([-1, 1], repeat=6)), np.int8)
    final = np.asarray(run(asynchronous(memory), key, states, 12).state)
    # Every end is stable: no flip has a lower energy.
    fields = np.asarray(memory.field(jnp.asarray(final)))
    assert np.all(final * fields >= -1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DenseAssociativeMemory([[1, 0]]), "patterns must hold only -1 and"),
        (lambda: DenseAssociativeMemory(np.ones((0, 3), np.int8)), "patterns must have shape"),
        (lambda: DenseAssociativeMemory([[1, -1]], "quartic"), "interaction must be one of"),
        (lambda: DenseAssociativeMemory([[1, -1]], order=1), "order must be an integer >= 2"),
        (lambda: DenseAssociativeMemory([[1, -1]], tie="coin"), "tie must be one of"),
        (lambda: DenseAssociativeMemory([[1, -1]]).start([1, 1, 1]), "cue must have 2 units"),
    ],
)
def test_bad_memories_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
