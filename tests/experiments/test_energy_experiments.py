"""The experiments on energy machines at small sizes: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.energy import (
    BoltzmannExact,
    GaussianMachine,
    IcaMachine,
    RecurrentAutoencoderLearning,
    RestrictedDigits,
    SparseSources,
)


@pytest.fixture(scope="module")
def gaussian(reproduced):
    experiment = GaussianMachine()
    return experiment, reproduced(experiment)


def holding(made, labelled):
    experiment, record = made
    failed = [claim.statement for claim in experiment.claims(record) if not claim.holds]
    assert failed == []
    labelled(experiment.draw(record))


def test_gaussian_machine(gaussian, labelled, failing):
    holding(gaussian, labelled)
    experiment, record = gaussian
    values = np.array(experiment.eigenvalues)
    # The singular value of a factor model without the machine's own noise.
    wrong = failing(experiment, record, singular_expected=np.sqrt(1 - 1 / values[:3] ** 2))
    assert len(wrong) >= 15
    assert failing(experiment, record, divergence_expected=record["divergence_expected"].values[::-1])
    # Every choice stable, as "m = k is stable" has it.
    calm = np.minimum(record["rate_expected"].values, 0)
    assert len(failing(experiment, record, rate_expected=calm)) == 6
    assert (
        len(failing(experiment, record, relaxation_expected=record["relaxation_expected"].values[::-1])) == 2
    )
    assert len(failing(experiment, record, variance_expected=values)) == 3


def test_boltzmann_exact(reproduced, labelled, failing):
    experiment = BoltzmannExact()
    record = reproduced(experiment)
    holding((experiment, record), labelled)
    # Laws of other temperatures.
    assert len(failing(experiment, record, law=record["law"].values[::-1])) == 2
    # Levels that are too low.
    assert failing(experiment, record, levels=0.7 * record["levels"].values) == [
        "encoder: every start rests just above a level of shared codes."
    ]
    assert len(failing(experiment, record, code=np.array([[0.0, 1.0]] * 4))) == 1


def test_ica_machine(reproduced, labelled, failing):
    experiment = IcaMachine()
    record = reproduced(experiment)
    holding((experiment, record), labelled)
    # Separation of every source, as if kappa did not matter, and of none.
    assert len(failing(experiment, record, rotation_expected=-1.0)) == 6
    assert len(failing(experiment, record, rotation_expected=-record["rotation_expected"].values)) == 6
    # Amplitudes without the squashing.
    assert len(failing(experiment, record, amplitude_expected=1.0)) >= 5
    assert len(failing(experiment, record, mixed_expected=float(record["mixed_expected"]) * np.sqrt(2))) == 2
    assert len(failing(experiment, record, residual=1e-3)) == 1
    # An interaction that grows without bound, and none at all.
    for wrong in (experiment.interaction, 0.0):
        assert len(failing(experiment, record, together_expected=np.array([0.0, wrong]))) == 2


def test_sparse_sources(reproduced, labelled, failing):
    experiment = SparseSources()
    record = reproduced(experiment)
    holding((experiment, record), labelled)
    assert (record["criterion"].values > 0).all()
    # The distance of the two values in units of the sources, not fitted: sources of variance p instead.
    assert len(failing(experiment, record, amplitude_expected=1 / np.sqrt(experiment.share))) == 1
    # Units as mixed as before learning; rests that are saddles.
    assert len(failing(experiment, record, rest=record["index"].values[0])) == 2
    assert len(failing(experiment, record, growth=0.1)) == 1


def test_restricted_digits(reproduced, labelled, failing):
    experiment = RestrictedDigits()
    record = reproduced(experiment)
    holding((experiment, record), labelled)
    exact = record["log_partition_expected"].values
    # One hidden unit forgotten: half of the states.
    assert len(failing(experiment, record, log_partition_expected=exact - np.log(2))) == 2
    # Chains of a machine without couplings.
    assert len(failing(experiment, record, bond=float(record["free_bond"]))) == 1
    # The rules exchanged; and pixels as likely as certain ones.
    assert len(failing(experiment, record, last=record["last"].values[::-1])) == 1
    assert len(failing(experiment, record, gap=record["gap"].values[::-1])) == 1
    assert len(failing(experiment, record, independent=0.0)) == 2


def test_recurrent_autoencoder(reproduced, labelled, failing):
    experiment = RecurrentAutoencoderLearning()
    record = reproduced(experiment)
    holding((experiment, record), labelled)
    assert len(failing(experiment, record, decay_expected=np.exp(-2 * record["time"].values))) == 1
    # A threshold at 1 - c lambda instead of 1 - sqrt(c lambda).
    assert (
        len(failing(experiment, record, grows_expected=(record["start"].values ** 2 > 0.75).astype(int))) == 2
    )
    assert len(failing(experiment, record, rate_expected=-4.0)) == 1
    assert len(failing(experiment, record, bistable_expected=1)) == 2
    assert len(failing(experiment, record, amplitude_expected=0.5)) == 4


@pytest.mark.parametrize(
    "kind, change, message",
    [
        (GaussianMachine, {"eigenvalues": (2.0, 3.0)}, "eigenvalues must fall strictly"),
        (
            GaussianMachine,
            {"eigenvalues": (3.0, 2.0, 0.5)},
            "must hold more than n_hidden = 3 values above 1",
        ),
        (RecurrentAutoencoderLearning, {"variance": 3.0}, "variance must keep gain . variance below 1"),
        (RestrictedDigits, {"n_cd": (2, 10)}, "n_cd must rise from 1"),
        (RestrictedDigits, {"side": 9}, "side must divide 24, got 9"),
        (
            RecurrentAutoencoderLearning,
            {"starts": (0.1, 0.2)},
            "starts must lie on both sides of the threshold",
        ),
    ],
)
def test_bad_parameters_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kind(), **change)
