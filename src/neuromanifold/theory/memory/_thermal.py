"""Replica-symmetric theory of Hebb's memory at any temperature T >= 0 (Amit, Gutfreund and Sompolinsky).

P = alpha N independent patterns, J_ij = (1/N) sum_mu xi_i^mu xi_j^mu, J_ii = 0, N -> infinity. A state has
equal overlaps m with n patterns: n = 1 the memory, odd n >= 3 a symmetric mixture, m = 0 the spin glass.
With S = xi^1 + ... + xi^n, z normal, << >> over both, and sigma = sqrt(alpha r) the noise of the field:

    m = << (S/n) tanh((m S + sigma z)/T) >>
    q = << tanh^2((m S + sigma z)/T) >>
    C = (1 - q)/T,     r = q/(1 - C)^2,     C < 1.

Given T and sigma the first line is one equation for m, concave and with one positive root at most; all else
follows from it without iteration,

    alpha = sigma^2 (1 - C)^2 / q,

so that all states of one temperature lie on one curve alpha(sigma): from alpha = 0 at sigma = 0 it rises to
the spinodal, its largest alpha, and falls; the rising part is the memory, the falling part the state between
memory and spin glass. Free energy and entropy per unit:

    f = n m^2/2 + alpha/2 + (alpha T/2) ln(1 - C) - (alpha/2) q/(1 - C) + sigma^2 C/2
        - T << ln 2 cosh((m S + sigma z)/T) >>
    s = -(alpha/2) [ln(1 - C) + C/(1 - C)] + << ln 2 cosh v - v tanh v >>,     v = (m S + sigma z)/T.

A mixture attracts where a difference of its overlaps shrinks,

    C + (1/T) << xi^1 xi^2 tanh^2 v >> < 1,

and replica symmetry holds where alpha << (1 - tanh^2 v)^2 >> / (T (1 - C))^2 < 1.

Averages: tanh(h/T) is the mean of sgn(h + T u) over the law (1/2) sech^2 u, so that they are those of T = 0
in a field with that noise added, << erf((m S + T u)/(sqrt(2) sigma)) >>, smooth and exact down to T = 0; the
trapezoid rule in u (where T < sigma) or in z (where T > sigma) is exact to rounding.

Symbols: T temperature; m overlap; q order; r, sigma noise; C susceptibility.

Source: Amit, Gutfreund and Sompolinsky 1985, Phys. Rev. Lett. 55:1530; 1987, Ann. Phys. 173:30 (sections 3
and 4; replica symmetry breaking section 5); mixtures 1985, Phys. Rev. A 32:1007.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf
from scipy.stats import binom

from neuromanifold._base import check_finite, check_integer, require

_U_STEP, _Z_STEP = 0.25, 0.2
_U = np.arange(-78, 79) * _U_STEP
_U_WEIGHT = _U_STEP * 0.5 / np.cosh(_U) ** 2
_Z = np.arange(-44, 45) * _Z_STEP
_Z_WEIGHT = _Z_STEP * np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi)
# Newton's method on a concave function from above falls to its root; the root 0 is approached linearly.
_NEWTON = 80


class ThermalState(NamedTuple):
    """States of the theory, all arrays of one shape; NaN where there is none.

    Args:
        load: alpha = P/N.
        temperature: T.
        overlap: m, with each of the n patterns.
        order: q, the mean square of the units' averages.
        noise: sigma = sqrt(alpha r), the standard deviation of the field.
        susceptibility: C = (1 - q)/T, below 1.
        free_energy: f per unit.
        entropy: s per unit, in nats.
        replicon: alpha << sech^4 >>/(T (1 - C))^2; replica symmetry holds where it is below 1.
        antisymmetric: C + << xi^1 xi^2 tanh^2 >>/T, growth of a difference of overlaps; C for n = 1.
    """

    load: NDArray[np.float64]
    temperature: NDArray[np.float64]
    overlap: NDArray[np.float64]
    order: NDArray[np.float64]
    noise: NDArray[np.float64]
    susceptibility: NDArray[np.float64]
    free_energy: NDArray[np.float64]
    entropy: NDArray[np.float64]
    replicon: NDArray[np.float64]
    antisymmetric: NDArray[np.float64]


def mixture_weights(n_mixed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of S = xi^1 + ... + xi^n above zero, and twice their probability (all averages are even)."""
    values = np.arange(n_mixed, 0, -2, dtype=np.float64)
    return values, 2.0 * binom.pmf(np.arange(len(values)), n_mixed, 0.5)


