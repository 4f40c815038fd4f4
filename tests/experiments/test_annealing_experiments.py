"""The experiments on annealing at their quick presets: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.annealing import (
    AnnealingSchedules,
    PathIntegralAnnealing,
    QuantumAnnealing,
    SherringtonKirkpatrick,
)


@pytest.fixture(scope="module")
def schedules(reproduced):
    experiment = AnnealingSchedules()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def quantum(reproduced):
    experiment = QuantumAnnealing()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def glass(reproduced):
    experiment = SherringtonKirkpatrick()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def paths(reproduced):
    experiment = PathIntegralAnnealing()
    return experiment, reproduced(experiment)


@pytest.mark.parametrize("name", ["schedules", "quantum", "glass", "paths"])
def test_claims_hold(name, request, labelled):
    experiment, record = request.getfixturevalue(name)
    found = {claim.statement: claim.holds for claim in experiment.claims(record)}
    assert found
    assert all(found.values()), found
    labelled(experiment.draw(record))


def test_schedule_claims_fail_for_wrong_formulas(schedules, failing):
    experiment, record = schedules
    # A schedule c / (2 log(t + 2)) is that of half the scale: the neighbour's numbers.
    success = record["success_predicted"].values
    assert len(failing(experiment, record, success_predicted=np.roll(success, 1, 0))) >= 8
    # Heat bath at half the temperature.
    law = record["law_predicted"].values ** 2
    assert len(failing(experiment, record, law_predicted=law / law.sum())) >= 3
    # A depth without the energy of the trap itself.
    words = failing(experiment, record, depth=2.1)
    assert [s.split(",")[0].split(" below")[0] for s in words] == ["c = 1.5", "c = 2"]


def test_quantum_claims_fail_for_wrong_formulas(quantum, failing):
    experiment, record = quantum
    rates = record["rate"].values
    # exp(-pi Delta^2 / v), twice the exponent.
    wrong = np.exp(-np.pi / rates)
    assert len(failing(experiment, record, diabatic_predicted=wrong, adiabatic_predicted=wrong)) == 6
    assert failing(experiment, record, least=2 * float(record["least"]), most=3 * float(record["most"]))
    assert failing(experiment, record, most=0.5 * float(record["most"]))
    assert failing(experiment, record, guess=0.5)
    assert failing(experiment, record, loss=record["loss"].values[::-1])


def test_glass_claims_fail_for_wrong_formulas(glass, failing):
    experiment, record = glass
    # Without the correction for finite size; with the replica-symmetric limit.
    assert len(failing(experiment, record, ground_predicted=-0.76317)) == 3
    symmetric = float(record["broken"].values[0])
    assert failing(experiment, record, limit_predicted=symmetric) == [
        "Extrapolated to many units: Parisi's energy."
    ]
    # Energies of pairs counted twice.
    assert len(failing(experiment, record, hot_predicted=2 * record["hot_predicted"].values)) == 2
    # Copies that have not met: overlap zero, energy -1/(2T) at every temperature.
    wrong = record["energy"].values + 0.5 / record["temperature"].values * 31 / 32
    assert len(failing(experiment, record, gap=wrong)) >= 3
    assert len(failing(experiment, record, ground=symmetric)) >= 3


def test_path_claims_fail_for_wrong_formulas(paths, failing):
    experiment, record = paths
    # Paths of a few slices as if they were the quantum system.
    wrong = record["sliced_expected"].values - record["gap"].values
    assert len(failing(experiment, record, sliced_expected=wrong)) == 2
    # Errors of first order.
    assert len(failing(experiment, record, order_expected=-1.0)) == 2
    assert len(failing(experiment, record, ground=record["ground"].values - 0.01)) == 2
    assert len(failing(experiment, record, best=record["best"].values[:, :, ::-1])) == 2


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (AnnealingSchedules, {"start": 9}, "start must be a state"),
        (
            AnnealingSchedules,
            {"energies": (0.0, 1.0, 0.0, 1.0, 0.5)},
            "energies must have one global minimum",
        ),
        (AnnealingSchedules, {"scales": (2.0, 1.0)}, "scales must rise"),
        (AnnealingSchedules, {"scales": (2.0, 3.0)}, "scales must lie on both sides of the depth 1.5"),
        (AnnealingSchedules, {"horizon": 1500}, "horizon must be a multiple of 1000"),
        (AnnealingSchedules, {"n_proposals": 110}, "n_proposals must be a multiple of 20"),
        (QuantumAnnealing, {"rates": (2.0, 1.0)}, "rates must rise"),
        (QuantumAnnealing, {"durations": (2.0, 1.0)}, "durations must rise"),
        (QuantumAnnealing, {"n_spins": 13}, r"n_spins must be an integer in \[2, 8\]"),
        (QuantumAnnealing, {"n_slow": 20}, "n_slow must leave some durations"),
        (PathIntegralAnnealing, {"slices": (4, 6)}, "slices must double"),
        (PathIntegralAnnealing, {"slices": (5, 10)}, "slices must be even"),
        (PathIntegralAnnealing, {"durations": (3, 3)}, "durations must be at least two that rise"),
        (PathIntegralAnnealing, {"fields": (0.05, 3.0)}, "fields must be two numbers that fall"),
        (PathIntegralAnnealing, {"temperatures": (2.0,)}, "temperatures must be two numbers that fall"),
        (SherringtonKirkpatrick, {"sizes": (32, 16)}, "sizes must rise"),
        (SherringtonKirkpatrick, {"temperatures": (1.0, 2.0)}, "temperatures must fall"),
        (SherringtonKirkpatrick, {"temperatures": (1.2, 1.0)}, "temperatures must begin above"),
        (SherringtonKirkpatrick, {"n_steps": 50}, "n_steps must be a multiple of 20"),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
