"""Where Hebbian learning with decay rests for inputs that fill the unit circle evenly.

A neuron of weights w fires on the cap of angular radius d about w, |w| cos d = tau. The cap has probability
P = d/pi and <h v> = (sin d/pi) w/|w|, so that with R = |w|

    plain       dR/dt = -R + (c/pi) sin d           rest: R = (c/pi) sin d,   sin 2d = 2 pi tau/c
    gated       dR/dt = (d/pi)(-R + c sin d/d)      rest: R = c sin d/d,      sin 2d/(2d) = tau/c
    inhibited   as plain, with the learned threshold b in the place of tau,
                kappa db/dt = -b + c lambda d/pi    rest: R = (c/pi) sin d,   sin 2d/(2d) = lambda

The plain rule has two rests for 0 < tau < c/(2 pi), stable for d > pi/4 and unstable for d < pi/4; they meet
at the fold tau = c/(2 pi), beyond which the neuron falls silent. The others have one. Rates at which a small
change of R decays (eigenvalues):

    plain       -1 + cot^2 d
    gated       (d/pi)(-1 + cot^2 d - cot d/d)
    inhibited   those of [[-1 + cot^2 d, -cos d/sin^2 d], [lambda cos d/sin^2 d, -1 - lambda/sin^2 d]], the
                second row divided by kappa; -1 and -1 + (cos^2 d - lambda)/sin^2 d for kappa = 1

For slow inhibition the pair turns unstable, with oscillations, where the trace vanishes:
kappa = (1 + lambda/sin^2 d)/(cot^2 d - 1), which needs d < pi/4, that is lambda > 2/pi. The direction of w is
neutral.

Symbols: c gain, tau threshold, d angular radius, R length of the weights. Time: units of the decay.

Source: Amari and Takeuchi 1978, Biol. Cybern. 29:127 (the setting); closed forms by direct integration.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from neuromanifold._base import check_choice, check_finite, check_real, require

# Angles closer than this to the ends of an interval are not searched.
_HAIR = 1e-12


class CapEquilibrium(NamedTuple):
    """A rest of a neuron on the circle.

    Args:
        radius: d, angular radius of the receptive field, radians in (0, pi).
        length: |w|.
        probability: P = d/pi, how often it fires.
        rates: eigenvalues of the flow there, complex; the radial one, and that of the inhibition if learned.
        stable: whether all have a negative real part.
        grid_error: factor g by which an error of the angle of the field's edge is answered: with inputs on n
            points instead of the circle, d errs by at most g pi/n.
    """

    radius: float
    length: float
    probability: float
    rates: np.ndarray
    stable: bool
    grid_error: float


def fold_threshold(gain: float) -> float:
    """The threshold c/(2 pi) beyond which the plain rule has no rest but silence.

    Args:
        gain: c > 0.

    Raises:
        ValueError: a gain that is not positive.
    """
    return check_real("gain", gain, 0.0, open_low=True) / (2 * math.pi)


def plain_equilibrium(threshold: float, gain: float = 1.0, branch: str = "stable") -> CapEquilibrium:
    """The rest of the plain rule, sin 2d = 2 pi tau/c.

    Args:
        threshold: tau in (0, c/(2 pi)).
        gain: c > 0.
        branch: "stable", d in (pi/4, pi/2), or "unstable", d in (0, pi/4).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import plain_equilibrium
    >>> print(f"{plain_equilibrium(0.1).radius:.5f} {plain_equilibrium(0.1).length:.5f}")
    1.23110 0.30012
    """
    gain = check_real("gain", gain, 0.0, open_low=True)
    check_choice("branch", branch, ("stable", "unstable"))
    fold = fold_threshold(gain)
    tau = check_real("threshold", threshold, 0.0, fold, open_low=True, open_high=True)
    half = math.asin(tau / fold) / 2
    d = math.pi / 2 - half if branch == "stable" else half
    square = 1 / math.tan(d) ** 2
    return CapEquilibrium(
        d,
        gain / math.pi * math.sin(d),
        d / math.pi,
        np.array([square - 1.0], complex),
        d > math.pi / 4,
        abs(square / (1 - square)),
    )


def gated_equilibrium(threshold: float, gain: float = 1.0) -> CapEquilibrium:
    """The rest of the gated rule, sin 2d/(2d) = tau/c.

    Args:
        threshold: tau in (0, c).
        gain: c > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import gated_equilibrium
    >>> print(f"{gated_equilibrium(0.3).radius:.5f}")
    1.17822
    """
    gain = check_real("gain", gain, 0.0, open_low=True)
    tau = check_real("threshold", threshold, 0.0, gain, open_low=True, open_high=True)
    d = _sinc_radius(tau / gain)
    rate = d / math.pi * (-1.0 + _feedback(d))
    return CapEquilibrium(
        d, gain * math.sin(d) / d, d / math.pi, np.array([rate], complex), rate < 0, _edge_error(d)
    )


def inhibited_equilibrium(ratio: float, gain: float = 1.0, kappa: float = 1.0) -> CapEquilibrium:
    """The rest under learned inhibition, sin 2d/(2d) = lambda, whatever the gain.

    Args:
        ratio: lambda = c' x0^2/c in (0, 1).
        gain: c > 0.
        kappa: time constant of the inhibition over that of the weights, > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import inhibited_equilibrium
    >>> rest = inhibited_equilibrium(0.5)
    >>> print(f"{rest.radius:.5f} {rest.length:.5f}", rest.rates.real.round(6).tolist())
    0.94775 0.25850 [-1.241863, -1.0]
    """
    gain = check_real("gain", gain, 0.0, open_low=True)
    ratio = check_real("ratio", ratio, 0.0, 1.0, open_low=True, open_high=True)
    kappa = check_real("kappa", kappa, 0.0, open_low=True)
    d = _sinc_radius(ratio)
    c, s2 = math.cos(d), math.sin(d) ** 2
    jacobian = np.array([[-1 + c * c / s2, -c / s2], [ratio * c / s2 / kappa, -(1 + ratio / s2) / kappa]])
    rates: Any = np.sort_complex(np.linalg.eigvals(jacobian).astype(complex))
    return CapEquilibrium(
        d,
        gain / math.pi * math.sin(d),
        d / math.pi,
        rates,
        bool(rates.real.max() < 0),
        _edge_error(d),
    )


def oscillation_kappa(ratio: float) -> float:
    """The slowness of the inhibition above which the rest oscillates away; infinity for lambda <= 2/pi.

    Args:
        ratio: lambda in (0, 1).

    Raises:
        ValueError: a ratio outside its range.
    """
    d = inhibited_equilibrium(ratio).radius
    excess = 1 / math.tan(d) ** 2 - 1
    return (1 + ratio / math.sin(d) ** 2) / excess if excess > 0 else math.inf


def cap_radius(threshold: float, length: float, input_length: float = 1.0) -> float:
    """Angular radius d of the field of a neuron whose inputs have one length r: |w| r cos d = tau.

    Args:
        threshold: tau, |tau| <= |w| r.
        length: |w| > 0.
        input_length: r > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    reach = check_real("length", length, 0.0, open_low=True) * check_real(
        "input_length", input_length, 0.0, open_low=True
    )
    return math.acos(check_real("threshold", threshold, -reach, reach) / reach)


