"""Any nonlinearity by quadrature: tanh, softplus, ELU, SiLU, the logistic function, and a user's own.

    pair(c, q, q') = E phi(U) phi(V)        in polar coordinates, cut where a variable passes a kink
    slope          = E phi'(U) phi'(V)      on the same nodes

The rule and its accuracy are those of `neuromanifold.theory.meanfield`: 1e-13 for smooth functions and for
kinks that are declared, at some 15,000 evaluations a pair; fewer nodes cost less. Pairs are handled in
blocks, so that memory does not grow with their number.

Source: Jacot, Gabriel and Hongler 2018, NeurIPS (duals); the quadrature is the house's.

"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold._base import check_integer
from neuromanifold.theory.meanfield import activation
from neuromanifold.theory.meanfield._quadrature import (
    ANGLES,
    RADII,
    angle_of,
    line_rule,
    pair_rule,
    safe_sqrt,
)
from neuromanifold.theory.wide._duals import Dual
from neuromanifold.theory.wide._elementwise import nonlinearity
from neuromanifold.theory.wide._layer import Layer

# Nodes of a block of pairs that are held at once.
_NODES = 2**22


def ElementwiseNumerical(
    fn: Callable[[Any], Any],
    deg: int | None = None,
    df: Callable[[Any], Any] | None = None,
    *,
    kinks: Sequence[float] = (),
    odd: bool = False,
) -> Layer:
    """A nonlinearity whose dual is found by quadrature.

    Args:
        fn: phi, elementwise.
        deg: nodes a sector in angle, and a piece in radius, >= 2; None: the finest.
        df: phi' between kinks; None: by automatic differentiation.
        kinks: positions where phi or phi' jumps; undeclared ones cost accuracy.
        odd: phi(-u) = -phi(u); matters where branches are summed.

    Raises:
        ValueError: fn is not elementwise, not finite, or has no second moment under a Gaussian.
    """
    seen = activation(fn, kinks=kinks, derivative=df)
    nodes = None if deg is None else check_integer("deg", deg, 2)
    n = (ANGLES, RADII) if nodes is None else (nodes, nodes)
    return nonlinearity(
        seen.name, seen.function, _by_quadrature(seen.function, seen.derivative, seen.kinks, n), odd=odd
    )


def _by_quadrature(
    function: Callable[[Any], Any],
    derivative: Callable[[Any], Any],
    kinks: tuple[float, ...],
    n: tuple[int, int],
) -> Dual:
    n_nodes = 4 * n[0] * n[1] * (1 + 2 * len(kinks)) ** 2

    def average(phi: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Array]:
        def at(one: tuple[Array, Array, Array]) -> Array:
            c, q1, q2 = one
            u, v, w = pair_rule(q1, q2, angle_of(q1, q2, c), kinks, n)
            return jnp.sum(w * phi(u) * phi(v))

        def pair(c: Any, q1: Any, q2: Any) -> Array:
            parts = jnp.broadcast_arrays(c, q1, q2)
            flat = tuple(part.ravel() for part in parts)
            found = jax.lax.map(at, flat, batch_size=max(1, _NODES // n_nodes))
            return found.reshape(parts[0].shape)

        return pair

    def single(q: Any) -> Array:
        def at(one: Array) -> Array:
            z, w = line_rule(one, kinks)
            return jnp.sum(w * function(safe_sqrt(one) * z) ** 2)

        return jax.vmap(at)(q.ravel()).reshape(q.shape)

    return Dual(average(function), average(derivative), single)


def Tanh(deg: int | None = None) -> Layer:
    """The hyperbolic tangent, phi(u) = tanh u.

    Args:
        deg: nodes of the quadrature, as for `ElementwiseNumerical`.

    Source: see the module's header.
    """
    return ElementwiseNumerical(jnp.tanh, deg, odd=True)


def Sigmoid(deg: int | None = None) -> Layer:
    """The logistic function, phi(u) = 1 / (1 + exp(-u)).

    Args:
        deg: nodes of the quadrature, as for `ElementwiseNumerical`.

    Source: see the module's header.
    """
    return ElementwiseNumerical(jax.nn.sigmoid, deg)


def Softplus(deg: int | None = None) -> Layer:
    """The soft rectifier, phi(u) = log(1 + exp(u)).

    Args:
        deg: nodes of the quadrature, as for `ElementwiseNumerical`.

    Source: see the module's header.
    """
    return ElementwiseNumerical(jax.nn.softplus, deg)


def Silu(deg: int | None = None) -> Layer:
    """The sigmoid linear unit, phi(u) = u / (1 + exp(-u)).

    Args:
        deg: nodes of the quadrature, as for `ElementwiseNumerical`.

    Source: see the module's header.
    """
    return ElementwiseNumerical(jax.nn.silu, deg)


def Elu(alpha: float = 1.0, deg: int | None = None) -> Layer:
    """The exponential linear unit, phi(u) = u for u > 0, else alpha (exp(u) - 1).

    Args:
        alpha: minus the limit for u -> -infinity.
        deg: nodes of the quadrature, as for `ElementwiseNumerical`.

    Source: see the module's header.
    """
    return ElementwiseNumerical(lambda u: jax.nn.elu(u, alpha), deg, kinks=(0.0,))
