"""Memory and concept states of a Hebbian memory whose patterns come in families, at zero temperature.

P = alpha N patterns in families of s children; a child agrees with its parent with probability (1 + b)/2,
so that children of one family have overlap b^2. J_ij = (1/N) sum_mu xi_i^mu xi_j^mu, N -> infinity, T = 0.
The other families make the noise. Their overlaps obey m^p = z^p + U C m^p with C the s x s matrix of overlaps
of the children (eigenvalues l1 = 1 + (s-1) b^2, once, and l2 = 1 - b^2, s - 1 times) and z^p Gaussian of
covariance C/N; the part that comes back to a unit by itself is taken off (Shiino and Fukai), and at T = 0 the
unit is sgn(S + sigma z). Hence

    m_v = << xi_v erf(S/(sqrt(2) sigma)) >>,     S = sum_v m_v xi_v
    U = << sqrt(2/pi) exp(-S^2/(2 sigma^2)) >> / sigma
    sigma^2 = (alpha/s) [ l1^2/(1 - U l1)^2 + (s-1) l2^2/(1 - U l2)^2 ],     U l1 < 1,

<< >> over the children of a unit. With x_v = m_v/sigma the first line reads m_v = f_v(x), and sigma, U and
alpha follow from x without iteration:

    mixed state    x_v = x: one curve alpha(x)
    memory         x_1 = x, siblings x_v = c x: c solves f_2(x, c) = c f_1(x, c), then alpha(x)

Extrema of alpha along a curve are its spinodals. A state attracts where the map m -> f(m/sigma(m)), sigma(m)
the noise that belongs to m, contracts; its Jacobian is symmetric and not negative,

    A + kappa w w^T,     A_uv = << xi_u xi_v g >>,     w_v = << xi_v (S/sigma) g >>,
    g = sqrt(2/pi) exp(-S^2/(2 sigma^2))/sigma,
    kappa = G'(U) / (sigma (1 - G'(U) dU/dsigma)),   G(U)^2 = the right side of sigma^2,

so that an eigenvalue passes 1 exactly at a spinodal or where the symmetry of a state breaks. Where
G'(U) dU/dsigma >= 1 the noise itself runs away; the eigenvalue is then said to be infinite. b = 0 is the
theory of Amit, Gutfreund and Sompolinsky.

Symbols: s branching; b correlation with the parent; U susceptibility; sigma noise.

Source: Shiino and Fukai 1992, J. Phys. A 25:L375 (self-consistent signal-to-noise analysis); Okada 1996,
Neural Networks 9:1429; Toya, Fukushima, Kabashima and Okada 2000, J. Phys. A 33:2725 (this model).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, root
from scipy.special import erf
from scipy.stats import binom

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require

# Ratios c of sibling to memory that are scanned for roots; b = 0 has its root at zero.
_RATIOS = np.linspace(-0.01, 0.9999, 120)
_SMALLEST_X, _LARGEST_X = 0.1, 60.0


class FamilyState(NamedTuple):
    """States along a branch, all arrays of one shape; NaN where there is none.

    Args:
        load: alpha = P/N.
        overlap: m_1, with the memory (of a mixed state: with each child).
        sibling: m_2, with the other children.
        concept: << sgn(sum_v xi_v) erf(S/(sqrt(2) sigma)) >>, with the mixed state.
        noise: sigma.
        susceptibility: U.
        eigenvalue: the largest of the Jacobian in the family's overlap space.
        attractor: whether it lies below 1.
    """

    load: NDArray[np.float64]
    overlap: NDArray[np.float64]
    sibling: NDArray[np.float64]
    concept: NDArray[np.float64]
    noise: NDArray[np.float64]
    susceptibility: NDArray[np.float64]
    eigenvalue: NDArray[np.float64]
    attractor: NDArray[np.bool_]


class Spinodal(NamedTuple):
    """An extremum of the load along a branch.

    Args:
        load: alpha there.
        overlap: m_1 there.
        x: m_1/sigma there.
        maximum: whether states end there as the load grows (else as it falls).
    """

    load: float
    overlap: float
    x: float
    maximum: bool


class _Sums(NamedTuple):
    """Averages over the children of a unit, with S/sigma = x_1 xi_1 + x_2 sum of siblings."""

    m1: Any
    m2: Any
    majority: Any
    g: Any  # sigma U
    g12: Any  # sigma << xi_1 xi_2 g >>
    g23: Any  # sigma << xi_2 xi_3 g >>
    w1: Any  # sigma w_1
    w2: Any
    square: Any  # sigma << (S/sigma)^2 g >>


@functools.lru_cache(maxsize=1024)
def _children(b: float, s: int) -> tuple[Any, Any, Any]:
    """One child, the sum of its n = s - 1 siblings, and their probability, shape (2 s,).

    A parent of +1 is enough: every average is even in the sign of the parent.
    """
    child = np.repeat([1.0, -1.0], s)
    plus = np.tile(np.arange(s), 2)
    return child, 2.0 * plus - (s - 1), (1 + b * child) / 2 * binom.pmf(plus, s - 1, (1 + b) / 2)


def _sums(x1: Any, x2: Any, b: float, s: int) -> _Sums:
    n = s - 1
    child, total, weight = _children(b, s)
    field = np.asarray(x1)[..., None] * child + np.asarray(x2)[..., None] * total
    sign = weight * erf(field / np.sqrt(2.0))
    gauss = weight * np.sqrt(2.0 / np.pi) * np.exp(-(field**2) / 2.0)
    pair = (total**2 - n) / (n * (n - 1)) if n > 1 else 0.0 * total
    sibling = total / n
    columns = (child, sibling, child * sibling, pair)
    return _Sums(
        (sign * columns[0]).sum(-1),
        (sign * columns[1]).sum(-1),
        (sign * np.sign(child + total)).sum(-1),
        gauss.sum(-1),
        (gauss * columns[2]).sum(-1),
        (gauss * columns[3]).sum(-1),
        (gauss * field * columns[0]).sum(-1),
        (gauss * field * columns[1]).sum(-1),
        (gauss * field**2).sum(-1),
    )


def _noise_sums(u: Any, b: float, s: int) -> tuple[Any, Any]:
    """Sigma^2/alpha as a function of U, and half its derivative."""
    large, small = 1 + (s - 1) * b**2, 1 - b**2
    one, two = large / (1 - u * large), small / (1 - u * small)
    return (one**2 + (s - 1) * two**2) / s, (one**3 + (s - 1) * two**3) / s


def _load(x1: Any, sums: _Sums, b: float, s: int) -> Any:
    sigma = sums.m1 / x1
    return sigma**2 / _noise_sums(sums.g / sigma, b, s)[0]


def _state(x1: Any, x2: Any, b: float, s: int) -> FamilyState:
    sums = _sums(x1, x2, b, s)
    sigma = sums.m1 / x1
    u = sums.g / sigma
    inside = u * (1 + (s - 1) * b**2) < 1
    level, slope = _noise_sums(np.where(inside, u, 0.0), b, s)
    load = sigma**2 / level
    slope = load * slope / sigma  # G'(U)
    noise_slope = slope * (sums.square - sums.g) / sigma**2  # G'(U) dU/dsigma
    steady = noise_slope < 1
    kappa = slope / (sigma * np.where(steady, 1 - noise_slope, 1.0)) / sigma**2
    n = s - 1
    # The memory and the sum of its siblings over sqrt(n) span what does not break the symmetry.
    a = sums.g / sigma + kappa * sums.w1**2
    d = (sums.g + (n - 1) * sums.g23) / sigma + kappa * n * sums.w2**2
    off = np.sqrt(n) * (sums.g12 / sigma + kappa * sums.w1 * sums.w2)
    largest = (a + d) / 2 + np.sqrt((a - d) ** 2 / 4 + off**2)
    if n > 1:
        largest = np.maximum(largest, (sums.g - sums.g23) / sigma)
    largest = np.where(steady, largest, np.inf)
    fields = (load, sums.m1, sums.m2, sums.majority, sigma, u, largest)
    known = [np.asarray(np.where(inside, field, np.nan)) for field in fields]
    return FamilyState(*known, attractor=np.asarray(inside & (largest < 1)))


def check_family(b: Any, s: Any, *, odd: bool = False) -> tuple[float, int]:
    """Correlation and branching of a family, refused outside their ranges."""
    b = check_real("b", b, 0, 1)
    s = check_integer("s", s, 2)
    require(not odd or s % 2 == 1, "s", "be odd for a mixed state", s)
    return b, s


def _check_x(x: ArrayLike) -> NDArray[np.float64]:
    values = check_finite("x", x).astype(np.float64)
    require(np.all(values > 0), "x", "be > 0", x)
    return values


def concept_branch(x: ArrayLike, b: float, s: int) -> FamilyState:
    """Mixed states, equally near all s children, along x = m/sigma, explicitly.

    Args:
        x: any shape, > 0; large x is small load.
        b: correlation of child and parent, in [0, 1].
        s: children a family, odd, >= 3.

    Raises:
        ValueError: an argument outside its range.
    """
    b, s = check_family(b, s, odd=True)
    values = _check_x(x)
    return _state(values, values, b, s)


def memory_branch(x: ArrayLike, b: float, s: int, sheet: int = 0) -> FamilyState:
    """States nearer to one child than to its siblings, along x = m_1/sigma, explicitly.

    Args:
        x: any shape, > 0; large x is small load.
        b: correlation of child and parent, in [0, 1].
        s: children a family, >= 2.
        sheet: 0 the memory (least overlap with siblings), 1 the next solution at the same x, mostly the
            saddle between memory and mixed state.

    Raises:
        ValueError: an argument outside its range.
    """
    b, s = check_family(b, s)
    values = _check_x(x)
    check_integer("sheet", sheet, 0)
    ratio = _ratio(values.ravel(), b, s, sheet).reshape(values.shape)
    found = np.isfinite(ratio)
    state = _state(values, values * np.where(found, ratio, 0.0), b, s)
    fields = [np.asarray(np.where(found, field, np.nan)) for field in state[:-1]]
    return FamilyState(*fields, attractor=np.asarray(found & state.attractor))


def _excess(x: Any, ratio: Any, b: float, s: int) -> Any:
    """(f_2 - c f_1)/(1 - c): zero at a memory, the mixed state c = 1 divided out."""
    child, total, weight = _children(b, s)
    field = np.asarray(x)[..., None] * (child + np.asarray(ratio)[..., None] * total)
    sign = erf(field / np.sqrt(2.0))
    return (sign @ (weight * total / (s - 1)) - ratio * (sign @ (weight * child))) / (1 - ratio)


def _ratio(x: NDArray[np.float64], b: float, s: int, sheet: int) -> NDArray[np.float64]:
    values = _excess(x[:, None], _RATIOS, b, s)
    crossing = (values[:, :-1] > 0) != (values[:, 1:] > 0)
    place = np.where(np.cumsum(crossing, 1) == sheet + 1, crossing, False)
    found = place.any(1)
    index = np.argmax(place, 1)
    low, high = _RATIOS[index], _RATIOS[index + 1]
    sign = values[np.arange(len(x)), index] > 0
    for _ in range(52):
        middle = (low + high) / 2
        same = (_excess(x, middle, b, s) > 0) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.where(found, (low + high) / 2, np.nan)


def branch_grid(smallest_load: float = 1e-3, n: int = 400) -> NDArray[np.float64]:
    """Values of x = m/sigma that follow a branch from its start down to a load."""
    return np.geomspace(_SMALLEST_X, max(_LARGEST_X, 3.0 / np.sqrt(smallest_load)), n)


def concept_spinodals(b: float, s: int) -> list[Spinodal]:
    """Extrema of the load along the mixed states, by falling x: zeros of d alpha/dx.

    Args:
        b: correlation of child and parent, in [0, 1].
        s: children a family, odd, >= 3.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import concept_spinodals
    >>> [round(point.load, 4) for point in concept_spinodals(0.6, 3)]
    [0.0524, 0.0433, 0.056]
    """
    b, s = check_family(b, s, odd=True)
    x = branch_grid(n=2000)
    physical = np.isfinite(concept_branch(x, b, s).load)

    def slope(at: Any) -> Any:
        step = np.asarray(at) + 1e-30j
        return np.imag(_load(step, _sums(step, step, b, s), b, s)) / 1e-30

    slopes = slope(x)
    turns = np.flatnonzero((np.diff(np.sign(slopes)) != 0) & physical[1:] & physical[:-1])
    points = []
    for index in turns[::-1]:
        at: Any = brentq(slope, x[index], x[index + 1], xtol=1e-14)
        state = concept_branch(at, b, s)
        points.append(Spinodal(float(state.load), float(state.overlap), float(at), bool(slopes[index] > 0)))
    return points


def memory_spinodal(b: float, s: int) -> Spinodal:
    """The load at which the memory ends, and the overlap there: the maximum of alpha along its branch.

    On the curve f_2 = c f_1 in the plane (x, c) the gradients of load and curve are parallel there.

    Args:
        b: correlation of child and parent, in [0, 1).
        s: children a family, >= 2.

    Raises:
        ValueError: an argument outside its range, or no memory apart from the mixed state at any load.

    >>> from neuromanifold.theory.memory import memory_spinodal
    >>> print(f"{memory_spinodal(0.0, 3).load:.6f} {memory_spinodal(0.5, 3).load:.4f}")
    0.137906 0.0430
    """
    b, s = check_family(b, s)
    x = branch_grid(1e-4, 1200)
    branch = memory_branch(x, b, s)
    require(branch.attractor.any(), "b", f"leave the memory an attractor at some load for s = {s}", b)
    start = int(np.flatnonzero(branch.attractor)[0])
    ratio = _ratio(x[start : start + 1], b, s, 0)[0]

    def conditions(point: Any) -> list[float]:
        at, c = point
        gradients = []
        for one, two in ((at + 1e-30j, c + 0j), (at + 0j, c + 1e-30j)):
            sums = _sums(one, one * two, b, s)
            gradients.append((np.imag(_load(one, sums, b, s)), np.imag(sums.m2 - two * sums.m1)))
        (load_x, curve_x), (load_c, curve_c) = np.array(gradients) / 1e-30
        return [float(_excess(at, c, b, s)), float(load_x * curve_c - load_c * curve_x)]

    found: Any = root(conditions, [x[start], ratio], tol=1e-13)
    at, c = found.x
    near = abs(at / x[start] - 1) < 0.2 and abs(np.max(np.abs(conditions(found.x)))) < 1e-9
    if not near:
        raise ArithmeticError(
            f"the memory's spinodal was not found near x = {x[start]:.4g}, c = {ratio:.4g}."
        )
    state = _state(np.asarray(at), np.asarray(at * c), b, s)
    return Spinodal(float(state.load), float(state.overlap), float(at), maximum=True)


def family_states(alpha: float, b: float, s: int, kind: str) -> FamilyState:
    """All states of a kind at a given load, attractors and others, by falling x; shape (n_states,).

    Args:
        alpha: load P/N, in (0, 1).
        b: correlation of child and parent, in [0, 1].
        s: children a family, >= 2, odd for "concept".
        kind: "memory" (nearer to one child) or "concept" (mixed state).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import family_states
    >>> family_states(0.05, 0.4, 3, "memory").overlap.round(4).tolist()
    [0.9993, 0.8407]
    """
    check_choice("kind", kind, ("memory", "concept"))
    alpha = check_real("alpha", alpha, 0, 1, open_low=True, open_high=True)
    b, s = check_family(b, s, odd=kind == "concept")
    x = branch_grid(alpha, 1000)
    found = []
    for sheet in range(1 if kind == "concept" else 2):

        def branch(at: Any, sheet: int = sheet) -> FamilyState:
            return concept_branch(at, b, s) if kind == "concept" else memory_branch(at, b, s, sheet)

        above = branch(x).load > alpha
        known = np.isfinite(branch(x).load)
        index = np.flatnonzero((above[1:] != above[:-1]) & known[1:] & known[:-1])[::-1]
        low, high = x[index], x[index + 1]
        for _ in range(50):
            middle = (low + high) / 2
            same = (branch(middle).load > alpha) == above[index]
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        found.append(branch((low + high) / 2))
    return FamilyState(*(np.concatenate(fields) for fields in zip(*found, strict=True)))
