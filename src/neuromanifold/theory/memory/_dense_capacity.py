"""How many random patterns a dense associative memory holds: errors of one update, exactly and in the limit.

A pattern is stored with K - 1 others in a memory of energy -sum_mu F(xi^mu . x). From the pattern itself the
field of a unit, times the unit, is

    D(N - 1) + sum_{mu = 2..K} a_mu D(w_mu),     D(w) = F(w + 1) - F(w - 1),

with independent signs a_mu and w_mu the sums of N - 1 independent signs, exactly, for any F. The bit is wrong
where this is negative (a tie counts half). Three answers:

    limit      Q(sqrt(N^(n-1) / ((2n-3)!! K))),  Q the normal tail: leading order in N of signal and variance
    gaussian   Q(D(N-1) / sqrt((K-1) <D^2>)) with the exact signal and the exact variance at finite N
    exact      the law of the sum, by inverting its characteristic function <cos(t D)>^(K-1)

For n = 3 the signal D(N-1) = 6 N^2 - 12 N + 8 lies a share 2/N below its limit 6 N^2 while the noise falls by
less, and so at N = 100 and K = .05 N^2 the error is .0053, not the .0049 of the limit. Beyond Gaussian,
D(w)^2 ~ w^4 has heavy tails: the excess kurtosis of the sum is about 8.7/K for n = 3.

All of a pattern's bits are right, on average, while N times the error is small:
K < N^(n-1) / (2 (2n-3)!! ln N).

The exponential memory holds exp(alpha N) patterns. All of them are fixed, and recalled in one update with a
share rho of the units flipped, for alpha < I(1 - 2 rho)/2, I(x) = ((1 + x) ln(1 + x) + (1 - x) ln(1 - x))/2.

Symbols: N units, K patterns, n order.

Source: Krotov and Hopfield 2016, NeurIPS 29 (limit); Demircigil, Heusel, Loewe, Upgang and Vermet 2017, J.
Stat. Phys. 168:288 (exponential, theorem 3). Finite N is derived above.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from scipy.stats import binom

from neuromanifold._base import check_choice, check_finite, check_integer, require

METHODS = ("limit", "gaussian", "exact")
INTERACTIONS = ("polynomial", "rectified")
# Steps of the characteristic function in units of 1/standard deviation; aliases lie 2 pi/step away.
_STEP, _LONGEST = 0.02, 400_000


def _difference(w: NDArray[np.float64], order: int, interaction: str, n_units: int) -> NDArray[np.float64]:
    """D(w)/N^(n-1)."""

    def power(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.maximum(z, 0.0) if interaction == "rectified" else z) ** order

    # In units of N, so that no power overflows.
    return n_units * (power((w + 1) / n_units) - power((w - 1) / n_units))


def _law(
    n_units: int, order: int, interaction: str
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Signal, values of D over w, and their probabilities."""
    w = np.arange(n_units - 1, -n_units, -2, dtype=np.float64)
    chance = binom.pmf(np.arange(n_units), n_units - 1, 0.5)
    values = _difference(w, order, interaction, n_units)
    return float(values[0]), values, chance


def double_factorial(order: int) -> int:
    """(2n - 3)!!, the variance of w^(n-1) for a standard normal w."""
    return math.prod(range(1, 2 * order - 2, 2))


def bit_error(
    n_units: int, n_patterns: int, order: int = 2, interaction: str = "polynomial", method: str = "exact"
) -> float:
    """Probability that one update turns a unit of a stored pattern.

    Args:
        n_units: N, >= 2.
        n_patterns: K, >= 2.
        order: n, >= 2.
        interaction: "polynomial" or "rectified"; the limit is the same but for half the noise.
        method: "exact", "gaussian" (exact signal and variance) or "limit" (leading order in N).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import bit_error
    >>> [round(bit_error(100, 500, 3, method=m), 5) for m in ("limit", "gaussian", "exact")]
    [0.00491, 0.00517, 0.00526]
    """
    n_units = check_integer("n_units", n_units, 2)
    n_patterns = check_integer("n_patterns", n_patterns, 2)
    order = check_integer("order", order, 2)
    check_choice("interaction", interaction, INTERACTIONS)
    check_choice("method", method, METHODS)
    if method == "limit":
        share = 0.5 if interaction == "rectified" else 1.0
        noise = share * double_factorial(order) * n_patterns
        return float(ndtr(-math.sqrt(n_units ** (order - 1) / noise)))
    signal, values, chance = _law(n_units, order, interaction)
    deviation = math.sqrt((n_patterns - 1) * float(chance @ values**2))
    if method == "gaussian":
        return float(ndtr(-signal / deviation))
    return _tail(signal / deviation, values / deviation, chance, n_patterns - 1)


