"""Gaussian averages in one and two dimensions, with the size of their own error.

    E f(U),     U ~ N(0, q)
    E f(U, V),  (U, V) ~ N(0, [[q, c], [c, q']])

Gauss-Hermite nodes lie where exp(-z^2/2) asks for them and miss what phi does near the origin: with a kink
they converge like 1/n, for tanh at q = 12 they are wrong in the sixth digit at 300 nodes. Instead:

* one dimension, smooth f: the trapezoid rule in t, z = R sinh(b t) / sinh b. It converges exponentially,
  and the stretching resolves a structure of width 1/sqrt(q) at the origin for q from 0 to 1e4 with the same
  nodes.
* one dimension, kinks: Gauss-Legendre on each piece between them; nodes crowd at the kinks.
* two dimensions: polar coordinates u = sqrt(q) r cos(t), v = sqrt(q') r cos(t - a), where a is the angle
  between the two variables, cos a = c / sqrt(q q'). Gauss-Legendre in t on sectors cut where u = 0, v = 0
  or two kinks meet, and in r on pieces cut at the kinks. a = 0 and a = pi (perfectly correlated) are no
  special cases.

Every average is computed at two resolutions; the difference is reported as its error. As the rules converge
exponentially this overstates the error of the finer one, once the coarser one has a digit right.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import check_real
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced

LINE_NODES = 385
PANEL_NODES = 96
ANGLES, RADII = 48, 80
_REACH = 13.0
_STRETCH = 6.0
_RADIUS = 11.0


class Expectation(NamedTuple):
    """A Gaussian average and an estimate of its quadrature error, of one shape."""

    value: Float[Array, "..."]
    error: Float[Array, "..."]


@functools.cache
def _stretched(n: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(-1.0, 1.0, n)
    z = _REACH * np.sinh(_STRETCH * t) / np.sinh(_STRETCH)
    spacing = (t[1] - t[0]) * _REACH * _STRETCH * np.cosh(_STRETCH * t) / np.sinh(_STRETCH)
    return z, spacing * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


@functools.cache
def _legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(n)
    return 0.5 * (1.0 + x), 0.5 * w


def _on_pieces(cuts: Float[Array, "m"], n: int) -> tuple[Float[Array, "k"], Float[Array, "k"]]:
    """Gauss-Legendre nodes and weights on each piece between increasing cuts."""
    x, w = (jnp.asarray(part, cuts.dtype) for part in _legendre(n))
    low, width = cuts[:-1, None], jnp.diff(cuts)[:, None]
    return (low + width * x[None, :]).ravel(), (width * w[None, :]).ravel()


def line_rule(
    variance: Float[Array, ""], kinks: tuple[float, ...], n: int | None = None
) -> tuple[Float[Array, "k"], Float[Array, "k"]]:
    """Nodes z and weights w with sum w f(sqrt(q) z) = E f(U), U ~ N(0, q).

    Args:
        variance: q >= 0.
        kinks: positions where f or a derivative jumps.
        n: nodes in all without kinks, nodes a piece with them.
    """
    if not kinks:
        z, w = _stretched(LINE_NODES if n is None else n)
        return jnp.asarray(z, variance.dtype), jnp.asarray(w, variance.dtype)
    root = safe_sqrt(variance)
    places = jnp.stack([jnp.clip(_ratio(k, root), -_REACH, _REACH) for k in kinks])
    ends = jnp.asarray([_REACH], variance.dtype)
    z, w = _on_pieces(jnp.concatenate([-ends, places, ends]), PANEL_NODES if n is None else n)
    return z, w * jnp.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def pair_rule(
    variance_1: Float[Array, ""],
    variance_2: Float[Array, ""],
    angle: Float[Array, ""],
    kinks: tuple[float, ...],
    n: tuple[int, int] | None = None,
) -> tuple[Float[Array, "k"], Float[Array, "k"], Float[Array, "k"]]:
    """Nodes u, v and weights w with sum w f(u, v) = E f(U, V).

    Args:
        variance_1: q >= 0 of U.
        variance_2: q' >= 0 of V.
        angle: a in [0, pi]; the correlation of U and V is cos a.
        kinks: positions where f or a derivative jumps in either variable.
        n: nodes a sector in angle, nodes a piece in radius.
    """
    angles, radii = (ANGLES, RADII) if n is None else n
    root_1, root_2 = safe_sqrt(variance_1), safe_sqrt(variance_2)
    half = 0.5 * math.pi
    level = jnp.zeros_like(angle)
    rays = [level - half, angle - half, level + half, angle + half, level + 3.0 * half]
    off = [k for k in kinks if k != 0.0]
    for first in off:
        for second in off:
            x = _ratio(first, root_1)
            y = (_ratio(second, root_2) - jnp.cos(angle) * x) / jnp.maximum(jnp.sin(angle), 1e-30)
            corner = jnp.arctan2(y, x)
            rays.append(jnp.where(corner < -half, corner + 2.0 * math.pi, corner))
    theta, weight_theta = _on_pieces(jnp.sort(jnp.stack(rays)), angles)
    cos_1, cos_2 = jnp.cos(theta), jnp.cos(theta - angle)

    def spoke(c_1: Array, c_2: Array) -> tuple[Array, Array]:
        inner = jnp.zeros_like(c_1)
        outer = jnp.full_like(c_1, _RADIUS)
        places = [_ratio(k, root * c) for k in off for root, c in ((root_1, c_1), (root_2, c_2))]
        inside = [jnp.where((place > 0) & (place < _RADIUS), place, outer) for place in places]
        return _on_pieces(jnp.sort(jnp.stack([inner, *inside, outer])), radii)

    r, weight_r = jax.vmap(spoke)(cos_1, cos_2)
    weight = weight_theta[:, None] * weight_r * r * jnp.exp(-0.5 * r * r) / (2.0 * math.pi)
    return (
        (root_1 * r * cos_1[:, None]).ravel(),
        (root_2 * r * cos_2[:, None]).ravel(),
        weight.ravel(),
    )


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Square root with derivative 0, not infinite, at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def _ratio(k: float, root: Float[Array, "..."]) -> Float[Array, "..."]:
    """Quotient k / root, and a number beyond reach where root is 0 and k is not."""
    if k == 0.0:
        return jnp.zeros_like(root)
    empty = jnp.abs(root) < 1e-30
    return jnp.where(empty, math.copysign(1e30, k), k / jnp.where(empty, 1.0, root))


def angle_of(
    variance_1: Float[Array, "..."], variance_2: Float[Array, "..."], covariance: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The angle a in [0, pi] with cos a = c / sqrt(q q'); 0 where a variance is 0."""
    product = variance_1 * variance_2
    rest = product - covariance**2
    # Round-off in c is no decorrelation: it would turn perfectly correlated pairs by 1e-8.
    rest = jnp.where(rest > 8.0 * jnp.finfo(product.dtype).eps * product, rest, 0.0)
    return jnp.where(product > 0, jnp.arctan2(safe_sqrt(rest), jnp.where(product > 0, covariance, 1.0)), 0.0)


