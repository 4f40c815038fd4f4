"""Records for tests, made by the same driver that the command line uses."""

from __future__ import annotations

import pytest

from neuromanifold.experiments import reproduce


@pytest.fixture(scope="session")
def reproduced():
    """`reproduced(experiment, seed=0)`: the record as the driver makes it; its files are tested on a toy."""

    def record_of(experiment, seed=0):
        outcome = reproduce(experiment, seed=seed)
        for variable in outcome.record.data_vars.values():
            assert {"long_name", "units"} <= set(variable.attrs), variable.name
        return outcome.record

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
