"""The experiments on populations at small size: claims hold, and fail for wrong formulas."""

import numpy as np
import pytest

from neuromanifold.evidence import EvidenceError
from neuromanifold.experiments.populations import MixtureClusters, PopulationMemory, PopulationSurrogate


@pytest.fixture(scope="module")
def surrogate(reproduced):
    experiment = PopulationSurrogate()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def memory(reproduced):
    experiment = PopulationMemory()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def mixture(reproduced):
    experiment = MixtureClusters()
    return experiment, reproduced(experiment)


def broken(made, part, **changed):
    """Whether each claim whose statement holds `part` holds on a changed record."""
    experiment, record = made
    wrong = record.assign({name: record[name].copy(data=np.asarray(data)) for name, data in changed.items()})
    return [claim.holds for claim in experiment.claims(wrong) if part in claim.statement]


@pytest.mark.parametrize("name, n_claims", [("surrogate", 14), ("memory", 13), ("mixture", 6)])
def test_claims_hold(name, n_claims, request):
    experiment, record = request.getfixturevalue(name)
    verdicts = {claim.statement: claim.holds for claim in experiment.claims(record)}
    assert len(verdicts) == n_claims
    assert all(verdicts.values()), verdicts
    assert experiment.draw(record).axes


def test_information_claims_fail_for_other_information(surrogate):
    _, record = surrogate
    both = record["exact_detail"].values + record["exact_category"].values
    assert broken(surrogate, "exact information about the detail", exact_detail=both) == [False]
    double = 2 * record["exact_category"].values
    assert not any(broken(surrogate, "exact information about the category", exact_category=double))
    bias = record["detail_information"].values + 8 * 7 / (2 * 760 * np.log(2))
    assert broken(surrogate, "about the detail is unbiased", detail_information=bias) == [False]


def test_delay_claims_fail_for_another_delay(surrogate):
    assert broken(surrogate, "as theory says", exact_delay=30.0) == [False]
    assert broken(surrogate, "within a window", built_in_delay=250.0) == [False, False]
    assert broken(surrogate, "is positive", delay_time=-20.0, agreement_delay=-20.0) == [False, False]


def test_cluster_claims_fail_for_another_number(surrogate):
    zeros = np.zeros(surrogate[1].sizes["cluster_window"])
    found = {"n_categories_found": zeros, "n_details_found": zeros}
    assert broken(surrogate, "a number nobody told", **found) == [False, False]
    agreement = {"category_agreement": zeros, "detail_agreement": zeros}
    assert broken(surrogate, "adjusted Rand index", **agreement) == [False, False]


def test_overlap_claims_fail_for_another_temperature_and_no_correlation(memory):
    experiment, record = memory
    hotter = PopulationMemory(temperature=0.65).predict()
    child = hotter["exact_child"].values
    assert broken(memory, "Overlap with the child", exact_child=child) == [False, False]
    alone = np.zeros_like(record["exact_sibling"])
    assert False in _decided(experiment, record, alone)


def _decided(experiment, record, sibling):
    """A sibling's overlap of zero has no resolution: the comparison is refused or fails."""
    wrong = record.assign(exact_sibling=record["exact_sibling"].copy(data=sibling + 1e-9))
    try:
        return [claim.holds for claim in experiment.claims(wrong)]
    except EvidenceError:
        return [False]


def test_order_claims_fail_for_detail_first(memory):
    _, record = memory
    assert broken(memory, "rises after", delay_time=-10.0) == [False]
    assert broken(memory, "tells more bits", lead=-np.abs(record["lead"].values) - 0.1) == [False]
    assert broken(memory, "of the macroscopic law", exact_delay=60.0) == [False]
    assert broken(memory, "first nears", peak=1.0) == [False]


def test_mixture_claims_fail_where_they_should(mixture):
    _, record = mixture
    assert broken(mixture, "lets the bound fall", falls=1) == [False]
    assert broken(mixture, "the mixture finds", found=record["found"].values + 1) == [False] * 3
    assert broken(mixture, "are told apart", agreement=np.full(3, 0.9)) == [False]
    assert broken(mixture, "are misplaced", misplaced_points=np.full(3, 0.05)) == [False]


@pytest.mark.parametrize(
    "kind, changed, message",
    [
        (PopulationSurrogate, {"detail_latency": 100.0}, "detail_latency must be a window after"),
        (PopulationSurrogate, {"duration": 180.0}, "detail_latency must be at most 130"),
        (PopulationSurrogate, {"width": 12.0}, "width must be a multiple of step"),
        (PopulationSurrogate, {"cluster_step": 30.0}, "cluster_step must divide"),
        (PopulationSurrogate, {"n_cells": 8}, "n_principal must be at most n_cells"),
        (PopulationMemory, {"largest_rate": 2.0}, "largest_rate must be above"),
        (PopulationMemory, {"update_time": 7.0}, "update_time must be a multiple of step"),
        (PopulationMemory, {"duration": 120.0}, "duration must leave time"),
        (MixtureClusters, {"truths": (8, 20)}, "n_components must exceed all truths"),
        (MixtureClusters, {"truths": (2,)}, "truths must hold 8"),
    ],
)
def test_bad_parameters_are_refused(kind, changed, message):
    with pytest.raises(ValueError, match=message):
        kind(**changed)
