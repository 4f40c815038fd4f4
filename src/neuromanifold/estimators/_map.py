"""The self-organising map as a scikit-learn estimator: `fit` lays a lattice of units over the data.

Double-precision data are treated in double precision, single in single.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuromanifold._base import check_choice, check_integer, check_real, check_rows, require
from neuromanifold.dynamics import Schedule, run
from neuromanifold.learning.competitive import batch_map, falling, online_map
from neuromanifold.networks.selforganizing import (
    Lattice,
    MapErrors,
    Neighbourhood,
    map_errors,
    random_map,
    u_matrix,
)
from neuromanifold.networks.selforganizing import SelfOrganizingMap as Network

# Distances of a chunk of rows to all units that batch learning holds at once.
_SCORES = 2**21


class SelfOrganizingMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A lattice of units that spreads over the data; units next to each other stand for data that are alike.

    Args:
        shape: units along each axis of the lattice.
        lattice: "rectangular" or "hexagonal" (the last two axes).
        periodic: whether the axes close to a torus; one bool for all, or one for each.
        neighbourhood: "gaussian", "bubble", or "mexican-hat" (online only).
        convention: what a radius sigma is: "standard", exp(-d^2/(2 sigma^2)); "lecture", exp(-d^2/sigma^2).
        algorithm: "batch", all rows and then all weights; or "online", row by row.
        n_passes: passes over the rows, >= 1.
        radius: first and last radius in lattice constants, > 0, never rising; None: from half the longest
            axis to 1.
        rate: first and last rate of online learning, in (0, 1], never rising.
        schedule: how both fall: "geometric" or "linear".
        begin: first weights: "principal" (a flat lattice along the principal components), "rows", "uniform".
        missing: NaN marks a missing value; without it NaN is refused.
        memory: bytes that learning may take, > 0; None: those of the machine.
        random_state: seed or generator, of the order of rows and of first weights that are random.

    Attributes:
        weights_: shape (n_units, n_features).
        network_: the map, a `neuromanifold.networks.selforganizing.SelfOrganizingMap`.
        n_passes_: passes so far; each `partial_fit` is one.
        n_features_in_: number of features.

    Source: Kohonen (1982).

    >>> import numpy as np
    >>> from neuromanifold.estimators import SelfOrganizingMap
    >>> rows = np.random.default_rng(0).uniform(size=(500, 3))
    >>> som = SelfOrganizingMap((4, 5)).fit(rows)
    >>> som.weights_.shape, som.transform(rows).shape, som.hit_map(rows).sum()
    ((20, 3), (500, 20), np.int64(500))
    """

    def __init__(
        self,
        shape: Any = (10, 10),
        *,
        lattice: Any = "rectangular",
        periodic: Any = False,
        neighbourhood: Any = "gaussian",
        convention: Any = "standard",
        algorithm: Any = "batch",
        n_passes: Any = 20,
        radius: Any = None,
        rate: Any = (0.5, 0.01),
        schedule: Any = "geometric",
        begin: Any = "principal",
        missing: Any = False,
        memory: Any = None,
        random_state: Any = None,
    ) -> None:
        self.shape = shape
        self.lattice = lattice
        self.periodic = periodic
        self.neighbourhood = neighbourhood
        self.convention = convention
        self.algorithm = algorithm
        self.n_passes = n_passes
        self.radius = radius
        self.rate = rate
        self.schedule = schedule
        self.begin = begin
        self.missing = missing
        self.memory = memory
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> SelfOrganizingMap:
        """Learn the rows.

        Raises:
            ValueError: an argument outside its rule, data that are not finite, schedules that rise, a map
                that does not fit into memory (with the bytes it would need).
        """
        values = self._rows(X, reset=True)
        self._check()
        random = check_random_state(self.random_state)
        n_passes = check_integer("n_passes", self.n_passes, 1)
        with jax.enable_x64(values.dtype == np.float64):
            network = self._begun(values, random)
            if self.algorithm == "batch":
                chunk = 2 ** max(0, int(math.log2(max(1, _SCORES // network.n_units))))
                radius = self._schedule("radius", max(1, n_passes - 1))
                process = batch_map(values, radius, n_passes, chunk=chunk, missing=self.missing)
                made: Network = run(process, _key(random), network, n_passes, label="map").state
            else:
                n_steps = n_passes * len(values)
                radius, rate = (self._schedule(name, max(1, n_steps - 1)) for name in ("radius", "rate"))
                process = online_map(values, rate, radius, n_steps, key=_key(random), missing=self.missing)
                made = run(process, _key(random), network, n_steps, label="map").state.params
        self._keep(made)
        self.n_passes_ = n_passes
        return self

    def partial_fit(self, X: Any, y: Any = None) -> SelfOrganizingMap:
        """Learn the rows of a stream by one pass of the online rule.

        Rate and radius are those of as many passes as there were calls, out of `n_passes`; then the last.

        Raises:
            ValueError: as for `fit`.
        """
        first = not hasattr(self, "network_")
        values = self._rows(X, reset=first)
        self._check()
        random = check_random_state(self.random_state)
        n_passes = check_integer("n_passes", self.n_passes, 1)
        with jax.enable_x64(values.dtype == np.float64):
            network = self._begun(values, random) if first else self._network()
            done = 0 if first else self.n_passes_
            radius, rate = (
                float(self._schedule(name, max(1, n_passes - 1))(done)) for name in ("radius", "rate")
            )
            process = online_map(values, rate, radius, len(values), key=_key(random), missing=self.missing)
            made = run(process, _key(random), network, len(values), label="map").state.params
        self._keep(made)
        self.n_passes_ = done + 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The nearest unit of each row, in C order of the lattice, shape (n_rows,)."""
        return self._errors(X).winner

    def transform(self, X: Any) -> np.ndarray:
        """Distance of each row to the weights of each unit, shape (n_rows, n_units)."""
        check_is_fitted(self)
        values = self._rows(X, reset=False)
        there = ~np.isnan(values)
        filled = np.where(there, values, 0.0).astype(np.float64)
        weights = self.weights_.astype(np.float64)
        centre = weights.mean(axis=0)
        weights, filled = weights - centre, np.where(there, filled - centre, 0.0)
        squares = (filled**2).sum(1)[:, None] - 2 * filled @ weights.T + there @ (weights**2).T
        return np.sqrt(np.maximum(squares, 0.0)).astype(values.dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the quantisation error: larger is better."""
        return -self.quantisation_error(X)

    def quantisation_error(self, X: Any) -> float:
        """Mean distance of the rows to their nearest unit."""
        return float(np.sqrt(self._errors(X).squared_distance, dtype=np.float64).mean())

    def topographic_error(self, X: Any, *, diagonal: bool = True) -> float:
        """Share of rows whose two nearest units are not next to each other on the lattice.

        Args:
            X: rows.
            diagonal: on a rectangular lattice units that differ by 1 along several axes are next to each
                other.
        """
        found = self._errors(X)
        beside = self.network_.lattice.adjacent(found.winner, found.second, diagonal=diagonal)
        return float(1 - np.mean(beside))

    def hit_map(self, X: Any) -> np.ndarray:
        """Rows nearest to each unit, in the shape of the lattice."""
        winners = self._errors(X).winner
        return np.bincount(winners, minlength=len(self.weights_)).reshape(self.network_.lattice.shape)

    def u_matrix(self) -> np.ndarray:
        """Mean distance of the weights of each unit to its neighbours', in the shape of the lattice."""
        check_is_fitted(self)
        return u_matrix(self.network_)

    def component_planes(self) -> np.ndarray:
        """The weights laid out on the lattice, shape (*shape, n_features)."""
        check_is_fitted(self)
        return self.weights_.reshape(*self.network_.lattice.shape, -1)

    @property
    def _n_features_out(self) -> int:
        return len(self.weights_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self) -> None:
        # scikit-learn wants constructors that accept anything; what is wrong is said here.
        require(isinstance(self.missing, bool | np.bool_), "missing", "be True or False", self.missing)
        check_choice("algorithm", self.algorithm, ("batch", "online"))
        check_choice("schedule", self.schedule, ("geometric", "linear"))
        fits = self.algorithm == "online" or self.neighbourhood != "mexican-hat"
        require(fits, "neighbourhood", "have no negative parts for the algorithm 'batch'", self.neighbourhood)

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan" if self.missing else True,
        )
        return check_rows("X", values, missing=bool(self.missing))

    def _begun(self, values: np.ndarray, random: np.random.RandomState) -> Network:
        lattice = Lattice(self.shape, self.lattice, periodic=self.periodic)
        form = Neighbourhood(self.neighbourhood, convention=self.convention)
        return random_map(_key(random), lattice, values, form, begin=self.begin, memory=self.memory)

    def _schedule(self, name: str, n_steps: int) -> Any:
        pair = getattr(self, name)
        if name == "radius" and pair is None:
            longest = max(2.0, max(self.shape) / 2)
            pair = (longest * (1.0 if self.convention == "standard" else math.sqrt(2.0)), 1.0)
        fits = isinstance(pair, Sequence | np.ndarray) and len(pair) == 2
        require(fits, name, "be a pair (first, last)", pair)
        first, last = (check_real(f"{name}[{i}]", x, 0, open_low=True) for i, x in enumerate(pair))
        high = 1.0 if name == "rate" else None
        return falling(name, Schedule(self.schedule, first, last, n_steps), n_steps, high=high)

    def _keep(self, made: Network) -> None:
        # As NumPy arrays, which keep their precision when they are pickled outside of JAX's double precision.
        self.network_ = jax.tree.map(np.asarray, made)
        self.weights_ = np.asarray(made.weights)

    def _network(self) -> Network:
        return Network(self.weights_, self.network_.lattice, self.network_.neighbourhood)

    def _errors(self, X: Any) -> MapErrors:
        check_is_fitted(self)
        values = self._rows(X, reset=False)
        with jax.enable_x64(self.weights_.dtype == np.float64):
            return map_errors(self._network(), values, missing=bool(self.missing))


def _key(random: np.random.RandomState) -> Any:
    return jax.random.key(int(random.randint(2**31 - 1)))