def _tail(signal: float, values: NDArray[np.float64], chance: NDArray[np.float64], terms: int) -> float:
    """P(sum of `terms` values with random signs < -signal), half of it where equal (Gil-Pelaez)."""
    total, t = 0.0, (np.arange(2048) + 0.5) * _STEP
    # Midpoints: the integrand is even in t, so that the rule converges faster than any power of the step.
    for _ in range(_LONGEST // len(t)):
        wave = (np.cos(np.multiply.outer(t, values)) @ chance) ** terms
        total += float(np.sum(np.sin(signal * t) / t * wave)) * _STEP
        if np.max(np.abs(wave)) < 1e-17:
            break
        t = t + len(t) * _STEP
    return max(0.5 - total / math.pi, 0.0)


def no_error_patterns(n_units: ArrayLike, order: int = 2) -> NDArray[np.float64]:
    """K = N^(n-1) / (2 (2n-3)!! ln N), below which a pattern has less than about one wrong bit in the limit.

    Args:
        n_units: N, >= 2, any shape.
        order: n, >= 2.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import no_error_patterns
    >>> no_error_patterns([100, 500], 3).round().tolist()
    [362.0, 6705.0]
    """
    order = check_integer("order", order, 2)
    size = check_finite("n_units", n_units).astype(np.float64)
    require(np.all(size >= 2), "n_units", "be >= 2", n_units)
    return np.asarray(size ** (order - 1) / (2 * double_factorial(order) * np.log(size)))


def rate(overlap: ArrayLike) -> NDArray[np.float64]:
    """I(x): exp(-N I(x)) is the probability that two random patterns have overlap x or more, x >= 0."""
    x = np.abs(check_finite("overlap", overlap).astype(np.float64))
    require(np.all(x <= 1), "overlap", "lie in [-1, 1]", overlap)
    rest = np.where(x < 1, 1 - x, 1.0)
    return np.asarray(((1 + x) * np.log1p(x) + (1 - x) * np.log(rest)) / 2)


def exponential_capacity(flips: ArrayLike = 0.0, patterns: str = "all") -> NDArray[np.float64]:
    """The largest alpha with exp(alpha N) patterns of which the exponential memory corrects a share of flips.

    "all": every pattern, alpha = I(1 - 2 rho)/2, sufficient (Demircigil et al.). "typical": a given one. Its
    crosstalk is a sum of exp(N w) with random signs over exp(alpha N) overlaps w; of the largest w that
    occurs, I(w) = alpha, or where alpha > I(tanh 2) of the w that dominates its variance, and so alpha = I(x)
    for x = 1 - 2 rho <= tanh 2 and the tangent 2 x - ln cosh 2 beyond.

    Args:
        flips: rho in [0, 1/2], any shape.
        patterns: "all" or "typical".

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import exponential_capacity
    >>> exponential_capacity([0.0, 0.1, 0.25]).round(4).tolist()    # ln 2 / 2 without flips
    [0.3466, 0.184, 0.0654]
    """
    check_choice("patterns", patterns, ("all", "typical"))
    rho: Any = check_finite("flips", flips).astype(np.float64)
    require(np.all((rho >= 0) & (rho <= 0.5)), "flips", "lie in [0, 0.5]", flips)
    x = 1 - 2 * rho
    if patterns == "all":
        return np.asarray(rate(x) / 2)
    return np.where(x <= math.tanh(2.0), rate(x), 2 * x - math.log(math.cosh(2.0)))
