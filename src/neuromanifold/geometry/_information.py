"""Information between a label and a response, from laws and from samples, in bits.

    H(p) = - sum_r p(r) log2 p(r),        I(s; r) = H(r) - sum_s p(s) H(r | s)

The plug-in estimate puts frequencies in place of p. With N samples it is too large: to first order in 1/N

    <I_plug-in> - I = [ sum_s (R_s - 1) - (R - 1) ] / (2 N ln 2),

R_s and R the numbers of responses that can occur with label s and with any. Miller and Madow take the
responses that did occur for them, which is too few where samples are few; Panzeri and Treves estimate how
many were missed (1996, Network 7:87).

Clusters are compared with labels by the Rand index adjusted for chance (Hubert and Arabie 1985).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import comb, xlogy

from neuromanifold._base import check_finite, check_integer, require


def entropy(law: Any) -> Float[np.ndarray, "*batch"]:
    """Entropy in bits of laws along the last axis, each made to sum to one.

    Args:
        law: weights >= 0 with a positive sum, shape (..., n_values).

    Raises:
        ValueError: a weight below zero or not finite, or a sum of zero.

    >>> from neuromanifold.geometry import entropy
    >>> float(entropy([2, 1, 1]))
    1.5
    """
    p = _law("law", law, 1)
    return np.asarray(-xlogy(p, p).sum(-1) / np.log(2))


def mutual_information(joint: Any) -> Float[np.ndarray, "*batch"]:
    """Mutual information in bits of joint laws, or the plug-in estimate of tables of counts.

    Args:
        joint: weights >= 0 with a positive sum, shape (..., n_labels, n_responses).

    Raises:
        ValueError: a weight below zero or not finite, or a sum of zero.

    >>> from neuromanifold.geometry import mutual_information
    >>> float(mutual_information([[1, 0], [0, 1]])), float(mutual_information([[1, 1], [1, 1]]))
    (1.0, 0.0)
    """
    p = _law("joint", joint, 2)
    terms = xlogy(p, p).sum((-2, -1))
    row, column = p.sum(-1), p.sum(-2)
    return np.asarray((terms - xlogy(row, row).sum(-1) - xlogy(column, column).sum(-1)) / np.log(2))


def _law(name: str, weights: Any, n_axes: int) -> np.ndarray:
    values = check_finite(name, weights).astype(np.float64)
    shape = "(..., n_values)" if n_axes == 1 else "(..., n_labels, n_responses)"
    require(values.ndim >= n_axes and values.size > 0, name, f"have shape {shape}", values.shape)
    require((values >= 0).all(), name, "be >= 0", float(values.min()))
    total = values.sum(axis=tuple(range(-n_axes, 0)), keepdims=True)
    require((total > 0).all(), name, "have a positive sum", 0.0)
    return values / total


def contingency(labels: Any, responses: Any) -> Int[np.ndarray, "n_labels n_responses"]:
    """How often each label occurs with each response; rows and columns by rising value.

    Args:
        labels: one a sample, shape (n_samples,).
        responses: one a sample, shape (n_samples,).

    Raises:
        ValueError: shapes that differ, or no sample.

    >>> from neuromanifold.geometry import contingency
    >>> contingency(["a", "b", "b"], [0, 7, 7]).tolist()
    [[1, 0], [0, 2]]
    """
    one, other = np.asarray(labels), np.asarray(responses)
    require(one.ndim == 1 and one.size > 0, "labels", "have shape (n_samples,), n_samples >= 1", one.shape)
    require(other.shape == one.shape, "responses", f"have shape {one.shape}", other.shape)
    rows, i = np.unique(one, return_inverse=True)
    columns, j = np.unique(other, return_inverse=True)
    flat = np.bincount(i * len(columns) + j, minlength=len(rows) * len(columns))
    return flat.reshape(len(rows), len(columns))


def _table(table: Any) -> np.ndarray:
    values = np.asarray(table)
    require(values.ndim == 2, "table", "have shape (n_labels, n_responses)", values.shape)
    require(values.dtype.kind in "iu", "table", "be counts, integers", values.dtype)
    require((values >= 0).all(), "table", "be >= 0", int(values.min(initial=0)))
    require(values.sum() > 0, "table", "hold at least one sample", 0)
    return values[values.sum(1) > 0]


def miller_madow(table: Any) -> float:
    """Mutual information in bits from counts, less the bias of Miller and Madow; may fall below zero.

    Args:
        table: counts, integers >= 0, shape (n_labels, n_responses).

    Raises:
        ValueError: no table of counts, or one without a sample.

    >>> import numpy as np
    >>> from neuromanifold.geometry import miller_madow
    >>> round(miller_madow(np.array([[50, 0], [0, 50]])), 4)    # (R - 1) / (2 N ln 2) above one bit
    1.0072
    """
    counts = _table(table)
    occurred = np.count_nonzero(counts, axis=1)
    return _corrected(counts, occurred, int(np.count_nonzero(counts.sum(0))))


def panzeri_treves(table: Any, n_responses: int | None = None) -> float:
    """Mutual information in bits from counts, less the bias of Panzeri and Treves; may fall below zero.

    Args:
        table: counts, integers >= 0, shape (n_labels, n_columns).
        n_responses: responses that could occur, >= those that did; None: those that did.

    Raises:
        ValueError: no table of counts, one without a sample, or n_responses below what occurred.
    """
    counts = _table(table)
    occurred = int(np.count_nonzero(counts.sum(0)))
    most = occurred if n_responses is None else check_integer("n_responses", n_responses, occurred)
    relevant = [_relevant(row, most) for row in counts]
    return _corrected(counts, np.array(relevant), most)


def _corrected(counts: np.ndarray, of_label: np.ndarray, of_all: int) -> float:
    bias = ((of_label - 1).sum() - (of_all - 1)) / (2 * counts.sum() * np.log(2))
    return float(mutual_information(counts) - bias)


def _relevant(row: np.ndarray, most: int) -> float:
    """How many responses a label has, of which some may not have occurred in n samples.

    A number is assumed, the law is that with a Bayes estimate of each probability, and the number is raised
    for as long as the responses expected to occur come nearer to those that did.
    """
    n, seen = int(row.sum()), row[row > 0]
    occurred = len(seen)

    def expected(extra: int) -> float:
        if extra == 0:
            return occurred - float(((1 - seen / n) ** n).sum())
        missed = extra * (1 - (n / (n + occurred)) ** (1 / n))
        known = (1 - missed) * (seen + 1) / (n + occurred)
        hidden = missed / extra
        return float((1 - (1 - known) ** n).sum() + extra * (1 - (1 - hidden) ** n))

    extra, distance = 0, abs(occurred - expected(0))
    while occurred + extra < most:
        further = abs(occurred - expected(extra + 1))
        if further >= distance:
            break
        extra, distance = extra + 1, further
    return float(occurred + extra)


def adjusted_rand_index(labels: Any, clusters: Any) -> float:
    """Agreement of two partitions, 1 for equal ones and 0 on average for random ones of the same sizes.

        (sum_ij C(n_ij, 2) - E) / ((A + B) / 2 - E),    E = A B / C(n, 2),
        A = sum_i C(n_i., 2),    B = sum_j C(n_.j, 2)

    Args:
        labels: one a point, shape (n_points,).
        clusters: one a point, shape (n_points,).

    Raises:
        ValueError: shapes that differ, or no point.

    Source: Hubert and Arabie 1985, J. Classification 2:193, equation 5.

    >>> from neuromanifold.geometry import adjusted_rand_index
    >>> one = [0, 0, 1, 1]
    >>> adjusted_rand_index(one, [5, 5, 3, 3]), round(adjusted_rand_index(one, [0, 1, 0, 1]), 9)
    (1.0, -0.5)
    """
    table = contingency(labels, clusters)
    together = float(np.sum(comb(table, 2)))
    one, other = float(np.sum(comb(table.sum(1), 2))), float(np.sum(comb(table.sum(0), 2)))
    pairs = float(comb(table.sum(), 2))
    chance = one * other / pairs if pairs else 0.0
    most = (one + other) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)
