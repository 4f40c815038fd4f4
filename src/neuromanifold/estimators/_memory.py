"""Associative memory as a scikit-learn estimator: `fit` stores rows, `transform` recalls them.

Rows become states of two-valued units by one threshold a column: 0 for data of -1 and +1, 1/2 for data of 0
and 1, and the column's mean for any other numbers. (Medians would leave an even number of rows linearly
dependent, which the pseudo-inverse cannot store.) A recalled state is given back in the data's own values:
-1 and +1, 0 and 1, or the means of the column's entries up to the threshold and above it.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import run
from neuromanifold.networks.memory import (
    Hopfield,
    RecallNetwork,
    SparseMemory,
    asynchronous,
    perceptron,
    pseudo_inverse,
    storkey,
    synchronous,
)

RULES = ("hebb", "pseudo-inverse", "storkey", "perceptron", "covariance")
UPDATES = ("synchronous", "asynchronous")


class AssociativeMemory(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """A memory that stores the rows it is fitted to and recalls them from parts or damaged copies.

    Args:
        rule: "hebb"; "pseudo-inverse" (fewer rows than columns, linearly independent as signs); "storkey";
            "perceptron" (raises where it does not converge); "covariance" for sparse rows, whose units are
            0/1 and of which as many fire as the rows have ones on average.
        n_steps: updates of all units, >= 1.
        update: "synchronous", or "asynchronous" (unit by unit; not with "covariance").
        margin: for "perceptron", the stability wanted, >= 0.
        max_sweeps: for "perceptron", passes over the rows at most, >= 1.
        random_state: seed or generator, of the order of asynchronous updates.

    Attributes:
        patterns_: the rows as states, -1 and +1 (0 and 1 for "covariance"), shape (n_rows, n_features).
        thresholds_: what divides each column, shape (n_features,).
        values_: what a unit that is down and one that is up stand for, shape (2, n_features).
        network_: the memory, a network of `neuromanifold.networks.memory`.
        n_features_in_: number of features.

    >>> import numpy as np
    >>> from neuromanifold.estimators import AssociativeMemory
    >>> rows = np.where(np.random.default_rng(0).random((3, 64)) < 0.5, -1, 1)
    >>> memory = AssociativeMemory().fit(rows)
    >>> damaged = rows * np.where(np.arange(64) < 10, -1, 1)
    >>> bool((memory.transform(damaged) == rows).all()), memory.predict(damaged).tolist()
    (True, [0, 1, 2])
    """

    def __init__(
        self,
        rule: Any = "hebb",
        *,
        n_steps: Any = 20,
        update: Any = "synchronous",
        margin: Any = 0.0,
        max_sweeps: Any = 1000,
        random_state: Any = None,
    ) -> None:
        self.rule = rule
        self.n_steps = n_steps
        self.update = update
        self.margin = margin
        self.max_sweeps = max_sweeps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> AssociativeMemory:
        """Store rows.

        Raises:
            ValueError: an argument of the estimator outside its rule, data that are not finite, rows that the
                rule cannot store.
        """
        check_choice("rule", self.rule, RULES)
        check_choice("update", self.update, UPDATES)
        fits = self.rule != "covariance" or self.update == "synchronous"
        require(fits, "update", "be 'synchronous' for the rule 'covariance'", self.update)
        check_integer("n_steps", self.n_steps, 1)
        check_real("margin", self.margin, 0)
        check_integer("max_sweeps", self.max_sweeps, 1)
        values = np.asarray(validate_data(self, X, dtype=np.float64))
        self.thresholds_, self.values_ = _coding(values)
        self.patterns_ = self._states(values)
        self.network_ = self._learn(self.patterns_)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The rows that are recalled from rows like those stored, shape (n_rows, n_features)."""
        up = self._recall(X) > 0
        return np.where(up, self.values_[1], self.values_[0])

    def predict(self, X: Any) -> np.ndarray:
        """The index of the stored row that the recalled state is nearest to, shape (n_rows,)."""
        states, stored = self._recall(X).astype(np.float64), self.patterns_.astype(np.float64)
        distance = (stored**2).sum(1) - 2.0 * states @ stored.T
        return distance.argmin(axis=1)

    def _recall(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        values = np.asarray(validate_data(self, X, dtype=np.float64, reset=False))
        process = synchronous if self.update == "synchronous" else asynchronous
        key = jax.random.key(self._seed)
        states = run(process(self.network_), key, self._states(values), self.n_steps, label="recall").state
        return np.asarray(states)

    def _states(self, values: np.ndarray) -> np.ndarray:
        up = values > self.thresholds_
        return np.where(up, 1, 0 if self.rule == "covariance" else -1).astype(np.int8)

    def _learn(self, patterns: np.ndarray) -> RecallNetwork:
        if self.rule == "pseudo-inverse":
            return pseudo_inverse(patterns)
        if self.rule == "storkey":
            return storkey(patterns)
        if self.rule == "perceptron":
            return perceptron(patterns, self.margin, max_sweeps=self.max_sweeps).network
        if self.rule == "covariance":
            return SparseMemory(patterns, n_active=max(1, round(float(patterns.sum(1).mean()))))
        return Hopfield(patterns)


def _coding(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds of the columns, and the values below and above them."""
    n = values.shape[1]
    for low, high in ((-1.0, 1.0), (0.0, 1.0)):
        if np.isin(values, (low, high)).all():
            return np.full(n, (low + high) / 2), np.array([np.full(n, low), np.full(n, high)])
    thresholds = values.mean(axis=0)
    up = values > thresholds
    count = np.maximum(up.sum(0), 1)
    above = np.where(up.any(0), np.where(up, values, 0.0).sum(0) / count, thresholds)
    below = np.where(up, 0.0, values).sum(0) / np.maximum((~up).sum(0), 1)
    return thresholds, np.array([below, above])
