"""Records for tests, made by the same driver that the command line uses."""

from __future__ import annotations

import pytest

from neuromanifold.experiments import reproduce


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """`reproduced(experiment, seed=0)`: the record of a whole pass, with checkpoints and figure, on disk."""

    def record_of(experiment, seed=0):
        out = tmp_path_factory.mktemp(experiment.card.name)
        outcome = reproduce(experiment, seed=seed, out=out)
        written = {path.name for path in (out / experiment.card.name).iterdir()}
        assert written == {"record.nc", "claims.json", "figure.svg", "figure.png"}
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
