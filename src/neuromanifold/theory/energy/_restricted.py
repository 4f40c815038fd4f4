"""The law of a restricted machine of 0/1 units by a sum over its hidden states, apart from any simulator.

    Z = sum_h exp(c . h) prod_j (1 + exp(b_j + (h W)_j))
    p(v) = exp(b . v) prod_i (1 + exp(c_i + W_i . v)) / Z

The averages <v>, <h> and <h v^T> under it are what a long chain must give, and <h v^T> is dlog Z/dW. Pixels
that are independent, each with its own mean, are the machine without hidden units; nothing that has learned
anything about pairs is below it.

Source: Smolensky 1986; Hinton 2002, Neural Comput. 14:1771.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

from neuromanifold._base import check_finite, require

_BLOCK = 4096


class RestrictedLaw(NamedTuple):
    """What the sum over hidden states gives.

    Args:
        log_partition: log Z.
        visible: <v>, shape (n,).
        hidden: <h>, shape (k,).
        moments: <h v^T>, shape (k, n).
    """

    log_partition: float
    visible: NDArray[np.float64]
    hidden: NDArray[np.float64]
    moments: NDArray[np.float64]


def restricted_law(couplings: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike) -> RestrictedLaw:
    """The law of a machine with 0/1 units, exactly.

    Args:
        couplings: W, shape (k, n), k <= 20.
        visible_bias: b, shape (n,).
        hidden_bias: c, shape (k,).

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, or more than 20 hidden units.

    >>> from neuromanifold.theory.energy import restricted_law
    >>> round(restricted_law([[1.0, -1.0]], [0.0, 0.0], [0.0]).log_partition, 4)    # log(4 + 1 + e + 1/e + 1)
    2.2068
    """
    w, b, c = _parameters(couplings, visible_bias, hidden_bias)
    k = len(c)
    logs = np.concatenate([_logs(states, w, b, c) for states in _states(k)])
    total: Any = logsumexp(logs)
    log_z = float(total)
    visible, hidden, moments = np.zeros(len(b)), np.zeros(k), np.zeros(w.shape)
    for number, states in enumerate(_states(k)):
        chance = np.exp(logs[number * _BLOCK : number * _BLOCK + len(states)] - log_z)
        mean = chance[:, None] * expit(b + states @ w)
        visible += mean.sum(0)
        hidden += chance @ states
        moments += states.T @ mean
    return RestrictedLaw(log_z, visible, hidden, moments)


def restricted_log_weight(
    couplings: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, rows: ArrayLike
) -> NDArray[np.float64]:
    """Log p(v) + log Z of rows v.

    Args:
        couplings: W, shape (k, n).
        visible_bias: b, shape (n,).
        hidden_bias: c, shape (k,).
        rows: shape (m, n), of 0 and 1.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
    """
    w, b, c = _parameters(couplings, visible_bias, hidden_bias)
    v = _rows(rows, len(b))
    return np.asarray(v @ b + np.logaddexp(0.0, c + v @ w.T).sum(1))


def restricted_hidden(
    couplings: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, rows: ArrayLike
) -> NDArray[np.float64]:
    """Probabilities of 1 of the hidden units given rows v, shape (m, k).

    Arguments and errors as for `restricted_log_weight`.
    """
    w, b, c = _parameters(couplings, visible_bias, hidden_bias)
    return np.asarray(expit(c + _rows(rows, len(b)) @ w.T))


def independent_log_likelihood(means: ArrayLike, rows_mean: ArrayLike) -> float:
    """Mean log likelihood of rows under independent 0/1 pixels.

    Args:
        means: probabilities of 1 in the model, strictly in (0, 1), shape (n,).
        rows_mean: share of 1 in the rows, shape (n,).

    Raises:
        ValueError: a probability that is 0 or 1, or different shapes.
    """
    p, q = (check_finite(*pair).astype(np.float64) for pair in (("means", means), ("rows_mean", rows_mean)))
    require(p.shape == q.shape, "rows_mean", f"have shape {p.shape}", q.shape)
    require(np.all((p > 0) & (p < 1)), "means", "lie strictly in (0, 1)", means)
    return float((q * np.log(p) + (1 - q) * np.log1p(-p)).sum())


def _parameters(
    couplings: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike
) -> tuple[np.ndarray, ...]:
    w, b, c = (
        check_finite(name, values).astype(np.float64)
        for name, values in (
            ("couplings", couplings),
            ("visible_bias", visible_bias),
            ("hidden_bias", hidden_bias),
        )
    )
    fits = b.ndim == c.ndim == 1 and w.shape == (len(c), len(b))
    require(fits, "couplings", f"have shape ({c.size}, {b.size})", w.shape)
    require(len(c) <= 20, "hidden_bias", "be of at most 20 units to be summed over", len(c))
    return w, b, c


def _rows(rows: ArrayLike, n: int) -> NDArray[np.float64]:
    v = check_finite("rows", rows).astype(np.float64)
    require(v.ndim == 2 and v.shape[1] == n, "rows", f"have shape (m, {n})", v.shape)
    return v


def _states(k: int) -> list[np.ndarray]:
    index = np.arange(2**k)
    return [
        (part[:, None] >> np.arange(k) & 1).astype(np.float64)
        for part in np.split(index, range(_BLOCK, len(index), _BLOCK))
    ]


def _logs(h: np.ndarray, w: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return h @ c + np.logaddexp(0.0, b + h @ w).sum(1)
