"""The experiments on rules and sparse patterns at small sizes: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest
from scipy.special import erf

from neuromanifold.experiments.memory import MemoryRules, MemorySparse


@pytest.fixture(scope="module")
def rules(reproduced):
    experiment = MemoryRules()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def sparse(reproduced):
    experiment = MemorySparse()
    return experiment, reproduced(experiment)


def verdicts(made, record=None):
    experiment, found = made
    return {claim.statement: claim.holds for claim in experiment.claims(found if record is None else record)}


def changed(record, **values):
    made = record.copy()
    for name, value in values.items():
        made[name] = record[name].copy(data=np.broadcast_to(value, record[name].shape))
    return made


def test_claims_hold(rules, sparse):
    for made in (rules, sparse):
        found = verdicts(made)
        assert found
        assert all(found.values()), found
        assert made[0].draw(made[1]).axes


def test_rule_claims_fail_for_wrong_formulas(rules):
    record = rules[1]
    loads = record["load"].values
    # The rules' first steps exchanged, and that of the pseudo-inverse with the noise of Hebb's.
    swapped = changed(
        record,
        projection_expected=record["held_expected"].values,
        held_expected=record["projection_expected"].values,
        hebb_expected=erf(0.7 / np.sqrt(2 * loads * (1 - 0.49))),
    )
    found = verdicts(rules, swapped)
    assert sum(not holds for holds in found.values()) >= 7
    # A bound of twice the load, kappa(alpha / 2).
    wrong = changed(record, stability_expected=record["stability_expected"].values * 1.1)
    assert sum(not holds for holds in verdicts(rules, wrong).values()) == 3


def test_rule_claims_fail_where_nothing_is_stored(rules):
    record = rules[1]
    wrong = changed(record, unstable=3, storkey_kept=0.4, hebb_kept=0.9, served=0.9, held_found=1.0)
    found = verdicts(rules, wrong)
    assert sum(not holds for holds in found.values()) == 7


def test_sparse_claims_fail_for_wrong_formulas(sparse):
    record = sparse[1]
    activities = record["activity"].values
    asymptote = changed(record, capacity_expected=1 / (2 * activities * np.log(1 / activities)))
    assert [s for s, holds in verdicts(sparse, asymptote).items() if not holds] == [
        f"f = {f:g}: the overlap falls through that at capacity near capacity." for f in activities
    ]
    # A noise that knows nothing of the activity.
    noisy = changed(record, first_expected=record["first_expected"].values - 0.2)
    assert sum(not holds for holds in verdicts(sparse, noisy).values()) == 2 * activities.size
    reached = changed(record, kept_expected=record["kept_expected"].values - 0.03)
    assert sum(not holds for holds in verdicts(sparse, reached).values()) == 2 * activities.size


def test_sparse_claims_fail_without_control(sparse):
    record = sparse[1]
    same = changed(record, last=record["last"].sel(control="fixed").values[None])
    found = verdicts(sparse, same)
    assert not found["f = 0.1: with activity control such cues recall their pattern."]


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (MemoryRules, {"compared": (0.25,)}, "compared must be among the loads"),
        (MemoryRules, {"loads": (0.4, 0.2)}, "must be among the loads|loads must ascend"),
        (MemoryRules, {"stability_sizes": (32, 48)}, "stability_sizes must be one number and its double"),
        (MemoryRules, {"n_cues": 11}, "n_cues must be at most the smallest number of patterns, 10"),
        (MemorySparse, {"missing": (0.1, 0.5)}, "missing must begin with 0"),
        (MemorySparse, {"missing": (0.0, 0.2)}, "missing must end with 0.4 or more"),
        (MemorySparse, {"loads": (0.2, 0.1)}, "loads must ascend"),
        (MemorySparse, {"activities": (0.005,)}, "n_units must leave five ones"),
        (MemorySparse, {"n_cues": 500}, "n_cues must be at most"),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
