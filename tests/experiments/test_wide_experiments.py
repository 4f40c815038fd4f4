"""The experiments on wide networks: they hold, fail on mutated theory, refuse nonsense, and draw."""

from __future__ import annotations

import numpy as np
import pytest

from neuromanifold.experiments.wide import (
    DeepLinearMinima,
    KernelConvergence,
    LazyTraining,
    NearestSolutions,
)

SMALL = {
    "lazy-training": LazyTraining(),
    "nearest-solutions": NearestSolutions(),
    "deep-linear-minima": DeepLinearMinima(),
    "kernel-convergence": KernelConvergence(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold_and_figures_are_drawn(records, labelled, name):
    claims = SMALL[name].claims(records[name])
    assert len(claims) >= 4
    assert [claim.statement for claim in claims if not claim.holds] == []
    labelled(SMALL[name].draw(records[name]))


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("scatter", "scatter_exponent", -1.0),
        ("drift", "drift_exponent", -0.5),
        ("linear law", "error_exponent", -0.5),
        ("new inputs", "new_exponent", -0.5),
        ("do not grow", "moved_exponent", 0.5),
    ],
)
def test_exponents_half_a_power_off_are_seen(records, failing, name, variable, value):
    experiment, record = SMALL["lazy-training"], records["lazy-training"]
    failed = failing(experiment, record, **{variable: value})
    assert len(failed) == 1


def test_a_kernel_without_the_last_layers_part_is_seen(records, failing):
    """Theta in place of Theta + nngp of the last layer: a kernel a third too small."""
    experiment, record = SMALL["lazy-training"], records["lazy-training"]
    failed = failing(experiment, record, kernel=record.kernel.values * 0.7)
    assert sum("mean kernel" in text for text in failed) >= 2
    failed = failing(experiment, record, end=-record.end.values)
    assert sum("trained networks" in text for text in failed) >= 2


def test_training_that_stops_short_is_seen(records, failing):
    experiment, record = SMALL["lazy-training"], records["lazy-training"]
    failed = failing(experiment, record, last_loss_measured=1e-12)
    assert len(failed) == record.sizes["width"]


def test_nearest_solutions_of_another_covariance_are_seen(records, failing):
    experiment, record = SMALL["nearest-solutions"], records["nearest-solutions"]
    failed = failing(experiment, record, change=record.change.values * 1.5, ratio_exponent=-1.0)
    assert len(failed) == 2
    assert len(failing(experiment, record, error_measured=1e-6)) == record.sizes["width"]


def test_other_critical_values_and_kinds_are_seen(records, failing):
    experiment, record = SMALL["deep-linear-minima"], records["deep-linear-minima"]
    off = failing(
        experiment, record, critical=record.critical.values * (1 + 1e-6), best=float(record.best) + 1e-9
    )
    assert len(off) == 2
    lowest = record.found_lowest.values
    assert len(failing(experiment, record, found_lowest=np.abs(lowest))) == 1


def test_kernels_of_another_limit_are_seen(records, failing):
    """Kernels twice as large: errors that do not fall, and a mean that is not the limit."""
    experiment, record = SMALL["kernel-convergence"], records["kernel-convergence"]
    failed = failing(experiment, record, kernel=2 * record.kernel.values)
    assert sum("the length of the limit" in text for text in failed) == 6
    assert sum("1/sqrt(networks)" in text for text in failed) == 6
    assert sum("falls as 1/width" in text for text in failed) >= 4
    assert len(failing(experiment, record, width_exponent=-1.0, count_exponent=-1.0)) == 12


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LazyTraining(rate=2.0), "rate must be"),
        (lambda: LazyTraining(followed=205), "followed must be a multiple"),
        (lambda: LazyTraining(followed=900), "followed must be a multiple"),
        (lambda: LazyTraining(widths=(8, 64, 512)), r"widths\[0\] must be"),
        (lambda: KernelConvergence(widths=(16, 32)), "widths must"),
        (lambda: KernelConvergence(n_networks=132), "n_networks must"),
        (lambda: KernelConvergence(counts=(1, 8)), "counts must"),
        (lambda: NearestSolutions(widths=(5,)), r"widths\[0\] must be"),
        (lambda: DeepLinearMinima(n_hidden=0), "n_hidden must be"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
