"""The first two steps of recall, exactly for N -> infinity.

Hebb's memory of P = alpha N patterns, zero diagonal, from a cue of overlap m_0 whose errors are independent
of all patterns. The first field is m_0 xi plus Gaussian noise of variance alpha, and so

    m_1 = erf(m_0 / sqrt(2 alpha)).

The second field of a unit has three parts: the signal m_1 xi; Gaussian noise of variance

    sigma_1^2 = alpha (1 + 2 U m_0 m_1 + U^2),   U = 2 p(u) / sqrt(alpha),   u = m_0 / sqrt(alpha),

p the standard normal density; and alpha U x_i(0), the unit's own first value, which it gave to the overlaps
with all other patterns and which they give back (retarded self-interaction). x_i(0) = +-xi_i with probability
(1 +- m_0)/2, hence

    m_2 = sum_{s = +-1} (1 + s m_0)/2 erf((m_1 + s alpha U) / (sqrt(2) sigma_1)).

The recursion of Amari and Maginu has the same m_1 and sigma_1 and leaves the third part out. A sequence
memory has no such part: there m_2 = erf(m_1 / sqrt(2 sigma_1^2)), sigma_1^2 = alpha (1 + U^2).

Source: first step Amari 1972, IEEE Trans. Comput. C-21:1197; noise of the second Amari and Maginu 1988,
Neural Networks 1:63; the third part is derived above (for the full dynamics see Gardner, Derrida and
Mottishaw 1987, J. Physique 48:741).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from neuromanifold._base import check_finite, require


def first_step(alpha: ArrayLike, overlap: ArrayLike) -> NDArray[np.float64]:
    """m_1 = erf(m_0 / sqrt(2 alpha)), exact for N -> infinity; the same for auto-association and sequence.

    Args:
        alpha: load P/N, > 0; broadcast against `overlap`.
        overlap: m_0 in [-1, 1].

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import first_step
    >>> float(first_step(0.08, 0.388).round(4))
    0.8299
    """
    loads, starts = _checked(alpha, overlap)
    return np.asarray(erf(starts / np.sqrt(2.0 * loads)))


def second_step(alpha: ArrayLike, overlap: ArrayLike) -> NDArray[np.float64]:
    """m_2 of auto-association with the retarded self-interaction, exact for N -> infinity.

    Args:
        alpha: load P/N, > 0; broadcast against `overlap`.
        overlap: m_0 in [-1, 1].

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import recall_dynamics, second_step
    >>> float(second_step(0.08, 0.2).round(4)), float(recall_dynamics(0.08, 0.2, 2).overlap[2].round(4))
    (0.5536, 0.5371)
    """
    loads, starts = _checked(alpha, overlap)
    m = erf(starts / np.sqrt(2.0 * loads))
    gain = 2.0 * np.exp(-(starts**2) / (2.0 * loads)) / np.sqrt(2.0 * np.pi * loads)
    scale = np.sqrt(2.0 * loads * (1.0 + 2.0 * gain * starts * m + gain**2))
    back = loads * gain
    return np.asarray((1 + starts) / 2 * erf((m + back) / scale) + (1 - starts) / 2 * erf((m - back) / scale))


def _checked(alpha: ArrayLike, overlap: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    loads, starts = check_finite("alpha", alpha), check_finite("overlap", overlap)
    require(np.all(loads > 0), "alpha", "be > 0", alpha)
    require(np.all(np.abs(starts) <= 1), "overlap", "lie in [-1, 1]", overlap)
    return loads, starts
