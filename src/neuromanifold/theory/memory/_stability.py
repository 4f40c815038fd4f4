"""The first step of recall under different learning rules, from the stabilities that they give.

A cue of overlap m_0 whose errors are independent of the couplings makes the field of a unit
m_0 xi Delta |J_i| plus Gaussian noise of variance (1 - m_0^2) |J_i|^2, so that, N -> infinity,

    m_1 = int rho(Delta) erf(m_0 Delta / sqrt(2 (1 - m_0^2))) dDelta,

and all that a rule can do for one step is in its distribution rho of stabilities, at load alpha = P/N:

    Hebb             rho normal with mean 1/sqrt(alpha) and variance 1:   m_1 = erf(m_0 / sqrt(2 alpha))
    pseudo-inverse   Delta = sqrt((1 - alpha)/alpha) for all, alpha < 1
    optimal          phi(Delta) above kappa(alpha), and Phi(kappa) at kappa, alpha < 2

The field of a stored pattern is xi (1 - alpha) under the pseudo-inverse without its diagonal. Kept, the
diagonal alpha adds alpha x_i(0), the unit's own value: right units are held and so are wrong ones,

    m_1 = sum_{s = +-1} (1 + s m_0)/2 erf(((1 - alpha) m_0 + s alpha) / sqrt(2 alpha (1 - alpha)(1 - m_0^2))),

and for m_0 -> 1 a wrong unit is corrected only if alpha < 1/2.

No-error capacities are leading asymptotics for N -> infinity and not numbers for a given N.

Source: Kepler and Abbott 1988, J. Physique 49:1657; Kanter and Sompolinsky 1987, Phys. Rev. A 35:380 (the
formula with the diagonal is derived here); no-error capacities McEliece, Posner, Rodemich and
Venkatesh 1987, IEEE Trans. Inf. Theory 33:461; Storkey and Valabregue 1999, Neural Networks 12:869.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, ndtr

from neuromanifold._base import check_choice, check_finite, require
from neuromanifold.theory.memory._gardner import optimal_stability

RULES = ("hebb", "pseudo-inverse", "pseudo-inverse with diagonal", "optimal")
_LIMIT = {"hebb": np.inf, "pseudo-inverse": 1.0, "pseudo-inverse with diagonal": 1.0, "optimal": 2.0}
# Beyond it the normal density is below the resolution of float64.
_FAR = 9.0


def rule_first_step(rule: str, alpha: ArrayLike, overlap: ArrayLike) -> NDArray[np.float64]:
    """Overlap after one step from a cue with independent errors, exact for N -> infinity.

    Args:
        rule: "hebb", "pseudo-inverse", "pseudo-inverse with diagonal" or "optimal" (largest stability).
        alpha: load P/N, > 0, below 1 for the pseudo-inverse and below 2 for the optimum; broadcast against
            `overlap`.
        overlap: m_0 in (-1, 1).

    Raises:
        ValueError: an unknown rule, a load at which it does not exist, an overlap out of range.

    >>> from neuromanifold.theory.memory import rule_first_step
    >>> [float(rule_first_step(rule, 0.5, 0.5).round(3)) for rule in ("hebb", "pseudo-inverse", "optimal")]
    [0.52, 0.436, 0.474]
    """
    check_choice("rule", rule, RULES)
    loads = check_finite("alpha", alpha).astype(np.float64)
    starts = check_finite("overlap", overlap).astype(np.float64)
    limit = _LIMIT[rule]
    require(np.all((loads > 0) & (loads < limit)), "alpha", f"lie in (0, {limit:g}) for {rule}", alpha)
    require(np.all(np.abs(starts) < 1), "overlap", "lie in (-1, 1)", overlap)
    if rule == "hebb":
        return np.asarray(erf(starts / np.sqrt(2.0 * loads)))
    if rule == "optimal":
        return _optimal(*np.broadcast_arrays(loads, starts))
    spread = np.sqrt(2.0 * loads * (1.0 - loads) * (1.0 - starts**2))
    signal = (1.0 - loads) * starts
    if rule == "pseudo-inverse":
        return np.asarray(erf(signal / spread))
    held, wrong = erf((signal + loads) / spread), erf((signal - loads) / spread)
    return np.asarray((1.0 + starts) / 2.0 * held + (1.0 - starts) / 2.0 * wrong)


def _optimal(loads: NDArray[np.float64], starts: NDArray[np.float64]) -> NDArray[np.float64]:
    kappa = optimal_stability(loads)
    gain = starts / np.sqrt(2.0 * (1.0 - starts**2))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    top = np.maximum(kappa, 0.0) + _FAR
    half = (top - kappa)[..., None] / 2.0
    delta = kappa[..., None] + half * (1.0 + nodes)
    density = np.exp(-(delta**2) / 2.0) / np.sqrt(2.0 * np.pi)
    above = np.sum(half * weights * density * erf(gain[..., None] * delta), -1)
    return np.asarray(ndtr(kappa) * erf(gain * kappa) + above)


def pattern_stability(alpha: ArrayLike) -> NDArray[np.float64]:
    """Stability of every pattern under the pseudo-inverse without diagonal, sqrt((1 - alpha)/alpha).

    Args:
        alpha: load P/N, any shape, in (0, 1).

    Raises:
        ValueError: a load at which patterns are linearly dependent.
    """
    loads = check_finite("alpha", alpha).astype(np.float64)
    require(np.all((loads > 0) & (loads < 1)), "alpha", "lie in (0, 1)", alpha)
    return np.asarray(np.sqrt((1.0 - loads) / loads))


def no_error_capacity(n_units: ArrayLike, rule: str = "hebb", patterns: str = "all") -> NDArray[np.float64]:
    """Leading asymptotics of the number of patterns that are fixed points without a single error.

    Hebb: N/(4 ln N) for all patterns at once, N/(2 ln N) for any one of them. Storkey: N/sqrt(2 ln N) for
    all. The next terms fall as ln ln N / ln N: at practical N the numbers are off by tens of per cent.

    Args:
        n_units: N, >= 3, any shape.
        rule: "hebb" or "storkey".
        patterns: "all" or "one"; only Hebb's capacity is known for one.

    Raises:
        ValueError: an unknown word, or too few units.

    >>> from neuromanifold.theory.memory import no_error_capacity
    >>> no_error_capacity(1000).round(1).item(), no_error_capacity(1000, patterns="one").round(1).item()
    (36.2, 72.4)
    """
    check_choice("rule", rule, ("hebb", "storkey"))
    check_choice("patterns", patterns, ("all", "one") if rule == "hebb" else ("all",))
    n = check_finite("n_units", n_units).astype(np.float64)
    require(np.all(n >= 3), "n_units", "be >= 3", n_units)
    if rule == "storkey":
        return np.asarray(n / np.sqrt(2.0 * np.log(n)))
    return np.asarray(n / ((4.0 if patterns == "all" else 2.0) * np.log(n)))
