"""The map keeps scikit-learn's contract, is the map of the library, and refuses bad input in a sentence."""

import pickle

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from neuromanifold.dynamics import Schedule, run
from neuromanifold.estimators import SelfOrganizingMap
from neuromanifold.learning.competitive import batch_map
from neuromanifold.networks.selforganizing import Lattice, random_map

ROWS = np.random.default_rng(0).uniform(size=(400, 2))


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    check_estimator(SelfOrganizingMap((2, 2), n_passes=3))


def test_fit_is_the_batch_rule_of_the_library():
    som = SelfOrganizingMap((4, 4), n_passes=6, radius=(2.0, 0.5), schedule="linear").fit(ROWS)
    with jax.enable_x64(True):
        begun = random_map(jax.random.key(0), Lattice((4, 4)), ROWS, begin="principal")
        rule = batch_map(ROWS, Schedule("linear", 2.0, 0.5, 5), 6, chunk=64)
        made = run(rule, jax.random.key(0), begun, 6).state
    np.testing.assert_allclose(som.weights_, made.weights, rtol=1e-9)


@pytest.mark.parametrize("algorithm", ["batch", "online"])
def test_maps_in_a_pipeline_place_what_is_alike_side_by_side(algorithm):
    som = SelfOrganizingMap((4, 4), lattice="hexagonal", algorithm=algorithm, random_state=0)
    pipeline = make_pipeline(StandardScaler(), som).fit(ROWS * [1, 1000])
    assert (
        pipeline.transform(ROWS * [1, 1000]).argmin(1).tolist() == pipeline.predict(ROWS * [1, 1000]).tolist()
    )
    scaled = pipeline[0].transform(ROWS * [1, 1000])
    assert pipeline[-1].topographic_error(scaled) < 0.15
    assert pipeline[-1].quantisation_error(scaled) < 0.5
    assert pipeline[-1].hit_map(scaled).sum() == 400
    assert pipeline[-1].u_matrix().shape == (4, 4)
    assert pipeline[-1].component_planes().shape == (4, 4, 2)
    assert pipeline[-1].score(scaled) == -pipeline[-1].quantisation_error(scaled)


def test_a_stream_is_learnt_in_parts_and_survives_pickling():
    som = SelfOrganizingMap((3, 3), n_passes=8, rate=(0.5, 0.05), random_state=0)
    for part in np.split(ROWS, 8):
        som.partial_fit(part)
    assert som.n_passes_ == 8
    assert som.quantisation_error(ROWS) < 1.25 * SelfOrganizingMap((3, 3)).fit(ROWS).quantisation_error(ROWS)
    again = pickle.loads(pickle.dumps(som))
    np.testing.assert_array_equal(again.transform(ROWS), som.transform(ROWS))
    assert clone(som).get_params() == som.get_params()


def test_missing_values_where_they_are_declared():
    # A line in three dimensions: what is missing follows from what is there.
    line = np.linspace(0, 1, 300)[:, None] * [1.0, 2.0, -1.0]
    holes = line.copy()
    holes[np.arange(300), np.arange(300) % 3] = np.nan
    som = SelfOrganizingMap((10,), missing=True).fit(holes)
    assert np.abs(som.weights_ @ [2.0, -1.0, 0.0]).max() < 0.1
    assert np.mean(np.abs(som.predict(holes) - som.predict(line)) <= 1) > 0.98
    assert som.transform(holes).shape == (300, 10)
    with pytest.raises(ValueError, match="NaN"):
        SelfOrganizingMap((10,)).fit(holes)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"shape": (0, 2)}, r"shape\[0\] must be an integer >= 1"),
        ({"lattice": "cubic"}, "kind must be one of"),
        ({"lattice": "hexagonal", "shape": (3, 4), "periodic": True}, r"shape\[0\] must be even"),
        ({"algorithm": "both"}, "algorithm must be one of"),
        ({"schedule": "sudden"}, "schedule must be one of"),
        ({"neighbourhood": "mexican-hat"}, "neighbourhood must have no negative parts"),
        ({"convention": "mine"}, "convention must be one of"),
        ({"n_passes": 0}, "n_passes must be an integer >= 1"),
        ({"radius": (1.0, 3.0)}, "radius must never rise"),
        ({"radius": 3.0}, r"radius must be a pair \(first, last\)"),
        ({"rate": (0.1, 0.5), "algorithm": "online"}, "rate must never rise"),
        ({"rate": (1.5, 0.5), "algorithm": "online"}, "rate must be <= 1"),
        ({"rate": (0.5, 0.0), "algorithm": "online"}, r"rate\[1\] must be a finite number > 0"),
        ({"begin": "zero"}, "begin must be one of"),
        ({"missing": 1}, "missing must be True or False"),
        (
            {"shape": (1000, 1000), "memory": 1e6},
            r"lattice must fit into 1e\+06 bytes .* \(4.8e\+07 bytes are needed",
        ),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfOrganizingMap(**arguments).fit(ROWS)
