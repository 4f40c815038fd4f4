"""The law of a small Boltzmann machine by enumeration, and what a shared code costs an encoder.

    p(u) = exp(-E(u)/T)/Z,     E = -1/2 u^T w u - b . u,     u in {0, 1}^N

State number s has the binary digits of s, unit 0 the lowest. Patterns are equally likely in the data of an
encoder; c of them that share one code in the hidden units cannot be told apart by what is decoded, which
costs log c for each of them: of n patterns in groups of c_1, c_2 ... the divergence is at least

    sum_g (c_g/n) log c_g,

reached in the limit of large couplings. A learning machine can come to rest at each of these levels.

Source: Ackley, Hinton and Sejnowski 1985, Cognit. Sci. 9:147; the levels are derived here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from neuromanifold._base import check_finite, check_integer, check_real, require


def boltzmann_law(couplings: ArrayLike, bias: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of all 2^N states.

    Args:
        couplings: w, shape (N, N), symmetric with zero diagonal, N <= 20.
        bias: b, shape (N,).
        temperature: T > 0.

    Raises:
        ValueError: an argument outside its rule.

    >>> from neuromanifold.theory.energy import boltzmann_law
    >>> boltzmann_law([[0, 1], [1, 0]], [0, 0], 1e9).round(6).tolist()    # 00, 10, 01, 11
    [0.25, 0.25, 0.25, 0.25]
    """
    w, b = check_finite("couplings", couplings), check_finite("bias", bias)
    require(w.ndim == 2 and w.shape[0] == w.shape[1], "couplings", "be a square matrix", w.shape)
    require(
        np.array_equal(w, w.T) and not np.diagonal(w).any(),
        "couplings",
        "be symmetric, zero on the diagonal",
        w,
    )
    require(b.shape == w.shape[:1], "bias", f"have shape ({len(w)},)", b.shape)
    require(len(w) <= 20, "couplings", "be of at most 20 units", len(w))
    temperature = check_real("temperature", temperature, 0, open_low=True)
    u = (np.arange(2 ** len(w))[:, None] >> np.arange(len(w)) & 1).astype(np.float64)
    logs = (0.5 * ((u @ w) * u).sum(1) + u @ b) / temperature
    return np.exp(logs - logsumexp(logs))


def shared_code_levels(n_patterns: int) -> NDArray[np.float64]:
    """Divergences, rising, at which an encoder of equally likely patterns can rest: 0 if all codes differ.

    Args:
        n_patterns: >= 1, <= 20.

    >>> from neuromanifold.theory.energy import shared_code_levels
    >>> shared_code_levels(4).round(4).tolist()    # 0, log(2)/2, log(2), 3 log(3)/4, log(4)
    [0.0, 0.3466, 0.6931, 0.824, 1.3863]
    """
    n = check_integer("n_patterns", n_patterns, 1, 20)
    levels = {round(sum(c * np.log(c) for c in groups) / n, 12) for groups in _partitions(n, n)}
    return np.array(sorted(levels))


def _partitions(n: int, largest: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for first in range(min(n, largest), 0, -1):
        for rest in _partitions(n - first, first):
            yield (first, *rest)
