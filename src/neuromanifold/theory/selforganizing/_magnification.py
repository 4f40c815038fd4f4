"""Magnification: where data are dense a map spends more units, but not in proportion.

A one-dimensional map whose neighbourhood does not shrink settles where, for every unit i,

    sum_c h_{c-i}  int over cell c of  (x - w_i) p(x) dx = 0.                                        (1)

For many units the density of units is D(w) ~ p(w)^a with

    a = (1 + 12 R) / (3 (1 + 6 R)),        R = sum_k k^2 h_k / sum_k h_k,  k = ..., -1, 0, 1, ...    (2)

a = 1/3 for R = 0, which is optimal quantisation, rising to 2/3 for wide neighbourhoods. With h_k = 1 for |k|
<= s it is Ritter's 2/3 - 1/(3 s^2 + 3 (s + 1)^2).

`settled_map` solves (1) for a finite number of units, with borders, from exact integrals over the cells: no
sample, no learning. Its exponent tells what (2) leaves out.

Symbols: w_i weights in ascending order, p density of the data, h_k neighbourhood at k units, D units a unit
length. Source: Ritter and Schulten 1986, Biol. Cybern. 54:99; Ritter 1991, IEEE Trans. Neural Networks 2:173;
Dersch and Tavan 1995, IEEE Trans. Neural Networks 6:230, for (2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, root

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require


def second_moment(neighbourhood: ArrayLike) -> float:
    """R = sum_k k^2 h_k / sum_k h_k of a neighbourhood on a line.

    Args:
        neighbourhood: h_0, h_1, ..., both sides alike; shape (n,), >= 0, h_0 > 0.

    Raises:
        ValueError: another shape, or a negative value.

    >>> from neuromanifold.theory.selforganizing import second_moment
    >>> second_moment([1.0, 1.0, 1.0])
    2.0
    """
    h = check_finite("neighbourhood", neighbourhood)
    require(h.ndim == 1 and len(h) >= 1, "neighbourhood", "have shape (n,)", h.shape)
    require((h >= 0).all() and h[0] > 0, "neighbourhood", "be >= 0, and > 0 at 0", h.min())
    k = np.arange(len(h))
    return float(2 * (k**2 * h).sum() / (h[0] + 2 * h[1:].sum()))


def gaussian_kernel(radius: float, convention: str = "standard") -> np.ndarray:
    """A Gaussian neighbourhood h_0, h_1, ... on a line of units, as far as it matters.

    Args:
        radius: sigma, > 0.
        convention: "standard", h_k = exp(-k^2 / (2 sigma^2)), or "lecture", exp(-k^2 / sigma^2).

    Raises:
        ValueError: an argument outside its range.
    """
    check_choice("convention", convention, ("standard", "lecture"))
    radius = check_real("radius", radius, 0, open_low=True)
    variance = radius**2 / (1.0 if convention == "standard" else 2.0)
    k = np.arange(int(np.ceil(9 * np.sqrt(variance))) + 2)
    return np.exp(-(k**2) / (2 * variance))


def gaussian_moment(radius: float, convention: str = "standard") -> float:
    """R of a Gaussian neighbourhood on a line of units.

    Args:
        radius: sigma, > 0.
        convention: as for `gaussian_kernel`.

    Raises:
        ValueError: an argument outside its range.
    """
    return second_moment(gaussian_kernel(radius, convention))


def gaussian_radius(moment: float, convention: str = "standard") -> float:
    """The radius sigma at which a Gaussian neighbourhood has the second moment R.

    Args:
        moment: R, > 0.
        convention: as for `gaussian_kernel`.

    Raises:
        ValueError: an argument outside its range.
    """
    moment = check_real("moment", moment, 0, open_low=True)
    high = 2.0 * np.sqrt(2.0 * moment) + 2.0
    found: Any = brentq(lambda radius: gaussian_moment(radius, convention) - moment, 0.05, high, xtol=1e-13)
    return float(found)


def magnification_exponent(moment: ArrayLike) -> np.ndarray:
    """A = (1 + 12 R) / (3 (1 + 6 R)), equation (2).

    Args:
        moment: R >= 0, any shape.

    Raises:
        ValueError: a negative R.

    >>> magnification_exponent([0.0, 0.5, 1.0, 2.0]).round(3).tolist()
    [0.333, 0.583, 0.619, 0.641]
    """
    r = check_finite("moment", moment).astype(np.float64)
    require((r >= 0).all(), "moment", "be >= 0", r.min())
    return np.asarray((1 + 12 * r) / (3 * (1 + 6 * r)))


def settled_map(n_units: int, neighbourhood: ArrayLike, steepness: float) -> np.ndarray:
    """The weights that solve (1) for p(x) ~ exp(b x) on [0, 1].

    Args:
        n_units: units N on a line, >= 2.
        neighbourhood: h_0, h_1, ...; shape (n,), n <= N; zero beyond.
        steepness: b; densities at both ends differ by e^b.

    Returns:
        The weights in ascending order, shape (n_units,).

    Raises:
        ValueError: an argument outside its range.
        RuntimeError: no solution was found.
    """
    n = check_integer("n_units", n_units, 2)
    second_moment(neighbourhood)
    h = np.asarray(neighbourhood, np.float64)
    require(len(h) <= n, "neighbourhood", f"have at most n_units = {n} values", len(h))
    b = check_real("steepness", steepness)
    apart = np.abs(np.arange(n)[:, None] - np.arange(n)[None])
    reach = np.where(apart < len(h), h[np.minimum(apart, len(h) - 1)], 0.0)

    def residual(w: np.ndarray) -> np.ndarray:
        """Equation (1), as distance of each weight from where it is drawn."""
        mass, moment = _cells(w, b)
        return (reach @ moment) / (reach @ mass) - w

    quantiles = (np.arange(n) + 0.5) / n
    begun = quantiles if b == 0 else np.log1p(quantiles * np.expm1(b)) / b
    found: Any = root(residual, begun, method="hybr", options={"xtol": 1e-12})
    settled = np.asarray(found.x)
    if not (np.abs(residual(settled)).max() < 1e-9 and (np.diff(settled) > 0).all()):
        raise RuntimeError(f"the map of {n} units did not settle: {found.message}")
    return settled


def fitted_exponent(weights: ArrayLike, steepness: float, margin: int) -> np.ndarray:
    """The exponent a of D ~ p^a of maps of p(x) ~ exp(b x): the slope of ln D on b w by least squares.

    The density of units between neighbours is 1/(w_{i+1} - w_i).

    Args:
        weights: ascending or descending, shape (..., n_units).
        steepness: b, not zero.
        margin: units left out at each border, >= 0.

    Raises:
        ValueError: weights that are not ordered, or too few of them.
    """
    w = np.sort(check_finite("weights", weights).astype(np.float64), axis=-1)
    steps = np.diff(check_finite("weights", weights).astype(np.float64), axis=-1)
    ordered = ((steps > 0).all(-1) | (steps < 0).all(-1)).all()
    require(ordered, "weights", "ascend or descend", bool(ordered))
    b = check_real("steepness", steepness)
    require(b != 0, "steepness", "not be zero", b)
    margin = check_integer("margin", margin, 0)
    inner = w[..., margin : w.shape[-1] - margin]
    require(inner.shape[-1] >= 4, "margin", "leave four units", margin)
    places = b * (inner[..., 1:] + inner[..., :-1]) / 2
    logs = -np.log(np.diff(inner, axis=-1))
    places = places - places.mean(-1, keepdims=True)
    return np.asarray((places * logs).sum(-1) / (places**2).sum(-1))


def _cells(w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of p and of x p over the cells of ascending weights, p = exp(b x) on [0, 1]."""
    edges = np.concatenate([[0.0], (w[1:] + w[:-1]) / 2, [1.0]])
    if b == 0:
        return np.diff(edges), np.diff(edges**2) / 2
    # About the middle, so that the numbers stay near one.
    level = np.exp(b * (edges - 0.5))
    return np.diff(level) / b, np.diff(level * (edges / b - 1 / b**2))
