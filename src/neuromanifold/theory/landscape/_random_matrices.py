"""Random symmetric matrices: their spectrum, how many eigenvalues are negative, and when none is.

GOE(N) of scale s: A symmetric, Var A_ij = s^2/N off the diagonal and 2 s^2/N on it. As N grows its spectrum
becomes the semicircle on [-2s, 2s], and a Hessian A + mu I has the share of negative eigenvalues

    alpha(mu) = 1/2 + (y sqrt(1 - y^2) + arcsin y)/pi,     y = -mu/(2s) cut to [-1, 1].

That all N eigenvalues are positive has, for every N, the probability

    P_N = 2^{N(N-5)/4} Pf M,     M_ij = 2 I_{1/2}(i/2, j/2) - 1,   i, j = 1 ... N,

with I the regularised incomplete beta function; for odd N the matrix M gets one more row and column of ones.
It follows from de Bruijn's integral: the double integrals over x < y of x^{i-1} y^{j-1} exp(-(x^2 + y^2)/2)
are incomplete beta functions in polar coordinates, and Mehta's constant is the integral over all eigenvalues.
For large N, log P_N ~ -(log 3/4) N^2, from which P_N is still far at N = 5.

Source: Wigner 1958, Ann. Math. 67:325; de Bruijn 1955, J. Indian Math. Soc. 19:133; Dean and Majumdar 2006,
Phys. Rev. Lett. 97:160201; Majumdar, Nadal, Scardicchio and Vivo 2009, Phys. Rev. Lett. 103:220603 (variance
of the index); Marchenko and Pastur 1967. The Pfaffian for P_N is derived here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from neuromanifold._base import check_finite, check_integer, check_real, require

# log P_N falls as minus this times N^2.
POSITIVE_RATE = np.log(3.0) / 4.0
# Up to here the Pfaffian keeps eight digits of float64.
LARGEST_EXACT = 8


def semicircle(x: ArrayLike, scale: float = 1.0) -> NDArray[np.float64]:
    """Density of eigenvalues of a large GOE matrix, sqrt(4 s^2 - x^2)/(2 pi s^2) on [-2s, 2s].

    Args:
        x: where, any shape.
        scale: s > 0.

    Raises:
        ValueError: a scale that is not positive.
    """
    s = check_real("scale", scale, 0, open_low=True)
    values = check_finite("x", x).astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(4 * s**2 - values**2, 0.0)) / (2 * np.pi * s**2))


def index_fraction(mu: ArrayLike, scale: float = 1.0) -> NDArray[np.float64]:
    """Share of negative eigenvalues of A + mu I, A a large GOE matrix.

    Args:
        mu: the shift, any shape.
        scale: s > 0.

    Raises:
        ValueError: a scale that is not positive.

    >>> from neuromanifold.theory.landscape import index_fraction
    >>> index_fraction([0, 0.5, 1, 1.5, 2.1]).round(4).tolist()
    [0.5, 0.3425, 0.1955, 0.0721, 0.0]
    """
    s = check_real("scale", scale, 0, open_low=True)
    y = np.clip(-check_finite("mu", mu).astype(np.float64) / (2 * s), -1.0, 1.0)
    return np.asarray(0.5 + (y * np.sqrt(1 - y**2) + np.arcsin(y)) / np.pi)


def goe_moments(n: int) -> tuple[float, float]:
    """Mean second and fourth moment of the eigenvalues at scale 1 and any N: 1 + 1/N, 2 + 5/N + 5/N^2.

    Args:
        n: N >= 1.
    """
    n = check_integer("n", n, 1)
    return 1.0 + 1.0 / n, 2.0 + 5.0 / n + 5.0 / n**2


def index_variance_growth(smaller: int, larger: int) -> float:
    """Var(index) of GOE(larger) less that of GOE(smaller), log(larger/smaller)/pi^2, for large sizes.

    Var(index) = log(N)/pi^2 + O(1); the constant drops out.

    Args:
        smaller: N >= 1.
        larger: N >= smaller.

    Raises:
        ValueError: sizes out of order.
    """
    small = check_integer("smaller", smaller, 1)
    return float(np.log(check_integer("larger", larger, small) / small) / np.pi**2)


def positive_definite_probability(n: int) -> float:
    """Probability that all eigenvalues of a GOE(N) matrix are positive, exactly; see the module's header.

    Args:
        n: N in [1, 8]; beyond, the Pfaffian loses its digits to cancellation.

    Raises:
        ValueError: N outside its range.

    >>> from neuromanifold.theory.landscape import positive_definite_probability
    >>> [round(positive_definite_probability(n), 6) for n in (1, 2, 3)]
    [0.5, 0.146447, 0.024921]
    """
    n = check_integer("n", n, 1, LARGEST_EXACT)
    half = 0.5 * np.arange(1, n + 1)
    matrix = 2.0 * betainc(half[:, None], half[None, :], 0.5) - 1.0
    if n % 2:
        matrix = np.block([[matrix, np.ones((n, 1))], [-np.ones((1, n)), np.zeros((1, 1))]])
    return float(2.0 ** (n * (n - 5) / 4) * abs(_pfaffian(matrix)))


def _pfaffian(matrix: NDArray[np.float64]) -> float:
    """Of an antisymmetric matrix of even size, by elimination two rows at a time with pivots."""
    a, value = matrix.copy(), 1.0
    while len(a):
        pivot = 1 + int(np.argmax(np.abs(a[0, 1:])))
        if pivot != 1:
            order = np.arange(len(a))
            order[[1, pivot]] = pivot, 1
            a = a[np.ix_(order, order)]
            value = -value
        value *= a[0, 1]
        if a[0, 1] == 0:
            return 0.0
        first, second, rest = a[0, 2:], a[1, 2:], a[2:, 2:]
        a = rest + (np.outer(second, first) - np.outer(first, second)) / a[0, 1]
    return float(value)


def marchenko_pastur_edges(ratio: float) -> tuple[float, float]:
    """Edges (1 -+ sqrt(c))^2 of the spectrum of X^T X/n, X of shape (n, p) with unit variance, c = p/n.

    Args:
        ratio: c > 0.

    Raises:
        ValueError: a ratio that is not positive.
    """
    root = np.sqrt(check_real("ratio", ratio, 0, open_low=True))
    return float((1 - root) ** 2), float((1 + root) ** 2)


def marchenko_pastur(x: ArrayLike, ratio: float) -> NDArray[np.float64]:
    """Density of the positive eigenvalues of X^T X/n; where c = p/n > 1 a share 1 - 1/c of them is zero.

    sqrt((x_+ - x)(x - x_-))/(2 pi c x) between the edges.

    Args:
        x: where, > 0, any shape.
        ratio: c > 0.

    Raises:
        ValueError: a ratio or a place that is not positive.
    """
    low, high = marchenko_pastur_edges(ratio)
    values = check_finite("x", x).astype(np.float64)
    require(np.all(values > 0), "x", "be > 0", x)
    root = np.sqrt(np.maximum((high - values) * (values - low), 0.0))
    return np.asarray(root / (2 * np.pi * ratio * values))
