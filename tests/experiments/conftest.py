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
        return outcome.record

    return record_of
