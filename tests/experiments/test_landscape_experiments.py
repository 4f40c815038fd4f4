"""The experiments on landscapes at small sizes: claims hold, and fail for wrong formulas."""

import dataclasses

import numpy as np
import pytest

from neuromanifold.experiments.landscape import RandomHessian, SphericalGlass


def holding(experiment, record, labelled):
    assert [claim.statement for claim in experiment.claims(record) if not claim.holds] == []
    labelled(experiment.draw(record))


def test_random_hessian(reproduced, labelled, failing):
    experiment = RandomHessian()
    record = reproduced(experiment)
    holding(experiment, record, labelled)
    # The law of the plane of complex matrices, half as large; a spectrum without its square root.
    growth = float(record["growth_expected"])
    assert len(failing(experiment, record, growth_expected=growth / 2)) == 1
    straight = np.clip(0.5 - record["shift"].values / 4, 0, 1)
    assert len(failing(experiment, record, index_expected=straight)) >= 3
    # The leading law for large sizes at small ones.
    leading = np.exp(-np.log(3) / 4 * record["size"].values ** 2.0)
    assert len(failing(experiment, record, positive_expected=leading)) == 5
    assert len(failing(experiment, record, moment_expected=[1.0, 3.0])) >= 1
    edges = record["edge_expected"].values.copy()
    edges[1] = 1 + np.array([-1, 1]) * experiment.ratio
    assert len(failing(experiment, record, edge_expected=edges)) == 2


def test_spherical_glass(reproduced, labelled, failing):
    experiment = SphericalGlass()
    record = reproduced(experiment)
    holding(experiment, record, labelled)
    # The index of a plane wave between the same ends, and one with the threshold of p = 2.
    y = np.clip(record["energy"].values / 1.633, -1, 1)
    assert len(failing(experiment, record, index_expected=0.5 + 0.5 * y)) >= 2
    squeezed = np.interp(record["energy"].values * 1.633 / 1.414, record["energy"], record["index_expected"])
    assert len(failing(experiment, record, index_expected=squeezed)) >= 2
    assert len(failing(experiment, record, lowest=-1.0)) == 1
    assert len(failing(experiment, record, spread=record["spread"].values[::-1])) == 1
    with pytest.raises(ValueError, match="n_landscapes must be as many as sizes"):
        dataclasses.replace(experiment, sizes=(16, 32, 64))
