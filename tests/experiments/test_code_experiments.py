"""The experiments on sparse codes at their quick presets: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.codes import NaturalCodes, SparseInference
from neuromanifold.experiments.codes._natural import excess_kurtosis, measure


@pytest.fixture(scope="module")
def found(reproduced):
    experiment = SparseInference()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def natural(reproduced):
    experiment = NaturalCodes()
    return experiment, reproduced(experiment)


@pytest.mark.parametrize("name", ["found", "natural"])
def test_claims_hold(name, request, labelled):
    experiment, record = request.getfixturevalue(name)
    verdicts = {claim.statement: claim.holds for claim in experiment.claims(record)}
    assert verdicts
    assert all(verdicts.values()), verdicts
    labelled(experiment.draw(record))


def test_inference_claims_fail_for_wrong_formulas(found, failing):
    experiment, record = found
    # An optimum at another penalty; bounds a hundred times smaller; atoms not found, or there from the start.
    assert len(failing(experiment, record, optimum=0.99 * record["optimum"].values)) == 3
    assert len(failing(experiment, record, violation=1e-5)) == 3
    assert len(failing(experiment, record, bound=0.01 * record["bound"].values)) == 2
    assert len(failing(experiment, record, match=record["match_before"].values)) == 1
    assert len(failing(experiment, record, match_before=1.0)) == 1
    slow = record["least"].values[None, :, None] + 1.0 / record["step"].values ** 0.9
    assert len(failing(experiment, record, energy=np.broadcast_to(slow, record["energy"].shape))) >= 3


def test_natural_claims_fail_where_fields_are_alike(natural, failing):
    experiment, record = natural
    for what, wrong in (("area_mean", 0.9), ("orientation_mean", 0.0), ("kurtosis", -30.0)):
        words = failing(experiment, record, **{f"atoms_{what}": wrong})
        assert len(words) == 2, what
        assert all(s.startswith("Atoms") for s in words), what
        words = failing(experiment, record, **{f"independent_{what}": wrong})
        assert len(words) == (1 if what == "area_mean" else 2), what
    assert failing(experiment, record, atoms_peak=0.0)
    assert failing(experiment, record, code_kurtosis=-100.0)
    assert failing(experiment, record, active=0.9)
    assert failing(experiment, record, control_kurtosis=3.0)
    assert failing(experiment, record, principal_area_mean=0.65)


def test_measures_know_simple_fields():
    place = np.arange(12) + 0.5
    wave = np.cos(np.pi * 3 * place / 12)
    waves = np.stack([wave[:, None] * wave[None, :], np.broadcast_to(wave[:, None], (12, 12))])
    one = np.zeros((12, 12))
    one[4, 7] = 1
    shapes = measure(np.stack([*waves, one, np.ones((12, 12))]))
    np.testing.assert_allclose(shapes.area, [4 / 9, 2 / 3, 1 / 144, 1], rtol=1e-6)
    assert shapes.orientation[1] > 0.8 > 0.2 > max(shapes.orientation[0], shapes.orientation[2])
    assert shapes.peak[1] == pytest.approx(3 / 24, abs=0.02)
    assert shapes.peak[3] == 0
    values = np.random.default_rng(0).normal(size=(100_000, 1))
    spikes = np.where(np.arange(100) == 0, 1.0, 0.0)[:, None] - 0.01
    assert abs(excess_kurtosis(values)[0]) < 5 * np.sqrt(24 / 100_000)
    # Of one in n: 1/(p (1 - p)) - 6.
    assert excess_kurtosis(spikes)[0] == pytest.approx(1 / (0.01 * 0.99) - 6, rel=1e-9)
    assert excess_kurtosis(np.zeros((10, 2))).size == 0


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (SparseInference, {"n_active": 40}, "n_active must be below 32"),
        (SparseInference, {"n_steps": 110}, "n_steps must be a multiple of 20"),
        (NaturalCodes, {"n_components": 100}, "n_components must be at most 99"),
        (NaturalCodes, {"n_coded": 7000}, "n_coded must be at most 6000"),
        (NaturalCodes, {"picture": "cat"}, "picture must be one of"),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
