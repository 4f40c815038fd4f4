"""Fixed points of the length and covariance maps, and how fast depth forgets.

    q* = F(q*),   F(q) = sigma_w^2 E phi(sqrt(q) z)^2 + sigma_b^2
    c* = sigma_w^2 E phi(U) phi(V) + sigma_b^2,  variances q*, the stable root
    xi_q = -1 / ln chi_q(q*),   xi_c = -1 / ln chi_c(c*)         depth scales, in layers

q*: Newton's method from a given start; where F is not contracting the iteration follows the map (doubling
outwards). For the concave F of tanh and erf this converges monotonically from the right.

c*: chi_1(q*) <= 1 gives c* = q*. Otherwise rho = c*/q* is the only root in [0, 1) of

    H(rho) = 1 - sigma_w^2 E (phi(U) - phi(V))^2 / (2 q* (1 - rho)) = 1 - (sigma_w^2/q*) sum_j b_j rho^j,
    b_j = sum_{k>j} a_k^2 >= 0     (the trivial root rho = 1 divided out)

which is concave and decreasing, so Newton's method cannot miss it, at the edge of chaos included. Smooth
activations take the series, whose truncation error is known; kinked ones, and points where that error is too
large, take the polar rule.

Derivatives with respect to sigma_w and sigma_b are those of the implicit function: one Newton step at the
root. Sources: Poole et al. (2016); Schoenholz et al. (2017), equations 6-10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import (
    angle_of_distance,
    pair_moments,
    refuse_jumps,
    second_moment,
    second_moment_slope,
    slope_moment,
)
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced
from neuromanifold.theory.meanfield._quadrature import LINE_NODES, PANEL_NODES, line_rule, safe_sqrt
from neuromanifold.theory.meanfield._series import hermite_coefficients

_LIMIT = 1e10
_STEPS = 200
_DIGIT = 16


class FixedPoint(NamedTuple):
    """Where depth leads, for every pair (sigma_w, sigma_b); all fields have their common shape.

    Args:
        length: q*, variance of the units; infinite where the length diverges.
        activity: A* = E phi^2.
        covariance: c* of two different inputs; q* in the ordered phase.
        distance: D* = 2 (A* - C*).
        chi_1: slope of the distance map at D = 0; above 1 is chaos.
        chi_q: slope of the length map at q*.
        chi_c: slope of the covariance map at c*.
        depth_scale_length: xi_q in layers.
        depth_scale_correlation: xi_c in layers; infinite on the edge of chaos.
        length_error: estimated error of q*: last Newton step plus quadrature error.
        correlation_error: estimated error of c*/q*: last Newton step plus truncation or quadrature error.
        converged: both errors (the first relative to max(1, q*)) are within the tolerance.
    """

    length: Float[Array, "..."]
    activity: Float[Array, "..."]
    covariance: Float[Array, "..."]
    distance: Float[Array, "..."]
    chi_1: Float[Array, "..."]
    chi_q: Float[Array, "..."]
    chi_c: Float[Array, "..."]
    depth_scale_length: Float[Array, "..."]
    depth_scale_correlation: Float[Array, "..."]
    length_error: Float[Array, "..."]
    correlation_error: Float[Array, "..."]
    converged: Bool[Array, "..."]


class _Length(NamedTuple):
    q: Array
    chi_1: Array
    chi_q: Array
    error: Array


def depth_scale(slope: Float[Array, "..."]) -> Float[Array, "..."]:
    """Layers -1/ln|slope| over which a deviation shrinks by e; infinite for |slope| >= 1, 0 for slope 0."""
    size = jnp.abs(slope)
    inside = (size > 0) & (size < 1)
    finite = -1.0 / jnp.log(jnp.where(inside, size, 0.5))
    return jnp.where(inside, finite, jnp.where(size > 0, jnp.inf, 0.0))


def _solve_length(phi: Activation, sigma_w: Array, sigma_b: Array, start: Array) -> _Length:
    stop = jax.lax.stop_gradient
    w2, b2 = sigma_w**2, sigma_b**2

    def residual(q: Array, w2: Array, b2: Array) -> Array:
        return w2 * second_moment(phi, q) + b2 - q

    def advance(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        i, q, _ = carry
        gap, slope = residual(q, stop(w2), stop(b2)), stop(w2) * second_moment_slope(phi, q) - 1.0
        newton = q - gap / jnp.where(slope < 0, slope, -1.0)
        follow = jnp.where(gap > 0, 2.0 * q + gap, jnp.maximum(q + gap, 0.0))
        new = jnp.where((slope < 0) & (newton >= 0), newton, follow)
        # On the edge of a linear F (ReLU, sigma_w^2 = 2) every q is fixed, up to round-off in sigma_w^2.
        still = jnp.abs(gap) <= 64.0 * jnp.finfo(q.dtype).eps * q
        new = jnp.where(still, q, jnp.minimum(new, 2.0 * _LIMIT))
        return i + 1, new, jnp.abs(new - q)

    def going(carry: tuple[Array, Array, Array]) -> Array:
        i, q, moved = carry
        return (i < _STEPS) & (moved > 1e-14 * jnp.maximum(q, 1.0)) & (q < _LIMIT)

    begin = (jnp.asarray(0), stop(start), jnp.full_like(start, jnp.inf))
    _, root, moved = jax.lax.while_loop(going, advance, begin)
    root = stop(root)
    slope = stop(w2) * second_moment_slope(phi, root)
    marginal = jnp.abs(1.0 - slope) < 1e-9
    correction = residual(root, w2, b2) / jnp.where(marginal, 1.0, 1.0 - slope)
    q = jnp.where(marginal, root, jnp.maximum(root + correction, 0.0))
    diverged = ~(root < _LIMIT)
    coarse = (PANEL_NODES if phi.kinks else LINE_NODES + 1) // 2
    z, weights = line_rule(root, phi.kinks, coarse)
    other = jnp.sum(weights * phi.function(safe_sqrt(root) * z) ** 2)
    quadrature = (
        stop(w2) * jnp.abs(other - second_moment(phi, root)) / jnp.maximum(jnp.abs(1.0 - slope), 1e-9)
    )
    error = jnp.where(diverged, jnp.inf, moved + jnp.where(marginal, 0.0, quadrature))
    q = jnp.where(diverged, jnp.inf, q)
    inner = jnp.where(diverged, 1.0, q)
    slopes = w2 * slope_moment(phi, inner), w2 * second_moment_slope(phi, inner)
    chi_1, chi_q = (jnp.where(diverged, jnp.nan, s) for s in slopes)
    return _Length(q, chi_1, chi_q, error)


def _newton_rho(
    evaluate: Callable[[Array], tuple[Array, Array]], chaotic: Array, start: Array, active: Array
) -> tuple[Array, Array]:
    """Root of the concave decreasing H in [0, 1]; evaluate(rho) -> (H, dH/drho)."""

    def advance(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        i, rho, before, _ = carry
        value, slope = evaluate(rho)
        new = rho - value / jnp.where(slope < 0, slope, -1.0)
        # Beyond 1 only after an overshoot from the left: halve the distance to 1 instead.
        new = jnp.where(new >= 1.0, 0.5 * (1.0 + rho), jnp.maximum(new, 0.0))
        return i + 1, new, jnp.abs(new - rho), before

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        i, _, moved, before = carry
        # Near the root steps shrink quadratically, down to the round-off of H over its slope.
        shrinking = (moved > 1e-8) | (moved < 0.5 * before)
        return (i < _STEPS) & (moved > 4e-16) & shrinking & chaotic & active

    far = jnp.full_like(start, jnp.inf)
    _, root, moved, _ = jax.lax.while_loop(going, advance, (jnp.asarray(0), start, far, far))
    return root, moved


def _polynomial(c: Float[Array, "k"], rho: Float[Array, ""]) -> Float[Array, ""]:
    """sum_k c_k rho^k, as digits of k: 16 low and k/16 high powers make them all."""
    rows = -(-c.size // _DIGIT)
    table = jnp.pad(c, (0, rows * _DIGIT - c.size)).reshape(rows, _DIGIT)
    log = jnp.log(jnp.maximum(rho, 1e-300))
    low, high = (jnp.exp(jnp.arange(n, dtype=c.dtype) * x) for n, x in ((_DIGIT, log), (rows, _DIGIT * log)))
    return jnp.sum(high * jnp.sum(table * low[None, :], axis=1))


def _series_rho(phi: Activation, sigma_w: Array, length: _Length, start: Array) -> tuple[Array, Array, Array]:
    """(rho, chi_c, error) by the series, from a start left of the root."""
    stop = jax.lax.stop_gradient
    q = jnp.where(jnp.isfinite(length.q), length.q, 1.0)
    scale = sigma_w**2 / jnp.where(q > 0, q, 1.0)
    a, aliasing = hermite_coefficients(phi, q)
    squares = a**2
    order = a.size - 1
    degree = jnp.arange(order + 1, dtype=q.dtype)
    missing = jnp.maximum(second_moment(phi, q) - jnp.sum(squares), 0.0)
    b = jnp.cumsum(squares[::-1])[::-1][1:] + missing
    chaotic = length.chi_1 > 1.0

    def evaluate(rho: Array) -> tuple[Array, Array]:
        c = stop(scale * b)
        return 1.0 - _polynomial(c, rho), -_polynomial(c[1:] * degree[1:order], rho)

    root, moved = _newton_rho(evaluate, stop(chaotic), start, jnp.asarray(True))
    root = jnp.where(chaotic, stop(root), 1.0)
    steep = jnp.maximum(-evaluate(root)[1], 1e-12)
    rho = root + (1.0 - _polynomial(scale * b, root)) / stop(steep)
    rho = jnp.where(chaotic, jnp.clip(rho, 0.0, 1.0), 1.0)
    slope = scale * _polynomial(squares[1:] * degree[1:], rho)
    tail = jnp.maximum(q * slope_moment(phi, q) - jnp.sum(degree * squares), 0.0)
    left_out = scale * tail * rho**order / steep
    # A root at 1 - eps is known to eps in H / steep only: round-off of the sums counts.
    error = jnp.where(chaotic, moved + left_out + scale * aliasing / steep, 0.0)
    return rho, jnp.where(chaotic, slope, length.chi_1), error


def _polar_rho(phi: Activation, sigma_w: Array, length: _Length, start: Array) -> tuple[Array, Array, Array]:
    """(rho, chi_c, error) by the polar rule, from a start below 1."""
    stop = jax.lax.stop_gradient
    q = jnp.where(jnp.isfinite(length.q), length.q, 1.0)
    q = jnp.where(q > 0, q, 1.0)
    chaotic = length.chi_1 > 1.0

    def parts(rho: Array, q: Array, w2: Array) -> tuple[Array, Array]:
        _, difference, slopes = pair_moments(phi, q, q, angle_of_distance(q, q, 2.0 * q * (1.0 - rho)))
        return 1.0 - w2 * difference / (2.0 * q * (1.0 - rho)), w2 * slopes

    def evaluate(rho: Array) -> tuple[Array, Array]:
        value, slopes = parts(rho, stop(q), stop(sigma_w**2))
        return value, (slopes - (1.0 - value)) / (1.0 - rho)

    root, moved = _newton_rho(evaluate, stop(chaotic), start, jnp.isfinite(length.q))
    root = jnp.where(chaotic, stop(root), 0.5)
    value = parts(root, q, sigma_w**2)[0]
    steep = jnp.maximum(-evaluate(root)[1], 1e-12)
    rho = jnp.clip(root + value / stop(steep), 0.0, 1.0)
    slope = parts(jnp.minimum(rho, 1.0 - 1e-15), q, sigma_w**2)[1]
    error = jnp.where(chaotic, moved + jnp.abs(value) / steep, 0.0)
    return jnp.where(chaotic, rho, 1.0), jnp.where(chaotic, slope, length.chi_1), error


@partial(jax.jit, static_argnums=0)
def _lengths(phi: Activation, sigma_w: Array, sigma_b: Array, start: Array) -> _Length:
    rows = (sigma_w, sigma_b, start)
    return jax.lax.map(lambda row: _solve_length(phi, *row), rows, batch_size=min(256, rows[0].size))


def settled_length(phi: Activation, sigma_w: Array, sigma_b: Array) -> _Length:
    """q*, chi_1, chi_q and their error, from q = 1, for arrays of shape (m,) in the ambient precision."""
    return _lengths(phi, sigma_w, sigma_b, jnp.ones_like(sigma_w))


@partial(jax.jit, static_argnums=(0, 1))
def _correlations(
    method: str, phi: Activation, sigma_w: Array, length: _Length, start: Array
) -> tuple[Array, Array, Array]:
    solve, size = (_series_rho, 256) if method == "series" else (_polar_rho, 8)
    n = sigma_w.size
    if n <= size:
        return jax.vmap(partial(solve, phi))(sigma_w, length, start)
    # Points of one chunk take the steps of the slowest: like beside like, and ordered ones have no work.
    order = jnp.argsort(jax.lax.stop_gradient(length.chi_1))
    places = jnp.pad(order, (0, -n % size), mode="edge").reshape(-1, size)

    def chunk(at: Array) -> tuple[Array, Array, Array]:
        rows = sigma_w[at], jax.tree.map(lambda x: x[at], length), start[at]

        def ordered(rows: tuple[Array, _Length, Array]) -> tuple[Array, Array, Array]:
            return jnp.ones_like(rows[0]), rows[1].chi_1, jnp.zeros_like(rows[0])

        def mixed(rows: tuple[Array, _Length, Array]) -> tuple[Array, Array, Array]:
            return jax.vmap(partial(solve, phi))(*rows)

        return jax.lax.cond(jnp.any(rows[1].chi_1 > 1.0), mixed, ordered, rows)

    back = jnp.argsort(order)
    return jax.tree.map(lambda x: x.ravel()[back], jax.lax.map(chunk, places))


@double_precision
def fixed_point(
    phi: Activation,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
    *,
    start: ArrayLike = 1.0,
    tolerance: float = 1e-10,
    throw: bool = True,
) -> FixedPoint:
    """q*, A*, c*, D*, chi_1 and depth scales, over any array of (sigma_w, sigma_b).

    Args:
        phi: a continuous activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0; a phase diagram is a pair of broadcastable arrays.
        sigma_b: standard deviation of the biases, >= 0.
        start: variance q > 0 from which the length is followed; matters where several fixed points exist.
        tolerance: largest error of q* (relative to max(1, q*)) and of c*/q* that counts as converged.
        throw: refuse the whole call when a point has not converged; False marks such points instead.

    Raises:
        ValueError: a negative argument, an activation that jumps, or (with `throw`) a diverging length.
    """
    refuse_jumps(phi, "the fixed point of the covariance")
    s_w, s_b = as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0)
    begin = as_real("start", start, 0.0, open_low=True)
    s_w, s_b, begin = jnp.broadcast_arrays(s_w, s_b, begin)
    shape = s_w.shape
    s_w, s_b, begin = s_w.ravel(), s_b.ravel(), begin.ravel()
    length = _lengths(phi, s_w, s_b, begin)
    traced = is_traced(length.q)
    method, low = ("polar", 0.5) if phi.kinks and traced else ("series", 0.0)
    rho, slope, error = _correlations(method, phi, s_w, length, jnp.full_like(s_w, low))
    if not traced:
        redo = np.flatnonzero(np.asarray(length.chi_1) > 1.0)
        if not phi.kinks:
            # xi_c multiplies an error by about 1/(1 - chi_c): its digits count as well.
            wanted = tolerance * (1.0 - np.asarray(slope)[redo])
            redo = redo[~(np.asarray(error)[redo] <= wanted)]
        if redo.size:
            part = jax.tree.map(lambda x: x[redo], length)
            near = jnp.where(error[redo] < 1e-3, jnp.clip(rho[redo], 0.0, 1.0 - 1e-6), 0.5)
            again = _correlations("polar", phi, s_w[redo], part, near)
            rho, slope, error = (x.at[redo].set(y) for x, y in zip((rho, slope, error), again, strict=True))
    finite = jnp.isfinite(length.q)
    chaotic = length.chi_1 > 1.0
    distance = jnp.where(chaotic, 2.0 * length.q * (1.0 - rho) / jnp.where(chaotic, s_w, 1.0) ** 2, 0.0)
    activity = jax.lax.map(
        partial(second_moment, phi), jnp.where(finite, length.q, 1.0), batch_size=min(256, s_w.size)
    )

    def blank(x: Array) -> Array:
        return jnp.where(finite, x, jnp.nan)

    good = (length.error <= tolerance * jnp.maximum(1.0, length.q)) & (error <= tolerance) & finite
    q = length.q
    if throw:
        if traced:
            q = eqx.error_if(q, ~good, "the length diverges or the fixed point has not converged")
        elif not bool(good.all()):
            at = int(np.argmin(np.asarray(good)))
            what = "its fixed point is not reached" if bool(finite[at]) else "it diverges"
            raise ValueError(
                "sigma_w and sigma_b must let the length of a signal settle, "
                f"but with activation {phi.name} {what} "
                f"at sigma_w = {float(s_w[at])!r}, sigma_b = {float(s_b[at])!r}."
            )
    result = FixedPoint(
        length=q,
        activity=blank(activity),
        covariance=blank(q * rho),
        distance=blank(distance),
        chi_1=length.chi_1,
        chi_q=length.chi_q,
        chi_c=blank(slope),
        depth_scale_length=blank(depth_scale(length.chi_q)),
        depth_scale_correlation=blank(depth_scale(slope)),
        length_error=length.error,
        correlation_error=jnp.where(finite, error, jnp.inf),
        converged=good,
    )
    return FixedPoint(*(x.reshape(shape) for x in result))