def online_shift(threshold: float, rate: float, gain: float = 1.0) -> float:
    """How far |w| of the plain rule online lies off its averaged rest, to first order in the rate.

    With D_r and D_t the variances of the radial and the tangential part of c h v, and b(R) the radial
    velocity, the mean of R is shifted by (b'' D_r/(4|b'|) + D_t/(2R)) rate/|b'|.

    Args:
        threshold: tau in (0, c/(2 pi)).
        rate: step of learning, > 0; over the number of inputs where a step averages several.
        gain: c > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    rest = plain_equilibrium(threshold, gain)
    rate = check_real("rate", rate, 0.0, open_low=True)
    d, r, tau = rest.radius, rest.length, float(threshold)
    s, c = math.sin(d), math.cos(d)
    radial = gain**2 * (d + s * c) / (2 * math.pi) - r**2
    tangential = gain**2 * (d - s * c) / (2 * math.pi)
    slope = abs(float(rest.rates[0].real))
    bend = gain / math.pi * (-3 * tau**2 / (r**4 * s) - tau**4 / (r**6 * s**3))
    return rate * (bend * radial / (4 * slope) + tangential / (2 * r)) / slope


def mean_shift(radius: float, gradient: Any, hessian: Any) -> tuple[np.ndarray, np.ndarray]:
    """The step of a mean shift with a small ball, to order d^2, and its term of order d^4.

    For ln p = const + G.x + x.H x/2 + ... about the centre, in m dimensions and with a = d^2/(m + 2),

        E[x] = a G + a d^2/(m + 4) (G |G|^2/2 + G tr H/2 + H G) - a^2 G (|G|^2 + tr H)/2 + O(d^6).

    Args:
        radius: d > 0.
        gradient: G of ln p, shape (m,).
        hessian: H of ln p, shape (m, m).

    Raises:
        ValueError: an argument outside its range.
    """
    radius = check_real("radius", radius, 0.0, open_low=True)
    g = check_finite("gradient", gradient).astype(np.float64)
    require(g.ndim == 1, "gradient", "have shape (m,)", g.shape)
    h = check_finite("hessian", hessian).astype(np.float64)
    require(h.shape == (g.size, g.size), "hessian", f"have shape {(g.size, g.size)}", h.shape)
    a = radius**2 / (g.size + 2)
    square, trace = g @ g, np.trace(h)
    fourth = a * radius**2 / (g.size + 4) * (g * square / 2 + g * trace / 2 + h @ g)
    return a * g, fourth - a**2 * g * (square + trace) / 2


def two_point_descent(weight: float, threshold: float = 0.1, gain: float = 1.0) -> tuple[float, float]:
    """A case in which the gated rule lowers the plain rule's L: v = 1 or 0, each with probability 1/2.

    Args:
        weight: w > tau, where the neuron fires for v = 1 alone.
        threshold: tau in (0, c).
        gain: c > 0.

    Returns:
        L at w, and at the gated rule's rest w = c, where L = (c/2)(w - tau) - w^2/2.

    Raises:
        ValueError: an argument outside its range.
    """
    gain = check_real("gain", gain, 0.0, open_low=True)
    tau = check_real("threshold", threshold, 0.0, gain, open_low=True, open_high=True)
    weight = check_real("weight", weight, tau, open_low=True)
    before, after = (gain / 2 * (w - tau) - w * w / 2 for w in (weight, gain))
    return before, after


def _sinc_radius(value: float) -> float:
    """D in (0, pi/2) with sin 2d/(2d) = value; the left side falls from 1 to 0."""
    root: Any = brentq(lambda d: math.sin(2 * d) / (2 * d) - value, _HAIR, math.pi / 2, xtol=1e-15)
    require(root > _HAIR, "value", "lie below one by more than round-off", value)
    return float(root)


def _feedback(d: float) -> float:
    """Relative change of |w| that a change of |w| by one part brings about through the field's edge."""
    cot = 1 / math.tan(d)
    return cot * cot - cot / d


def _edge_error(d: float) -> float:
    k = _feedback(d)
    return abs(k / (1 - k))