def _two_resolutions(fine: Array, coarse: Array) -> Expectation:
    return Expectation(fine, jnp.abs(fine - coarse))


@double_precision
def gaussian_expectation(
    function: Callable[[Any], Any], variance: ArrayLike, *, kinks: Sequence[float] = (), n: int | None = None
) -> Expectation:
    """E f(U) for U ~ N(0, q), in float64, with an estimate of the quadrature error.

    Args:
        function: f, elementwise.
        variance: q >= 0, any shape.
        kinks: positions where f or a derivative of it jumps.
        n: nodes in all (odd, for a smooth f) or a piece (with kinks); the finest by default.

    Returns:
        Value and error, of the shape of `variance`.

    Raises:
        ValueError: a variance is negative or not finite.
    """
    q = as_real("variance", variance, 0.0)
    places = tuple(sorted(check_real("kinks", k) for k in kinks))
    full = (PANEL_NODES if places else LINE_NODES) if n is None else n

    def at(single: Array) -> Expectation:
        values = []
        for nodes in (full, (full + 1) // 2):
            z, w = line_rule(single, places, nodes)
            values.append(jnp.sum(w * function(safe_sqrt(single) * z)))
        return _two_resolutions(values[0], values[1])

    flat = jax.vmap(at)(q.ravel())
    return Expectation(flat.value.reshape(q.shape), flat.error.reshape(q.shape))


@double_precision
def gaussian_pair_expectation(
    function: Callable[[Any, Any], Any],
    variance_1: ArrayLike,
    variance_2: ArrayLike,
    covariance: ArrayLike,
    *,
    kinks: Sequence[float] = (),
    n: tuple[int, int] | None = None,
) -> Expectation:
    """E f(U, V) for centred Gaussians with given variances and covariance, in float64, with its error.

    Args:
        function: f, elementwise in both arguments.
        variance_1: q >= 0, any shape.
        variance_2: q' >= 0, broadcastable with it.
        covariance: c with |c| <= sqrt(q q'), broadcastable with them; negative values are welcome.
        kinks: positions where f or a derivative jumps in either argument.
        n: nodes a sector in angle and nodes a piece in radius; the finest by default.

    Raises:
        ValueError: a negative variance, or |c| > sqrt(q q').
    """
    q_1, q_2 = as_real("variance_1", variance_1, 0.0), as_real("variance_2", variance_2, 0.0)
    c = as_real("covariance", covariance)
    q_1, q_2, c = jnp.broadcast_arrays(q_1, q_2, c)
    check_covariance(q_1, q_2, c)
    places = tuple(sorted(check_real("kinks", k) for k in kinks))
    full = (ANGLES, RADII) if n is None else n

    def at(single_1: Array, single_2: Array, angle: Array) -> Expectation:
        values = []
        for nodes in (full, (2 * full[0] // 3, 2 * full[1] // 3)):
            u, v, w = pair_rule(single_1, single_2, angle, places, nodes)
            values.append(jnp.sum(w * function(u, v)))
        return _two_resolutions(values[0], values[1])

    flat = jax.vmap(at)(q_1.ravel(), q_2.ravel(), angle_of(q_1, q_2, c).ravel())
    return Expectation(flat.value.reshape(c.shape), flat.error.reshape(c.shape))


def check_covariance(q_1: Float[Array, "..."], q_2: Float[Array, "..."], c: Float[Array, "..."]) -> None:
    """Refuse a concrete covariance that no pair of variables has.

    Raises:
        ValueError: |c| > sqrt(q q') beyond round-off.
    """
    if is_traced(q_1, q_2, c):
        return
    limit = np.sqrt(np.asarray(q_1) * np.asarray(q_2))
    bad = np.abs(np.asarray(c)) > limit * (1.0 + 1e-12) + 1e-300
    if bad.any():
        raise ValueError(
            "covariance must lie within sqrt(variance_1 variance_2) = "
            f"{float(limit[bad].flat[0])!r} of zero, got {float(np.asarray(c)[bad].flat[0])!r}."
        )
