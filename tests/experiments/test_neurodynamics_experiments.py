"""Macroscopic laws at small sizes: claims hold, and fail for wrong formulas; nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from neuromanifold.experiments.neurodynamics import (
    ActivityLaw,
    DistanceLaw,
    LateralFeedback,
    SelfConsistency,
)

SMALL = {
    "distance-law": DistanceLaw(),
    "activity-law": ActivityLaw(),
    "self-consistency": SelfConsistency(),
    "lateral-feedback": LateralFeedback(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold_and_figures_are_drawn(failed, labelled, name, records):
    assert failed(name) == []
    labelled(SMALL[name].draw(records[name]))


def test_distance_claims_fail_for_other_formulas(failed, records):
    record = records["distance-law"]
    # (2/pi) arcsin(c D) in place of arcsin(c sqrt D).
    c, d = 1 / np.sqrt(1 + record.ratio.values**2), np.array(SMALL["distance-law"].distances)
    assert len(failed("distance-law", one_law=2 / np.pi * np.arcsin(c[:, None] * d[None]))) == c.size * d.size
    # The arcsine where there are means.
    assert len(failed("distance-law", means_law=2 / np.pi * np.arcsin(np.sqrt(d)))) == d.size
    # Scatter a quarter too large.
    d = record.late_spread_predicted.values
    assert len(failed("distance-law", late_spread_predicted=1.25 * d)) == 1


def test_activity_claims_fail_for_the_other_error_function(failed, records):
    record = records["activity-law"]
    x = np.full(2, float(record.activity_predicted[0, 0]))
    path = [x]
    for _ in range(SMALL["activity-law"].n_steps):
        path.append(erf(2.0 * path[-1] + record.bias.values))
    assert len(failed("activity-law", activity_predicted=np.stack(path, 1))) >= 4
    assert len(failed("activity-law", spread_predicted=1 / np.sqrt(100))) <= 1


def test_self_consistency_fails_where_symmetric_weights_pass_for_others(failed, records):
    symmetric = records["self-consistency"].symmetric_samples.values
    assert len(failed("self-consistency", fresh_samples=symmetric)) >= 3
    assert len(failed("self-consistency", symmetric_return=0.0)) == 1
    assert len(failed("self-consistency", exponent=-1.0)) == 2
    fresh = records["self-consistency"].fresh_samples.values
    assert len(failed("self-consistency", symmetric_samples=fresh)) == 3


def test_lateral_claims_fail_for_a_first_power_of_the_gain(failed, records):
    record = records["lateral-feedback"]
    halved = record.growth_predicted.values - 0.5 * np.log(record.gain.values)
    assert len(failed("lateral-feedback", growth_predicted=halved)) == record.gain.size
    assert len(failed("lateral-feedback", activity_predicted=0.3)) == record.gain.size
    assert len(failed("lateral-feedback", n_above=1)) == 1
    assert len(failed("lateral-feedback", settled=0)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DistanceLaw(distances=(0.001,)), "distances must be at least one unit"),
        (lambda: DistanceLaw(start=0.95), "start must be"),
        (lambda: ActivityLaw(mean_weights=(2.0, 3.0)), "mean_weights must lie on both sides"),
        (lambda: SelfConsistency(sizes=(100, 200)), "sizes must hold at least three"),
        (lambda: LateralFeedback(gains=(1.05,)), "gains must stay away"),
        (lambda: LateralFeedback(sizes=(100, 300)), "sizes must hold n and 2n"),
        (lambda: LateralFeedback(norm=1.0), "norm must be"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
