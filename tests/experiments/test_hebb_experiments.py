"""The experiments on Hebbian neurons: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.selforganizing import (
    HebbClusters,
    HebbLyapunov,
    HebbNaturalPatches,
    HebbReceptiveField,
    NeuralFieldBumps,
)
from neuromanifold.theory.selforganizing import gated_equilibrium, plain_equilibrium


@pytest.fixture(scope="module")
def receptive(reproduced):
    experiment = HebbReceptiveField()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def lyapunov(reproduced):
    experiment = HebbLyapunov()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def clusters(reproduced):
    experiment = HebbClusters()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def field(reproduced):
    experiment = NeuralFieldBumps()
    return experiment, reproduced(experiment)


@pytest.fixture(scope="module")
def natural(reproduced):
    experiment = HebbNaturalPatches()
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


def test_lyapunov_claims_hold(lyapunov, labelled):
    holding(lyapunov)
    labelled(lyapunov[0].draw(lyapunov[1]))


def test_lyapunov_claims_fail_for_wrong_formulas(lyapunov, failing):
    experiment, record = lyapunov
    # d^2/m in place of d^2/(m + 2); the leading order alone.
    expected = record["shift_expected"].values
    largest = [f"d = {d:g}: component {k}" for d in experiment.radii for k in (1, 2, 3)]
    wrong = failing(experiment, record, shift_expected=expected * 5 / 3)
    assert sum(any(words in s for words in largest) for s in wrong) == len(largest)
    assert failing(experiment, record, shift_expected=record["leading"].values)
    # A rule that climbs half as fast, or with L twice as high.
    assert len(failing(experiment, record, mismatch=record["gained"].values / 2)) == 3
    assert len(failing(experiment, record, least_rise=-1e-4)) == 3
    # The plain rule would have raised L.
    assert len(failing(experiment, record, pair_last=0.09, pair_after=0.2)) == 2


def test_cluster_claims_hold(clusters, labelled):
    holding(clusters)
    labelled(clusters[0].draw(clusters[1]))


def test_cluster_claims_fail_for_wrong_formulas(clusters, failing):
    experiment, record = clusters
    ratios, levels = record["ratio"].values, record["level"].values
    # sin d/d = lambda; |w| = c sin d/d, which is the gated rule's.
    radii = record["radius_expected"].values
    assert len(failing(experiment, record, radius_expected=2 * radii)) == len(ratios)
    assert len(failing(experiment, record, length_expected=np.sin(radii) / radii)) == len(ratios)
    # The merging distance of the gated rule, and one without hysteresis.
    assert len(failing(experiment, record, single_expected=levels)) == len(levels)
    assert len(failing(experiment, record, merged_expected=2 * levels)) == len(levels)
    # Mergers that do not know of the probabilities, and states that may have one cluster more.
    assert len(failing(experiment, record, learned_merged_expected=0.4)) == 1
    assert len(failing(experiment, record, count_expected=[15, 25, 56])) == 4
    # A slow inhibition that comes to rest.
    assert len(failing(experiment, record, slow_length=record["slow_length"].values[0])) == 1


def test_field_claims_hold(field, labelled):
    holding(field)
    labelled(field[0].draw(field[1]))


def test_field_claims_fail_for_wrong_formulas(field, failing):
    experiment, record = field
    n_alive = sum(start > 0.4 - 1e-9 for start in experiment.starts)
    # W over the whole width from its middle, 2 W(a/2) = -h; K in place of W, zero at 1.36.
    assert len(failing(experiment, record, width_expected=2.77)) == n_alive
    assert len(failing(experiment, record, width_expected=1.36)) == n_alive
    assert len(failing(experiment, record, peak_expected=record["peak_expected"].values + 0.5)) == n_alive
    # If all excitation lasted, or none did.
    assert len(failing(experiment, record, width=2.98)) == len(experiment.starts) - n_alive
    assert len(failing(experiment, record, width=0.0)) == n_alive


def test_natural_claims_hold(natural, labelled):
    holding(natural)
    labelled(natural[0].draw(natural[1]))


def test_natural_claims_fail_for_wrong_formulas(natural, failing):
    experiment, record = natural
    # Variances of pixels in place of components, and components out of order.
    flat = np.full(experiment.n_components, record["variance_expected"].values.mean() / 10)
    assert len(failing(experiment, record, variance_expected=flat)) == experiment.compared
    # The worlds exchanged; neurons that fire for what they should not; fields that widen.
    assert len(failing(experiment, record, fourth=record["fourth"].values[::-1])) == len(experiment.ratios)
    assert len(failing(experiment, record, consistent=0.9)) == 2
    assert len(failing(experiment, record, fired=np.arange(6.0).reshape(2, 3))) == 2


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (HebbReceptiveField, {"thresholds": (0.1, 0.05)}, "thresholds must ascend"),
        (HebbReceptiveField, {"gated_thresholds": (0.1, 0.1)}, "gated_thresholds must ascend"),
        (HebbReceptiveField, {"n_online": 5}, "n_online must be at most the thresholds"),
        (HebbReceptiveField, {"silent_threshold": 0.15}, "silent_threshold must be a finite number in"),
        (HebbLyapunov, {"place": (0.1, 0.2)}, "place must have 3 components"),
        (HebbLyapunov, {"radii": (0.3, 0.2)}, "radii must ascend"),
        (HebbClusters, {"thresholds": (0.35, 0.2)}, "thresholds must ascend"),
        (HebbClusters, {"cluster_ratios": (0.7,)}, "cluster_ratios must be 3"),
        (NeuralFieldBumps, {"starts": (0.5, 0.2)}, "starts must ascend"),
        (NeuralFieldBumps, {"starts": (0.5, 12.0)}, "starts must be below half the length"),
        (NeuralFieldBumps, {"resting": -2.0}, "resting must leave two widths"),
        (HebbNaturalPatches, {"ratios": (0.2, 0.1)}, "ratios must ascend"),
        (HebbNaturalPatches, {"compared": 9}, "compared must be at most n_components"),
        (HebbNaturalPatches, {"pictures": ("lena",)}, "names must be one of"),
        (HebbReceptiveField, {"gain": 0.0}, "gain must be a finite number > 0"),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
