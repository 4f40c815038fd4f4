"""Drift and diffusion between two bounds, in closed form.

    dX = mu dt + s dB,   X(0) = x_0 in (-a, a),   decided at the first exit. With k = 2 mu/s^2:

    P(+)   = (1 - e^{-k (a + x_0)}) / (1 - e^{-2ka})                      1/(1 + e^{-ka}) from x_0 = 0
    E T    = (2a P(+) - a - x_0) / mu                                     (a/mu) tanh(mu a/s^2) from x_0 = 0
    f_+(t) = (pi s^2/4a^2) e^{mu (a - x_0)/s^2 - mu^2 t/2s^2} sum_j j sin(j pi (a - x_0)/2a) e^{-(j pi s/2a)^2
    t/2}

f_+ is the density of decisions for + at time t; f_- has -mu and -x_0 in the place of mu and x_0. For small t
the series of images is used,

    f_+(t) = e^{...} / sqrt(2 pi s^2 t^3) sum_j (a - x_0 + 4aj) e^{-(a - x_0 + 4aj)^2 / 2 s^2 t}.

Time: the unit of mu and s. That a decision is such a process is an interpretation.

Source: Feller 1968, An Introduction to Probability Theory and Its Applications 1, ch. XIV; Ratcliff 1978,
Psychol. Rev. 85:59.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_choice, check_finite, check_real, require


def _checked(drift: float, noise: float, bound: float, start: float) -> tuple[float, float, float, float]:
    s = check_real("noise", noise, 0.0, open_low=True)
    a = check_real("bound", bound, 0.0, open_low=True)
    return check_real("drift", drift), s, a, check_real("start", start, -a, a)


def choice_probability(drift: float, noise: float, bound: float, start: float = 0.0) -> float:
    """Probability of leaving at the upper bound.

    Args:
        drift: mu.
        noise: s > 0.
        bound: a > 0.
        start: x_0 in [-a, a].

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.decision import choice_probability
    >>> round(choice_probability(0.5, 1.0, 1.0), 4)
    0.7311
    """
    mu, s, a, x = _checked(drift, noise, bound, start)
    k = 2 * mu / s**2
    if abs(k) * a < 1e-9:
        return (a + x) / (2 * a)
    if k < 0:
        return 1.0 - choice_probability(-drift, noise, bound, -start)
    return math.expm1(-k * (a + x)) / math.expm1(-2 * k * a)


def mean_decision_time(drift: float, noise: float, bound: float, start: float = 0.0) -> float:
    """Mean time of the first exit; arguments as for `choice_probability`.

    >>> from neuromanifold.theory.decision import mean_decision_time
    >>> round(mean_decision_time(0.5, 1.0, 1.0), 4)
    0.9242
    """
    mu, s, a, x = _checked(drift, noise, bound, start)
    if abs(mu) * a / s**2 < 1e-6:
        return (a * a - x * x) / s**2
    return (2 * a * choice_probability(mu, s, a, x) - a - x) / mu


def decision_density(
    time: ArrayLike, drift: float, noise: float, bound: float, start: float = 0.0, choice: str = "upper"
) -> NDArray[np.float64]:
    """Density of the decision time at one bound; its integral is the probability of that choice.

    Args:
        time: t > 0, any shape.
        drift: mu.
        noise: s > 0.
        bound: a > 0.
        start: x_0 in [-a, a].
        choice: "upper" or "lower".

    Raises:
        ValueError: an argument outside its range.
    """
    mu, s, a, x = _checked(drift, noise, bound, start)
    t = check_finite("time", time).astype(np.float64)
    require(np.all(t > 0), "time", "be > 0", time)
    if check_choice("choice", choice, ("upper", "lower")) == "lower":
        mu, x = -mu, -x
    gap = a - x
    tilt = np.exp(mu * gap / s**2 - mu**2 * t / (2 * s**2))
    # Both series are exact; at s^2 t = a^2 either has 1e-16 after a few terms.
    j = np.arange(1, 40.0)
    rate = (j * np.pi * s / (2 * a)) ** 2 / 2
    late = np.sum(j * np.sin(j * np.pi * gap / (2 * a)) * np.exp(-rate * t[..., None]), -1)
    late = late * np.pi * s**2 / (4 * a**2)
    images = gap + 4 * a * np.arange(-8, 9.0)
    early = np.sum(images * np.exp(-(images**2) / (2 * s**2 * t[..., None])), -1)
    early = early / np.sqrt(2 * np.pi * s**2 * t**3)
    return np.asarray(np.maximum(tilt * np.where(s**2 * t > 0.5 * a**2, late, early), 0.0))
