"""The experiments on Hebbian neurons: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.selforganizing import HebbReceptiveField
from neuromanifold.theory.selforganizing import gated_equilibrium, plain_equilibrium


@pytest.fixture(scope="module")
def receptive(reproduced):
    experiment = HebbReceptiveField()
    return experiment, reproduced(experiment)


def holding(made):
    experiment, record = made
    verdicts = {claim.statement: claim.holds for claim in experiment.claims(record)}
    assert verdicts
    assert all(verdicts.values()), [statement for statement, holds in verdicts.items() if not holds]


def test_receptive_field_claims_hold(receptive, labelled):
    holding(receptive)
    labelled(receptive[0].draw(receptive[1]))


def test_receptive_field_claims_fail_for_wrong_formulas(receptive, failing):
    experiment, record = receptive
    taus, gated = record["threshold"].values, record["gated_threshold"].values
    # The other branch, and the gated rule's formula for the plain rule's radius and the other way round.
    other = [plain_equilibrium(x, branch="unstable").radius for x in taus]
    assert len(failing(experiment, record, plain_radius_expected=other)) == len(taus)
    mixed = [gated_equilibrium(x).radius for x in taus]
    assert len(failing(experiment, record, plain_radius_expected=mixed)) == len(taus)
    # sin d/d = tau/c in place of sin 2d/(2d), and |w| = c sin d.
    assert len(failing(experiment, record, gated_radius_expected=np.sqrt(6 * (1 - gated)))) == len(gated)
    lengths = np.sin(record["plain_radius_expected"].values)
    assert len(failing(experiment, record, length_expected=lengths)) == len(taus)
    online = failing(
        experiment, record, online_length_expected=record["online_length_expected"].values + 0.02
    )
    assert len(online) == experiment.n_online
    assert len(failing(experiment, record, lost_expected=1.25)) == len(taus)


def test_receptive_field_claims_fail_for_other_outcomes(receptive, failing):
    experiment, record = receptive
    assert len(failing(experiment, record, silent_length=0.2, turned=0.1)) == 2
    rising = np.sort(record["gated_radius"].values)
    assert any("narrower" in s for s in failing(experiment, record, gated_radius=rising))


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (HebbReceptiveField, {"thresholds": (0.1, 0.05)}, "thresholds must ascend"),
        (HebbReceptiveField, {"gated_thresholds": (0.1, 0.1)}, "gated_thresholds must ascend"),
        (HebbReceptiveField, {"n_online": 5}, "n_online must be at most the thresholds"),
        (HebbReceptiveField, {"silent_threshold": 0.15}, "silent_threshold must be a finite number in"),
        (HebbReceptiveField, {"gain": 0.0}, "gain must be a finite number > 0"),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
