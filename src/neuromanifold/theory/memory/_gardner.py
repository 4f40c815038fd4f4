"""Gardner's bound: how many patterns any couplings can hold, and how stably.

Unit i holds pattern mu with stability Delta = xi_i^mu sum_j J_ij xi_j^mu / |J_i|. For P = alpha N random
patterns of mean `bias` couplings with Delta >= kappa for all patterns exist, N -> infinity, up to alpha_c:

    1/alpha_c = min_v sum_{s = +-1} (1 + s bias)/2  I(kappa_s),
    kappa_s = (kappa - s v bias)/sqrt(1 - bias^2),
    I(k) = int_{-k}^inf Dt (t + k)^2 = (1 + k^2) Phi(k) + k phi(k),

v the mean of the couplings times sqrt(N) / |J_i|, which works as a threshold; its optimum solves
sum_s s (1 + s bias) I'(kappa_s) = 0. Without bias alpha_c(kappa) = 1/I(kappa), alpha_c(0) = 2. The inverse
kappa(alpha) is the largest stability that all patterns can have at once; at that optimum stabilities are
distributed as phi(Delta) above kappa with the rest, Phi(kappa), at kappa itself.

For kappa = 0 the number of separable assignments is known for every N (Cover): of P patterns in general
position in N dimensions the fraction 2^(1-P) sum_{k<N} binom(P-1, k) of all targets can be learnt, 1/2 at
P = 2N whatever N.

Symbols: alpha load P/N; kappa margin; Phi and phi the normal distribution and density.

Source: Gardner 1988, J. Phys. A 21:257; Cover 1965, IEEE Trans. Electron. Comput. EC-14:326; distribution of
stabilities Kepler and Abbott 1988, J. Physique 49:1657.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import binom

from neuromanifold._base import check_finite, check_integer, require


def gardner_capacity(margin: ArrayLike = 0.0, bias: ArrayLike = 0.0) -> NDArray[np.float64]:
    """The load up to which couplings with all stabilities above a margin exist.

    Args:
        margin: kappa, any finite number, broadcast against `bias`; negative margins allow errors.
        bias: mean of the patterns, in (-1, 1).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import gardner_capacity
    >>> float(gardner_capacity(0.0)), float(gardner_capacity(1.0).round(4))
    (2.0, 0.5196)
    """
    kappa, mean = np.broadcast_arrays(_real("margin", margin), _biased(bias))
    each = [1.0 / _least(k, abs(m)) for k, m in zip(kappa.ravel(), mean.ravel(), strict=True)]
    return np.array(each).reshape(kappa.shape)


def optimal_stability(alpha: ArrayLike, bias: ArrayLike = 0.0) -> NDArray[np.float64]:
    """The largest margin kappa that all patterns of a load can have: the inverse of `gardner_capacity`.

    Args:
        alpha: load P/N, > 0, broadcast against `bias`; above the capacity at kappa = 0 it is negative.
        bias: mean of the patterns, in (-1, 1).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import optimal_stability
    >>> float(optimal_stability(1.0).round(4))
    0.4707
    """
    loads, mean = np.broadcast_arrays(_real("alpha", alpha), _biased(bias))
    require(np.all(loads > 0), "alpha", "be > 0", alpha)

    def solve(load: float, m: float) -> float:
        def excess(kappa: float) -> float:
            return _least(kappa, m) - 1.0 / load

        # I(k) >= k^2 above, I(k) -> 0 below.
        high, low = 1.0 + 1.0 / np.sqrt(load), -1.0
        while excess(low) > 0:
            low *= 2.0
        while excess(high) < 0:
            high *= 2.0
        root: Any = brentq(excess, low, high, xtol=1e-14)
        return float(root)

    each = [solve(float(a), abs(float(m))) for a, m in zip(loads.ravel(), mean.ravel(), strict=True)]
    return np.array(each).reshape(loads.shape)


def separable_fraction(n_patterns: ArrayLike, n_inputs: int) -> NDArray[np.float64]:
    """The fraction of random targets that a perceptron without threshold can learn, exactly for every size.

    Args:
        n_patterns: P, whole numbers >= 1, patterns in general position.
        n_inputs: N, >= 1; a unit without self-coupling has one input fewer than the network has units.

    Raises:
        ValueError: counts below one.

    >>> from neuromanifold.theory.memory import separable_fraction
    >>> separable_fraction([2, 6, 12], 3).round(4).tolist()
    [1.0, 0.5, 0.0327]
    """
    n_inputs = check_integer("n_inputs", n_inputs, 1)
    counts = _real("n_patterns", n_patterns)
    require(
        np.all((counts >= 1) & (counts == np.round(counts))), "n_patterns", "be integers >= 1", n_patterns
    )
    return np.asarray(binom.cdf(n_inputs - 1, counts - 1, 0.5))


def _moment(kappa: float) -> float:
    """I(k) = int_{-k}^inf Dt (t + k)^2."""
    return float((1.0 + kappa**2) * ndtr(kappa) + kappa * _density(kappa))


def _slope(kappa: float) -> float:
    """I'(k)/2 = int_{-k}^inf Dt (t + k)."""
    return float(kappa * ndtr(kappa) + _density(kappa))


def _density(x: float) -> float:
    return float(np.exp(-(x**2) / 2.0) / np.sqrt(2.0 * np.pi))


def _least(kappa: float, bias: float) -> float:
    """1/alpha_c: the minimum over v, which is convex."""
    if bias == 0:
        return _moment(kappa)
    width = np.sqrt(1.0 - bias**2)

    def margins(v: float) -> tuple[float, float]:
        return (kappa - v * bias) / width, (kappa + v * bias) / width

    def slope(v: float) -> float:
        up, down = margins(v)
        return (1.0 - bias) * _slope(down) - (1.0 + bias) * _slope(up)

    reach = 1.0
    while slope(reach) < 0:
        reach *= 2.0
    best: Any = brentq(slope, 0.0, reach, xtol=1e-14)
    up, down = margins(float(best))
    return (1.0 + bias) / 2.0 * _moment(up) + (1.0 - bias) / 2.0 * _moment(down)


def _real(name: str, values: ArrayLike) -> NDArray[np.float64]:
    return check_finite(name, values).astype(np.float64)


def _biased(bias: ArrayLike) -> NDArray[np.float64]:
    values = _real("bias", bias)
    require(np.all(np.abs(values) < 1), "bias", "lie in (-1, 1)", bias)
    return values
