"""Learning rules: their couplings against their definitions, what they promise, and what they refuse."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import run
from neuromanifold.networks.memory import (
    DenseHopfield,
    FactoredNetwork,
    Hopfield,
    NotLearnedError,
    RecallNetwork,
    SparseMemory,
    adatron,
    asynchronous,
    perceptron,
    pseudo_inverse,
    stabilities,
    storkey,
    storkey_learning,
    synchronous,
    winners,
)


def draw(seed, *shape):
    return np.random.default_rng(seed).choice([-1, 1], shape).astype(np.int8)


def bits(seed, n_patterns, n_units, f=0.2):
    return (np.random.default_rng(seed).random((n_patterns, n_units)) < f).astype(np.int8)


def whole(state):
    return state


@settings(deadline=None, derandomize=True, max_examples=8)
@given(st.booleans(), st.booleans(), st.integers(0, 99))
def test_factored_field_is_the_dense_one(diagonal, same, seed):
    n_patterns, n_units = 3, 6
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n_patterns, n_units)).astype(np.float32)
    b = a if same else b
    s = random.random(n_patterns)
    network = FactoredNetwork(
        a, None if same else b, strengths=s, self_coupling=diagonal, inputs=0.25, thresholds=0.1
    )
    expected = (a.T * s) @ b / n_units
    if not diagonal:
        np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(network.dense_couplings(), expected, atol=1e-5)
    states = network.start(draw(1, 3, n_units))
    fields = states @ expected.T + 0.15
    np.testing.assert_allclose(network.field(states), fields, atol=1e-4)
    carry = network.carry(states)
    alone = [network.unit_field(carry, jnp.int32(i), states[:, i]) for i in range(n_units)]
    np.testing.assert_allclose(np.stack(alone, 1), fields, atol=1e-4)
    assert network.has_energy == (same and not diagonal)


def test_hebb_is_a_special_case(key):
    patterns, cues = draw(0, 5, 64), draw(1, 4, 64)
    plain, factored = Hopfield(patterns), FactoredNetwork(patterns)
    paths = [run(asynchronous(n), key, cues, 4, observe=whole).values for n in (plain, factored)]
    assert np.array_equal(*paths)
    assert np.array_equal(plain.field(plain.start(cues)), factored.field(plain.start(cues)))
    assert isinstance(factored, RecallNetwork)
    states = plain.start(cues)
    np.testing.assert_allclose(factored.energy(states), plain.energy(states), rtol=1e-5)


@pytest.mark.parametrize("units", ["signs", "bits"])
def test_energy_by_enumeration(units):
    random = np.random.default_rng(2)
    a = random.normal(size=(3, 7)).astype(np.float32)
    mixing = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 1.5]], np.float32)
    network = FactoredNetwork(a, mixing @ a, symmetric=True, units=units, thresholds=0.2)
    low = -1 if units == "signs" else 0
    states = np.array(list(itertools.product([low, 1], repeat=7)), np.float32)
    couplings = a.T @ mixing @ a / 7
    np.fill_diagonal(couplings, 0)
    expected = -0.5 * np.einsum("si,ij,sj->s", states, couplings, states) + 0.2 * states.sum(1)
    np.testing.assert_allclose(network.energy(jnp.asarray(states)), expected, atol=1e-5)
    assert asynchronous(network).descends is not None


def test_couplings_declared_symmetric_must_be(key):
    a, b = np.random.default_rng(3).normal(size=(2, 3, 9))
    with pytest.raises(ValueError, match="targets and sources must make symmetric couplings, got"):
        FactoredNetwork(a, b, symmetric=True)
    asymmetric = FactoredNetwork(a, b)
    with pytest.raises(ValueError, match="couplings must be symmetric without self_coupling"):
        asymmetric.energy(jnp.ones(9))


@pytest.mark.parametrize("correlated", [False, True])
def test_pseudo_inverse_projects(correlated):
    patterns = draw(4, 20, 40)
    if correlated:
        patterns[1:, :15] = patterns[0, :15]
    memory = pseudo_inverse(patterns, self_coupling=True)
    projection = np.asarray(memory.dense_couplings(), np.float64)
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-5)
    np.testing.assert_allclose(projection @ patterns.T, patterns.T, atol=1e-5)
    assert np.trace(projection) == pytest.approx(20, abs=1e-4)
    assert not memory.has_energy
    # Without the diagonal: the field of a pattern is (1 - J_ii) xi_i, every one is a fixed point.
    bare = pseudo_inverse(patterns)
    states = bare.start(patterns)
    fields = np.asarray(bare.field(states))
    np.testing.assert_allclose(fields, patterns * (1 - np.diag(projection)), atol=1e-5)
    assert bare.has_energy


def test_pseudo_inverse_inside_a_compiled_function():
    patterns = draw(5, 6, 30)
    padded = np.concatenate([patterns, np.zeros((3, 30), np.int8)]).astype(np.float32)
    field = jax.jit(lambda xi, x: pseudo_inverse(xi).field(x))
    states = jnp.asarray(draw(6, 2, 30), jnp.float32)
    expected = pseudo_inverse(patterns).field(states)
    np.testing.assert_allclose(field(jnp.asarray(padded), states), expected, atol=1e-5)


def test_storkey_against_its_definition():
    patterns = draw(7, 6, 11).astype(np.float64)
    n = 11
    expected = np.zeros((n, n))
    for xi in patterns:
        new = expected.copy()
        for i in range(n):
            for j in range(n):
                if i != j:
                    others = [k for k in range(n) if k not in (i, j)]
                    h_ij = sum(expected[i, k] * xi[k] for k in others)
                    h_ji = sum(expected[j, k] * xi[k] for k in others)
                    new[i, j] += (xi[i] * xi[j] - xi[i] * h_ji - h_ij * xi[j]) / n
        expected = new
    found = storkey(patterns)
    np.testing.assert_allclose(found.couplings, expected, atol=1e-6)
    assert found.has_energy
    # The order of the patterns matters, a little.
    other = np.asarray(storkey(patterns[::-1]).couplings)
    assert 1e-3 < np.abs(other - expected).max() < 0.5
    # In two parts as in one.
    begun = storkey(patterns[:4]).couplings
    rest = run(storkey_learning(patterns[4:]), jax.random.key(0), begun, 2).state
    np.testing.assert_allclose(rest, expected, atol=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
def test_perceptron_reaches_its_margin(symmetric):
    patterns = draw(8, 12, 40)
    learned = perceptron(patterns, 0.6, symmetric=symmetric, max_sweeps=500)
    couplings = np.asarray(learned.network.couplings)
    assert learned.converged.all()
    assert np.abs(np.diagonal(couplings)).max() == 0
    expected = [
        min(xi[i] * (couplings[i] @ xi) / np.linalg.norm(couplings[i]) for xi in patterns.astype(float))
        for i in range(40)
    ]
    np.testing.assert_allclose(learned.margin, expected, rtol=1e-5)
    assert learned.margin.min() >= 0.6 - 1e-5
    assert learned.network.has_energy == symmetric
    assert np.allclose(couplings, couplings.T, atol=1e-6) == symmetric


def test_what_cannot_be_learnt_is_told():
    patterns = draw(9, 40, 12)  # load above 3
    with pytest.raises(NotLearnedError, match="of 12 units did not reach the stability asked for in 20"):
        perceptron(patterns, max_sweeps=20)
    told = perceptron(patterns, max_sweeps=20, throw=False)
    assert not told.converged.all()
    assert (told.margin[~told.converged] < 1e-6).any()
    with pytest.raises(NotLearnedError):
        adatron(patterns, max_sweeps=20)


def test_adatron_is_optimal():
    patterns = draw(10, 9, 16)
    best = adatron(patterns, tolerance=1e-6, max_sweeps=3000)
    couplings = np.asarray(best.network.dense_couplings(), np.float64)
    np.testing.assert_allclose(stabilities(couplings, patterns).min(0), best.margin, rtol=1e-4)
    # Conditions of the optimum: J_i = sum of patterns with strengths >= 0, which vanish where E > 1.
    aligned = patterns * (patterns @ couplings.T)
    assert aligned.min() > 1 - 1e-3
    np.testing.assert_allclose(best.margin, 1 / np.linalg.norm(couplings, axis=1), rtol=1e-3)
    others = perceptron(patterns, max_sweeps=1000).margin
    assert (best.margin >= others - 1e-4).all()
    assert (best.margin > others + 1e-2).any()


def test_sparse_couplings_are_those_of_the_rule():
    patterns = bits(11, 6, 30)
    memory = SparseMemory(patterns, activity=0.2, thresholds=0.3)
    centred = patterns - 0.2
    expected = centred.T @ centred / (30 * 0.16)
    np.fill_diagonal(expected, 0)
    states = memory.start(bits(12, 4, 30, 0.4))
    np.testing.assert_allclose(memory.field(states), states @ expected - 0.3, atol=1e-5)
    overlaps = np.asarray(states) @ centred.T / (30 * 0.16)
    np.testing.assert_allclose(memory.overlaps(states), overlaps, atol=1e-5)
    clipped = SparseMemory(patterns, "clipped", thresholds=0.5)
    together = (patterns.T.astype(int) @ patterns) > 0
    np.fill_diagonal(together, False)
    np.testing.assert_allclose(clipped.field(states), states @ together - 0.5, atol=1e-5)
    assert clipped.has_energy


def test_control_fires_the_strongest(key):
    fields = jnp.array([[0.3, 2.0, 0.3, -1.0, 0.3], [0.0, 0.0, 0.0, 0.0, 0.0]])
    # Ties in order of index.
    assert winners(fields, 2).tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    patterns = bits(13, 8, 120, 0.1)
    memory = SparseMemory(patterns, n_active=12)
    made = run(synchronous(memory), key, bits(14, 5, 120, 0.3), 4, observe=whole).values
    assert (made[1:].sum(-1) == 12).all()
    assert isinstance(memory, RecallNetwork)
    assert not memory.has_energy
    with pytest.raises(ValueError, match="n_active must be None for asynchronous recall, got 12"):
        run(asynchronous(memory), key, patterns[0], 1)
    with pytest.raises(ValueError, match="n_active must be None to have an energy"):
        memory.energy(jnp.ones(120))


def test_fixed_threshold_descends(key):
    memory = SparseMemory(bits(15, 10, 80), thresholds=0.4)
    process = asynchronous(memory)
    energies = run(process, key, bits(16, 6, 80, 0.5), 4, observe=process.descends).values
    assert np.diff(energies, axis=0).max() <= 1e-4
    assert (energies[-1] < energies[0] - 1).all()


def test_traced_couplings_have_no_energy():
    made = []

    def field(couplings):
        network = DenseHopfield(couplings)
        made.append(network.has_energy)
        return network.field(jnp.ones(2))

    assert jax.jit(field)(jnp.array([[0.0, 1.0], [1.0, 0.0]])).tolist() == [1.0, 1.0]
    assert made == [False]


TWINS = np.array([[1, 1, -1, 1], [-1, -1, 1, -1]])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FactoredNetwork(np.ones(3)), "targets must have shape"),
        (lambda: FactoredNetwork(np.ones((2, 3)), np.ones((1, 3))), "sources must have the shape of targets"),
        (lambda: FactoredNetwork([[np.nan, 1.0]]), "targets must be finite"),
        (lambda: FactoredNetwork([[1.0, 1.0]], units="spins"), "units must be one of"),
        (lambda: FactoredNetwork([[1.0, 1.0]], strengths=[1.0, 2.0]), "strengths must be a number or have"),
        (lambda: FactoredNetwork([[1.0, 1.0]], units="bits").start([-1, 1]), "cue must hold only 0 and 1"),
        (lambda: pseudo_inverse(draw(0, 5, 5)), "patterns must be fewer than the 5 units"),
        (lambda: pseudo_inverse(TWINS), "patterns must be linearly independent .*, got rank 1 of 2"),
        (lambda: pseudo_inverse([[1, 0, 1]]), "patterns must hold only -1 and"),
        (lambda: storkey([[1, 0, 1]]), "patterns must hold only -1 and"),
        (lambda: storkey(np.ones(3)), "patterns must have shape"),
        (lambda: perceptron([[1, 0, 1]]), "patterns must hold only -1 and"),
        (lambda: perceptron([[1, 1, 1]], -0.1), "margin must be a finite number >= 0"),
        (lambda: perceptron([[1, 1, 1]], max_sweeps=0), "max_sweeps must be an integer >= 1"),
        (lambda: adatron([[1]]), "patterns must have shape .* with two units or more"),
        (lambda: adatron([[1, 1]], tolerance=0.0), "tolerance must be a finite number > 0"),
        (lambda: SparseMemory([[0, 2]]), "patterns must hold only 0 and 1, got 2"),
        (lambda: SparseMemory([[0, 0]]), "activity must be a finite number in \\(0, 1\\), got 0"),
        (lambda: SparseMemory([[0, 1]], n_active=3), "n_active must be an integer in \\[1, 2\\]"),
        (lambda: SparseMemory([[0, 1]], "hebb"), "rule must be one of"),
        (lambda: SparseMemory(np.ones(3)), "patterns must have shape"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
