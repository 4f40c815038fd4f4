"""Experiments on temperature, mixtures, dense and modern memories: claims hold and can fail."""

import numpy as np
import pytest
from scipy.optimize import brentq

from neuromanifold.experiments.memory import MemoryDense, MemoryMixtures, MemoryModern, MemoryTemperature
from neuromanifold.theory.memory import bit_error, group_weights


@pytest.fixture(scope="module")
def temperature(reproduced):
    experiment = MemoryTemperature()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def mixtures(reproduced):
    experiment = MemoryMixtures()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def dense(reproduced):
    experiment = MemoryDense()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def modern(reproduced):
    experiment = MemoryModern()
    return experiment, reproduced(experiment)


def verdicts(made):
    experiment, record = made
    return {claim.statement: claim.holds for claim in experiment.claims(record)}


def test_claims_hold(temperature, mixtures, dense, modern):
    for made in (temperature, mixtures, dense, modern):
        found = verdicts(made)
        assert len(found) >= 4
        assert all(found.values()), found
        assert made[0].draw(made[1]).axes


def replaced(record, name, values):
    return record.assign({name: record[name].copy(data=values)})


def test_temperature_claims_fail_for_the_magnet_without_load(temperature):
    experiment, record = temperature
    t = record["temperature"].values
    magnet = [[brentq(lambda m, x=x: np.tanh(m / x) - m, 1e-9, 1) for x in t]] * record.sizes["load"]
    assert sum(not c.holds for c in experiment.claims(replaced(record, "predicted_overlap", magnet))) >= 1


def test_temperature_claims_fail_where_the_memory_stays_or_goes(temperature):
    experiment, record = temperature
    for name, value in (("overlap", 0.9), ("kept_fraction", 0.1)):
        wrong = replaced(record, name, np.full(record[name].shape, value))
        assert any(not c.holds for c in experiment.claims(wrong))


def test_mixture_claims_fail_for_other_overlaps(mixtures):
    experiment, record = mixtures
    # The overlap of a pattern with the majority of n + 2.
    wrong = record["predicted_overlap"].values.copy()
    wrong[0], wrong[1] = np.where(wrong[0] > 0, 3 / 8, 0), np.where(wrong[1] > 0, 5 / 16, 0)
    claims = experiment.claims(replaced(record, "predicted_overlap", wrong))
    assert not any(c.holds for c in claims if c.kind == "agrees")
    kept = replaced(record, "overlap", np.full(record["overlap"].shape, 0.7))
    assert any(not c.holds for c in experiment.claims(kept))


def test_dense_claims_fail_for_half_the_noise(dense):
    experiment, record = dense
    wrong = [
        [
            bit_error(experiment.n_units, experiment._count(n, load), n, "rectified")
            for load in experiment.scaled_loads
        ]
        for n in experiment.orders
    ]
    claims = experiment.claims(replaced(record, "exact_error", wrong))
    assert not any(c.holds for c in claims if c.kind == "agrees")
    for name in ("rises", "many_failed"):
        assert any(not c.holds for c in experiment.claims(replaced(record, name, 1)))


def test_modern_claims_fail_for_another_correlation(modern):
    experiment, record = modern
    wrong = group_weights(np.array(experiment.betas), 4, 5, 0.65).own
    assert sum(not c.holds for c in experiment.claims(replaced(record, "predicted_own", wrong))) == 1
    lost = replaced(record, "random_overlap", np.full(record["random_overlap"].shape, 0.7))
    assert sum(not c.holds for c in experiment.claims(lost)) >= 2


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MemoryTemperature(temperatures=(-0.1,)), "temperatures\\[0\\] must be"),
        (lambda: MemoryTemperature(n_units=100, loads=(0.01,), n_cues=3), "n_cues must be at most"),
        (lambda: MemoryMixtures(mixed=(4,)), "mixed must hold odd numbers"),
        (lambda: MemoryMixtures(mixed=(15,)), "mixed must hold at most"),
        (lambda: MemoryMixtures(temperatures=(0.1,)), "temperatures must begin with 0"),
        (lambda: MemoryDense(orders=(1,)), "orders\\[0\\] must be"),
        (lambda: MemoryModern(n_components=20), "n_components must be at least 24"),
    ],
)
def test_inconsistent_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
