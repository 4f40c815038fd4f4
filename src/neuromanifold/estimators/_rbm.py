"""Restricted Boltzmann machines as scikit-learn estimators, learnt by contrastive divergence.

`BernoulliRBM` takes the arguments of scikit-learn's, and data in [0, 1]; values between are probabilities of
a unit. Other numbers are refused, or brought to [0, 1] column by column. `GaussianRBM` takes any numbers:
visible units are Gaussian, with one variance for each feature that may be learnt. It learns in units of each
feature's standard deviation, so that one rate does for all. Both give `transform` (probabilities of hidden
units), `score_samples`, `gibbs`, `partial_fit`.

One pass over the rows is an epoch, in an order that is new each time; the last batch may be short, and each
phase is averaged over its own rows.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import run
from neuromanifold.learning import Minibatches, learner
from neuromanifold.learning.contrastive import contrastive_divergence, persistent_divergence
from neuromanifold.networks.energy import Bernoulli, Gaussian, RestrictedBoltzmann

RULES = ("persistent", "cd")


class _Machine(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What both estimators share; they differ in the visible units and in the score."""

    n_components: Any
    learning_rate: Any
    batch_size: Any
    n_iter: Any
    rule: Any
    n_steps: Any
    random_state: Any

    def _check_arguments(self) -> None:
        check_integer("n_components", self.n_components, 1)
        check_real("learning_rate", self.learning_rate, 0, open_low=True)
        check_integer("batch_size", self.batch_size, 1)
        check_integer("n_iter", self.n_iter, 0)
        check_choice("rule", self.rule, RULES)
        check_integer("n_steps", self.n_steps, 1)

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        return np.asarray(validate_data(self, X, dtype=np.float32, reset=reset))

    def _begin(self, rows: np.ndarray) -> None:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _new_key(self) -> jax.Array:
        return jax.random.key(int(self._random.randint(2**31 - 1)))

    def _learn(self, rows: np.ndarray, n_epochs: int, batch_size: int) -> None:
        """Go on from the machine and the chains that are there."""
        size = min(batch_size, len(rows))
        batches = Minibatches(rows, size, key=self._new_key())
        if self.rule == "cd":
            signal = contrastive_divergence(batches, self.n_steps)
        else:
            signal = persistent_divergence(batches, jnp.asarray(self._chains), self.n_steps)
        process = learner(signal, optax.sgd(self.learning_rate))
        n_steps = n_epochs * batches.n_batches
        state = run(process, self._new_key(), self.machine_, n_steps, label="learning").state
        self.machine_ = state.params
        if self.rule == "persistent":
            self._chains = np.asarray(state.aux)

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    @property
    def components_(self) -> np.ndarray:
        """Couplings, shape (n_components, n_features)."""
        return np.asarray(self.machine_.couplings)

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """Biases of the hidden units, shape (n_components,)."""
        return np.asarray(self.machine_.hidden_bias)

    @property
    def intercept_visible_(self) -> np.ndarray:
        """Biases of the visible units, shape (n_features,)."""
        return np.asarray(self.machine_.visible_bias)

    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn from rows, `n_iter` times each.

        Raises:
            ValueError: an argument of the estimator outside its rule, or rows that are not of its units.
        """
        self._check_arguments()
        rows = self._rows(X, reset=True)
        self._random = check_random_state(self.random_state)
        self._begin(rows)
        self._learn(rows, self.n_iter, self.batch_size)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Any:
        """One step of learning on all rows given.

        Raises:
            ValueError: as for `fit`.
        """
        self._check_arguments()
        first = not hasattr(self, "machine_")
        rows = self._rows(X, reset=first)
        if first:
            self._random = check_random_state(self.random_state)
            self._begin(rows)
        self._learn(rows, 1, len(rows))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Probabilities of the hidden units given rows, shape (n_rows, n_components)."""
        check_is_fitted(self)
        return np.asarray(_hidden(self.machine_, jnp.asarray(self._rows(X))))

    def gibbs(self, v: Any) -> np.ndarray:
        """Rows after one step of Gibbs sampling: hidden units given them, then visible units given those."""
        check_is_fitted(self)
        return np.asarray(_sweep(self.machine_, self._new_key(), jnp.asarray(self._rows(v))))


