"""Localised excitation in a neural field on the line: the widths that last, and which of them are stable.

    du/dt (x) = -u(x) + integral K(x - y) 1(u(y) > 0) dy + h

With W(a) = integral_0^a K, a field excited on an interval of length a and nowhere else is at rest iff

    W(a) + h = 0.

At its edges the rest u(x) = W(x) + W(a - x) + h falls with slope K(a) - K(0), so that the width moves by
da/dt = 2 (W(a) + h)/(K(0) - K(a)): it is stable iff K(a) < 0. The rest must also be positive within and
negative outside, which is checked on a grid.

Symbols: K kernel, h resting level, a width. Time: the time constant of the field.

Source: Amari 1977, Biol. Cybern. 27:77, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from neuromanifold._base import check_integer, check_real, require


class Bump(NamedTuple):
    """A width at which localised excitation rests.

    Args:
        width: a > 0.
        rate: rate at which a change of the width grows, 2 K(a)/(K(0) - K(a)); stable where negative.
        stable: K(a) < 0.
        consistent: whether the rest is excited on its interval and nowhere else.
    """

    width: float
    rate: float
    stable: bool
    consistent: bool


def bump_widths(
    kernel: Callable[[float], float], resting: float, longest: float, n_grid: int = 2000
) -> list[Bump]:
    """All widths up to a length at which W(a) + h = 0, from the narrowest on.

    Args:
        kernel: K(x), an even function of the distance that can be integrated.
        resting: h.
        longest: widths are looked for in (0, longest), > 0.
        n_grid: intervals in each of which at most one width lies, >= 10.

    Raises:
        ValueError: an argument outside its range, or a kernel that is not even.

    >>> import math
    >>> from neuromanifold.theory.selforganizing import bump_widths
    >>> def hat(x):
    ...     return 3 * math.exp(-(x**2) / 2) - 1.5 * math.exp(-(x**2) / 8)
    >>> [(round(bump.width, 5), bump.stable) for bump in bump_widths(hat, -0.5, 10.0)]
    [(0.34509, False), (2.98296, True)]
    """
    resting = check_real("resting", resting)
    longest = check_real("longest", longest, 0.0, open_low=True)
    n_grid = check_integer("n_grid", n_grid, 10)
    grid = np.linspace(0.0, longest, n_grid + 1)
    values = np.array([kernel(float(x)) for x in grid])
    mirrored = np.array([kernel(-float(x)) for x in grid])
    require(np.allclose(values, mirrored, rtol=1e-6, atol=1e-12), "kernel", "be even", "one that is not")
    # W on the grid by Gauss-Legendre in each interval.
    nodes, weights = np.polynomial.legendre.leggauss(5)
    half = longest / n_grid / 2
    inner = grid[:-1, None] + half * (nodes + 1)
    pieces = half * (np.array([[kernel(float(x)) for x in row] for row in inner]) @ weights)
    level = np.concatenate([[0.0], np.cumsum(pieces)]) + resting

    def excess(a: float) -> float:
        index = min(int(a / longest * n_grid), n_grid - 1)
        rest: Any = quad(kernel, grid[index], a, epsabs=1e-13)[0]
        return float(level[index] + rest)

    bumps = []
    for left, right, low, high in zip(grid[:-1], grid[1:], level[:-1], level[1:], strict=True):
        if low == 0 or low * high < 0:
            root: Any = left if low == 0 else brentq(excess, left, right, xtol=1e-13)
            if root > 0:
                bumps.append(_bump(kernel, excess, float(root), longest, resting))
    return bumps


def _bump(
    kernel: Callable[[float], float],
    excess: Callable[[float], float],
    a: float,
    longest: float,
    resting: float,
) -> Bump:
    at, top = kernel(a), kernel(0.0)
    inside = np.linspace(0.0, a, 101)[1:-1]
    # W(x) + W(a - x) + h within; outside, at a distance y from the edge, W(y + a) - W(y) + h.
    within = np.array([excess(float(x)) + excess(float(a - x)) - resting for x in inside])
    outside = np.linspace(0.0, longest - a, 101)[1:]
    without = np.array([excess(float(y + a)) - excess(float(y)) + resting for y in outside])
    rate = 2 * at / (top - at) if top != at else math.inf
    return Bump(a, rate, at < 0, bool(within.min() > 0 and without.max() < 0))


def width_velocity(kernel: Callable[[float], float], resting: float, width: float) -> float:
    """da/dt = 2 (W(a) + h)/(K(0) - K(a)) near a rest, where the slope of the edges is that of the rest.

    Args:
        kernel: K(x).
        resting: h.
        width: a > 0.

    Raises:
        ValueError: a width that is not positive.
    """
    width = check_real("width", width, 0.0, open_low=True)
    area: Any = quad(kernel, 0.0, width, epsabs=1e-12)[0]
    return 2 * (float(area) + resting) / (kernel(0.0) - kernel(width))
