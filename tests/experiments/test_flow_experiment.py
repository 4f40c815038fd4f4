"""The experiment on flow and separatrix: claims hold, and fail for another border or other attractors."""

import numpy as np
import pytest

from neuromanifold.experiments.memory import MemoryFlow


@pytest.fixture(scope="module")
def made(reproduced):
    experiment = MemoryFlow()
    return experiment, reproduced(experiment)


def failing(made, **changed):
    experiment, record = made
    wrong = record.assign({name: record[name].copy(data=data) for name, data in changed.items()})
    return [claim.statement for claim in experiment.claims(wrong) if not claim.holds]


def test_claims_hold(made):
    assert failing(made) == []
    assert len(made[0].claims(made[1])) == 7


def test_claims_fail_for_other_attractors(made):
    assert len(failing(made, attracts=~made[1]["attracts"].values)) == 6


def test_claims_fail_for_another_border(made):
    """A quarter of the way between concept and memory is seen."""
    moved = made[1]["predicted_crossing"].values + np.array([0.25, 0.0, 0.0])
    assert ["separatrix" in text for text in failing(made, predicted_crossing=moved)] == [True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"correlations": (0.4,)}, "correlations must hold one for each"),
        ({"branching": 4}, "branching must be odd"),
        ({"n_cues": 1000}, "n_cues must be at most the number of families"),
    ],
)
def test_bad_parameters_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        MemoryFlow(**changed)
