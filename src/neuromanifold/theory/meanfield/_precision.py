"""Double precision where the theory needs it: for the length of a call, never switched on globally."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require

P = ParamSpec("P")
R = TypeVar("R")


def double_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function compute in float64, whether or not 64-bit types are on where it is called."""

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return scoped


def is_traced(*arrays: ArrayLike) -> bool:
    """Whether any of the values is unknown because JAX is tracing."""
    return any(isinstance(x, jax.core.Tracer) for x in arrays)


def as_real(
    name: str,
    value: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    *,
    open_low: bool = False,
) -> Float[Array, "..."]:
    """An array of floats of the ambient precision; the values are checked where they are known.

    Raises:
        ValueError: a concrete value is not finite or lies outside [low, high].
    """
    array = jnp.asarray(value, jnp.result_type(float))
    if is_traced(array):
        return array
    concrete = np.asarray(array)
    inside = np.isfinite(concrete)
    rule = "be finite"
    if low is not None:
        inside &= concrete > low if open_low else concrete >= low
        rule += f" and {'>' if open_low else '>='} {low:g}"
    if high is not None:
        inside &= concrete <= high
        rule += f" and <= {high:g}"
    bad = concrete[~inside]
    require(bad.size == 0, name, rule, float(bad.flat[0]) if bad.size else None)
    return array
