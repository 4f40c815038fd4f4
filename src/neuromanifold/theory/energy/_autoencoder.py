"""What a recurrent auto-encoder can learn: decay of W - S, the linear threshold, one pattern and one unit.

    any f, g:    |W(t) - S(t)| = e^{-t} |W(0) - S(0)|
    f = g = identity, W = S, input variance lambda along an eigenvector:

        ds/dt = s (-1 + c lambda / (1 - s^2)^2)

        for c lambda < 1 it rests at s = 0 (stable) and at s*^2 = 1 - sqrt(c lambda) (unstable); beyond, s
        runs into the border s = 1 in finite time. For c lambda > 1 it does so from everywhere. A linear
        recurrent auto-encoder has no state that is not silent and stable: saturation is needed.

    one step unit, identity, one pattern a:   silent, or w = s = c a/(1 - c) and v = a/(1 - c). With those
        weights fixed, both states of the fast signals hold iff c/(1 - c) <= theta/|a|^2 < c/(1 - c)^2.

Source: Amari 1983, IEEE Trans. SMC-13:741; the linear case is derived here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuromanifold._base import check_real


class LinearAutoencoder(NamedTuple):
    """The singular value of a linear recurrent auto-encoder.

    Args:
        threshold: s* in (0, 1), from which on it grows; 0 where it grows from everywhere.
        rate: of growth from s*, > 0; of growth from 0 where there is none.
        silent_rate: rate at s = 0.
    """

    threshold: float
    rate: float
    silent_rate: float


def linear_autoencoder(gain: float, variance: float) -> LinearAutoencoder:
    """Rest states of ds/dt = s(-1 + c lambda/(1 - s^2)^2) and their rates.

    Args:
        gain: c > 0.
        variance: lambda > 0.

    >>> from neuromanifold.theory.energy import linear_autoencoder
    >>> round(linear_autoencoder(0.5, 0.5).threshold, 5)
    0.70711
    """
    product = check_real("gain", gain, 0, open_low=True) * check_real("variance", variance, 0, open_low=True)
    silent = product - 1.0
    if product >= 1:
        return LinearAutoencoder(0.0, silent, silent)
    root = np.sqrt(product)
    # d/ds of s (-1 + p/(1 - s^2)^2) at 1 - s^2 = sqrt(p) is 4 p s^2/(1 - s^2)^3 = 4 (1 - r)/r.
    return LinearAutoencoder(float(np.sqrt(1.0 - root)), float(4.0 * (1.0 - root) / root), silent)


class StepAutoencoder(NamedTuple):
    """One step unit that has learnt one pattern.

    Args:
        amplitude: w = s = amplitude times a.
        low: least theta/|a|^2 at which the silent state holds with these weights.
        high: theta/|a|^2 below which the active state holds.
    """

    amplitude: float
    low: float
    high: float


def step_autoencoder(gain: float) -> StepAutoencoder:
    """The active state of one step unit and the window in which silence holds beside it.

    Args:
        gain: c in (0, 1); at 1 and above the amplitude diverges.

    >>> from neuromanifold.theory.energy import step_autoencoder
    >>> step_autoencoder(0.5)
    StepAutoencoder(amplitude=1.0, low=1.0, high=2.0)
    """
    c = check_real("gain", gain, 0, 1, open_low=True, open_high=True)
    return StepAutoencoder(c / (1 - c), c / (1 - c), c / (1 - c) ** 2)
