"""A function near its parameters: to first order, and to any order.

f_lin(theta, x) = f(theta_0, x) + (df/dtheta)(theta_0, x) (theta - theta_0)
f_k(theta, x)   = sum_{j <= k} (1/j!) d^j/dt^j f(theta_0 + t (theta - theta_0), x) at t = 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

from neuromanifold._base import check_integer
from neuromanifold.geometry.tangent._parameters import as_arrays


def linearize(f: Callable[..., Any], params: Any) -> Callable[..., Any]:
    """The function to first order in its parameters, `f_lin(params, *args, **kwargs)`.

    Args:
        f: `f(params, *args, **kwargs)` -> a pytree of arrays.
        params: theta_0; what holds no floats stays as it is here.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.geometry import linearize
    >>> tangent = linearize(lambda params, x: x * params**2, jnp.array(1.0))
    >>> print(tangent(jnp.array(1.5), 1.0))
    2.0
    """
    return taylor_expand(f, params, 1)


def taylor_expand(f: Callable[..., Any], params: Any, degree: int) -> Callable[..., Any]:
    """The function to some order in its parameters, `f_k(params, *args, **kwargs)`.

    The derivatives are nested, so that time grows as 2^degree.

    Args:
        f: `f(params, *args, **kwargs)` -> a pytree of arrays.
        params: theta_0; what holds no floats stays as it is here.
        degree: order of the last term, >= 0.

    Raises:
        ValueError: a negative degree.
    """
    degree = check_integer("degree", degree, 0)
    start, rest = eqx.partition(as_arrays(params), eqx.is_inexact_array)

    def expanded(params: Any, *args: Any, **kwargs: Any) -> Any:
        moved = eqx.filter(as_arrays(params), eqx.is_inexact_array)
        step = jax.tree.map(lambda a, b: (a - b).astype(b.dtype), moved, start)

        def derivative(order: int, p: Any) -> Any:
            """The derivatives up to an order along the step, the highest last."""
            if order == 0:
                return (f(eqx.combine(p, rest), *args, **kwargs),)
            lower, slopes = jax.jvp(lambda p: derivative(order - 1, p), (p,), (step,))
            return (*lower, slopes[-1])

        terms = derivative(degree, start)
        return jax.tree.map(
            lambda *values: sum(v / math.factorial(j) for j, v in enumerate(values[1:], 1)) + values[0],
            *terms,
        )

    return expanded
