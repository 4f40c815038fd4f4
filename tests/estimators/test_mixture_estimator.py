"""The estimator keeps scikit-learn's contract, finds clusters, and says what is wrong in one sentence."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from neuromanifold.estimators import VariationalGaussianMixture


def clusters(n_points=600, n_features=4, n_clusters=3, spread=6.0, seed=0):
    random = np.random.default_rng(seed)
    centres = spread * random.normal(size=(n_clusters, n_features))
    labels = random.integers(n_clusters, size=n_points)
    return centres[labels] + random.normal(size=(n_points, n_features)), labels


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    check_estimator(VariationalGaussianMixture())


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_it_finds_the_clusters_and_says_their_density(covariance_type):
    data, labels = clusters()
    model = VariationalGaussianMixture(8, covariance_type=covariance_type, random_state=0).fit(data)
    assert model.n_components_ == 3
    assert adjusted_rand_score(labels, model.predict(data)) > 0.99
    assert model.converged_
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    np.testing.assert_allclose(model.predict_proba(data).sum(1), 1.0, rtol=1e-12)
    spreads = [covariance(model, k) for k in range(8)]
    normals = [multivariate_normal(m, c).pdf(data[:50]) for m, c in zip(model.means_, spreads, strict=True)]
    expected = np.log(model.weights_ @ np.array(normals))
    np.testing.assert_allclose(model.score_samples(data[:50]), expected, rtol=1e-9)
    points, owners = model.sample(5000)
    assert (np.diff(owners) >= 0).all()
    for k in np.flatnonzero(model.weights_ > 0.1):
        mine = points[owners == k]
        assert abs(len(mine) / 5000 - model.weights_[k]) < 5 * 0.5 / np.sqrt(5000)
        error = 5 * np.sqrt(np.diag(spreads[k]) / len(mine))
        assert (np.abs(mine.mean(0) - model.means_[k]) < error).all()
        # The variance of a Gaussian's sample variance is 2 variance^2 / (n - 1).
        error = 5 * np.diag(spreads[k]) * np.sqrt(2 / (len(mine) - 1))
        assert (np.abs(mine.var(0, ddof=1) - np.diag(spreads[k])) < error).all()


def covariance(model, k):
    kind = model.covariance_type
    found = model.covariances_ if kind == "tied" else model.covariances_[k]
    return found if kind in ("full", "tied") else found * np.eye(4)


def test_batches_reach_what_the_whole_does():
    data, labels = clusters(4000)
    model = VariationalGaussianMixture(3, random_state=0, population=len(data), delay=4.0)
    for epoch in range(3):
        for batch in np.split(np.random.default_rng(epoch).permutation(data), 20):
            model.partial_fit(batch)
    assert adjusted_rand_score(labels, model.predict(data)) > 0.99
    assert model.n_iter_ == 60
    truth = np.array([data[labels == k].mean(0) for k in range(3)])
    distance = np.linalg.norm(truth[:, None] - model.means_[None], axis=2).min(1)
    # A mean is an average over about 1 / rate(60) = 12 batches of 67 points of the cluster.
    assert (distance < 5 * np.sqrt(4 / (12 * 67))).all()


def test_merging_after_batches_finds_the_number_of_clusters():
    data, labels = clusters(3000)
    model = VariationalGaussianMixture(8, random_state=0, population=len(data), delay=4.0)
    with pytest.raises(NotFittedError):
        model.merge(data)
    for batch in np.split(np.random.default_rng(0).permutation(data), 15):
        model.partial_fit(batch)
    assert model.n_components_ > 3
    before = model.lower_bound_
    model.merge(data[::3])
    assert model.n_components_ == 3
    assert model.lower_bound_ > before
    assert adjusted_rand_score(labels, model.predict(data)) > 0.99
    with pytest.raises(ValueError, match="features"):
        model.merge(data[:, :2])


def test_missing_entries():
    data, labels = clusters()
    holes = np.where(np.random.default_rng(1).random(data.shape) < 0.15, np.nan, data)
    with pytest.raises(ValueError, match="NaN"):
        VariationalGaussianMixture(6).fit(holes)
    model = VariationalGaussianMixture(6, missing=True, random_state=0).fit(holes)
    assert model.n_components_ == 3
    # Where holes have fewer than two of four entries left a point may be anybody's; the others are not.
    whole = np.isnan(holes).sum(1) <= 2
    assert adjusted_rand_score(labels[whole], model.predict(holes)[whole]) > 0.97
    # The density of the entries that are there is the marginal one.
    point = np.full((1, 4), np.nan)
    point[0, 1] = 0.3
    variances = np.array([c[1, 1] for c in model.covariances_])
    normal = np.exp(-((0.3 - model.means_[:, 1]) ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)
    np.testing.assert_allclose(model.score_samples(point)[0], np.log(model.weights_ @ normal), rtol=1e-10)


def test_precision_follows_the_data_and_pickling_keeps_it():
    data, _ = clusters()
    single = VariationalGaussianMixture(3, random_state=0, tol=0.1).fit(data.astype(np.float32))
    double = VariationalGaussianMixture(3, random_state=0, tol=0.1).fit(data)
    assert single.means_.dtype == np.float32
    assert double.means_.dtype == np.float64
    assert abs(single.lower_bound_ / double.lower_bound_ - 1) < 1e-3
    again = pickle.loads(pickle.dumps(double))
    np.testing.assert_array_equal(again.predict_proba(data), double.predict_proba(data))


BAD = {
    "n_components": (0, 601),
    "covariance_type": ("diagonal",),
    "tol": (0.0, -1.0),
    "reg_covar": (-1.0,),
    "max_iter": (0,),
    "n_init": (0,),
    "init_params": ("best",),
    "weight_concentration_prior_type": ("uniform",),
    "weight_concentration_prior": (0.0, -1.0),
    "mean_precision_prior": (0.0,),
    "mean_prior": (np.zeros(3),),
    "degrees_of_freedom_prior": (3.0,),
    "covariance_prior": (-np.eye(4), np.eye(3)),
    "n_merge_candidates": (-1,),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_arguments_are_refused(name, value):
    with pytest.raises(ValueError, match=r"must .*, got .*\.$"):
        VariationalGaussianMixture(**{name: value}).fit(clusters()[0])


@pytest.mark.parametrize(("name", "value"), [("delay", 0.5), ("forgetting", 0.5), ("population", 1)])
def test_bad_arguments_of_batches_are_refused(name, value):
    with pytest.raises(ValueError, match=r"must .*, got .*\.$"):
        VariationalGaussianMixture(**{name: value}).partial_fit(clusters()[0])


def test_too_few_steps_are_said():
    with pytest.warns(ConvergenceWarning, match="max_iter = 1"):
        VariationalGaussianMixture(3, max_iter=1).fit(clusters()[0])


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None\nimport neuromanifold.estimators"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "neuromanifold[estimators]" in found.stderr
