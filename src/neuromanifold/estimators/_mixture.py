"""The variational Bayesian Gaussian mixture as a scikit-learn estimator.

Names and defaults of the arguments are those of scikit-learn's `BayesianGaussianMixture`. Added are merging
of components, missing entries, `partial_fit`, and the number of clusters that was found, `n_components_`.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import run
from neuromanifold.learning.mixture import (
    MixtureInfo,
    MixturePrior,
    MixtureState,
    Quadratic,
    Statistics,
    check_data,
    chunk_length,
    cut,
    default_prior,
    expectation,
    initial_labels,
    initial_statistics,
    log_joint,
    merge_components,
    mixture_ascent,
    n_found,
    natural_step,
    plug_in,
    posterior,
)

_COVARIANCES = {"full": "full", "tied": "tied", "diag": "diagonal", "spherical": "spherical"}
_WEIGHTS = {"dirichlet_process": "stick-breaking", "dirichlet_distribution": "dirichlet"}
_INITS = {"kmeans": "k-means", "random": "random"}

_natural_step = eqx.filter_jit(natural_step)


def _bound(info: MixtureInfo) -> Any:
    return info.bound


@contextlib.contextmanager
def _precision(values: np.ndarray) -> Iterator[None]:
    """Double precision where the data have it."""
    with jax.enable_x64(values.dtype == np.float64):
        yield


class VariationalGaussianMixture(DensityMixin, BaseEstimator):
    """A Gaussian mixture that finds how many components the data need, at most `n_components`.

    Double-precision data are treated in double precision, single in single.

    Args:
        n_components: largest number of components, >= 1 and at most the number of points.
        covariance_type: "full", "tied", "diag" or "spherical".
        tol: the fit has settled where a step raises the evidence bound by less, in nats; > 0.
        reg_covar: added to the variances of the default `covariance_prior`, >= 0.
        max_iter: steps at most, >= 1.
        n_init: fits from different beginnings, >= 1, of which the one with the highest bound is kept.
        init_params: "kmeans", or "random": the nearest of `n_components` points drawn at random.
        weight_concentration_prior_type: "dirichlet_process" or "dirichlet_distribution".
        weight_concentration_prior: > 0; None: 1 / n_components.
        mean_precision_prior: > 0; None: 1.
        mean_prior: shape (n_features,); None: mean of the data.
        degrees_of_freedom_prior: > n_features - 1 for "full" and "tied", > 0 else; None: n_features.
        covariance_prior: scale of the covariances; None: that of the data.
        n_merge_candidates: pairs of components whose merger is tried wherever the fit has settled, >= 0; 0 is
            plain coordinate ascent; None: n_components.
        missing: NaN marks a missing entry; without it NaN is refused.
        population: for `partial_fit`, number of points the batches are drawn from; None: the points so far.
        delay: for `partial_fit`, >= 1; large values make the first steps small.
        forgetting: for `partial_fit`, exponent of the step size (t + delay)^-forgetting, in (0.5, 1].
        random_state: seed or generator.

    Attributes:
        n_components_: components that answer for more than one point in N, "found".
        weights_: expected weights, shape (n_components,).
        means_: expected means, shape (n_components, n_features).
        covariances_: inverse of `precisions_`, shape by covariance_type as in scikit-learn.
        precisions_: expected precisions.
        weight_concentration_, mean_precision_, degrees_of_freedom_: the posterior's other parameters.
        lower_bound_: the evidence bound, with all constants (after `partial_fit` an estimate of it).
        lower_bounds_: the bound after each step.
        converged_: whether the fit settled within max_iter.
        n_iter_: steps taken.
        n_features_in_: number of features.

    Sources: Attias (1999); Bishop (2006, section 10.2); Hoffman et al. (2013) for `partial_fit`.
    """

    def __init__(
        self,
        n_components: Any = 1,
        *,
        covariance_type: Any = "full",
        tol: Any = 1e-3,
        reg_covar: Any = 1e-6,
        max_iter: Any = 500,
        n_init: Any = 1,
        init_params: Any = "kmeans",
        weight_concentration_prior_type: Any = "dirichlet_process",
        weight_concentration_prior: Any = None,
        mean_precision_prior: Any = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: Any = None,
        covariance_prior: Any = None,
        n_merge_candidates: Any = None,
        missing: Any = False,
        population: Any = None,
        delay: Any = 1.0,
        forgetting: Any = 0.6,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.n_merge_candidates = n_merge_candidates
        self.missing = missing
        self.population = population
        self.delay = delay
        self.forgetting = forgetting
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        return tags

    def fit(self, X: Any, y: Any = None) -> VariationalGaussianMixture:
        """Fit to data.

        Raises:
            ValueError: an argument of the estimator or data outside its rule.
        """
        values = self._points(X, reset=True)
        max_iter = check_integer("max_iter", self.max_iter, 1)
        n_init = check_integer("n_init", self.n_init, 1)
        check_choice("init_params", self.init_params, tuple(_INITS))
        random = check_random_state(self.random_state)
        with _precision(values):
            prior = self._make_prior(values)
            process = mixture_ascent(
                prior,
                values,
                missing=self.missing,
                tolerance=self.tol,
                n_candidates=self.n_merge_candidates,
            )
            best: MixtureState | None = None
            bounds = np.zeros(0)
            for _ in range(n_init):
                key = self._key(random)
                moved = run(
                    process, key, self._labels(key, values), max_iter, observe_info=_bound, label="mixture"
                )
                if best is None or float(moved.state.bound) > float(best.bound):
                    best, bounds = moved.state, moved.infos
            assert best is not None
            self._keep(prior, best.statistics)
        self.n_iter_ = int(best.n_updates)
        self.converged_ = bool(best.converged)
        self.lower_bound_ = float(best.bound)
        self.lower_bounds_ = np.asarray(bounds)[: self.n_iter_].tolist()
        self._n_seen, self._n_batches = len(values), 0
        if not self.converged_:
            warnings.warn(
                f"the bound still rises by more than tol = {self.tol} after max_iter = {max_iter} steps.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(self, X: Any, y: Any = None) -> VariationalGaussianMixture:
        """One natural-gradient step on a batch; the first batch makes default priors and the beginning.

        Components are not merged here, so that `n_components_` may stay above the number of clusters; `merge`
        does that, whenever it is asked.

        Raises:
            ValueError: an argument of the estimator or data outside its rule; the first batch needs at least
                max(2, n_components) points.
        """
        begun = hasattr(self, "_statistics")
        values = self._points(X, reset=not begun, least=1 if begun else 2)
        delay = check_real("delay", self.delay, 1)
        forgetting = check_real("forgetting", self.forgetting, 0.5, 1, open_low=True)
        if not begun:
            check_choice("init_params", self.init_params, tuple(_INITS))
            self._n_seen, self._n_batches = 0, 0
            self.lower_bounds_ = []
        self._n_seen += len(values)
        population = self._n_seen
        if self.population is not None:
            population = check_integer("population", self.population, 2)
        with _precision(values):
            if begun:
                prior, statistics = jax.tree.map(jnp.asarray, (self._prior, self._statistics))
            else:
                prior = self._make_prior(values)
                labels = self._labels(self._key(check_random_state(self.random_state)), values)
                statistics = initial_statistics(
                    prior, values, labels, population=population, missing=self.missing
                )
            chunks = cut(prior, values, self._chunk(prior, len(values)), missing=self.missing)
            rate = (self._n_batches + delay) ** -forgetting
            statistics, info = _natural_step(
                prior,
                statistics,
                chunks,
                jnp.asarray(float(population), prior.mean.dtype),
                jnp.asarray(rate, prior.mean.dtype),
            )
            self._keep(prior, statistics)
        self._n_batches += 1
        self.lower_bound_ = float(info.bound)
        self.lower_bounds_ = [*self.lower_bounds_, self.lower_bound_]
        self.n_iter_, self.converged_ = self._n_batches, False
        return self

    def merge(self, X: Any) -> VariationalGaussianMixture:
        """Make one of components that share a cluster, after `partial_fit`, judged on some points.

        A merger is kept where it raises the evidence bound of the whole population by three standard errors
        of the estimate that the points allow.

        Args:
            X: points drawn at random from the population, shape (n_points, n_features).

        Raises:
            ValueError: data outside their rule.
            NotFittedError: before any fit.
        """
        check_is_fitted(self)
        values = self._points(X, reset=False)
        population = self._n_seen
        if self.population is not None:
            population = check_integer("population", self.population, 2)
        with _precision(values):
            prior, statistics = jax.tree.map(jnp.asarray, (self._prior, self._statistics))
            made = merge_components(
                prior,
                statistics,
                values,
                population=max(population, len(values)),
                tolerance=self.tol,
                n_candidates=self.n_merge_candidates or None,
                missing=self.missing,
            )
            self._keep(prior, made.statistics)
        self.lower_bound_ += made.gain
        return self

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and the component of each point."""
        return self.fit(X).predict(X)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable component of each point, shape (n_points,)."""
        return self._log_joint(X, expectation).argmax(axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the components given each point, shape (n_points, n_components)."""
        return softmax(self._log_joint(X, expectation), axis=1)

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each point under the mixture with the expected weights, means and precisions."""
        return np.asarray(logsumexp(self._log_joint(X, plug_in), axis=1))

    def score(self, X: Any, y: Any = None) -> Any:
        """Mean of `score_samples`."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Points and components drawn from the density of `score_samples`, the components in order."""
        check_is_fitted(self)
        n_samples = check_integer("n_samples", n_samples, 1)
        random = check_random_state(self.random_state)
        weights = np.asarray(self.weights_, float)
        counts = random.multinomial(n_samples, weights / weights.sum())
        points = []
        for k in np.flatnonzero(counts):
            spread = self.covariances_ if self.covariance_type == "tied" else self.covariances_[k]
            noise = random.normal(size=(counts[k], self.means_.shape[1]))
            if self.covariance_type in ("full", "tied"):
                noise = noise @ np.linalg.cholesky(spread).T
            else:
                noise = noise * np.sqrt(spread)
            points.append(self.means_[k] + noise)
        return np.concatenate(points), np.repeat(np.arange(len(counts)), counts)

    def _points(self, X: Any, *, reset: bool, least: int = 1) -> np.ndarray:
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_min_samples=max(least, 2) if reset else least,
            ensure_all_finite="allow-nan" if self.missing else True,
        )
        values = check_data(values, missing=self.missing, least=1)
        return values if reset else values.astype(self._dtype, copy=False)

    @staticmethod
    def _key(random: np.random.RandomState) -> Any:
        return jax.random.key(int(random.randint(2**31 - 1)))

    def _labels(self, key: Any, values: np.ndarray) -> np.ndarray:
        return initial_labels(
            key, values, self.n_components, init=_INITS[self.init_params], missing=self.missing
        )

    def _make_prior(self, values: np.ndarray) -> MixturePrior:
        # scikit-learn wants constructors that accept anything; what is wrong is said here.
        require(isinstance(self.missing, bool | np.bool_), "missing", "be True or False", self.missing)
        check_choice("covariance_type", self.covariance_type, tuple(_COVARIANCES))
        check_choice("weight_concentration_prior_type", self.weight_concentration_prior_type, tuple(_WEIGHTS))
        check_real("reg_covar", self.reg_covar, 0)
        k = check_integer("n_components", self.n_components, 1)
        require(k <= len(values), "n_components", f"be at most the number of points, {len(values)}", k)
        return default_prior(
            values,
            k,
            weights=_WEIGHTS[self.weight_concentration_prior_type],
            covariance=_COVARIANCES[self.covariance_type],
            concentration=self.weight_concentration_prior,
            mean_precision=1.0 if self.mean_precision_prior is None else self.mean_precision_prior,
            degrees_of_freedom=self.degrees_of_freedom_prior,
            mean=self.mean_prior,
            scale=self.covariance_prior,
            regularisation=self.reg_covar,
        )

    def _chunk(self, prior: MixturePrior, n_points: int) -> int:
        """A power of two, so that few programs are compiled for data of many lengths."""
        ceiling = 2 ** math.ceil(math.log2(n_points))
        return min(ceiling, chunk_length(prior, ceiling, missing=self.missing))

    def _keep(self, prior: MixturePrior, statistics: Statistics) -> None:
        found = posterior(prior, statistics)
        # As NumPy arrays, which keep their precision when they are pickled outside of JAX's double precision.
        self._prior, self._statistics = jax.tree.map(np.asarray, (prior, statistics))
        self._dtype = np.dtype(prior.mean.dtype)
        self.weights_ = np.asarray(found.weights)
        self.means_ = np.asarray(found.means)
        self.covariances_ = np.asarray(found.covariances)
        self.precisions_ = np.asarray(found.precisions)
        self.weight_concentration_ = np.asarray(found.concentration)
        self.mean_precision_ = np.asarray(found.mean_precision)
        self.degrees_of_freedom_ = np.asarray(found.degrees_of_freedom)
        self.n_components_ = int(n_found(statistics))

    def _log_joint(self, X: Any, law: Any) -> np.ndarray:
        check_is_fitted(self)
        values = self._points(X, reset=False)
        with _precision(values):
            prior, statistics = jax.tree.map(jnp.asarray, (self._prior, self._statistics))
            quadratic: Quadratic = law(prior, statistics)
            chunks = cut(prior, values, self._chunk(prior, len(values)), missing=self.missing)
            return np.asarray(log_joint(prior, quadratic, chunks))[: len(values)]
