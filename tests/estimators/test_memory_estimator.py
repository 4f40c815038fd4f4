"""The memory keeps scikit-learn's contract, recalls rows, and says what is wrong in one sentence."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from neuromanifold.estimators import AssociativeMemory


def rows(n_rows=6, n_features=80, seed=0):
    return np.where(np.random.default_rng(seed).random((n_rows, n_features)) < 0.5, -1.0, 1.0)


def damaged(data, n_wrong=8, seed=1):
    wrong = np.random.default_rng(seed).random(data.shape).argsort(1) < n_wrong
    return np.where(wrong, data.min() + data.max() - data, data)


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    check_estimator(AssociativeMemory())


@pytest.mark.parametrize(
    "rule, low",
    [("hebb", -1.0), ("hebb", 0.0), ("pseudo-inverse", 0.0), ("storkey", -1.0), ("perceptron", -1.0)],
)
def test_rows_are_recalled_in_their_own_values(rule, low):
    data = np.where(rows() > 0, 1.0, low)
    memory = AssociativeMemory(rule, margin=1.0).fit(data)
    cues = damaged(data)
    assert (cues != data).sum() == 48
    assert np.array_equal(memory.transform(cues), data)
    assert memory.predict(cues[::-1]).tolist() == [5, 4, 3, 2, 1, 0]


def test_sparse_rows_by_the_covariance_rule():
    data = (np.random.default_rng(2).random((30, 200)).argsort(1) < 14).astype(float)
    memory = AssociativeMemory("covariance").fit(data)
    cues = data * (np.random.default_rng(3).random(data.shape) < 0.7)
    assert np.array_equal(memory.transform(cues), data)
    assert memory.network_.n_active == 14


def test_real_rows_are_divided_at_the_mean():
    signs = rows(6, 80)
    random = np.random.default_rng(4)
    data = 5.0 + 2.0 * signs + random.normal(scale=0.1, size=signs.shape)
    memory = AssociativeMemory("pseudo-inverse").fit(data)
    np.testing.assert_array_equal(memory.thresholds_, data.mean(axis=0))
    found = memory.transform(data)
    up = data > data.mean(axis=0)
    for j in range(3):
        for side in (True, False):
            mean = data[up[:, j] == side, j].mean()
            np.testing.assert_allclose(found[up[:, j] == side, j], mean)
    assert memory.predict(data).tolist() == list(range(6))


def test_order_of_updates_is_that_of_the_seed():
    data = rows(12, 60, seed=5)
    cues = damaged(data, 22)
    one, two, other = (
        AssociativeMemory(update="asynchronous", n_steps=1, random_state=s).fit(data).transform(cues)
        for s in (0, 0, 1)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    memory = AssociativeMemory(update="asynchronous", n_steps=1, random_state=0).fit(data)
    again = pickle.loads(pickle.dumps(memory))
    assert np.array_equal(again.transform(cues), one)
    assert clone(memory).get_params() == memory.get_params()


@pytest.mark.parametrize(
    "arguments, data, message",
    [
        ({"rule": "oja"}, rows(), "rule must be one of"),
        ({"update": "random"}, rows(), "update must be one of"),
        ({"rule": "covariance", "update": "asynchronous"}, rows(), "update must be 'synchronous'"),
        ({"n_steps": 0}, rows(), "n_steps must be an integer >= 1"),
        ({"margin": -1}, rows(), "margin must be a finite number >= 0"),
        ({"max_sweeps": 0}, rows(), "max_sweeps must be an integer >= 1"),
        ({"rule": "pseudo-inverse"}, rows(5, 5), "patterns must be fewer than the 5 units"),
        ({}, np.full((3, 3), np.nan), "NaN"),
    ],
)
def test_bad_input_is_refused(arguments, data, message):
    with pytest.raises(ValueError, match=message):
        AssociativeMemory(**arguments).fit(data)


def test_what_perceptrons_cannot_learn_is_an_error():
    with pytest.raises(RuntimeError, match="did not reach the stability"):
        AssociativeMemory("perceptron", max_sweeps=5).fit(rows(60, 10))
