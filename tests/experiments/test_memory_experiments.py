"""Experiments on associative memory: claims hold, and fail for wrong formulas."""

import numpy as np
import pytest
from scipy.special import erf

from neuromanifold.evidence import EvidenceError
from neuromanifold.experiments.memory import MemoryCapacity, MemoryDynamics, MemoryPictures
from neuromanifold.theory.memory import recall_dynamics


@pytest.fixture(scope="module")
def capacity(reproduced):
    experiment = MemoryCapacity()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def dynamics(reproduced):
    experiment = MemoryDynamics()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def pictures(reproduced):
    experiment = MemoryPictures()
    return experiment, reproduced(experiment)


def verdicts(made):
    experiment, record = made
    return {claim.statement: claim.holds for claim in experiment.claims(record)}


def test_claims_hold(capacity, dynamics, pictures):
    for made in (capacity, dynamics, pictures):
        found = verdicts(made)
        assert found
        assert all(found.values()), found
        assert made[0].draw(made[1]).axes


def test_capacity_claims_fail_for_the_formula_without_feedback(capacity):
    experiment, record = capacity
    m = np.ones(record.sizes["load"])
    for _ in range(100):
        m = erf(m / np.sqrt(2 * record["load"].values))
    wrong = record.assign(predicted_overlap=record["predicted_overlap"].copy(data=m))
    claim = next(c for c in experiment.claims(wrong) if c.statement.startswith("At load 0.12 the memory's"))
    assert not claim.holds


def test_capacity_claims_fail_where_the_memory_stays(capacity):
    experiment, record = capacity
    kept = record.assign(overlap=record["overlap"].copy(data=np.full(record.sizes["load"], 0.97)))
    assert not experiment.claims(kept)[-1].holds


def test_dynamics_claims_fail_for_the_recursion_at_the_second_step(dynamics):
    experiment, record = dynamics
    alpha = round(experiment.load * experiment.n_units) / experiment.n_units
    recursion = recall_dynamics(alpha, np.array(experiment.overlaps), 2).overlap[:, 2]
    wrong = record.assign(auto_second_step=record["auto_second_step"].copy(data=recursion))
    claim = next(c for c in experiment.claims(wrong) if "m = 0.2: the second step" in c.statement)
    assert not claim.holds


def test_dynamics_claims_fail_for_the_noise_of_the_other_memory(dynamics):
    experiment, record = dynamics
    starts = np.array(experiment.sequence_overlaps)
    mixed = recall_dynamics(experiment.sequence_load, starts, experiment.n_steps, "auto").overlap
    wrong = record.assign(sequence_predicted=record["sequence_predicted"].copy(data=mixed))
    assert not all(c.holds for c in experiment.claims(wrong) if "right after" in c.statement)


def test_dynamics_claims_fail_for_another_exponent(dynamics):
    experiment, record = dynamics
    wrong = record.assign(exponent=record["exponent"].copy(data=-1.0))
    assert not experiment.claims(wrong)[-1].holds


def test_picture_claims_fail_when_energy_rises_or_stability_is_wrong(pictures):
    experiment, record = pictures
    for name, value in (("rises", 1), ("unfinished", 1), ("different", 1)):
        wrong = record.assign({name: record[name].copy(data=value)})
        assert sum(not c.holds for c in experiment.claims(wrong)) == 1
    wrong = record.assign(crowded_unstable=record["crowded_unstable"] * 0 + 0.1)
    wrong["crowded_unstable"].attrs = record["crowded_unstable"].attrs
    assert sum(not c.holds for c in experiment.claims(wrong)) == 1


def test_too_few_samples_are_an_error(capacity):
    experiment, record = capacity
    noisy = record.assign(kept_overlap_stderr=record["kept_overlap_stderr"] + 0.01)
    with pytest.raises(EvidenceError, match="too few samples"):
        experiment.claims(noisy)


def test_faces_are_recalled_as_digits_are(monkeypatch, tmp_path, reproduced):
    """Smooth random pictures stand for faces: 40 classes, ten alike in each."""
    rng = np.random.default_rng(2)
    rough = rng.normal(size=(40, 1, 14, 23)) + 0.5 * rng.normal(size=(40, 10, 14, 23))
    grey = np.clip(128 + 40 * np.repeat(rough, 2, axis=2), 0, 255).astype(np.uint8)
    (tmp_path / "faces").mkdir()
    np.savez(tmp_path / "faces" / "orl_faces_small.npz", x=grey.reshape(400, 28, 23), y=np.arange(400) // 10)
    monkeypatch.setenv("NEUROMANIFOLD_DATA", str(tmp_path))
    experiment = MemoryPictures(source="faces", margin=2, n_sweeps=3, n_crowded=200)
    record = reproduced(experiment)
    assert all(claim.holds for claim in experiment.claims(record)), verdicts((experiment, record))
    assert record["recalled"].shape == (6, 24, 19)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MemoryCapacity(n_units=100, n_cues=6), "n_cues must be at most the number of patterns"),
        (lambda: MemoryCapacity(loads=(0.0,)), "loads\\[0\\] must be"),
        (lambda: MemoryDynamics(stalled=0.25), "stalled must be in overlaps|stalled must be one of overlaps"),
        (lambda: MemoryDynamics(scaling_sizes=(500, 500, 1000)), "scaling_sizes must hold"),
        (lambda: MemoryPictures(n_pictures=2, n_cues=10), "n_cues must make at least 135 cues"),
        (lambda: MemoryPictures(flips=0.6), "flips must be"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
