"""The sparse coder keeps scikit-learn's contract, finds a planted dictionary, and says what is wrong."""

import pickle

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from neuromanifold.estimators import SparseCoder


@pytest.fixture(scope="module")
def planted():
    random = np.random.default_rng(0)
    atoms = random.normal(size=(16, 16))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    ranks = random.random((1000, 16)).argsort(1).argsort(1)
    codes = np.where(
        ranks < 2, random.choice([-1, 1], ranks.shape) * random.uniform(0.8, 1.5, ranks.shape), 0
    )
    return atoms, codes @ atoms


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    check_estimator(SparseCoder(max_iter=3, n_inference=5, transform_steps=5))


def test_a_planted_dictionary_is_found_and_rows_come_back(planted):
    atoms, rows = planted
    coder = SparseCoder(alpha=0.1, max_iter=400, random_state=0).fit(rows)
    assert (np.abs(atoms @ coder.components_.T).max(1) > 0.95).mean() >= 0.9
    assert (np.linalg.norm(coder.components_, axis=1) <= 1 + 1e-9).all()
    codes = coder.transform(rows)
    assert (codes != 0).mean() < 0.35
    # The condition of the optimum, and what it says of the rest.
    pull = (rows - coder.inverse_transform(codes)) @ coder.components_.T
    assert np.abs(pull).max() < 0.1 * (1 + 1e-3)
    np.testing.assert_allclose(pull[codes != 0], 0.1 * np.sign(codes[codes != 0]), atol=2e-4)
    again = pickle.loads(pickle.dumps(coder))
    np.testing.assert_array_equal(again.transform(rows[:7]), coder.transform(rows[:7]))
    assert coder.get_feature_names_out()[0] == "sparsecoder0"


def test_batches_one_by_one_learn_as_well(planted):
    atoms, rows = planted
    coder = SparseCoder(alpha=0.1, random_state=0)
    for k in range(300):
        coder.partial_fit(rows[(k % 4) * 250 : (k % 4 + 1) * 250])
    assert coder.n_iter_ == 300
    assert (np.abs(atoms @ coder.components_.T).max(1) > 0.95).mean() >= 0.9


def test_it_works_in_a_pipeline(planted):
    rows = planted[1]
    pipeline = make_pipeline(StandardScaler(), SparseCoder(12, alpha=0.5, max_iter=20, random_state=0))
    codes = pipeline.fit_transform(rows)
    assert codes.shape == (1000, 12)
    rest = rows - pipeline.inverse_transform(codes)
    assert np.mean(rest**2) < 0.5 * np.mean(rows**2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_components": 0}, "n_components must be an integer >= 1"),
        ({"alpha": 0.0}, "alpha must be a finite number > 0"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"n_inference": 0}, "n_inference must be an integer >= 1"),
        ({"transform_steps": 0}, "transform_steps must be an integer >= 1"),
        ({"memory": 1.0}, r"memory must be a finite number in \[0, 1\)"),
    ],
)
def test_bad_arguments_are_refused(change, message, planted):
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(SparseCoder(**change), method)(planted[1][:20])


def test_codes_of_another_length_are_refused(planted):
    coder = SparseCoder(12, max_iter=1).fit(planted[1][:250])
    with pytest.raises(ValueError, match=r"X must have shape \(n_rows, 12\), got \(2, 3\)"):
        coder.inverse_transform(np.ones((2, 3)))
