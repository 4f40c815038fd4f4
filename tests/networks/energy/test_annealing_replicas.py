"""Parallel tempering and path integrals against enumeration, and bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import chisquare

from neuromanifold.dynamics import Schedule, cooling, run
from neuromanifold.networks.energy import Ising, parallel_tempering, path_integral_annealing, random_spins

J = np.array([[0.0, 1.2, -0.7], [1.2, 0.0, 0.5], [-0.7, 0.5, 0.0]])
B = np.array([0.4, -0.2, 0.3])
STATES = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
LEVELS = -0.5 * np.einsum("ki,ij,kj->k", STATES, J, STATES) - STATES @ B
MODEL = Ising(J, B)


def number_of(spins):
    return ((np.asarray(spins) > 0) @ (1 << np.arange(2, -1, -1))).astype(int)


def test_tempering_keeps_the_law_at_every_temperature(key):
    """States of 4,000 independent ladders after 30 steps, each temperature by itself and a pair together."""
    temperatures = np.array([3.0, 1.5, 0.8])
    start = random_spins(key, 3, 3)
    made = run(
        parallel_tempering(MODEL, temperatures),
        key,
        start,
        30,
        replicas=4000,
        observe_info=lambda info: (info.proposed, info.exchanged),
    )
    found = number_of(made.state.spins)
    laws = np.exp(-LEVELS / temperatures[:, None])
    laws /= laws.sum(1, keepdims=True)
    for k in range(3):
        counts = np.bincount(found[:, k], minlength=8)
        assert chisquare(counts, 4000 * laws[k]).pvalue > 1e-4
    together = np.bincount(8 * found[:, 1] + found[:, 2], minlength=64)
    expected = 4000 * np.outer(laws[1], laws[2]).ravel()
    often = expected > 5
    kept = np.append(together[often], together[~often].sum())
    assert chisquare(kept, np.append(expected[often], expected[~often].sum())).pvalue > 1e-4
    # The law of one temperature is not that of the next: what an exchange of the wrong sign would mix up.
    assert chisquare(np.bincount(found[:, 1], minlength=8), 4000 * laws[2]).pvalue < 1e-4
    proposed, exchanged = made.infos
    assert (proposed[:, ::2] == [True, False]).all()
    assert (proposed[:, 1::2] == [False, True]).all()
    # The mean of min(1, exp(gain)) over both laws, for the pair of the lower temperatures.
    gain = (1 / 1.5 - 1 / 0.8) * (LEVELS[:, None] - LEVELS)
    rate = np.sum(np.outer(laws[1], laws[2]) * np.minimum(1, np.exp(gain)))
    share = exchanged[:, 21::2, 1].mean()
    assert abs(share - rate) < 5 * np.sqrt(rate * (1 - rate) / 4000)
    assert np.array_equal(np.sort(made.state.walker, 1), np.tile(np.arange(3), (4000, 1)))
    np.testing.assert_allclose(made.state.energy, LEVELS[found], atol=1e-5)
    np.testing.assert_allclose(made.state.best_energy, LEVELS.min(), atol=1e-5)


def test_paths_keep_their_weight(key):
    """All 2^12 paths of three spins in four slices, as the number of each slice and of each pair."""
    field, temperature, n_slices = 1.0, 0.7, 4
    process = path_integral_annealing(MODEL, field, temperature, n_slices)
    made = run(process, key, random_spins(key, 4, 3), 40, replicas=8000)
    found = number_of(made.state.spins)
    bond = -0.5 * np.log(np.tanh(field / (n_slices * temperature)))
    link = np.exp(bond * STATES @ STATES.T - (LEVELS[:, None] + LEVELS) / (2 * n_slices * temperature))
    ring = np.linalg.matrix_power(link, n_slices)
    pair = link * np.linalg.matrix_power(link, n_slices - 1).T
    np.testing.assert_allclose(pair.sum(), np.trace(ring))
    for k in range(4):
        counts = np.bincount(8 * found[:, k] + found[:, (k + 1) % 4], minlength=64)
        expected = 8000 * (pair / pair.sum()).ravel()
        often = expected > 5
        kept = np.append(counts[often], counts[~often].sum())
        assert chisquare(kept, np.append(expected[often], expected[~often].sum())).pvalue > 1e-4
    np.testing.assert_allclose(made.state.energy, LEVELS[found], atol=1e-5)


def test_paths_tend_to_the_quantum_law():
    """The law of a slice is the diagonal of exp(-H/T) up to the square of the slice's width."""
    field, temperature = 1.0, 0.7
    hamiltonian = np.diag(LEVELS)
    for k, i in itertools.product(range(8), range(3)):
        hamiltonian[k, k ^ (1 << i)] -= field
    exact = np.diagonal(expm(-hamiltonian / temperature))
    errors = []
    for n_slices in (8, 16):
        bond = -0.5 * np.log(np.tanh(field / (n_slices * temperature)))
        link = np.exp(bond * STATES @ STATES.T - (LEVELS[:, None] + LEVELS) / (2 * n_slices * temperature))
        law = np.diagonal(np.linalg.matrix_power(link, n_slices))
        errors.append(np.abs(law / law.sum() - exact / exact.sum()).max())
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_paths_find_the_ground_state(key):
    random = np.random.default_rng(0)
    upper = np.triu(random.normal(size=(12, 12)), 1)
    couplings = upper + upper.T
    states = np.array(list(itertools.product((-1.0, 1.0), repeat=12)))
    levels = -0.5 * np.einsum("ki,ij,kj->k", states, couplings, states)
    process = path_integral_annealing(Ising(couplings), cooling("linear", 3.0, 0.01, 150), 0.1, 8)
    made = run(process, key, random_spins(key, 8, 12), 150, observe_info=lambda info: info.field)
    assert float(made.state.best_energy) == pytest.approx(levels.min(), abs=1e-5)
    np.testing.assert_allclose(made.infos[[0, -1]], [3.0, 0.01 + 2.99 / 150], rtol=1e-4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: parallel_tempering(MODEL, [1.0]), "temperatures must be at least two"),
        (lambda: parallel_tempering(MODEL, [1.0, 2.0]), "temperatures must fall"),
        (lambda: parallel_tempering(MODEL, [1.0, 0.0]), "temperatures must be > 0"),
        (lambda: parallel_tempering(MODEL, [2.0, 1.0], rule="x"), "rule must be one of"),
        (
            lambda: parallel_tempering(MODEL, [2.0, 1.0]).init(None, jnp.ones((3, 3))),
            r"spins must have shape \(2, 3\), got \(3, 3\)",
        ),
        (lambda: path_integral_annealing(MODEL, 0.0, 1.0, 4), "field must be a finite number > 0"),
        (lambda: path_integral_annealing(MODEL, 1.0, 0.0, 4), "temperature must be a finite number > 0"),
        (lambda: path_integral_annealing(MODEL, 1.0, 1.0, 5), "n_slices must be even"),
        (lambda: path_integral_annealing(MODEL, 1.0, 1.0, 2), "n_slices must be an integer >= 4"),
        (lambda: path_integral_annealing(MODEL, 1.0, 1.0, 4, rule="x"), "rule must be one of"),
        (
            lambda: path_integral_annealing(MODEL, cooling("linear", 1.0, 0.0, 5), 1.0, 4),
            "field must stay above 0",
        ),
        (
            lambda: path_integral_annealing(MODEL, Schedule("linear", 1.0, 2.0, 5), 1.0, 4),
            "field must never rise",
        ),
        (
            lambda: path_integral_annealing(MODEL, 1.0, 1.0, 4).init(None, jnp.ones((3, 3))),
            r"spins must have shape \(4, 3\)",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_all_copies_may_begin_alike():
    one = jax.random.rademacher(jax.random.key(0), (3,), jnp.float32)
    for process in (
        parallel_tempering(MODEL, [2.0, 1.0]),
        path_integral_annealing(MODEL, 1.0, 1.0, 4),
    ):
        state = process.init(jax.random.key(0), one)
        assert (state.spins == one[None]).all()
