"""Recall at finite temperature: stationary laws by enumeration, limits, schedules, one temperature a cue."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from neuromanifold.dynamics import as_schedule, cooling, run
from neuromanifold.networks.memory import (
    DenseAssociativeMemory,
    DenseHopfield,
    Hopfield,
    asynchronous,
    from_signs,
    synchronous,
)

N, T = 5, 1.25
STATES = np.array(list(itertools.product([-1.0, 1.0], repeat=N)))


def couplings_and_inputs():
    rng = np.random.default_rng(4)
    couplings = np.triu(rng.normal(size=(N, N)), 1) * 0.4
    return (couplings + couplings.T).astype(np.float32), (0.4 * rng.normal(size=N)).astype(np.float32)


COUPLINGS, INPUTS = couplings_and_inputs()
PATTERNS = np.random.default_rng(5).choice([-1, 1], (3, N)).astype(np.int8)


def p_value(process, key, log_weight, low=-1, cues=8000, steps=120):
    """Chi-square of independent cues after many steps from one state against a law."""
    start = np.broadcast_to(np.where(STATES[-1] > 0, 1, low), (cues, N))
    final = np.asarray(run(process, key, start, steps).state)
    counts = np.bincount(np.sum((final > 0) * 2 ** np.arange(N)[::-1], axis=1), minlength=2**N)
    weights = np.exp(np.asarray(log_weight, np.float64) - np.max(log_weight))
    return stats.chisquare(counts, weights / weights.sum() * cues).pvalue


def by_definition(states, couplings=COUPLINGS, inputs=INPUTS):
    return -0.5 * np.einsum("si,ij,sj->s", states, couplings, states) - states @ inputs


NETWORKS = {
    "given couplings": (DenseHopfield(COUPLINGS, inputs=INPUTS), by_definition(STATES)),
    "factored": (
        Hopfield(PATTERNS, inputs=INPUTS),
        by_definition(STATES, (PATTERNS.T @ PATTERNS - 3 * np.eye(N)) / N),
    ),
    "order 3": (
        DenseAssociativeMemory(PATTERNS, order=3),
        -np.sum((STATES @ PATTERNS.T.astype(float)) ** 3, 1) / (3 * N**2),
    ),
    "exponential": (
        DenseAssociativeMemory(PATTERNS, "exponential"),
        -np.log(np.sum(np.exp(STATES @ PATTERNS.T.astype(float)), 1)),
    ),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_single_unit_updates_keep_the_law_of_the_energy(name, key):
    network, energies = NETWORKS[name]
    process = asynchronous(network, temperature=T)
    assert p_value(process, key, -energies / T) > 1e-6
    assert p_value(process, key, -1.3 * energies / T) < 1e-6
    declared = np.asarray(process.log_weight(jnp.asarray(STATES, jnp.float32)))
    np.testing.assert_allclose(
        declared - declared[0], -(energies - energies[0]) / T, atol=2e-5 * np.abs(energies).max()
    )


def test_any_order_of_units_keeps_the_law(key):
    network, energies = NETWORKS["given couplings"]
    for order in ("uniform", "sequential"):
        process = asynchronous(network, order, 5, temperature=T)
        assert p_value(process, key, -energies / T) > 1e-6


def test_zero_one_units_have_no_factor_two(key):
    network = from_signs(DenseHopfield(COUPLINGS, inputs=INPUTS, tie="keep"))
    energies = np.asarray(network.energy(jnp.asarray((STATES + 1) / 2, jnp.float32)))
    # Fields are twice those of +-1 units, and so is the temperature of the same law.
    process = asynchronous(network, temperature=2 * T)
    assert p_value(process, key, -energies / (2 * T), low=0) > 1e-6
    assert p_value(process, key, -energies / T, low=0) < 1e-6


def test_updates_of_all_units_keep_the_law_of_little(key):
    network, energies = NETWORKS["given couplings"]
    fields = STATES @ COUPLINGS + INPUTS
    little = STATES @ INPUTS / T + np.sum(np.log(2 * np.cosh(fields / T)), 1)
    process = synchronous(network, temperature=T)
    assert process.log_weight is None
    assert p_value(process, key, little) > 1e-6
    assert p_value(process, key, -energies / T) < 1e-6


def test_no_temperature_is_the_deterministic_recall(key):
    rng = np.random.default_rng(0)
    memory = Hopfield(rng.choice([-1, 1], (6, 40)), tie="keep")
    cues = rng.choice([-1, 1], (7, 40))
    for make in (asynchronous, synchronous):
        still = run(make(memory), key, cues, 4).state
        # As a number it draws nothing; as an array the noise has the factor zero.
        assert make(memory, temperature=0.0).log_weight is None
        array = run(make(memory, temperature=np.zeros(7)), key, cues, 4).state
        assert np.array_equal(run(make(memory, temperature=0), key, cues, 4).state, still)
        if make is synchronous:
            assert np.array_equal(array, still)
        else:
            assert np.array_equal(
                run(make(memory), key, array, 6).state, run(make(memory), key, array, 7).state
            )
    assert asynchronous(memory).descends is not None
    assert asynchronous(memory, temperature=0.3).descends is None


def test_each_cue_has_its_own_temperature(key):
    memory = Hopfield(np.ones((1, 400), np.int8))
    temperatures = np.array([0.0, 0.5, 1e9])
    process = asynchronous(memory, "sequential", temperature=temperatures[:, None])
    final = run(process, key, np.ones((3, 20, 400)), 30).state
    m = np.asarray(memory.overlaps(final))[..., 0]
    assert np.all(m[0] == 1)
    # m = tanh(m/T), T = 1/2; its thermal scatter is sqrt(chi T/N), chi T = (1 - m^2)/(1 - (1 - m^2)/T).
    scatter = np.sqrt((1 - 0.9575**2) / (1 - (1 - 0.9575**2) / 0.5) / 400 / 20)
    assert m[1].mean() == pytest.approx(0.9575, abs=5 * scatter)
    assert m[2].mean() == pytest.approx(0, abs=5 / np.sqrt(400 * 20))


def test_annealing_finds_a_lower_energy_than_quenching(key):
    rng = np.random.default_rng(2)
    couplings = np.triu(rng.normal(size=(60, 60)), 1) / np.sqrt(60)
    glass = DenseHopfield((couplings + couplings.T).astype(np.float32))
    cues = rng.choice([-1, 1], (40, 60))
    quenched = glass.energy(run(asynchronous(glass), key, cues, 60).state)
    slow = asynchronous(glass, temperature=cooling("linear", 1.2, 0.0, 59))
    assert slow.log_weight is None
    annealed = glass.energy(run(slow, key, cues, 60).state)
    gap = np.asarray(quenched - annealed)
    assert gap.mean() > 5 * gap.std(ddof=1) / np.sqrt(40)


@pytest.mark.parametrize("make", [asynchronous, synchronous])
@pytest.mark.parametrize(
    "temperature, message",
    [
        (-0.1, "temperature must be a finite number >= 0, got -0.1"),
        (float("nan"), "temperature must be a finite number >= 0"),
        (np.array([0.1, -0.2]), "temperature must be >= 0"),
        (np.array([0.1, np.inf]), "temperature must be finite"),
    ],
)
def test_bad_temperatures_are_refused(make, temperature, message):
    with pytest.raises(ValueError, match=message):
        make(Hopfield(PATTERNS), temperature=temperature)


def test_schedules():
    assert float(as_schedule("beta", 2.0)(7)) == 2.0
    cool = cooling("linear", 1.0, 0.0, 4)
    assert as_schedule("beta", cool) is cool
