"""Records for tests, made by the same driver that the command line uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neuromanifold.experiments import recorded, reproduce


@pytest.fixture(scope="session")
def reproduced():
    """`reproduced(experiment, seed=0)`: the record as the driver makes it; its files are tested on a toy.

    Where NEUROMANIFOLD_RECORDS names the folder of a run of this very code, its records are taken.
    """
    made = os.environ.get("NEUROMANIFOLD_RECORDS")

    def record_of(experiment, seed=0):
        record = recorded(experiment, Path(made), seed=seed) if made else None
        if record is None:
            record = reproduce(experiment, seed=seed).record
        for variable in record.data_vars.values():
            assert {"long_name", "units"} <= set(variable.attrs), variable.name
        return record

    return record_of


@pytest.fixture(scope="session")
def failing():
    """`failing(experiment, record, **changes)`: statements that do not hold on a changed record."""

    def statements(experiment, record, **changes):
        wrong = record.copy(deep=True)
        for variable, values in changes.items():
            wrong[variable].values[...] = values
        return [claim.statement for claim in experiment.claims(wrong) if not claim.holds]

    return statements


@pytest.fixture(scope="session")
def labelled():
    """`labelled(figure)`: it can be drawn, and every axis says what it shows."""

    def check(figure):
        figure.canvas.draw()
        for axis in figure.axes:
            assert axis.get_xlabel()
            assert axis.get_ylabel()

    return check


@pytest.fixture(scope="module")
def records(request, reproduced):
    """The records of the experiments that the module names in `SMALL`."""
    return {name: reproduced(experiment) for name, experiment in request.module.SMALL.items()}


@pytest.fixture(scope="module")
def failed(request, records, failing):
    """`failed(name, **changes)`: statements of one in `SMALL` that do not hold on a changed record."""
    return lambda name, **changes: failing(request.module.SMALL[name], records[name], **changes)
