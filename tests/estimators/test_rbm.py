"""Both machines keep scikit-learn's contract, learn small laws, and refuse what is not theirs."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from neuromanifold.estimators import BernoulliRBM, GaussianRBM

ROWS = np.repeat([[0, 0, 1, 1], [1, 1, 0, 0]], 50, axis=0).astype(np.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [BernoulliRBM(4, n_iter=1), GaussianRBM(4, n_iter=1)])
def test_scikit_learn_accepts_it(model):
    check_estimator(model)


def test_score_is_the_pseudo_likelihood():
    model = BernoulliRBM(3, learning_rate=0.5, n_iter=30, random_state=0).fit(ROWS)
    parts = model.components_, model.intercept_visible_, model.intercept_hidden_
    w, b, c = (np.asarray(x, np.float64) for x in parts)

    def weight(v):
        return v @ b + np.logaddexp(0, c + w @ v).sum()

    for v, score in zip(ROWS[[0, 60]], model.score_samples(ROWS[[0, 60]]), strict=True):
        expected = 0.0
        for i in range(4):
            turned = v.copy()
            turned[i] = 1 - v[i]
            expected -= np.logaddexp(0, weight(turned) - weight(v))
        assert score == pytest.approx(expected, abs=1e-4)


def test_it_learns_and_goes_on():
    model = BernoulliRBM(2, learning_rate=0.3, n_iter=100, random_state=0).fit(ROWS)
    assert model.score_samples(ROWS).mean() > -0.6
    assert model.score_samples([[0, 1, 1, 0]])[0] < -2
    sampled = model.gibbs(ROWS)
    assert set(np.unique(sampled)) <= {0.0, 1.0}
    assert (sampled == ROWS).mean() > 0.85
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(ROWS), model.transform(ROWS))
    before = model.components_
    assert not np.array_equal(model.partial_fit(ROWS).components_, before)
    fresh = BernoulliRBM(2, rule="cd", learning_rate=0.3, random_state=0)
    for _ in range(400):
        fresh.partial_fit(ROWS)
    assert fresh.score_samples(ROWS).mean() > -1.0


def test_other_numbers_are_brought_to_the_unit_interval():
    model = BernoulliRBM(2, learning_rate=0.3, n_iter=100, random_state=0).fit(3 * ROWS - 7)
    plain = BernoulliRBM(2, learning_rate=0.3, n_iter=100, random_state=0).fit(ROWS)
    np.testing.assert_allclose(model.transform(3 * ROWS - 7), plain.transform(ROWS), atol=1e-5)
    assert set(np.unique(model.gibbs(3 * ROWS - 7))) <= {-7.0, -4.0}


def test_real_rows_and_their_variances():
    random = np.random.default_rng(0)
    side = np.where(random.random(400) < 0.5, -1.0, 1.0)
    rows = 10 + np.array([4.0, 1.0]) * side[:, None] + np.array([1.0, 0.3]) * random.normal(size=(400, 2))
    machine = GaussianRBM(
        1, learning_rate=0.05, batch_size=200, n_iter=1000, learn_variance=True, random_state=0
    )
    model = clone(machine).fit(rows)
    # One hidden unit tells the sides apart, and what is left of each feature is its noise.
    hidden = model.transform(rows)[:, 0]
    assert abs(np.corrcoef(hidden, side)[0, 1]) > 0.99
    np.testing.assert_allclose(model.variance_, [1.0, 0.09], rtol=0.25)
    centres = np.sort(model.intercept_visible_ + np.array([[0.0], [1.0]]) * model.components_, axis=0)
    assert (np.abs(centres - [[6.0, 9.0], [14.0, 11.0]]) < [0.4, 0.15]).all()
    fields = model.intercept_hidden_ + model.components_ @ (rows / model.variance_).T
    np.testing.assert_allclose(1 / (1 + np.exp(-fields[0])), hidden, atol=2e-3)
    assert model.score_samples(rows).mean() > model.score_samples(rows[:, ::-1]).mean()
    # Other units of a feature are the same machine.
    other = machine.fit(100 * rows)
    np.testing.assert_allclose(other.transform(100 * rows)[:, 0], hidden, atol=2e-2)


@pytest.mark.parametrize(
    "model, rows, message",
    [
        (BernoulliRBM(0), ROWS, "n_components must be an integer >= 1"),
        (BernoulliRBM(learning_rate=0), ROWS, "learning_rate must be a finite number > 0"),
        (BernoulliRBM(batch_size=0), ROWS, "batch_size must be an integer >= 1"),
        (BernoulliRBM(n_iter=-1), ROWS, "n_iter must be an integer >= 0"),
        (BernoulliRBM(rule="pt"), ROWS, "rule must be one of 'persistent', 'cd'"),
        (BernoulliRBM(support="clip"), ROWS, "support must be one of 'scale', 'strict'"),
        (BernoulliRBM(n_steps=0), ROWS, "n_steps must be an integer >= 1"),
        (BernoulliRBM(2, support="strict"), ROWS + 0.5, r"X must lie in \[0, 1\], got 1.5"),
        (BernoulliRBM(2), np.full((3, 3), np.nan), "NaN"),
        (GaussianRBM(2, learn_variance=1), ROWS, "learn_variance must be True or False"),
        (GaussianRBM(2), np.full((3, 3), np.inf), "infinity"),
    ],
)
def test_bad_input_is_refused(model, rows, message):
    with pytest.raises(ValueError, match=message):
        model.fit(rows)
