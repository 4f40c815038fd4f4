"""Ising and QUBO energies, sweeps against a plain loop and against enumeration, annealing, bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from neuromanifold.data import sherrington_kirkpatrick
from neuromanifold.dynamics import Schedule, cooling, run
from neuromanifold.networks.energy import (
    Adaptive,
    Hajek,
    Ising,
    Qubo,
    Sweeper,
    anneal,
    annealing,
    annealing_of,
    boltzmann_energy,
    random_spins,
    temperature_range,
)


def instance(n, seed=0):
    random = np.random.default_rng(seed)
    upper = np.triu(random.normal(size=(n, n)) / np.sqrt(n), 1)
    return upper + upper.T, 0.3 * random.normal(size=n)


def every_state(n):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def energies(couplings, biases, states):
    return -0.5 * np.einsum("ki,ij,kj->k", states, couplings, states) - states @ biases


def test_energies_of_all_forms_agree():
    random = np.random.default_rng(1)
    matrix = random.normal(size=(5, 5))
    bits = (every_state(5) + 1) / 2
    expected = np.einsum("ki,ij,kj->k", bits, matrix, bits) + 0.7
    with jax.enable_x64(True):
        for given in (0.5 * (matrix + matrix.T), np.triu(matrix + np.tril(matrix, -1).T)):
            qubo = Qubo(given, 0.7)
            np.testing.assert_allclose(qubo.energy(bits), expected, atol=1e-13)
            np.testing.assert_allclose(qubo.ising().energy(2 * bits - 1), expected, atol=1e-13)
            np.testing.assert_array_equal(qubo.variables(2 * bits - 1), bits)
        weights, biases = instance(5)
        machine = boltzmann_energy(weights, biases)
        np.testing.assert_allclose(machine.energy(bits), energies(weights, biases, bits), atol=1e-13)
        ising = Ising(weights, biases)
        np.testing.assert_allclose(
            ising.energy(2 * bits - 1), energies(weights, biases, 2 * bits - 1), atol=1e-13
        )


@pytest.mark.parametrize("rule", ["metropolis", "heat bath"])
def test_a_sweep_is_the_plain_loop(rule, key):
    """101 units make three tiles of 34, the last with one place to fill."""
    couplings, biases = instance(101)
    with jax.enable_x64(True):
        model = Ising(couplings, biases)
        temperatures = jnp.array([0.5, 1.0, 3.0])
        spins = random_spins(key, 3, 101)
        sweeper = Sweeper(model, rule)
        sweep = jax.jit(lambda *given: sweeper(*given))
        after, fields, turned = sweep(key, temperatures, spins, model.local_fields(spins))
        draw = jax.random.exponential if rule == "metropolis" else jax.random.logistic
        noise = np.asarray(draw(key, (3, 34, 3), jnp.float64)).reshape(102, 3)
        plain = np.array(spins)
        for read, i in itertools.product(range(3), range(101)):
            cost = 2 * plain[read, i] * (couplings[i] @ plain[read] + biases[i])
            if cost < float(temperatures[read]) * noise[i, read]:
                plain[read, i] *= -1
        np.testing.assert_array_equal(after, plain)
        np.testing.assert_allclose(fields, plain @ couplings + biases, atol=1e-12)
        np.testing.assert_array_equal(turned, (plain != np.asarray(spins)).sum(1))
        assert turned.min() > 20


@pytest.mark.parametrize("rule", ["metropolis", "heat bath"])
def test_a_constant_temperature_keeps_the_gibbs_law(rule, key):
    couplings, biases = instance(4, seed=2)
    process = annealing(Ising(couplings, biases), 1.3, rule=rule)
    found = run(process, key, random_spins(jax.random.key(1), 20000, 4), 30).state.spins
    number = ((np.asarray(found) > 0) @ (1 << np.arange(3, -1, -1))).astype(int)
    law = np.exp(-energies(couplings, biases, every_state(4)) / 1.3)
    counts = np.bincount(number, minlength=16)
    assert chisquare(counts, 20000 * law / law.sum()).pvalue > 1e-4
    wrong = law**1.1
    assert chisquare(counts, 20000 * wrong / wrong.sum()).pvalue < 1e-4


def test_annealing_finds_the_ground_state_and_says_what_it_did(key):
    couplings, biases = instance(14, seed=3)
    energy = energies(couplings, biases, every_state(14))
    made = anneal(key, Ising(couplings, biases), 100, n_reads=8, every=2)
    assert made.best_energies.min() == pytest.approx(energy.min(), abs=1e-6)
    np.testing.assert_allclose(
        made.best_states[made.best_energies.argmin()], every_state(14)[energy.argmin()]
    )
    np.testing.assert_allclose(made.best_energies, energies(couplings, biases, made.best_states), atol=1e-6)
    np.testing.assert_allclose(made.last_energies, energies(couplings, biases, made.last_states), atol=1e-6)
    np.testing.assert_allclose(made.energies[-1], made.last_energies, atol=1e-5)
    assert (made.best_energies <= made.energies.min(0) + 1e-5).all()
    hot, cold = temperature_range(Ising(couplings, biases))
    expected = hot * (cold / hot) ** ((made.times - 1) / 100)
    np.testing.assert_allclose(made.temperatures, expected, rtol=1e-5)
    assert made.acceptance[:5].mean() > 0.5 > 0.1 > made.acceptance[-5:].mean()
    assert made.energies.shape == made.acceptance.shape == (50, 8)


def test_a_qubo_is_annealed_in_its_own_variables(key):
    matrix = np.random.default_rng(4).normal(size=(14, 14))
    qubo = Qubo(0.5 * (matrix + matrix.T), 2.0)
    bits = (every_state(14) + 1) / 2
    energy = np.einsum("ki,ij,kj->k", bits, matrix, bits) + 2.0
    made = anneal(key, qubo, 100, n_reads=8, every=2)  # the program of the test above
    best = made.best_energies.argmin()
    assert made.best_energies[best] == pytest.approx(energy.min(), abs=1e-5)
    np.testing.assert_array_equal(made.best_states[best], bits[energy.argmin()])


def test_an_adaptive_schedule_falls_at_its_speed(key):
    """The mean energy falls by `speed` standard deviations a sweep, while the reads are in equilibrium."""
    model, speed = Ising(sherrington_kirkpatrick(jax.random.key(5), 200)), 0.1
    process = annealing(model, Adaptive(4.0, 0.1, speed))
    made = run(process, key, random_spins(key, 400, 200), 30, observe_info=lambda info: info)
    temperatures, energies = made.infos.temperature, made.infos.energy.astype(np.float64)
    assert (np.diff(temperatures) < 0).all()
    np.testing.assert_allclose(temperatures[0], 4.0, rtol=1e-6)
    # From the fifth sweep, where the start at random is forgotten, down to T = 1.5, where sweeps keep up.
    stop = int(np.argmax(temperatures < 1.5)) or 29
    in_spreads = (-np.diff(energies.mean(1)) / energies.std(1, ddof=1)[:-1])[5:stop].mean()
    # The mean of a fall over m sweeps is a difference of two means of 400 energies.
    error = np.sqrt(2 / 400) / (stop - 5)
    assert abs(in_spreads - speed) < 5 * error + 0.1 * speed
    # Fields carried through 30 sweeps of changes are those of the state.
    np.testing.assert_allclose(made.state.fields, model.local_fields(made.state.spins), atol=2e-5)


def test_reads_that_agree_cool_by_halves():
    schedule, energy = Adaptive(1.0, 0.2, 0.1), jnp.full(3, 7.0)
    now, seen = schedule.begin(energy), []
    for _ in range(4):
        seen.append(float(now[0]))
        now = schedule.follow(now, energy)
    np.testing.assert_allclose(seen, [1.0, 0.5, 0.25, 0.2], rtol=1e-5)


def test_instances_have_their_variance():
    for kind in ("gaussian", "signs"):
        couplings = np.asarray(sherrington_kirkpatrick(jax.random.key(0), 300, kind), np.float64)
        assert (couplings == couplings.T).all()
        assert not np.diagonal(couplings).any()
        upper = couplings[np.triu_indices(300, 1)] * np.sqrt(300)
        n = upper.size
        assert abs(upper.mean()) < 5 / np.sqrt(n)
        assert abs((upper**2).mean() - 1) < 5 * np.sqrt(2 / n)
    assert set(np.abs(upper).round(5)) == {1.0}


def walk(key, x):
    return x + 1, 0.0, 0.0


PAIR = Ising([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Ising([[0, 1], [2, 0]]), r"couplings must be symmetric, .* got \(1, 2\)"),
        (lambda: Ising([[1, 1], [1, 0]]), "couplings must have a diagonal of zeros"),
        (lambda: Ising([[0, 1, 2]]), r"couplings must have shape \(n_units, n_units\), got \(1, 3\)"),
        (lambda: Ising([[0, np.nan], [np.nan, 0]]), "couplings must be finite"),
        (lambda: Ising([[0, 1], [1, 0]], [1, 2, 3]), r"biases must be a number or have shape \(2,\)"),
        (lambda: Qubo([[1, 1], [2, 1]]), "matrix must be symmetric"),
        (lambda: Qubo([1, 2]), r"matrix must have shape \(n_units, n_units\)"),
        (lambda: boltzmann_energy([[0, 1], [2, 0]]), "weights must be symmetric"),
        (lambda: boltzmann_energy([[1, 1], [1, 0]]), "weights must have a diagonal of zeros"),
        (lambda: boltzmann_energy([[0, 1], [1, 0]], [1, 2, 3]), "biases must be a number"),
        (lambda: annealing(PAIR, 0.0), r"temperature must be a finite number > 0, got 0.0"),
        (lambda: annealing(PAIR, -1.0), r"temperature must be a finite number > 0, got -1.0"),
        (lambda: annealing(PAIR, cooling("linear", 1.0, 0.0, 5)), "temperature must stay above 0, got 0.0"),
        (lambda: annealing(PAIR, Schedule("linear", 1.0, 2.0, 5)), "temperature must never rise"),
        (lambda: annealing(PAIR, 1.0, rule="greedy"), "rule must be one of"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, lambda t: 1.0 + t), r"never rise, got \[1.0, 2.0\]"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, lambda t: 2.0 - t), r"temperature must stay above 0"),
        (lambda: anneal(jax.random.key(0), PAIR, 0), "n_sweeps must be an integer >= 1"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, n_reads=0), "n_reads must be an integer >= 1"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, start=[[1, 0]]), "spins must hold only -1 and"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, start=[[1, 1, 1]]), r"spins must have shape \(..., 2\)"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, start=[1, 1]), r"spins must have shape \(n_reads, 2\)"),
        (lambda: anneal(jax.random.key(0), PAIR, 5, Adaptive(2.0, 1.0)), "spins must hold at least two"),
        (lambda: temperature_range(Ising(np.zeros((2, 2)))), "model must have an energy that differs"),
        (lambda: Adaptive(1.0, 0.0), "stop must be a finite number > 0"),
        (lambda: Adaptive(1.0, 2.0), "start must be above stop"),
        (lambda: Adaptive(1.0, 0.5, 0.0), "speed must be a finite number > 0"),
        (lambda: Adaptive(1.0, 0.5, 0.1, 1.0), r"memory must be a finite number in \[0, 1\)"),
        (lambda: Hajek(0.0), "scale must be a finite number > 0"),
        (lambda: annealing_of(jnp.abs, walk, 0.0), "temperature must be a finite number > 0"),
        (lambda: annealing_of(jnp.abs, walk, Adaptive(2.0, 1.0)), "temperature must not be Adaptive"),
        (lambda: random_spins(jax.random.key(0), 0, 3), "n_reads must be an integer >= 1"),
        (lambda: sherrington_kirkpatrick(jax.random.key(0), 1), "n_units must be an integer >= 2"),
        (lambda: sherrington_kirkpatrick(jax.random.key(0), 5, "levy"), "couplings must be one of"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
