"""Sparse codes: three ways to one optimum, dictionary and component learning by identities, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neuromanifold.dynamics import run, solve
from neuromanifold.learning import Minibatches
from neuromanifold.learning.sparse import (
    DictionarySignal,
    bounded_atoms,
    dictionary_learning,
    independent_components,
    sweep_atoms,
)
from neuromanifold.networks.generative import (
    SparseCode,
    inference,
    locally_competitive,
    soft_threshold,
    sparse_codes,
)
from neuromanifold.theory.energy import first_order_bounds, sparse_optimum

RANDOM = np.random.default_rng(3)
ATOMS = RANDOM.normal(size=(9, 5)) * RANDOM.uniform(0.5, 1.0, (9, 1))
ATOMS /= np.maximum(np.linalg.norm(ATOMS, axis=1, keepdims=True), 1.0)
DATA = RANDOM.normal(size=(4, 5))


def test_three_ways_end_at_the_optimum(key):
    """Atoms of different lengths, so that no way leans on length one; the condition to 1e-9."""
    best = sparse_optimum(ATOMS, DATA, 0.3)
    assert best.violation.max() < 1e-10
    with jax.enable_x64(True):
        code = SparseCode(ATOMS, 0.3)
        found = [run(inference(code, DATA, way), key, None, 3000).state.codes for way in ("ista", "fista")]
        path = solve(locally_competitive(code, DATA), jnp.zeros((4, 9)), [0.0, 800.0], rtol=1e-9, atol=1e-11)
        found.append(soft_threshold(path.states[-1], 0.3))
        found.append(sparse_codes(code, DATA, 3000))
        for codes in found:
            np.testing.assert_allclose(codes, best.codes, atol=1e-8)
            assert float(code.violation(jnp.asarray(DATA), codes).max()) < 1e-8
        np.testing.assert_allclose(code.energy(jnp.asarray(DATA), found[0]), best.energy, atol=1e-12)
        # What is not optimal is seen: by its size where a code is not zero, and where it is.
        off = np.array(found[0])
        off[0, np.flatnonzero(off[0])[0]] += 0.01
        assert float(code.violation(jnp.asarray(DATA), jnp.asarray(off))[0]) > 1e-3
        assert float(code.violation(jnp.asarray(DATA), jnp.zeros((4, 9))).max()) > 0.1
        curvature = np.linalg.norm(ATOMS, 2) ** 2
        np.testing.assert_allclose(
            [code.curvature, SparseCode(ATOMS[:3], 1.0).curvature],
            [curvature, np.linalg.norm(ATOMS[:3], 2) ** 2],
        )
    lower = sparse_optimum(ATOMS, DATA, 0.3).energy
    nudged = best.codes + 1e-3 * RANDOM.normal(size=best.codes.shape)
    worse = 0.5 * ((DATA - nudged @ ATOMS) ** 2).sum(1) + 0.3 * np.abs(nudged).sum(1)
    assert (worse > lower).all()
    ista, fista = first_order_bounds(ATOMS, best.codes, [1, 3])
    np.testing.assert_allclose(ista[:, 0] / (best.codes**2).sum(1), curvature / 2)
    np.testing.assert_allclose(fista / ista, np.tile([1.0, 0.75], (4, 1)))


def swept_one_by_one(atoms, codes, data):
    """Each atom at its minimum given the others, by least squares over the examples themselves."""
    atoms = atoms.copy()
    for i in range(len(atoms)):
        left = data - codes @ atoms + np.outer(codes[:, i], atoms[i])
        best = codes[:, i] @ left / (codes[:, i] @ codes[:, i])
        atoms[i] = best / max(1.0, np.linalg.norm(best))
    return atoms


def test_the_signal_is_a_sweep_at_the_codes(key):
    """Without memory: each atom at the minimum for the batch; the means' gradient is the energy's."""
    with jax.enable_x64(True):
        code = SparseCode(ATOMS, 0.3)
        batches = Minibatches(DATA, 4, key=key)
        signal = DictionarySignal(batches, n_inference=500, memory=0.0)
        wanted, means, info = signal(key, jnp.int32(0), code, signal.aux(key, code))
        data = np.asarray(batches(jnp.int32(0)).data)
        codes = np.asarray(code.infer(jnp.asarray(data), 500))
        used = (codes != 0).any(0)
        expected = ATOMS.copy()
        expected[used] = swept_one_by_one(ATOMS[used], codes[:, used], data)
        np.testing.assert_allclose(ATOMS - wanted.dictionary, expected, atol=1e-12)
        assert float(wanted.penalty) == 0
        np.testing.assert_allclose(info.loss, np.mean(sparse_optimum(ATOMS, DATA, 0.3).energy), atol=1e-8)
        # The envelope theorem: the gradient of the means is that of the optimal energy itself.
        moved = np.asarray(means.codes @ code.dictionary - means.data)
        nudge = 1e-5 * RANDOM.normal(size=ATOMS.shape)
        up, down = (sparse_optimum(ATOMS + s * nudge, data, 0.3).energy.mean() for s in (1, -1))
        np.testing.assert_allclose(np.sum(moved * nudge), (up - down) / 2, rtol=1e-5)
        # A mean over two batches is the mean of their products.
        again = DictionarySignal(batches, n_inference=500, memory=0.5)
        first = again(key, jnp.int32(0), code, again.aux(key, code))[1]
        both = again(key, jnp.int32(1), code, first)[1]
        np.testing.assert_allclose(both.codes, 0.75 * means.codes, atol=1e-12)


def test_a_sweep_lowers_the_energy_where_all_atoms_at_once_raise_it():
    random = np.random.default_rng(4)
    codes = random.exponential(size=(200, 12)) * np.array([3.0] * 3 + [0.6] * 9)
    data = random.normal(size=(200, 5))
    atoms = random.normal(size=(12, 5))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    a, b = codes.T @ codes, codes.T @ data

    def energy(phi):
        return np.sum((data - codes @ phi) ** 2)

    with jax.enable_x64(True):
        after = np.asarray(sweep_atoms(jnp.asarray(atoms), jnp.asarray(a), jnp.asarray(b)))
    np.testing.assert_allclose(after, swept_one_by_one(atoms, codes, data), atol=1e-10)
    assert energy(after) < energy(atoms)
    at_once = atoms - (a @ atoms - b) / np.diagonal(a)[:, None]
    at_once /= np.maximum(np.linalg.norm(at_once, axis=1, keepdims=True), 1.0)
    assert energy(at_once) > energy(atoms)
    # An atom without a code stays.
    a[2], a[:, 2], b[2] = 0.0, 0.0, 0.0
    with jax.enable_x64(True):
        kept = sweep_atoms(jnp.asarray(atoms), jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_array_equal(kept[2], atoms[2])


def test_atoms_stay_within_length_one():
    bound = bounded_atoms()
    atoms = jnp.asarray(ATOMS, jnp.float32)
    change = jnp.asarray(RANDOM.normal(size=ATOMS.shape), jnp.float32)
    update, _ = bound.update((change, jnp.ones(())), bound.init(atoms), (atoms, jnp.zeros(())))
    moved = optax.apply_updates(atoms, update[0])
    free = ATOMS + np.asarray(change)
    length = np.linalg.norm(free, axis=1, keepdims=True)
    np.testing.assert_allclose(moved, free / np.maximum(length, 1), atol=1e-6)
    assert float(update[1]) == 1
    assert (length > 1).any()


def test_components_of_mixed_sources_are_the_sources(key):
    random = np.random.default_rng(0)
    sources = np.sign(random.normal(size=(4000, 3))) * random.exponential(size=(4000, 3))
    sources = np.linalg.solve(np.linalg.cholesky(np.cov(sources.T)), (sources - sources.mean(0)).T).T
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    made = run(independent_components(sources @ turn), key, np.eye(3), 30, observe_info=lambda change: change)
    filters = np.asarray(made.state)
    np.testing.assert_allclose(filters @ filters.T, np.eye(3), atol=1e-5)
    assert made.infos[-1] < 1e-5
    assert (np.abs(filters @ turn.T).max(1) > 0.99).all()


CODE = SparseCode(ATOMS, 0.3)
BATCHES = Minibatches(DATA, 2, key=jax.random.key(0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SparseCode(2 * np.eye(2), 0.1), "dictionary must have no atom longer than 1, got 2.0"),
        (lambda: SparseCode(np.ones(2), 0.1), r"dictionary must have shape \(n_atoms, n_features\)"),
        (lambda: SparseCode([[np.nan]], 0.1), "dictionary must be finite"),
        (lambda: SparseCode(np.eye(2), 0.0), "penalty must be a finite number > 0"),
        (lambda: inference(CODE, DATA, "newton"), "method must be one of 'ista', 'fista'"),
        (lambda: inference(CODE, DATA[:, :3]), r"data must have shape \(..., 5\), got \(4, 3\)"),
        (lambda: inference(CODE, DATA * np.inf), "data must be finite"),
        (lambda: inference(CODE, DATA).init(None, jnp.zeros(9)), r"codes must have shape \(4, 9\)"),
        (lambda: locally_competitive(CODE, DATA[:, :3]), r"data must have shape \(..., 5\)"),
        (lambda: sparse_codes(CODE, DATA, 0), "n_steps must be an integer >= 1"),
        (lambda: DictionarySignal(BATCHES, 0), "n_inference must be an integer >= 1"),
        (lambda: DictionarySignal(BATCHES, 5, 1.0), r"memory must be a finite number in \[0, 1\)"),
        (lambda: dictionary_learning(BATCHES, rate=0.0), "rate must be a finite number > 0"),
        (lambda: independent_components(np.ones((3, 5))), "data must be more rows than columns"),
        (lambda: independent_components(3 * RANDOM.normal(size=(500, 2))), "data must be white to a tenth"),
        (
            lambda: independent_components(RANDOM.normal(size=(5000, 2))).init(None, np.ones((3, 2))),
            r"filters must have shape \(n_components, 2\)",
        ),
        (lambda: sparse_optimum(ATOMS, DATA[:, :3], 0.1), "data must have shape"),
        (lambda: sparse_optimum(0 * ATOMS, DATA, 0.1), "dictionary must have no atom of zeros"),
        (lambda: sparse_optimum(ATOMS, DATA, 0.0), "penalty must be a finite number > 0"),
        (lambda: sparse_optimum(ATOMS, DATA, 0.1, max_sweeps=2), "max_sweeps must suffice to reach 1e-12"),
        (lambda: first_order_bounds(ATOMS, DATA, [0]), "steps must be >= 1"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
