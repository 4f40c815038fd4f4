"""The experiments on maps at small sizes: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.maps import (
    MapMagnification,
    MapUnfolding,
    OrientationColumns,
    RetinotopicSheet,
    Retinotopy,
    TopographicColumns,
)


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


@pytest.fixture(scope="module")
def sheet(reproduced):
    experiment = RetinotopicSheet()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def topography(reproduced):
    experiment = TopographicColumns()
    return experiment, reproduced(experiment)


def test_claims_hold(unfolding, magnification, columns, retinotopy, sheet, topography, labelled):
    for experiment, record in (unfolding, magnification, columns, retinotopy, sheet, topography):
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
    first = {name: record[name].isel(time=0).values for name in ("selectivity", "turns")}
    assert len(failing(experiment, record, selectivity=first["selectivity"], gain=-0.5)) == 2
    # The same responses, and the same preferences, dealt out at random.
    assert len(failing(experiment, record, above_chance=-0.5)) == 1
    assert len(failing(experiment, record, excess=-0.5, fall=-0.5, rise=-0.5)) == 3
    assert len(failing(experiment, record, dealt=record["excess"].values)) == 1
    assert len(failing(experiment, record, turns=0.4)) == 1
    assert len(failing(experiment, record, active=0.4)) == 1
    assert len(failing(experiment, record, missing=1)) == 1
    # Had preferences the period of directions, half a turn would be no whole one.
    assert len(failing(experiment, record, shuffled_turns_expected=0.5)) == 1


def test_retinotopy_claims_fail_where_the_kinds_are_exchanged(retinotopy, failing):
    experiment, record = retinotopy
    swapped = {name: record[name].values[::-1] for name in ("jumps", "torn")}
    assert len(failing(experiment, record, jumps_stderr=0.0, **swapped)) == 2
    # Noise along one direction of the plane alone has half the variance of what moves the angle.
    assert len(failing(experiment, record, rough=record["rough"] / np.sqrt(2))) == 1
    # A map around three times; fields that are not sharper.
    assert len(failing(experiment, record, turns=3.0, variation=3.0, variation_stderr=0.0)) == 3
    assert len(failing(experiment, record, sharper=-0.5)) == 1


def test_sheet_claims_fail_for_wrong_formulas(sheet, failing):
    experiment, record = sheet
    # Twice the noise; a map around twice; folds; random places along one axis alone.
    assert len(failing(experiment, record, rough=2 * record["rough"])) == 1
    assert len(failing(experiment, record, degree=2.0)) == 1
    assert len(failing(experiment, record, folded=0.02)) == 2
    assert len(failing(experiment, record, shuffled=1 / 12)) == 1
    assert len(failing(experiment, record, nearer=-0.1, unfolded=-0.5)) == 3


def test_topographic_claims_fail_for_wrong_formulas(topography, failing):
    experiment, record = topography
    strengths = experiment.competition
    lasting = (record["rate_expected"].max("wave") < 0).values
    assert 0 < lasting.sum() < len(strengths)
    # Inhibition that does not learn leaves k > 0 everywhere; rates per step in place of per time.
    wrong = experiment.dt * record["rate_expected"].values
    assert len(failing(experiment, record, rate_expected=wrong)) >= 1
    assert len(failing(experiment, record, rate=-record["rate"].values)) >= len(strengths)
    assert len(failing(experiment, record, back=0.0, back_stderr=0.0)) == 1
    assert len(failing(experiment, record, waves=12.0)) == 1
    assert len(failing(experiment, record, torn=1)) == lasting.sum()


def test_the_exact_equilibrium_is_near_the_formula():
    predicted = MapMagnification().predict()
    assert float(predicted["formula_error"].max()) < 0.002


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="margin must leave eight units, got 7"):
        dataclasses.replace(MapMagnification(), margin=7)
    with pytest.raises(ValueError, match="window must be two observations, after the disturbance"):
        dataclasses.replace(TopographicColumns(), window=(4, 12))
    with pytest.raises(ValueError, match="competition must ascend"):
        dataclasses.replace(TopographicColumns(), competition=(2.0, 1.0))
    with pytest.raises(ValueError, match="n_waves must be at most 24, half the cells, got 30"):
        dataclasses.replace(TopographicColumns(), n_waves=30)
