"""Thermal averages of spins in a transverse field, of the quantum system and of its slices in imaginary time.

    H = E(Z) - Gamma sum_i X_i,     rho = exp(-H/T)/Z

is diagonalised as a matrix of 2^n states. Cut into P slices (Trotter), exp(-H/T) becomes t^P with the
symmetric matrix

    t = D M D,     D = exp(-E/(2 P T)),     M = product over spins of exp(Gamma X_i/(P T)),

whose averages are those of the classical paths that a path integral samples. A palindrome of factors is
undone by itself with the opposite width, so ln t is odd in the width 1/(P T): averages differ from those of
the quantum system by c/P^2 + O(1/P^4). Twice the slices, a quarter of the error, and (4 A_2P - A_P)/3 is
without the first term.

Symbols: n spins, Gamma transverse field, P slices.
Source: Trotter 1959, Proc. Am. Math. Soc. 10:545; Suzuki 1976, Prog. Theor. Phys. 56:1454.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, check_integer, check_real, require

_MOST_SPINS = 10


class TransverseAverages(NamedTuple):
    """Thermal averages.

    Args:
        energy: <E(Z)>, without the transverse part.
        turned: <X> per spin.
        law: probabilities of the 2^n states when the spins are read along Z.
    """

    energy: float
    turned: float
    law: NDArray[np.float64]


def transverse_averages(
    energies: ArrayLike, field: float, temperature: float, n_slices: int | None = None
) -> TransverseAverages:
    """Averages of the quantum system, or of its paths of P slices.

    Args:
        energies: E of all 2^n states, shape (2^n,), n <= 10 (`spin_energies`).
        field: Gamma >= 0.
        temperature: T > 0.
        n_slices: P >= 1; None for the quantum system itself.

    Raises:
        ValueError: a number of states that is no power of two or above 2^10; a number outside its range.

    >>> from neuromanifold.theory.energy import transverse_averages
    >>> round(transverse_averages([0.0, 0.0], 0.5, 1.0).turned, 4)    # one free spin: tanh(Gamma/T)
    0.4621
    """
    levels = check_finite("energies", energies).astype(np.float64)
    n = int(levels.size).bit_length() - 1
    fits = levels.ndim == 1 and n >= 1 and levels.size == 2**n
    require(fits, "energies", "have shape (2^n_spins,)", levels.shape)
    require(n <= _MOST_SPINS, "n_spins", f"be at most {_MOST_SPINS}", n)
    gamma = check_real("field", field, 0)
    temperature = check_real("temperature", temperature, 0, open_low=True)
    states = np.arange(2**n)
    turn = np.zeros((2**n, 2**n))
    for i in range(n):
        turn[states, states ^ (1 << i)] += 1.0
    # Energies count from the lowest, so that no weight overflows.
    above = levels - levels.min()
    if n_slices is None:
        values, vectors = np.linalg.eigh(np.diag(above) - gamma * turn)
        share = np.exp(-(values - values[0]) / temperature)
        density = (vectors * (share / share.sum())) @ vectors.T
        return _averages(levels, np.diagonal(density), float(np.sum(turn * density)) / n)
    width = 1.0 / (check_integer("n_slices", n_slices, 1) * temperature)
    across = np.ones((1, 1))
    for _ in range(n):
        a = gamma * width
        across = np.kron(across, np.array([[np.cosh(a), np.sinh(a)], [np.sinh(a), np.cosh(a)]]))
    half = np.exp(-0.5 * width * above)
    step = half[:, None] * across * half
    values, vectors = np.linalg.eigh(step)
    ratio = values / values[-1]
    total = np.sum(ratio**n_slices)
    density = (vectors * (ratio**n_slices / total)) @ vectors.T
    # One step of the path with a factor X: the rest of the path is t^(P - 1).
    rest = (vectors * (ratio ** (n_slices - 1) / (total * values[-1]))) @ vectors.T
    turned = float(np.sum((half[:, None] * (turn @ across) * half) * rest)) / n
    return _averages(levels, np.diagonal(density), turned)


def _averages(levels: NDArray[np.float64], law: NDArray[np.float64], turned: float) -> TransverseAverages:
    return TransverseAverages(float(law @ levels), turned, np.array(law))
