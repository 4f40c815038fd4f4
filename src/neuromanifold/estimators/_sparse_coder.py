"""Sparse coding as a scikit-learn estimator: `fit` learns a dictionary, `transform` writes rows in it.

Names are those of scikit-learn's `MiniBatchDictionaryLearning` where the two have the same. Rows are coded as
they are: take means off before, where they say nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.dynamics import run
from neuromanifold.learning import Minibatches
from neuromanifold.learning.sparse import dictionary_learning
from neuromanifold.networks.generative import SparseCode, sparse_codes


@contextlib.contextmanager
def _double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def _step(process: Any, key: Any, state: Any) -> Any:
    return process.step(key, jnp.int32(0), state)[0]


class SparseCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A dictionary in which each row is a sum of few atoms: min 1/2 |x - a Phi|^2 + alpha sum |a_i|.

    Args:
        n_components: atoms, >= 1; None for as many as features.
        alpha: penalty lambda > 0, in units of the data.
        max_iter: batches that `fit` learns, >= 1.
        batch_size: rows of a batch, >= 1; at most the number of rows.
        n_inference: steps of inference for each batch, >= 1.
        memory: share that the running means keep a batch, in [0, 1).
        transform_steps: steps of inference of `transform`, >= 1.
        random_state: seed or generator, of the first dictionary and of the batches.

    Attributes:
        components_: the atoms, norms at most 1, shape (n_components, n_features).
        n_iter_: batches learned.
        n_features_in_: number of features.

    >>> import numpy as np
    >>> from neuromanifold.estimators import SparseCoder
    >>> random = np.random.default_rng(0)
    >>> atoms = np.linalg.qr(random.normal(size=(16, 16)))[0]
    >>> rows = random.choice([-1, 0, 1], (1000, 16), p=[0.06, 0.88, 0.06]) @ atoms
    >>> coder = SparseCoder(alpha=0.2, random_state=0).fit(rows)
    >>> bool((np.abs(atoms @ coder.components_.T).max(1) > 0.95).mean() > 0.9)
    True
    """

    def __init__(
        self,
        n_components: Any = None,
        *,
        alpha: Any = 1.0,
        max_iter: Any = 400,
        batch_size: Any = 256,
        n_inference: Any = 50,
        memory: Any = 0.9,
        transform_steps: Any = 300,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_inference = n_inference
        self.memory = memory
        self.transform_steps = transform_steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> SparseCoder:
        """Learn a dictionary from rows, begun with rows drawn from them.

        Raises:
            ValueError: an argument of the estimator outside its rule, or data that are not finite.
        """
        self._check()
        rows = np.asarray(validate_data(self, X, dtype=np.float64))
        self._begin(rows)
        with _double():
            key = jax.random.key(self._seed)
            learned = run(
                self._process(rows, min(int(self.batch_size), len(rows))),
                key,
                self._code(),
                int(self.max_iter),
                label="dictionary",
            ).state
        self._keep(learned, int(self.max_iter))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> SparseCoder:
        """Learn from one more batch of rows; all rows given are the batch.

        Raises:
            ValueError: as for `fit`, or rows with another number of features than before.
        """
        self._check()
        first = not hasattr(self, "components_")
        rows = np.asarray(validate_data(self, X, dtype=np.float64, reset=first))
        if first:
            self._begin(rows)
        with _double():
            process = self._process(rows, len(rows))
            key = jax.random.key(self._seed)
            state = process.init(key, self._code())
            if self._means is not None:
                state = state._replace(aux=type(state.aux)(*(jnp.asarray(x) for x in self._means)))
            learned = _step(process, key, state)
        self._keep(learned, self.n_iter_ + 1)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes of rows, shape (n_rows, n_components)."""
        check_is_fitted(self)
        rows = np.asarray(validate_data(self, X, dtype=np.float64, reset=False))
        with _double():
            return np.asarray(sparse_codes(self._code(), rows, int(self.transform_steps)))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows that codes stand for, shape (n_rows, n_features).

        Raises:
            ValueError: codes of another number of components.
        """
        check_is_fitted(self)
        codes = np.asarray(X, np.float64)
        n = len(self.components_)
        require(codes.ndim == 2 and codes.shape[1] == n, "X", f"have shape (n_rows, {n})", codes.shape)
        return codes @ self.components_

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _check(self) -> None:
        if self.n_components is not None:
            check_integer("n_components", self.n_components, 1)
        check_real("alpha", self.alpha, 0, open_low=True)
        for name in ("max_iter", "batch_size", "n_inference", "transform_steps"):
            check_integer(name, getattr(self, name), 1)
        check_real("memory", self.memory, 0, 1, open_high=True)

    def _begin(self, rows: np.ndarray) -> None:
        """A first dictionary: rows at random, and random directions where there are too few."""
        random = check_random_state(self.random_state)
        self._seed = int(random.randint(2**31 - 1))
        n_rows, n_features = rows.shape
        n = n_features if self.n_components is None else int(self.n_components)
        drawn = rows[random.permutation(n_rows)[:n]]
        size = np.linalg.norm(drawn, axis=1)
        drawn = drawn[size > 1e-9 * max(1.0, size.max())]
        # Directions also tell apart rows that are the same.
        noise = random.normal(size=(n, n_features))
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        atoms = 0.05 * noise
        atoms[: len(drawn)] += drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        self.components_ = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
        self._means: tuple[np.ndarray, ...] | None = None
        self.n_iter_ = 0

    def _code(self) -> SparseCode:
        return SparseCode(self.components_, float(self.alpha))

    def _process(self, rows: np.ndarray, batch_size: int) -> Any:
        batches = Minibatches(rows, batch_size, key=jax.random.key(self._seed))
        return dictionary_learning(batches, n_inference=int(self.n_inference), memory=float(self.memory))

    def _keep(self, learned: Any, n_iter: int) -> None:
        self.components_ = np.asarray(learned.params.dictionary)
        self._means = tuple(np.asarray(x) for x in learned.aux)
        self.n_iter_ = n_iter
