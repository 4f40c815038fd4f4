"""The experiments on maps at small sizes: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.maps import MapMagnification, MapUnfolding, OrientationColumns, Retinotopy


@pytest.fixture(scope="module")
def unfolding(reproduced):
    experiment = MapUnfolding()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def magnification(reproduced):
    experiment = MapMagnification()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def columns(reproduced):
    experiment = OrientationColumns()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def retinotopy(reproduced):
    experiment = Retinotopy()
    return experiment, reproduced(experiment)


def test_claims_hold(unfolding, magnification, columns, retinotopy, labelled):
    for experiment, record in (unfolding, magnification, columns, retinotopy):
        found = experiment.claims(record)
        assert found
        assert all(claim.holds for claim in found), [claim for claim in found if not claim.holds]
        labelled(experiment.draw(record))


def test_unfolding_claims_fail_for_wrong_numbers(unfolding, failing):
    experiment, record = unfolding
    assert len(failing(experiment, record, turned=1)) == 1
    assert len(failing(experiment, record, topographic_error=0.05)) == 4
    # The bound of point sets in the plane, were it that of intervals: 1/12 for each feature.
    assert len(failing(experiment, record, least=2 * record["least"].values)) == 4
    assert len(failing(experiment, record, of_squares=1 / 12)) == 4
    assert len(failing(experiment, record, ratio=1.08)) == 2


def test_magnification_claims_fail_for_wrong_formulas(magnification, failing):
    experiment, record = magnification
    r = record["moment"].values
    # R of one side alone; equal shares of the data; optimal quantisation whatever the neighbourhood.
    wrong = (1 + 6 * r) / (3 * (1 + 3 * r))
    assert len(failing(experiment, record, formula=wrong)) >= 2
    assert len(failing(experiment, record, formula=np.ones(4))) == 4
    assert len(failing(experiment, record, formula=np.full(4, 1 / 3))) == 3


def test_column_claims_fail_where_nothing_was_learnt(columns, failing):
    experiment, record = columns
    first = {name: record[name].isel(time=0).values for name in ("selectivity", "turns", "active")}
    assert len(failing(experiment, record, selectivity=first["selectivity"], gain=-0.1)) == 2
    assert len(failing(experiment, record, correlation=record["shuffled"].values, fall=0.0)) == 2
    assert len(failing(experiment, record, turns=0.4)) == 1
    assert len(failing(experiment, record, active=0.4)) == 1
    assert len(failing(experiment, record, missing=1)) == 1
    # Had preferences the period of directions, half a turn would be no whole one.
    assert len(failing(experiment, record, shuffled_turns_expected=0.5)) == 1


def test_retinotopy_claims_fail_where_the_kinds_are_exchanged(retinotopy, failing):
    experiment, record = retinotopy
    swapped = {name: record[name].values[::-1] for name in ("variation", "jumps", "sharpness")}
    assert len(failing(experiment, record, jumps=swapped["jumps"], jumps_stderr=0.1)) == 2
    # A map that went around three times; one ordered from the beginning; fields that are not sharp.
    assert len(failing(experiment, record, variation=3.0)) == 1
    assert len(failing(experiment, record, variation=1.0)) == 1
    assert len(failing(experiment, record, sharpness=0.5)) == 1


def test_the_exact_equilibrium_is_near_the_formula():
    predicted = MapMagnification().predict()
    assert float(predicted["formula_error"].max()) < 0.002


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="margin must leave eight units, got 7"):
        dataclasses.replace(MapMagnification(), margin=7)