def magnetisation(
    field: NDArray[np.float64], sigma: NDArray[np.float64], temperature: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """<< tanh((h + sigma z)/T) >> and its derivative in h, elementwise over arrays of one shape."""
    mean, slope = np.empty(field.shape), np.empty(field.shape)
    cold = temperature < sigma
    h, s, t = field[cold, None], sigma[cold, None], temperature[cold, None]
    shifted = (h + t * _U) / s
    mean[cold] = erf(shifted / np.sqrt(2.0)) @ _U_WEIGHT
    slope[cold] = (np.sqrt(2.0 / np.pi) * np.exp(-(shifted**2) / 2) / s) @ _U_WEIGHT
    h, s, t = field[~cold, None], sigma[~cold, None], temperature[~cold, None]
    value = np.tanh((h + s * _Z) / t)
    mean[~cold] = value @ _Z_WEIGHT
    slope[~cold] = ((1 - value**2) / t) @ _Z_WEIGHT
    return mean, slope


def _local(function: Any, field: Any, sigma: Any, temperature: Any) -> NDArray[np.float64]:
    """<< F((h + sigma z)/T) >> of a function F that vanishes far from zero."""
    result = np.empty(field.shape)
    cold = temperature < sigma
    h, s, t = field[cold, None], sigma[cold, None], temperature[cold, None]
    density = np.exp(-(((t * _U - h) / s) ** 2) / 2) / np.sqrt(2 * np.pi) * t / s
    result[cold] = (density * function(_U)) @ np.full(len(_U), _U_STEP)
    h, s, t = field[~cold, None], sigma[~cold, None], temperature[~cold, None]
    result[~cold] = function((h + s * _Z) / t) @ _Z_WEIGHT
    return result


def _sech4(v: Any) -> Any:
    return (1 - np.tanh(v) ** 2) ** 2


def _unit_entropy(v: Any) -> Any:
    """Ln 2 cosh v - v tanh v, for large |v| too."""
    size = np.abs(v)
    return np.log1p(np.exp(-2 * size)) + size * (1 - np.tanh(size))


def _average(function: Any, field: Any, n_mixed: int, powers: int = 0) -> NDArray[np.float64]:
    """Sum over the values of S of their weight times (S/n)^powers times function(m S)."""
    values, weights = mixture_weights(n_mixed)
    total = np.zeros(field.shape)
    for value, weight in zip(values, weights, strict=True):
        total = total + weight * (value / n_mixed) ** powers * function(field * value)
    return total


def solve_overlap(
    sigma: NDArray[np.float64], temperature: NDArray[np.float64], n_mixed: int
) -> NDArray[np.float64]:
    """The largest m with m = << (S/n) tanh((m S + sigma z)/T) >>, 0 where there is no positive one."""
    overlap = np.ones(sigma.shape)
    active = np.ones(sigma.shape, bool)
    values, weights = mixture_weights(n_mixed)
    for _ in range(_NEWTON):
        m, s, t = overlap[active], sigma[active], temperature[active]
        excess, slope = -m, np.full(m.shape, -1.0)
        for value, weight in zip(values, weights, strict=True):
            mean, gain = magnetisation(value * m, s, t)
            excess = excess + weight * value / n_mixed * mean
            slope = slope + weight * value**2 / n_mixed * gain
        # Right of the root of a concave function the slope is negative; else there is no root but zero.
        moved = np.where(slope < 0, np.maximum(m - excess / np.where(slope < 0, slope, -1.0), 0.0), 0.0)
        overlap[active] = moved
        going = np.abs(moved - m) > 1e-14 * (1 + m)
        index = np.flatnonzero(active)
        active.flat[index[~going]] = False
        if not active.any():
            break
    return np.where(overlap > 1e-7, overlap, 0.0)


def branch_load(
    sigma: NDArray[np.float64], temperature: NDArray[np.float64], n_mixed: int
) -> NDArray[np.float64]:
    """The load alpha(sigma; T) alone, arrays of one shape; 0 where there is no state."""
    m = solve_overlap(sigma, temperature, n_mixed)
    c = _average(lambda h: magnetisation(h, sigma, temperature)[1], m, n_mixed)
    return np.where((m > 0) & (c < 1), sigma**2 * (1 - c) ** 2 / (1 - temperature * c), 0.0)


def increasing_root(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    tolerance: float = 1e-14,
) -> NDArray[np.float64]:
    """Where a function changes sign from below to above zero, elementwise: false position after Illinois."""
    below, above = function(low), function(high)
    root, side = high, np.zeros(low.shape)
    for _ in range(80):
        root = np.clip(high - above * (high - low) / np.where(above > below, above - below, 1.0), low, high)
        value = function(root)
        up = value > 0
        # The end that stays twice in a row counts half.
        below = np.where(up, np.where(side > 0, below / 2, below), value)
        above = np.where(up, value, np.where(side < 0, above / 2, above))
        low, high = np.where(up, low, root), np.where(up, root, high)
        side = np.where(up, 1.0, -1.0)
        if np.all((np.abs(value) <= tolerance) | (high - low <= 1e-14 * high)):
            break
    return root


def state_at(
    overlap: NDArray[np.float64],
    sigma: NDArray[np.float64],
    temperature: NDArray[np.float64],
    n_mixed: int,
) -> ThermalState:
    """Everything that follows from m, sigma and T, arrays of one shape."""
    m, s, t = overlap, sigma, temperature
    safe = np.where(t > 0, t, 1.0)

    def gain(h: Any) -> Any:
        return magnetisation(h, s, t)[1]

    def modulus(h: Any) -> Any:
        """T << ln 2 cosh >>: with the noise u added, << |h + T u + sigma z| >>."""
        # Its derivative in T is << ln 2 cosh v - v tanh v >>, so both parts are smooth at T = 0.
        mean, slope = magnetisation(h, s, t)
        return h * mean + s**2 * slope + t * _local(_unit_entropy, h, s, t)

    c = _average(gain, m, n_mixed)
    q = 1 - t * c
    inside = c < 1
    one = np.where(inside, 1 - c, 1.0)
    load = s**2 * one**2 / q
    units = _average(lambda h: _local(_unit_entropy, h, s, t), m, n_mixed)
    free = (
        n_mixed * m**2 / 2
        + load / 2
        + load * t / 2 * np.log(one)
        - load / 2 * q / one
        + s**2 * c / 2
        - _average(modulus, m, n_mixed)
    )
    entropy = units - load / 2 * (np.log(one) + c / one)
    sech4 = _average(lambda h: _local(_sech4, h, s, t) / safe**2, m, n_mixed)
    # At T = 0 the spin glass is unstable at any load: << sech^4 >>/T^2 grows as 1/T.
    replicon = np.where(t > 0, load * sech4 / one**2, np.inf)
    antisymmetric = c
    if n_mixed > 1:
        # << xi^1 xi^2 | S >> = (S^2 - n)/(n (n - 1)); << xi^1 xi^2 >> = 0 takes the 1 of 1 - sech^2 away.
        second = (n_mixed * _average(gain, m, n_mixed, 2) - c) / (n_mixed - 1)
        antisymmetric = c - second
    fields = (load, t, m, q, s, c, free, entropy, replicon, antisymmetric)
    return ThermalState(*(np.where(inside, field, np.nan) for field in fields))


def _checked(name: str, values: ArrayLike, rule: str, ok: Any) -> NDArray[np.float64]:
    array = check_finite(name, values).astype(np.float64)
    require(np.all(ok(array)), name, rule, values)
    return array


def thermal_branch(sigma: ArrayLike, temperature: ArrayLike, n_mixed: int = 1) -> ThermalState:
    """All retrieval or mixture states along the noise sigma of the field, explicitly; NaN where m = 0.

    Args:
        sigma: sqrt(alpha r), > 0; broadcast against `temperature`.
        temperature: T >= 0.
        n_mixed: number n of patterns with equal overlap, odd; 1 is the memory.

    Raises:
        ValueError: an argument outside its range.

    Source: Amit, Gutfreund and Sompolinsky 1987, section 3.
    """
    check_mixture(n_mixed)
    s = _checked("sigma", sigma, "be > 0", lambda x: x > 0)
    t = check_temperature(temperature)
    s, t = np.broadcast_arrays(s, t)
    m = solve_overlap(s.ravel(), t.ravel(), n_mixed)
    state = state_at(m, s.ravel(), t.ravel(), n_mixed)
    return ThermalState(*(np.where(m > 0, field, np.nan).reshape(s.shape) for field in state))


def check_mixture(n_mixed: int) -> int:
    """An odd number of patterns."""
    n_mixed = check_integer("n_mixed", n_mixed, 1)
    require(n_mixed % 2 == 1, "n_mixed", "be odd (even mixtures are nowhere stable)", n_mixed)
    return n_mixed


def check_temperature(temperature: ArrayLike) -> NDArray[np.float64]:
    """Temperatures, >= 0."""
    return _checked("temperature", temperature, "be >= 0", lambda x: x >= 0)


def check_load(alpha: ArrayLike) -> NDArray[np.float64]:
    """Loads, > 0."""
    return _checked("alpha", alpha, "be > 0", lambda x: x > 0)


def thermal_spin_glass(alpha: ArrayLike, temperature: ArrayLike) -> ThermalState:
    """The state m = 0: the spin glass below T_g = 1 + sqrt(alpha), the paramagnet (q = 0) above.

    Args:
        alpha: load P/N > 0; broadcast against `temperature`.
        temperature: T >= 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import thermal_spin_glass
    >>> thermal_spin_glass(0.25, [0.0, 1.0, 1.6]).order.round(4).tolist()
    [1.0, 0.3394, 0.0]
    """
    loads, t = (np.array(x) for x in np.broadcast_arrays(check_load(alpha), check_temperature(temperature)))
    shape, loads, t = loads.shape, loads.ravel(), t.ravel()
    zero = np.zeros(loads.shape)
    glass = t < 1 + np.sqrt(loads)
    # alpha(sigma) at m = 0 rises; sigma at T = 0, sqrt(alpha) + sqrt(2/pi), bounds it from above.
    low, high = zero + 1e-5, np.sqrt(loads) + np.sqrt(2 / np.pi) + 1e-9

    def excess(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        c = magnetisation(zero, sigma, t)[1]
        return 1 - c - np.sqrt(loads * np.maximum(1 - t * c, 0.0)) / sigma

    state = state_at(zero, increasing_root(excess, low, high), t, 1)
    # Paramagnet: q = sigma = 0, C = 1/T.
    c = np.where(glass, 0.5, 1 / np.where(t > 0, t, 1.0))
    free = loads / 2 * (1 + t * np.log(1 - c)) - t * np.log(2)
    entropy = np.log(2) - loads / 2 * (np.log(1 - c) + c / (1 - c))
    replicon = loads / np.where(t > 0, t * (1 - c), 1.0) ** 2
    flat = (loads, t, zero, zero, zero, c, free, entropy, replicon, c)
    return ThermalState(
        *(np.where(glass, a, b).reshape(shape) for a, b in zip(state._replace(load=loads), flat, strict=True))
    )
