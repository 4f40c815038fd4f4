"""The experiment on concepts at small size: claims hold, and fail for wrong formulas."""

import numpy as np
import pytest

from neuromanifold.evidence import EvidenceError
from neuromanifold.experiments.memory import MemoryConcept


@pytest.fixture(scope="module")
def made(reproduced):
    experiment = MemoryConcept()
    return experiment, reproduced(experiment)


def broken(made, part, **changed):
    """Whether each claim whose statement holds `part` holds on a changed record."""
    experiment, record = made
    wrong = record.assign({name: record[name].copy(data=np.asarray(data)) for name, data in changed.items()})
    return [claim.holds for claim in experiment.claims(wrong) if part in claim.statement]


def test_claims_hold(made):
    experiment, record = made
    verdicts = {claim.statement: claim.holds for claim in experiment.claims(record)}
    # Trees; memory and concept at loads where they are kept; lost where they are not; recall.
    assert len(verdicts) == 19
    assert all(verdicts.values()), verdicts
    assert {claim.system for claim in experiment.claims(record)} == {"C2", "C3"}
    assert len(experiment.draw(record).axes) == 3


def test_overlap_claims_fail_for_the_theory_of_independent_patterns(made):
    _, record = made
    wrong = record["predicted_memory"].values + record["memory_shift"].values
    assert broken(made, "At load 0.075 the memory's", predicted_memory=wrong) == [False]


def test_tree_claims_fail_for_correlation_in_place_of_its_square(made):
    b = made[0].correlation
    found = broken(made, "in trees", predicted_relation=[b, 0.8 * b, b, 0.8 * b, 0.0])
    assert found == [True, True, False, False, True]


def test_claims_fail_where_states_stay_or_go(made):
    ones, zeros = np.ones(made[1].sizes["load"]), np.zeros(made[1].sizes["load"])
    assert not any(broken(made, "is lost", memory_all=ones, concept_all=ones))
    assert not any(broken(made, "stay there", memory_fraction=zeros, concept_fraction=zeros))


def test_recall_claims_fail_for_a_recall_that_goes_straight(made):
    assert broken(made, "first nears", sibling_peak=1.0, concept_peak=0.9) == [False, False]


def test_too_few_samples_are_an_error(made):
    with pytest.raises(EvidenceError, match="too few samples"):
        broken(made, "", memory_kept_stderr=np.full(made[1].sizes["load"], 0.01))


def test_remanence_is_reported(made):
    """Beyond its end a state leaves a trace, which the theory's zero must not hide."""
    _, record = made
    assert float(record["predicted_memory"][-1]) == 0.0
    assert 0.2 < float(record["memory_all"][-1]) < 0.8


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"branching": 4}, "branching must be odd"),
        ({"recall_load": 0.04}, "recall_load must be one of loads"),
        ({"n_cues": 1000}, "n_cues must be at most the number of families"),
        ({"correlation": 1.2}, "correlation must be"),
        ({"loads": (0.03, 0.0)}, r"loads\[1\] must be"),
    ],
)
def test_bad_parameters_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        MemoryConcept(**changed)
