"""One layer of a wide random network, seen through its order parameters.

    u_i = sum_j W_ij x_j + b_i,  x'_i = phi(u_i),  W_ij ~ N(0, sigma_w^2 / n),  b_i ~ N(0, sigma_b^2)

With activity A = |x|^2/n, overlap C = x.y/n and distance D = |x - y|^2/n = A_x + A_y - 2C of two inputs, the
units u are Gaussian with variance q = sigma_w^2 A + sigma_b^2 and covariance c = sigma_w^2 C + sigma_b^2, so
that as n -> infinity

    A'  = E phi(U)^2                             activity map, U ~ N(0, q)
    q'  = sigma_w^2 E phi(U)^2 + sigma_b^2       length map
    C'  = E phi(U) phi(V)                        overlap map, (U, V) ~ N(0, [[q_x, c], [c, q_y]])
    D'  = E (phi(U) - phi(V))^2                  distance map
    chi_1 = sigma_w^2 E phi'(U)^2                slope of the distance map at D = 0
    chi_c = sigma_w^2 E phi'(U) phi'(V)          slope of the covariance map
    chi_q = sigma_w^2 E [phi'^2 + phi phi'']     slope of the length map; = sigma_w^2 E z phi phi' / sqrt(q)

The distance is mapped as such and never as a difference of overlaps: pairs that differ by 1e-14 keep their
digits. Sources: Amari (1974); Poole et al. (2016), equations 3, 5, 7; Schoenholz et al. (2017), section 3.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced
from neuromanifold.theory.meanfield._quadrature import (
    angle_of,
    check_covariance,
    line_rule,
    pair_rule,
    safe_sqrt,
)

# Variances below this are treated as this in slopes, where 0/0 would arise; it costs 1e-10.
_LEAST_VARIANCE = 1e-10


def second_moment(phi: Activation, q: Float[Array, ""]) -> Float[Array, ""]:
    """E phi(U)^2, U ~ N(0, q); one number, in the precision of q."""
    z, w = line_rule(q, phi.kinks)
    return jnp.sum(w * phi.function(safe_sqrt(q) * z) ** 2)


def fourth_moment(phi: Activation, q: Float[Array, ""]) -> Float[Array, ""]:
    """E phi(U)^4, U ~ N(0, q)."""
    z, w = line_rule(q, phi.kinks)
    return jnp.sum(w * phi.function(safe_sqrt(q) * z) ** 4)


def slope_moment(phi: Activation, q: Float[Array, ""]) -> Float[Array, ""]:
    """E phi'(U)^2, U ~ N(0, q)."""
    z, w = line_rule(q, phi.kinks)
    return jnp.sum(w * phi.derivative(safe_sqrt(q) * z) ** 2)


def second_moment_slope(phi: Activation, q: Float[Array, ""]) -> Float[Array, ""]:
    """d/dq E phi(U)^2 = E phi'^2 + phi phi'', by Stein's identity without phi''."""
    q = jnp.maximum(q, _LEAST_VARIANCE)
    z, w = line_rule(q, phi.kinks)
    u = safe_sqrt(q) * z
    return jnp.sum(w * z * phi.function(u) * phi.derivative(u)) / safe_sqrt(q)


