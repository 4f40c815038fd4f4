"""Critical points of deep linear networks: which there are, and that none but the best is a minimum.

With X X^T of full rank, B = Y X^T (X X^T)^{-1/2} = U S V^T and r the smallest layer, every critical point of

    E = 1/2 |W_L ... W_1 X - Y|^2

has the product W = U_I U_I^T Y X^T (X X^T)^{-1} for a set I of at most r singular directions, and the value

    E_I = 1/2 (|Y|^2 - sum_{i in I} s_i^2)

It is a global minimum where I holds the r greatest, and a saddle otherwise. For one hidden layer each saddle
with |I| = r has a direction of descent for every pair of a direction j outside and a smaller one i in I; with
fewer, directions outside that can still be taken up descend too.

Source: Baldi and Hornik 1989, Neural Networks 2:53, facts 1 to 4; Kawaguchi 2016, NeurIPS, theorem 2.3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neuromanifold._base import check_finite, check_integer, require


class LowRank(NamedTuple):
    """The best linear map of a rank.

    Args:
        matrix: the map, (n_out, n_in).
        loss: half the sum of squares that it leaves.
        singular: singular values of B, all of them, descending.
    """

    matrix: np.ndarray
    loss: float
    singular: np.ndarray


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(check_finite(name, v), np.float64) for name, v in (("x", x), ("y", y)))
    require(x.ndim == 2, "x", "have shape (n_in, n_examples)", x.shape)
    require(y.ndim == 2 and y.shape[1] == x.shape[1], "y", f"have shape (n_out, {x.shape[1]})", y.shape)
    values = np.linalg.eigvalsh(x @ x.T)
    full = values[0] > len(values) * np.finfo(np.float64).eps * values[-1]
    rule = "give X X^T full rank"
    require(full, "x", rule, f"eigenvalues from {values[0]:.3g} to {values[-1]:.3g}")
    return x, y


def _whitened(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """U, s, V^T of B, and (X X^T)^{-1/2}."""
    values, vectors = np.linalg.eigh(x @ x.T)
    root = (vectors / np.sqrt(values)) @ vectors.T
    u, s, vt = np.linalg.svd(y @ x.T @ root, full_matrices=False)
    return u, s, vt, root


def global_optimum_low_rank(x: npt.ArrayLike, y: npt.ArrayLike, rank: int) -> LowRank:
    """Least squares by a matrix of a rank: the least-squares map, its whitened singular values cut off.

    Args:
        x: inputs, columns, (n_in, n_examples); X X^T of full rank.
        y: targets, columns, (n_out, n_examples).
        rank: r >= 0; the smallest layer of a network.

    Raises:
        ValueError: shapes that do not fit, a singular X X^T, or a negative rank.

    >>> import numpy as np
    >>> from neuromanifold.theory.landscape import global_optimum_low_rank
    >>> global_optimum_low_rank(np.eye(2), np.diag([3.0, 1.0]), 1).loss
    0.5
    """
    first, second = _checked(x, y)
    rank = check_integer("rank", rank, 0)
    u, s, vt, root = _whitened(first, second)
    matrix = (u[:, :rank] * s[:rank]) @ vt[:rank] @ root
    loss = 0.5 * float(np.sum((matrix @ first - second) ** 2))
    return LowRank(matrix, loss, s)


class CriticalPoint(NamedTuple):
    """A critical value of the loss.

    Args:
        directions: I, numbers of singular directions, the greatest being 0.
        loss: E_I.
        kind: "minimum" or "saddle".
    """

    directions: tuple[int, ...]
    loss: float
    kind: str


def critical_point_type(directions: Sequence[int], n_directions: int, rank: int) -> str:
    """What a critical point is: "minimum" where I holds the greatest r directions, and "saddle" else.

    Args:
        directions: I, numbers of singular directions in [0, n_directions), the greatest being 0.
        n_directions: directions with singular values above zero, all different.
        rank: the smallest layer, >= 1.

    Raises:
        ValueError: directions that are not there or twice, or more than the rank.
    """
    n_directions = check_integer("n_directions", n_directions, 1)
    rank = check_integer("rank", rank, 1)
    held = [check_integer(f"directions[{k}]", i, 0, n_directions - 1) for k, i in enumerate(directions)]
    require(len(set(held)) == len(held), "directions", "name none twice", tuple(held))
    require(len(held) <= rank, "directions", f"be no more than the rank, {rank}", tuple(held))
    return "minimum" if sorted(held) == list(range(min(rank, n_directions))) else "saddle"


def critical_points(x: npt.ArrayLike, y: npt.ArrayLike, rank: int) -> tuple[CriticalPoint, ...]:
    """All critical values of a network with one hidden layer, the least first.

    Args:
        x: inputs, columns, (n_in, n_examples); X X^T of full rank.
        y: targets, columns, (n_out, n_examples).
        rank: units of the hidden layer, >= 1.

    Raises:
        ValueError: as `global_optimum_low_rank`, or singular values that are not apart.
    """
    first, second = _checked(x, y)
    rank = check_integer("rank", rank, 1)
    s = _whitened(first, second)[1]
    apart = bool(np.all(-np.diff(s) > 1e-9 * s[0])) and s[-1] > 1e-9 * s[0]
    require(apart, "y", "give singular values that are apart", s.tolist())
    whole = float(np.sum(second**2))
    made = [
        CriticalPoint(
            held,
            0.5 * (whole - float(np.sum(s[list(held)] ** 2))),
            critical_point_type(held, len(s), rank),
        )
        for size in range(min(rank, len(s)) + 1)
        for held in itertools.combinations(range(len(s)), size)
    ]
    return tuple(sorted(made, key=lambda point: point.loss))
