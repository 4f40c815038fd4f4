"""The edge of chaos: where a small displacement neither grows nor shrinks.

    chi_1(q*) = sigma_w^2 E phi'(U)^2 = 1,   q* = sigma_w^2 E phi(U)^2 + sigma_b^2

Along the edge everything is a function of q alone,

    sigma_w^2 = 1 / E phi'^2,   sigma_b^2 = q - E phi^2 / E phi'^2,

so the edge is exact at every q, and its point at a given sigma_b is the root of one equation in q.
For an odd smooth phi the edge starts at sigma_b = 0, q = 0, sigma_w = 1/|phi'(0)|. Homogeneous activations
(linear, ReLU) have E phi^2 / E phi'^2 = q: one critical point, at sigma_b = 0, and no edge beyond it.

Source: Poole et al. (2016), section 2; Schoenholz et al. (2017), section 3.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import refuse_jumps, second_moment, slope_moment
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced

_LOWEST, _HIGHEST = 1e-8, 1e8


def _squared_bias(phi: Activation, q: Array) -> Array:
    return q - second_moment(phi, q) / slope_moment(phi, q)


def _critical(phi: Activation, sigma_b: Array) -> tuple[Array, Array]:
    stop = jax.lax.stop_gradient

    def gap(log_q: Array, b2: Array) -> Array:
        q = jnp.exp(log_q)
        return (_squared_bias(phi, q) - b2) / (q + b2)

    low, high = (jnp.log(jnp.asarray(q, sigma_b.dtype)) for q in (_LOWEST, _HIGHEST))
    b2 = sigma_b**2
    bracketed = gap(low, stop(b2)) * gap(high, stop(b2)) < 0
    # Without a bracket the search runs on a harmless target and its result is dropped.
    target = partial(jnp.where, bracketed)
    solver = optx.Bisection(rtol=1e-15, atol=1e-14)
    solution = optx.root_find(
        lambda x, b: target(gap(x, b), x),
        solver,
        0.5 * (low + high),
        args=stop(b2),
        options={"lower": low, "upper": high},
        max_steps=200,
        throw=False,
    )
    root = stop(solution.value)
    slope = jax.grad(gap)(root, stop(b2))
    log_q = root - gap(root, b2) / stop(jnp.where(bracketed, slope, 1.0))
    # An odd phi at sigma_b = 0: the edge begins at q = 0.
    origin = (b2 == 0) & (phi.function(jnp.zeros_like(b2)) == 0)
    q = jnp.where(origin, 0.0, jnp.where(bracketed, jnp.exp(log_q), jnp.nan))
    inner = jnp.where(origin, 1e-30, jnp.where(bracketed, q, 1.0))
    sigma_w = 1.0 / jnp.sqrt(slope_moment(phi, inner))
    return jnp.where(origin | bracketed, sigma_w, jnp.nan), q


@partial(jax.jit, static_argnums=0)
def _critical_all(phi: Activation, sigma_b: Array) -> tuple[Array, Array]:
    return jax.vmap(partial(_critical, phi))(sigma_b)


@double_precision
def critical_sigma_w(phi: Activation, sigma_b: ArrayLike) -> Float[Array, "..."]:
    """The sigma_w at which chi_1(q*) = 1, for given sigma_b.

    Args:
        phi: a continuous activation.
        sigma_b: standard deviation of the biases, >= 0, any shape.

    Raises:
        ValueError: a negative sigma_b, an activation that jumps, or one that is never critical at this
            sigma_b (ReLU with any bias).
    """
    refuse_jumps(phi, "chi_1")
    s_b = as_real("sigma_b", sigma_b, 0.0)
    sigma_w, _ = _critical_all(phi, s_b.ravel())
    if not is_traced(sigma_w):
        none = np.isnan(np.asarray(sigma_w))
        bad = np.asarray(s_b).ravel()[none]
        rule = f"be one at which activation {phi.name} can be critical"
        require(bad.size == 0, "sigma_b", rule, float(bad[0]) if bad.size else None)
    return sigma_w.reshape(s_b.shape)


@double_precision
def critical_line(phi: Activation, length: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The edge of chaos by its own parameter: (sigma_w, sigma_b) with chi_1 = 1 and q* = length, exactly.

    Args:
        phi: a continuous activation.
        length: q* > 0, any shape.

    Returns:
        sigma_w and sigma_b; sigma_b is NaN where no bias gives this length on the edge.

    Raises:
        ValueError: a length that is not positive, or an activation that jumps.
    """
    refuse_jumps(phi, "chi_1")
    q = as_real("length", length, 0.0, open_low=True)

    def at(single: Array) -> tuple[Array, Array]:
        squared = _squared_bias(phi, single)
        # Homogeneous activations have exactly zero here, up to round-off of either sign.
        squared = jnp.where(jnp.abs(squared) < 1e-13 * single, 0.0, squared)
        return 1.0 / jnp.sqrt(slope_moment(phi, single)), jnp.sqrt(squared)

    sigma_w, sigma_b = jax.vmap(at)(q.ravel())
    return sigma_w.reshape(q.shape), sigma_b.reshape(q.shape)
