"""Associative memory: fields, energies, recall, and the 0/1 form."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import run
from neuromanifold.networks.memory import (
    DenseHopfield,
    Hopfield,
    RecallNetwork,
    ThresholdNetwork,
    _hopfield,
    asynchronous,
    from_signs,
    learn,
    synchronous,
    to_signs,
)


def draw(seed, *shape):
    return np.random.default_rng(seed).choice([-1, 1], shape).astype(np.int8)


def couplings_of(patterns, kind="auto", cyclic=True, diagonal=False):
    xi = patterns.astype(np.float64)
    after = xi if kind == "auto" else np.roll(xi, -1, 0)
    if kind == "sequence" and not cyclic:
        after = after * (np.arange(len(xi)) < len(xi) - 1)[:, None]
    couplings = np.einsum("pi,pj->ij", after, xi) / xi.shape[1]
    if not diagonal:
        np.fill_diagonal(couplings, 0)
    return couplings


def changed(info):
    return info.changed


def whole(state):
    return state


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_hopfield, "_BLOCK_ENTRIES", 7 * 13)


@settings(deadline=None, derandomize=True, max_examples=12)
@given(
    st.sampled_from([("auto", True), ("sequence", True), ("sequence", False)]),
    st.booleans(),
    st.integers(1, 6),
    st.integers(2, 30),
)
def test_factored_field_is_the_dense_one(kind, diagonal, n_patterns, n_units):
    patterns = draw(n_patterns + n_units, n_patterns, n_units)
    kind, cyclic = kind
    memory = Hopfield(patterns, kind, cyclic=cyclic, self_coupling=diagonal, inputs=0.25, storage="float32")
    expected = couplings_of(patterns, kind, cyclic, diagonal)
    np.testing.assert_allclose(memory.dense_couplings(), expected, atol=1e-6)
    cues = memory.start(draw(1, 3, n_units))
    np.testing.assert_allclose(memory.field(cues), cues @ expected.T + 0.25, atol=1e-5)
    # The couplings the other way round give another field for sequences.
    if kind == "sequence" and n_patterns > 2 and n_units > 8:
        assert np.abs(memory.field(cues) - (cues @ expected + 0.25)).max() > 0.1


@pytest.mark.parametrize("kind", ["auto", "sequence"])
@pytest.mark.parametrize(("storage", "dtype", "each"), [("int8", jnp.int8, 13), ("bits", jnp.uint8, 2)])
def test_all_ways_agree_to_the_last_bit(kind, storage, dtype, each, small_blocks):
    patterns, cues = draw(0, 13, 101), draw(1, 4, 101)
    plain = Hopfield(patterns, kind, storage="float32")
    packed = Hopfield(patterns, kind, storage=storage)
    assert packed.blocks.dtype == dtype
    assert packed.blocks.shape[-1] == each
    assert packed.blocks.shape[0] > 1
    assert np.array_equal(plain.diagonal, packed.diagonal)
    cues = plain.start(cues)
    assert np.array_equal(plain.field(cues), packed.field(cues))
    assert np.array_equal(plain.overlaps(cues), packed.overlaps(cues))
    assert np.array_equal(packed.patterns, patterns)
    assert np.array_equal(packed.select(jnp.array([3, 12, 1])), patterns[[3, 12, 1]])
    assert np.array_equal(packed.dense_couplings(), plain.dense_couplings())
    carry = packed.carry(cues)
    one_by_one = [packed.unit_field(carry, jnp.int32(i), cues[:, i]) for i in range(101)]
    assert np.array_equal(jnp.stack(one_by_one, 1), plain.field(cues))


def test_one_pattern_is_recalled_in_one_step():
    pattern = draw(3, 1, 25)
    memory = Hopfield(pattern)
    cue = pattern[0].copy()
    cue[:10] *= -1
    assert np.array_equal(run(synchronous(memory), jax.random.key(0), cue, 1).state, pattern[0])
    assert np.array_equal(run(synchronous(memory), jax.random.key(0), -cue, 1).state, -pattern[0])
    assert float(memory.overlaps(jnp.asarray(cue))[0]) == pytest.approx(0.2)


def test_sign_of_zero():
    # Two patterns that cancel on every unit but the first: fields of exactly zero.
    patterns = np.array([[1, 1], [1, -1]], np.int8)
    cue = np.array([-1, -1], np.int8)
    assert np.array_equal(run(synchronous(Hopfield(patterns)), jax.random.key(0), cue, 1).state, [1, 1])
    kept = Hopfield(patterns, tie="keep")
    assert np.array_equal(run(synchronous(kept), jax.random.key(0), cue, 1).state, cue)


@pytest.mark.parametrize("make", [lambda p: Hopfield(p), lambda p: DenseHopfield(couplings_of(p))])
@pytest.mark.parametrize("order", ["permutation", "uniform", "sequential"])
def test_no_single_update_raises_the_energy(make, order, key):
    with jax.enable_x64(True):
        network = make(draw(5, 6, 40))
        process = asynchronous(network, order, 40 if order == "permutation" else 1)
        n_steps = 6 if order == "permutation" else 240
        cues = draw(6, 30, 40)
        made = run(process, key, cues, n_steps, observe=process.descends, observe_info=changed)
        assert isinstance(network, RecallNetwork)
        # Rounding of float32 sums; one flip changes the energy by at least 2/N times an integer or nothing.
        assert np.diff(made.values, axis=0).max() <= 1e-5
        assert made.infos.sum() > 100
        assert made.values[-1].mean() < made.values[0].mean() - 0.5


def test_energy_rises_where_it_is_not_defined(key):
    patterns = draw(7, 8, 40)
    asymmetric = DenseHopfield(couplings_of(patterns, "sequence"))
    symmetric = DenseHopfield(couplings_of(patterns))
    process = asynchronous(asymmetric, "sequential", 1)
    assert process.descends is None
    energies = run(process, key, draw(8, 5, 40), 200, observe=symmetric.energy).values
    assert np.diff(energies, axis=0).max() > 0.1


def test_energy_by_enumeration():
    patterns = draw(9, 3, 8)
    thresholds, inputs = np.linspace(-1, 1, 8), np.linspace(0.5, 0, 8)
    couplings = couplings_of(patterns)
    states = np.array(list(itertools.product([-1, 1], repeat=8)))
    expected = -0.5 * np.einsum("si,ij,sj->s", states, couplings, states) - states @ (inputs - thresholds)
    for network in (
        Hopfield(patterns, thresholds=thresholds, inputs=inputs),
        DenseHopfield(couplings, thresholds=thresholds, inputs=inputs),
    ):
        np.testing.assert_allclose(network.energy(jnp.asarray(states)), expected, atol=1e-5)
        # A flip of unit i changes the energy by 2 x_i h_i.
        fields = network.field(network.start(states))
        flipped = states * np.where(np.arange(8) == 2, -1, 1)
        difference = network.energy(jnp.asarray(flipped)) - network.energy(jnp.asarray(states))
        np.testing.assert_allclose(difference, 2 * states[:, 2] * fields[:, 2], atol=1e-5)


def test_asynchronous_sweep_against_a_plain_loop(key):
    patterns, cue = draw(10, 5, 30), draw(11, 30)
    couplings = couplings_of(patterns) * 30
    state = cue.astype(float).copy()
    for i in range(30):
        state[i] = 1.0 if couplings[i] @ state >= 0 else -1.0
    made = run(asynchronous(Hopfield(patterns), "sequential"), key, cue, 1, observe_info=changed)
    assert np.array_equal(made.state, state)
    assert np.any(state != cue)
    piecewise = run(asynchronous(Hopfield(patterns), "sequential", 7), key, cue, 30)
    whole_sweeps = run(asynchronous(Hopfield(patterns), "sequential"), key, cue, 7)
    assert np.array_equal(piecewise.state, whole_sweeps.state)


def test_factored_and_dense_recall_take_the_same_path(key, small_blocks):
    patterns, cues = draw(12, 9, 64), draw(13, 5, 64)  # N a power of two: J is exact
    networks = [
        Hopfield(patterns),
        Hopfield(patterns, storage="int8"),
        DenseHopfield(Hopfield(patterns).dense_couplings()),
    ]
    for make in (synchronous, asynchronous, lambda n: asynchronous(n, "uniform", 50)):
        paths = [run(make(network), key, cues, 5, observe=whole).values for network in networks]
        assert np.array_equal(paths[0], paths[1])
        assert np.array_equal(paths[0], paths[2])


def test_cues_of_a_batch_move_as_alone(key):
    memory, cues = Hopfield(draw(14, 6, 50)), draw(15, 3, 50)
    for process in (synchronous(memory), asynchronous(memory)):
        batch = run(process, key, cues, 4).state
        assert np.array_equal(batch, [run(process, key, cue, 4).state for cue in cues])
        state = process.init(key, cues)
        eager, _ = process.step(key, jnp.int32(0), state)
        assert np.array_equal(eqx.filter_jit(process.step)(key, jnp.int32(0), state)[0], eager)


def test_synchronous_recall_ends_in_a_fixed_point_or_a_pair(key):
    memory = Hopfield(draw(16, 20, 60))
    path = run(synchronous(memory), key, draw(17, 200, 60), 80, observe=whole).values
    assert np.array_equal(path[-1], path[-3])
    assert np.any(path[-1] != path[-2])


def test_sequence_is_walked_through(key):
    patterns = draw(18, 5, 800)
    for cyclic in (True, False):
        memory = Hopfield(patterns, "sequence", cyclic=cyclic)
        overlaps = run(synchronous(memory), key, patterns[0], 6, observe=memory.overlaps).values
        assert np.array_equal(np.argmax(overlaps[:5], axis=1), [0, 1, 2, 3, 4])
        assert (overlaps[5, 0] > 0.9) == cyclic


def test_recall_at_a_small_load(key):
    patterns = draw(19, 40, 1000)
    cues = patterns * np.where(np.random.default_rng(0).random(patterns.shape) < 0.2, -1, 1)
    for process in (synchronous(Hopfield(patterns)), asynchronous(Hopfield(patterns))):
        final = np.asarray(run(process, key, cues.astype(np.int8), 15).state)
        assert np.mean(final * patterns) > 0.999


@settings(deadline=None, derandomize=True, max_examples=8)
@given(st.integers(0, 10**6))
def test_zero_one_and_sign_forms_take_the_same_path(seed):
    rng = np.random.default_rng(seed)
    n = 24
    couplings = rng.integers(-3, 4, (n, n))
    couplings = np.triu(couplings, 1) + np.triu(couplings, 1).T
    bias = rng.integers(-2, 3, n)
    signs = DenseHopfield(couplings.astype(np.float32), thresholds=bias, tie="keep")
    zero_one = from_signs(signs)
    np.testing.assert_array_equal(zero_one.couplings, 4 * couplings)
    np.testing.assert_array_equal(zero_one.thresholds, 2 * couplings.sum(1) + 2 * bias)
    cues = rng.integers(0, 2, (6, n))
    key = jax.random.key(seed)
    path = run(asynchronous(zero_one, "uniform", 5), key, cues, 20, observe=whole).values
    other = run(asynchronous(signs, "uniform", 5), key, 2 * cues - 1, 20, observe=whole).values
    np.testing.assert_array_equal(2 * path - 1, other)
    # Energies differ by a constant, and the map is undone by its inverse.
    energies = zero_one.energy(jnp.asarray(path)) - signs.energy(jnp.asarray(other))
    assert np.ptp(energies) < 1e-3
    back = to_signs(zero_one)
    np.testing.assert_array_equal(back.couplings, couplings)
    np.testing.assert_array_equal(back.bias, signs.bias)


def test_a_wrong_map_takes_another_path(key):
    signs = DenseHopfield(couplings_of(draw(20, 4, 40)).astype(np.float32) * 40, tie="keep")
    wrong = ThresholdNetwork(4 * signs.couplings)  # without theta_i = 2 sum_j J_ij
    cues = np.random.default_rng(0).integers(0, 2, (20, 40))
    path = run(asynchronous(wrong, "sequential"), key, cues, 3).state
    other = run(asynchronous(signs, "sequential"), key, 2 * cues - 1, 3).state
    assert not np.array_equal(2 * path - 1, other)


def test_learning_rules():
    pictures = (draw(21, 3, 12) + 1) // 2
    product, centred = learn(pictures, "product"), learn(pictures)
    np.testing.assert_array_equal(
        product.couplings, np.einsum("pi,pj->ij", pictures, pictures) * (1 - np.eye(12, dtype=int))
    )
    np.testing.assert_allclose(
        to_signs(centred).couplings * 4 / 12, couplings_of(2 * pictures - 1), atol=1e-7
    )
    np.testing.assert_array_equal(to_signs(centred).bias, 0)
    assert np.array_equal(learn(pictures, thresholds=1.5).thresholds, np.full(12, 1.5, np.float32))


def test_threshold_network_never_climbs_and_stays_at_zero_field(key):
    network = learn((draw(22, 4, 30) + 1) // 2, "product", thresholds=1.0)
    process = asynchronous(network, "uniform", 1)
    energies = run(process, key, (draw(23, 20, 30) + 1) // 2, 300, observe=process.descends).values
    assert np.diff(energies, axis=0).max() == 0
    assert energies[-1].mean() < energies[0].mean()
    idle = ThresholdNetwork(np.zeros((4, 4)))
    assert np.array_equal(run(asynchronous(idle), key, [0, 1, 1, 0], 3).state, [0, 1, 1, 0])


@pytest.mark.parametrize("updates, n_steps", [(2, 13), (13, 2), (26, 1)])
def test_many_updates_a_step_are_single_ones_one_after_the_other(updates, n_steps):
    key = jax.random.key(3)
    memory = Hopfield(draw(5, 4, 10))
    cues = draw(6, 50, 10)
    by_one, by_many = (
        run(asynchronous(memory, "sequential", u), key, cues, n, observe_info=changed)
        for u, n in ((1, 26), (updates, n_steps))
    )
    np.testing.assert_array_equal(by_many.state, by_one.state)
    np.testing.assert_array_equal(by_many.infos.sum(0), by_one.infos.sum(0))
    assert (by_one.infos[10:].sum(0) > 0).any()


BAD_NETWORKS = [
    (lambda: Hopfield([[1, 0, -1]]), "patterns must hold only -1 and \\+1, got .*0"),
    (lambda: Hopfield(np.ones(5, np.int8)), "patterns must have shape"),
    (lambda: Hopfield(np.ones((0, 5), np.int8)), "patterns must have shape"),
    (lambda: Hopfield(np.ones((2, 5), np.int8), "hetero"), "kind must be one of"),
    (lambda: Hopfield(np.ones((2, 5), np.int8), tie="random"), "tie must be one of"),
    (lambda: Hopfield(np.ones((2, 5), np.int8), storage="int4"), "storage must be one of"),
    (
        lambda: Hopfield(np.ones((2, 5), np.int8), thresholds=np.ones(3)),
        "thresholds must be a number or have",
    ),
    (lambda: Hopfield(np.ones((2, 5), np.int8), inputs=np.nan), "inputs must be finite"),
    (lambda: DenseHopfield(np.ones((2, 3))), "couplings must be a square matrix"),
    (lambda: DenseHopfield(np.full((2, 2), np.inf)), "couplings must be finite"),
    (lambda: ThresholdNetwork(np.array([[0, 1.0], [2.0, 0]])), "couplings must be symmetric"),
    (lambda: ThresholdNetwork(np.array([[0.5, 1.0], [1.0, 0]])), "couplings must have a zero diagonal"),
    (lambda: learn([[0, 1, 2]]), "pictures must hold only 0 and 1, got 2"),
    (lambda: learn([[0, 1]], "oja"), "rule must be one of"),
    (lambda: from_signs(DenseHopfield(np.zeros((2, 2)))), "tie must be 'keep'"),
    (lambda: asynchronous(Hopfield(np.ones((2, 5), np.int8)), "spiral"), "order must be one of"),
    (lambda: asynchronous(Hopfield(np.ones((2, 5), np.int8)), updates=3), "updates must be None"),
    (lambda: asynchronous(Hopfield(np.ones((2, 5), np.int8)), "uniform", 0), "updates must be an integer"),
]


@pytest.mark.parametrize("make, message", BAD_NETWORKS)
def test_bad_networks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_cues_are_refused(key):
    memory = Hopfield(draw(24, 2, 5))
    for cue, message in (([1, 0, 1, 1, 1], "got 0"), ([1, 1, 1], "cue must have 5 units")):
        with pytest.raises(ValueError, match=message):
            run(synchronous(memory), key, cue, 1)
    with pytest.raises(ValueError, match="cue must hold only 0 and 1, got -1"):
        run(asynchronous(learn([[0, 1]])), key, [-1, 1], 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: Hopfield(p, "sequence"),
        lambda p: Hopfield(p, self_coupling=True),
        lambda p: DenseHopfield(couplings_of(p, "sequence")),
        lambda p: DenseHopfield(couplings_of(p, diagonal=True)),
    ],
)
def test_energy_is_refused_where_none_exists(make):
    network = make(draw(25, 4, 6))
    assert not network.has_energy
    with pytest.raises(ValueError, match="to have an energy"):
        network.energy(jnp.ones(6))