def pair_moments(
    phi: Activation, q_1: Float[Array, ""], q_2: Float[Array, ""], angle: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """E phi(U) phi(V), E (phi(U) - phi(V))^2 and E phi'(U) phi'(V) at an angle between U and V."""
    u, v, w = pair_rule(q_1, q_2, angle, phi.kinks)
    first, second = phi.function(u), phi.function(v)
    slopes = phi.derivative(u) * phi.derivative(v)
    return jnp.sum(w * first * second), jnp.sum(w * (first - second) ** 2), jnp.sum(w * slopes)


def angle_of_distance(
    q_1: Float[Array, ""], q_2: Float[Array, ""], spread: Float[Array, ""]
) -> Float[Array, ""]:
    """Angle a with 4 sqrt(q q') sin^2(a/2) = spread - (sqrt q - sqrt q')^2, spread = E(U - V)^2."""
    root_1, root_2 = safe_sqrt(q_1), safe_sqrt(q_2)
    both = root_1 + root_2
    gap = (q_1 - q_2) ** 2 / jnp.where(both > 0, both, 1.0) ** 2
    product = root_1 * root_2
    square = (spread - gap) / jnp.where(product > 0, 4.0 * product, 1.0)
    return 2.0 * jnp.arcsin(safe_sqrt(jnp.clip(jnp.where(product > 0, square, 0.0), 0.0, 1.0)))


def pair_step(
    phi: Activation,
    sigma_w: Float[Array, ""],
    sigma_b: Float[Array, ""],
    pair: tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """(A_x, A_y, D) one layer on."""
    q_1, q_2 = (sigma_w**2 * a + sigma_b**2 for a in pair[:2])
    angle = angle_of_distance(q_1, q_2, sigma_w**2 * pair[2])
    u, v, w = pair_rule(q_1, q_2, angle, phi.kinks)
    distance = jnp.sum(w * (phi.function(u) - phi.function(v)) ** 2)
    return second_moment(phi, q_1), second_moment(phi, q_2), distance


def check_pair(activity_1: ArrayLike, activity_2: ArrayLike, distance: ArrayLike) -> None:
    """Refuse concrete activities and a distance that no two vectors have.

    Raises:
        ValueError: D outside [(sqrt A - sqrt A')^2, (sqrt A + sqrt A')^2].
    """
    if is_traced(activity_1, activity_2, distance):
        return
    root_1, root_2 = np.sqrt(np.asarray(activity_1)), np.sqrt(np.asarray(activity_2))
    low, high = (root_1 - root_2) ** 2, (root_1 + root_2) ** 2
    slack = 1e-9 if np.asarray(distance).dtype == np.float64 else 1e-5
    given = np.asarray(distance)
    bad = (given < low - slack * (1.0 + low)) | (given > high + slack * (1.0 + high))
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        low, high, given = (np.broadcast_to(x, bad.shape)[at] for x in (low, high, given))
        rule = f"lie between |sqrt A - sqrt A'|^2 = {low:.6g} and |sqrt A + sqrt A'|^2 = {high:.6g}"
        require(False, "distance", rule, float(given))


def refuse_jumps(phi: Activation, wanted: str) -> None:
    """Refuse a slope of an activation that jumps.

    Raises:
        ValueError: phi is discontinuous.
    """
    require(not phi.jumps, "activation", f"be continuous for {wanted} to be finite", phi.name)


@partial(jax.jit, static_argnums=(0, 1))
def _over(function: object, phi: Activation, *arrays: Array) -> Array:
    shape = jnp.broadcast_shapes(*(a.shape for a in arrays))
    flat = tuple(jnp.broadcast_to(a, shape).ravel() for a in arrays)
    result = jax.lax.map(lambda row: function(phi, *row), flat, batch_size=min(64, max(flat[0].size, 1)))  # pyright: ignore[reportCallIssue]
    return result.reshape(shape)


def _length_step(phi: Activation, q: Array, sigma_w: Array, sigma_b: Array) -> Array:
    return sigma_w**2 * second_moment(phi, q) + sigma_b**2


def _chi_1(phi: Activation, q: Array, sigma_w: Array) -> Array:
    return sigma_w**2 * slope_moment(phi, q)


def _chi_q(phi: Activation, q: Array, sigma_w: Array) -> Array:
    return sigma_w**2 * second_moment_slope(phi, q)


def _overlap_step(phi: Activation, q_1: Array, q_2: Array, c: Array) -> Array:
    return pair_moments(phi, q_1, q_2, angle_of(q_1, q_2, c))[0]


def _chi_c(phi: Activation, q_1: Array, q_2: Array, c: Array, sigma_w: Array) -> Array:
    return sigma_w**2 * pair_moments(phi, q_1, q_2, angle_of(q_1, q_2, c))[2]


def _distance_step(
    phi: Activation, a_1: Array, a_2: Array, d: Array, sigma_w: Array, sigma_b: Array
) -> Array:
    return pair_step(phi, sigma_w, sigma_b, (a_1, a_2, d))[2]


@double_precision
def length_map(
    phi: Activation, length: ArrayLike, *, sigma_w: ArrayLike, sigma_b: ArrayLike
) -> Float[Array, "..."]:
    """Variance of the units one layer on: q' = sigma_w^2 E phi(sqrt(q) z)^2 + sigma_b^2.

    Args:
        phi: the activation.
        length: q >= 0, any shape; the arguments broadcast.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.
        sigma_b: standard deviation of the biases, >= 0.

    Raises:
        ValueError: a negative or non-finite argument.
    """
    q, s_w, s_b = (
        as_real("length", length, 0.0),
        as_real("sigma_w", sigma_w, 0.0),
        as_real("sigma_b", sigma_b, 0.0),
    )
    return _over(_length_step, phi, q, s_w, s_b)


@double_precision
def activity_map(
    phi: Activation, activity: ArrayLike, *, sigma_w: ArrayLike, sigma_b: ArrayLike
) -> Float[Array, "..."]:
    """Activity one layer on: A' = E phi(U)^2 with U ~ N(0, sigma_w^2 A + sigma_b^2).

    Args:
        phi: the activation.
        activity: A >= 0, any shape; the arguments broadcast.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.
        sigma_b: standard deviation of the biases, >= 0.
    """
    a, s_w, s_b = (
        as_real("activity", activity, 0.0),
        as_real("sigma_w", sigma_w, 0.0),
        as_real("sigma_b", sigma_b, 0.0),
    )
    return _over(second_moment, phi, s_w**2 * a + s_b**2)


@double_precision
def covariance_map(
    phi: Activation,
    length_1: ArrayLike,
    length_2: ArrayLike,
    covariance: ArrayLike,
    *,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
) -> Float[Array, "..."]:
    """Covariance of the units of two inputs one layer on: c' = sigma_w^2 E phi(U) phi(V) + sigma_b^2.

    Args:
        phi: the activation.
        length_1: variance q >= 0 of U, any shape; all arguments broadcast.
        length_2: variance q' >= 0 of V.
        covariance: c of either sign, |c| <= sqrt(q q').
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.
        sigma_b: standard deviation of the biases, >= 0.

    Raises:
        ValueError: |c| > sqrt(q q'), or a negative argument.
    """
    q_1, q_2 = as_real("length_1", length_1, 0.0), as_real("length_2", length_2, 0.0)
    c, s_w, s_b = (
        as_real("covariance", covariance),
        as_real("sigma_w", sigma_w, 0.0),
        as_real("sigma_b", sigma_b, 0.0),
    )
    check_covariance(*jnp.broadcast_arrays(q_1, q_2, c))
    return s_w**2 * _over(_overlap_step, phi, q_1, q_2, c) + s_b**2


@double_precision
def distance_map(
    phi: Activation,
    activity_1: ArrayLike,
    activity_2: ArrayLike,
    distance: ArrayLike,
    *,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
) -> Float[Array, "..."]:
    """Distance one layer on: D' = E (phi(U) - phi(V))^2, for D = |x - y|^2/n.

    Args:
        phi: the activation.
        activity_1: A_x = |x|^2/n >= 0, any shape; all arguments broadcast.
        activity_2: A_y >= 0.
        distance: D between (sqrt A_x - sqrt A_y)^2 and (sqrt A_x + sqrt A_y)^2.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.
        sigma_b: standard deviation of the biases, >= 0.

    Raises:
        ValueError: a distance that no two such vectors have, or a negative argument.
    """
    a_1, a_2 = as_real("activity_1", activity_1, 0.0), as_real("activity_2", activity_2, 0.0)
    d, s_w, s_b = (
        as_real("distance", distance, 0.0),
        as_real("sigma_w", sigma_w, 0.0),
        as_real("sigma_b", sigma_b, 0.0),
    )
    check_pair(a_1, a_2, d)
    return _over(_distance_step, phi, a_1, a_2, d, s_w, s_b)


@double_precision
def chi_1(phi: Activation, length: ArrayLike, *, sigma_w: ArrayLike) -> Float[Array, "..."]:
    """Stretching of a small displacement by one layer: chi_1 = sigma_w^2 E phi'(U)^2, U ~ N(0, q).

    Raises:
        ValueError: a negative argument, or an activation that jumps.
    """
    refuse_jumps(phi, "chi_1")
    return _over(_chi_1, phi, as_real("length", length, 0.0), as_real("sigma_w", sigma_w, 0.0))


@double_precision
def chi_q(phi: Activation, length: ArrayLike, *, sigma_w: ArrayLike) -> Float[Array, "..."]:
    """Slope of the length map: sigma_w^2 E [phi'^2 + phi phi''], U ~ N(0, q).

    Raises:
        ValueError: a negative argument, or an activation that jumps.
    """
    refuse_jumps(phi, "chi_q")
    return _over(_chi_q, phi, as_real("length", length, 0.0), as_real("sigma_w", sigma_w, 0.0))


@double_precision
def chi_c(
    phi: Activation, length_1: ArrayLike, length_2: ArrayLike, covariance: ArrayLike, *, sigma_w: ArrayLike
) -> Float[Array, "..."]:
    """Slope of the covariance map: chi_c = sigma_w^2 E phi'(U) phi'(V).

    Raises:
        ValueError: a negative variance, |c| > sqrt(q q'), or an activation that jumps.
    """
    refuse_jumps(phi, "chi_c")
    q_1, q_2 = as_real("length_1", length_1, 0.0), as_real("length_2", length_2, 0.0)
    c = as_real("covariance", covariance)
    check_covariance(*jnp.broadcast_arrays(q_1, q_2, c))
    return _over(_chi_c, phi, q_1, q_2, c, as_real("sigma_w", sigma_w, 0.0))