class BernoulliRBM(_Machine):
    """A restricted Boltzmann machine of 0/1 units.

    Args:
        n_components: hidden units, >= 1.
        learning_rate: > 0.
        batch_size: rows of a step, and number of persistent chains, >= 1.
        n_iter: passes over the rows, >= 0.
        rule: "persistent" (chains that go on from step to step) or "cd" (from the rows).
        n_steps: Gibbs steps for each change, >= 1.
        support: what happens to rows outside [0, 1]: "scale" brings every column from the range seen in `fit`
            to [0, 1], "strict" refuses them.
        random_state: seed or generator.

    Attributes:
        machine_: the machine, a `RestrictedBoltzmann`.
        components_: couplings, shape (n_components, n_features).
        intercept_hidden_: shape (n_components,).
        intercept_visible_: shape (n_features,).
        range_: what stands for 0 and for 1 in each column, shape (2, n_features).
        n_features_in_: number of features.

    >>> import numpy as np
    >>> from neuromanifold.estimators import BernoulliRBM
    >>> rows = np.repeat([[0, 0, 1, 1], [1, 1, 0, 0]], 50, axis=0)
    >>> model = BernoulliRBM(2, learning_rate=0.3, n_iter=200, random_state=0).fit(rows)
    >>> likely, unlikely = model.score_samples([[0, 0, 1, 1], [0, 1, 1, 0]])
    >>> bool(likely > unlikely)
    True
    """

    def __init__(
        self,
        n_components: Any = 256,
        *,
        learning_rate: Any = 0.1,
        batch_size: Any = 10,
        n_iter: Any = 10,
        rule: Any = "persistent",
        n_steps: Any = 1,
        support: Any = "scale",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.rule = rule
        self.n_steps = n_steps
        self.support = support
        self.random_state = random_state

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_choice("support", self.support, ("scale", "strict"))

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        rows = super()._rows(X, reset)
        outside = rows[(rows < 0) | (rows > 1)]
        if self.support == "strict":
            require(not outside.size, "X", "lie in [0, 1]", float(outside[0]) if outside.size else None)
        if reset:
            whole = np.array([np.zeros(rows.shape[1]), np.ones(rows.shape[1])], np.float32)
            self.range_ = np.array([rows.min(0), rows.max(0)]) if outside.size else whole
        low, high = self.range_
        width = np.where(high > low, high - low, np.float32(1))
        return np.clip((rows - low) / width, 0, 1)

    def gibbs(self, v: Any) -> np.ndarray:
        """Rows after one step of Gibbs sampling, in the range of the data."""
        check_is_fitted(self)
        return self.range_[0] + (self.range_[1] - self.range_[0]) * super().gibbs(v)

    def _begin(self, rows: np.ndarray) -> None:
        units = Bernoulli(rows.shape[1]), Bernoulli(self.n_components)
        self.machine_ = RestrictedBoltzmann.random(self._new_key(), *units)
        self._chains = np.zeros((self.batch_size, rows.shape[1]), np.float32)

    def score_samples(self, X: Any) -> np.ndarray:
        """Pseudo-likelihood of rows: the sum over features of log p(feature | all others), in nats.

        Each feature is turned in its turn (x becomes 1 - x), so the score is no random estimate.
        """
        check_is_fitted(self)
        return np.asarray(_pseudo(self.machine_, jnp.asarray(self._rows(X))))


class GaussianRBM(_Machine):
    """A restricted Boltzmann machine with Gaussian visible and 0/1 hidden units, for real features.

    Args:
        n_components: hidden units, >= 1.
        learning_rate: > 0.
        batch_size: rows of a step, and number of persistent chains, >= 1.
        n_iter: passes over the rows, >= 0.
        rule: "persistent" or "cd".
        n_steps: Gibbs steps for each change, >= 1.
        learn_variance: whether the variances are learnt; they begin as those of the features.
        random_state: seed or generator.

    Attributes:
        machine_: the machine, a `RestrictedBoltzmann` of features less `mean_`, over `scale_`.
        components_: couplings W, shape (n_components, n_features); the mean of the features given hidden
            units h is intercept_visible_ + h W.
        intercept_visible_: shape (n_features,).
        intercept_hidden_: c, shape (n_components,); the hidden fields given features v are
            c + W (v / variance_).
        variance_: of the features given the hidden units, shape (n_features,).
        mean_: of the features in the first rows, shape (n_features,).
        scale_: their standard deviations, 1 for a feature that does not vary.
        n_features_in_: number of features.

    >>> import numpy as np
    >>> from neuromanifold.estimators import GaussianRBM
    >>> rows = np.random.default_rng(0).normal([0.0, 5.0], [1.0, 2.0], (200, 2))
    >>> model = GaussianRBM(3, random_state=0).fit(rows)
    >>> model.transform(rows).shape, model.gibbs(rows).shape
    ((200, 3), (200, 2))
    """

    def __init__(
        self,
        n_components: Any = 16,
        *,
        learning_rate: Any = 0.01,
        batch_size: Any = 10,
        n_iter: Any = 10,
        rule: Any = "persistent",
        n_steps: Any = 1,
        learn_variance: Any = False,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.rule = rule
        self.n_steps = n_steps
        self.learn_variance = learn_variance
        self.random_state = random_state

    def _check_arguments(self) -> None:
        super()._check_arguments()
        require(
            isinstance(self.learn_variance, bool), "learn_variance", "be True or False", self.learn_variance
        )

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        rows = super()._rows(X, reset)
        if reset:
            spread = rows.std(0, dtype=np.float64)
            self.mean_ = rows.mean(0, dtype=np.float64).astype(np.float32)
            self.scale_ = np.where(spread > 0, spread, 1.0).astype(np.float32)
        return (rows - self.mean_) / self.scale_

    def _begin(self, rows: np.ndarray) -> None:
        units = Gaussian(rows.shape[1], learned=self.learn_variance), Bernoulli(self.n_components)
        self.machine_ = RestrictedBoltzmann.random(self._new_key(), *units)
        self._chains = np.asarray(self.machine_.begin(self._new_key(), self.batch_size))

    def gibbs(self, v: Any) -> np.ndarray:
        """Rows after one step of Gibbs sampling: hidden units given them, then features given those."""
        check_is_fitted(self)
        return self.mean_ + self.scale_ * super().gibbs(v)

    @property
    def components_(self) -> np.ndarray:
        """Couplings in units of the features, shape (n_components, n_features)."""
        return super().components_ * self.scale_

    @property
    def intercept_visible_(self) -> np.ndarray:
        """Mean of the features where no hidden unit is on, shape (n_features,)."""
        return self.mean_ + self.scale_ * super().intercept_visible_

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """Fields of the hidden units where all features are 0, shape (n_components,)."""
        return super().intercept_hidden_ - self.components_ @ (self.mean_ / self.variance_)

    @property
    def variance_(self) -> np.ndarray:
        """Variance of the features given the hidden units, shape (n_features,)."""
        visible: Any = self.machine_.visible
        return np.asarray(visible.variance) * self.scale_**2

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the free energy of rows: their log density up to one constant, in nats."""
        check_is_fitted(self)
        return np.asarray(_weight(self.machine_, jnp.asarray(self._rows(X)))) - np.log(self.scale_).sum()


@jax.jit
def _hidden(machine: RestrictedBoltzmann, v: jax.Array) -> jax.Array:
    return machine.hidden.mean(machine.hidden_field(v))


@jax.jit
def _sweep(machine: RestrictedBoltzmann, key: jax.Array, v: jax.Array) -> jax.Array:
    return machine.sweep(key, v)


@jax.jit
def _weight(machine: RestrictedBoltzmann, v: jax.Array) -> jax.Array:
    return machine.log_weight(v)


@jax.jit
def _pseudo(machine: RestrictedBoltzmann, v: jax.Array) -> jax.Array:
    field = machine.hidden_field(v)

    def turned(total: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
        step = 1.0 - 2.0 * v[:, i]
        change = step * machine.visible_bias[i]
        moved = field + step[:, None] * machine.couplings[:, i][None]
        change += machine.hidden.log_partition(moved) - machine.hidden.log_partition(field)
        return total - jax.nn.softplus(change), None

    return jax.lax.scan(turned, jnp.zeros(len(v), v.dtype), jnp.arange(v.shape[1]))[0]
