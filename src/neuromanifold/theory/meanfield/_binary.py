"""Macroscopic laws of random +-1 units: activity, Hamming distance, and their fluctuations at finite n.

    x'_i = sgn(u_i),  u_i = sum_j W_ij x_j + b_i,  W_ij ~ N(w_bar/n, sigma_w^2/n),  b_i ~ N(s, sigma_b^2)

With activities X, Y of two states and D the fraction of units in which they differ, the units u, v are
Gaussian with variance q = sigma_w^2 + sigma_b^2, standardised means a = (w_bar X + s)/sqrt q and b likewise
with Y, and correlation cos psi, where sin(psi/2) = c sqrt D, c^2 = sigma_w^2/q. Hence, without any
approximation in n,

    X' = erf(a / sqrt 2)
    D' = |Phi(a) - Phi(b)| + (1/pi) int_0^psi exp(-(a^2 + b^2 - 2ab cos t)/(2 sin^2 t)) dt

are the means of the next X and D given the present ones. For a = b = 0 the integral is psi:

    D' = (2/pi) arcsin(c sqrt D).

Units are independent given the states before, so that the next (X, Y, D) has covariance V/n with

    V_XX = 1 - X'^2,  V_DD = D'(1 - D'),  V_XY = 1 - 2D' - X'Y',  V_XD = (X' - Y')/2 - X'D',
    V_YD = (Y' - X')/2 - Y'D'.

Carried through the maps they give mean, bias and spread after many steps, as in `finite_width_process`. All
of this is exact for weights that are fresh at every step; the same asymmetric weights reused change terms of
order 1/n, symmetric ones change everything. The slope of D' at D = 0 is infinite: the law is about n D >> 1.

Symbols: X activity, D Hamming distance as a fraction, c from the noise of the biases. Time: steps.

Source: Amari 1974, Kybernetik 14:201; Amari, Yoshida and Kanatani 1977, SIAM J. Appl. Math. 33:95; the
integral by Plackett 1954, Biometrika 41:351.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, ndtr
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from numpy.typing import ArrayLike as NumpyArrayLike
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import erf as erf_exact

from neuromanifold._base import check_finite, check_real, require
from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._finite_width import Fluctuations
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced

_PANELS, _NODES = 12, 10


def _graded() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], panels shrinking fourfold towards both ends, where layers may lie."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    ends = np.concatenate([[0.0], 0.5 * 0.25 ** np.arange(_PANELS - 1, -1, -1.0)])
    ends = np.concatenate([ends, 1.0 - ends[-2::-1]])
    width = np.diff(ends)[:, None]
    return (ends[:-1, None] + width * (x + 1) / 2).ravel(), (width * w / 2).ravel()


_GRID, _WEIGHTS = _graded()


def _exponent(a: Array, b: Array, t: Array) -> Array:
    """(a^2 + b^2 - 2ab cos t) / (2 sin^2 t), written without cancellation at t = 0 and t = pi."""
    sine = jnp.maximum(jnp.abs(jnp.sin(t)), jnp.finfo(t.dtype).eps ** 4)
    near = ((a - b) / sine) ** 2 + a * b / jnp.maximum(jnp.cos(t / 2) ** 2, 0.25)
    far = ((a + b) / sine) ** 2 - a * b / jnp.maximum(jnp.sin(t / 2) ** 2, 0.25)
    return 0.5 * jnp.where(jnp.cos(t) > 0, near, far)


@jax.custom_jvp
def disagreement(a: Float[Array, ""], b: Float[Array, ""], psi: Float[Array, ""]) -> Float[Array, ""]:
    """P(u v < 0) of unit normals with means a, b and correlation cos psi; psi in [0, pi]."""
    t = psi * jnp.asarray(_GRID, psi.dtype)
    layer = jnp.sum(jnp.asarray(_WEIGHTS, psi.dtype) * jnp.exp(-_exponent(a, b, t)))
    return jnp.abs(ndtr(a) - ndtr(b)) + psi / jnp.pi * layer


@disagreement.defjvp
def _disagreement_slope(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    a, b, psi = primals
    da, db, dpsi = tangents
    sine = jnp.maximum(jnp.sin(psi), jnp.finfo(psi.dtype).eps ** 4)

    def toward(one: Array, other: Array) -> Array:
        density = jnp.exp(-(one**2) / 2) / math.sqrt(2 * math.pi)
        return density * (1 - 2 * ndtr((other - one * jnp.cos(psi)) / sine))

    turn = jnp.exp(-_exponent(a, b, psi)) / jnp.pi
    return disagreement(a, b, psi), toward(a, b) * da + toward(b, a) * db + turn * dpsi


class BinaryLayer(eqx.Module):
    """The macroscopic law of one step of a random +-1 network, with its fluctuations."""

    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    mean_w: Float[Array, ""]
    mean_b: Float[Array, ""]

    def init(self, key: Any, order_parameters: ArrayLike) -> Fluctuations:
        """Start from (X,) or (X, Y, D) of fixed states, D > 0."""
        del key
        s = as_real("order_parameters", order_parameters, -1.0, 1.0)
        require(s.shape in ((1,), (3,)), "order_parameters", "be (X,) or (X, Y, D)", s.shape)
        if s.size == 3:
            check_triple(*s)
            require(is_traced(s) or float(s[2]) > 0, "distance", "be > 0 for its law to have a slope", 0.0)
        return Fluctuations(s, jnp.zeros_like(s), jnp.zeros((s.size, s.size), s.dtype))

    def forward(self, s: Float[Array, "k"]) -> Float[Array, "k"]:
        """F(s): the mean of the next (X,) or (X, Y, D)."""
        w, spread = self.sigma_w.astype(s.dtype), self.sigma_b.astype(s.dtype)
        root = jnp.sqrt(w**2 + spread**2)
        means = (self.mean_w.astype(s.dtype) * s[:2] + self.mean_b.astype(s.dtype)) / root
        activities = erf(means / math.sqrt(2.0))
        if s.size == 1:
            return activities
        psi = 2 * jnp.arcsin(jnp.minimum(w / root * jnp.sqrt(jnp.maximum(s[2], 0.0)), 1.0))
        return jnp.append(activities, disagreement(means[0], means[1], psi))

    def noise(self, s: Float[Array, "k"]) -> Float[Array, "k k"]:
        """V(s): n times the covariance of the next order parameters given the present ones."""
        new = self.forward(s)
        if s.size == 1:
            return (1 - new**2)[:, None]
        x, y, d = new
        cross = 1 - 2 * d - x * y
        lean = (x - y) / 2
        return jnp.array(
            [
                [1 - x * x, cross, lean - x * d],
                [cross, 1 - y * y, -lean - y * d],
                [lean - x * d, -lean - y * d, d * (1 - d)],
            ]
        )

    def step(self, key: Any, t: Any, state: Fluctuations) -> tuple[Fluctuations, None]:
        """Mean, n times bias, and n times covariance one step on."""
        del key, t
        mean, bias, covariance = state
        slope = jax.jacfwd(self.forward)(mean)
        curvature = jax.jacfwd(jax.jacfwd(self.forward))(mean)
        bent = 0.5 * jnp.einsum("aij,ij->a", curvature, covariance)
        spread = slope @ covariance @ slope.T + self.noise(mean)
        return Fluctuations(self.forward(mean), slope @ bias + bent, spread), None


def binary_process(
    *, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0, mean_w: ArrayLike = 0.0, mean_b: ArrayLike = 0.0
) -> Process:
    """(X,) or (X, Y, D) of +-1 units with their 1/n corrections, as a process on `Fluctuations`.

    Meant for float64: run it inside `with jax.enable_x64(True)`.

    Args:
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.

    Raises:
        ValueError: an argument outside its range.
    """
    layer = _layer(sigma_w, sigma_b, mean_w, mean_b)
    return Process(layer.init, layer.step)


def _layer(sigma_w: ArrayLike, sigma_b: ArrayLike, mean_w: ArrayLike, mean_b: ArrayLike) -> BinaryLayer:
    return BinaryLayer(
        as_real("sigma_w", sigma_w, 0.0, open_low=True),
        as_real("sigma_b", sigma_b, 0.0),
        as_real("mean_w", mean_w),
        as_real("mean_b", mean_b),
    )


def check_triple(activity_1: ArrayLike, activity_2: ArrayLike, distance: ArrayLike) -> None:
    """Refuse concrete activities and a Hamming distance that no two +-1 states have.

    Raises:
        ValueError: D outside [|X - Y|/2, 1 - |X + Y|/2].
    """
    if is_traced(activity_1, activity_2, distance):
        return
    x, y, given = (np.asarray(v, np.float64) for v in (activity_1, activity_2, distance))
    low, high = np.abs(x - y) / 2, 1 - np.abs(x + y) / 2
    bad = (given < low - 1e-6) | (given > high + 1e-6)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        low, high, given = (float(np.broadcast_to(v, bad.shape)[at]) for v in (low, high, given))
        require(False, "distance", f"lie between |X - Y|/2 = {low:.6g} and 1 - |X + Y|/2 = {high:.6g}", given)


def binary_activity_map(
    activity: NumpyArrayLike,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    mean_w: float = 0.0,
    mean_b: float = 0.0,
) -> NDArray[np.float64]:
    """X' = erf((w_bar X + s) / sqrt(2 (sigma_w^2 + sigma_b^2))), the true error function.

    Args:
        activity: X in [-1, 1], any shape.
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.meanfield import binary_activity_map
    >>> float(binary_activity_map(0.345, sigma_w=1.0, mean_w=2.0).round(3))
    0.51
    """
    x = check_finite("activity", activity).astype(np.float64)
    require(np.all(np.abs(x) <= 1), "activity", "lie in [-1, 1]", activity)
    root = _root(sigma_w, sigma_b)
    gain, lift = check_real("mean_w", mean_w), check_real("mean_b", mean_b)
    return np.asarray(erf_exact((gain * x + lift) / (math.sqrt(2.0) * root)))


@double_precision
def hamming_map(
    distance: NumpyArrayLike,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    mean_w: float = 0.0,
    mean_b: float = 0.0,
    activity_1: NumpyArrayLike = 0.0,
    activity_2: NumpyArrayLike = 0.0,
) -> NDArray[np.float64]:
    """D' one step on; (2/pi) arcsin(c sqrt D) where w_bar = s = 0, by quadrature to 1e-8 elsewhere.

    Args:
        distance: D, the fraction of units that differ, between |X - Y|/2 and 1 - |X + Y|/2; any shape.
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.
        activity_1: X of the first state; activities and distance broadcast.
        activity_2: Y of the second.

    Raises:
        ValueError: a distance that no two such states have, or another argument outside its range.

    >>> from neuromanifold.theory.meanfield import hamming_map
    >>> hamming_map([0.01, 0.25, 0.8], sigma_w=1.0).round(4).tolist()
    [0.0638, 0.3333, 0.7048]
    """
    d = as_real("distance", np.asarray(distance), 0.0, 1.0)
    x = as_real("activity_1", np.asarray(activity_1), -1.0, 1.0)
    y = as_real("activity_2", np.asarray(activity_2), -1.0, 1.0)
    check_triple(x, y, d)
    layer = _layer(sigma_w, sigma_b, mean_w, mean_b)
    if mean_w == 0 and mean_b == 0:
        c = sigma_w / math.hypot(sigma_w, sigma_b)
        return np.asarray(2 / np.pi * np.arcsin(c * np.sqrt(np.broadcast_arrays(x, y, d)[2])))
    rows = jnp.stack([v.ravel() for v in jnp.broadcast_arrays(x, y, d)], axis=1)
    new = jax.jit(jax.vmap(layer.forward))(rows)[:, 2]
    return np.asarray(new).reshape(jnp.broadcast_shapes(x.shape, y.shape, d.shape))


def _root(sigma_w: float, sigma_b: float) -> float:
    return math.hypot(check_real("sigma_w", sigma_w, 0, open_low=True), check_real("sigma_b", sigma_b, 0))


class MapFixedPoint(NamedTuple):
    """A fixed point of a map of one number, and the slope there; stable where |slope| < 1."""

    value: float
    slope: float


def hamming_fixed_point(sigma_w: float, sigma_b: float = 0.0) -> MapFixedPoint:
    """The stable distance D* = (2/pi) arcsin(c sqrt D*) of w_bar = s = 0: 1/2 without biases, else below.

    Two states end at this distance however near they began; D = 0 is a fixed point of infinite slope.

    Args:
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.meanfield import hamming_fixed_point
    >>> found = hamming_fixed_point(1.0, 0.5)
    >>> f"{found.value:.5f} {found.slope:.4f}"
    '0.36143 0.5617'
    """
    c = sigma_w / _root(sigma_w, sigma_b)
    # With y = sqrt D: y^2 = (2/pi) arcsin(c y) lies between the chord and the tangent of the arcsine.
    root: Any = brentq(
        lambda y: y * y - 2 / math.pi * math.asin(c * y), c / math.pi, math.sqrt(0.5) + 1e-12, xtol=1e-15
    )
    value = root**2
    return MapFixedPoint(value, c / (math.pi * root * math.sqrt(1 - c * c * value)))


def activity_fixed_points(
    *, sigma_w: float, sigma_b: float = 0.0, mean_w: float = 0.0, mean_b: float = 0.0
) -> list[MapFixedPoint]:
    """All fixed points X* = erf((w_bar X* + s)/sqrt(2q)) in rising order, with their slopes: one or three.

    Args:
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.meanfield import activity_fixed_points
    >>> [round(point.value, 3) for point in activity_fixed_points(sigma_w=1.0, mean_w=2.0)]
    [-0.94, 0.0, 0.94]
    """
    root = _root(sigma_w, sigma_b)
    gain, lift = check_real("mean_w", mean_w) / root, check_real("mean_b", mean_b) / root
    steepest = gain * math.sqrt(2 / math.pi)

    def gap(x: float) -> float:
        return float(erf_exact((gain * x + lift) / math.sqrt(2.0))) - x

    ends = [-1.0, 1.0]
    if steepest > 1:
        # X' - X turns only where the slope of the map is 1; between the turns it is monotone.
        turn = math.sqrt(2 * math.log(steepest))
        ends += [min(max(x, -1.0), 1.0) for x in ((-turn - lift) / gain, (turn - lift) / gain)]
    ends.sort()
    found: list[float] = []
    for low, high in itertools.pairwise(ends):
        if gap(low) * gap(high) > 0 or low == high:
            continue
        x: Any = brentq(gap, low, high, xtol=1e-14)
        if not found or x - found[-1] > 1e-9:
            found.append(float(x))
    return [MapFixedPoint(x, steepest * math.exp(-((gain * x + lift) ** 2) / 2)) for x in found]


def critical_mean_w(sigma_w: float, sigma_b: float = 0.0) -> float:
    """w_bar above which activity sustains itself at s = 0: sqrt(pi (sigma_w^2 + sigma_b^2) / 2).

    Args:
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.

    >>> from neuromanifold.theory.meanfield import critical_mean_w
    >>> round(critical_mean_w(1.0), 4)
    1.2533
    """
    return math.sqrt(math.pi / 2) * _root(sigma_w, sigma_b)
