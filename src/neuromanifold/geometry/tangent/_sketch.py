"""Features whose inner products estimate a tangent kernel, from derivatives along random directions.

    phi_{r t}(x) = (m T)^{-1/2} df(x)_t/dtheta . v_r,     v_r ~ N(0, I),   r = 1 ... m
    E phi(x) . phi(x') = Theta(x, x') = (1/T) sum_t sum_theta df(x)_t/dtheta df(x')_t/dtheta

Each direction costs one forward derivative of the function, and neither derivatives by all parameters nor the
n^2 kernel are formed: n inputs have n m T features. With J the derivatives of one input, the variance is

    Var phi(x) . phi(x') = (1/(m T^2)) sum_{t u} (J_t . J_u)(J'_t . J'_u) + (J_t . J'_u)(J_u . J'_t)

which for one output is (Theta(x, x) Theta(x', x') + Theta(x, x')^2)/m. `sketch_error` estimates it from the
features.

Source: Johnson and Lindenstrauss 1984; Zancato et al. 2020, NeurIPS (tangent kernels by random directions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_integer, require
from neuromanifold.geometry.tangent._parameters import as_arrays


def ntk_sketch(
    f: Callable[..., Any], key: Key[Array, ""], n_directions: int
) -> Callable[..., Float[Array, "n_examples n_directions n_outputs"]]:
    """Random features of the tangent kernel, as `sketch_fn(x, params, **kwargs)`.

    Two sets must be given the same `sketch_fn`, for which directions are the same. The kernel of features a
    and b is `jnp.einsum("irt,jrt->ij", a, b)`, a mean over all outputs.

    Args:
        f: `f(params, x, **kwargs)` -> outputs, whose first axis counts examples.
        key: chooses the directions.
        n_directions: m >= 1; the relative error falls as 1/sqrt(m).

    Raises:
        ValueError: fewer than one direction, or outputs without an axis of examples.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.geometry import ntk_sketch
    >>> sketch_fn = ntk_sketch(lambda params, x: x @ params, jax.random.key(0), 10_000)
    >>> features = sketch_fn(jnp.eye(2), jnp.ones((2, 1)))
    >>> bool(jnp.allclose(jnp.einsum("irt,jrt->ij", features, features), jnp.eye(2), atol=0.1))
    True
    """
    n_directions = check_integer("n_directions", n_directions, 1)

    @eqx.filter_jit
    def sketch_fn(x: Any, params: Any, **kwargs: Any) -> Array:
        real, rest = eqx.partition(as_arrays(params), eqx.is_inexact_array)
        leaves, structure = jax.tree.flatten(real)

        def along(r: Array) -> Array:
            keys = jax.random.split(jax.random.fold_in(key, r), len(leaves))
            drawn = [jax.random.normal(k, v.shape, v.dtype) for k, v in zip(keys, leaves, strict=True)]
            direction = jax.tree.unflatten(structure, drawn)
            slope = jax.jvp(lambda p: f(eqx.combine(p, rest), x, **kwargs), (real,), (direction,))[1]
            require(jnp.ndim(slope) >= 1, "the output of f", "have an axis of examples", jnp.shape(slope))
            return slope.reshape(slope.shape[0], -1)

        made = jnp.moveaxis(jax.lax.map(along, jnp.arange(n_directions)), 0, 1)
        return made / jnp.sqrt(jnp.asarray(n_directions * made.shape[-1], made.dtype))

    return sketch_fn


def sketch_error(
    first: Float[Array, "n1 n_directions n_outputs"], second: Float[Array, "n2 n_directions n_outputs"]
) -> Float[Array, "n1 n2"]:
    """Standard errors of the kernel that features give, from the scatter over directions.

    Args:
        first: features of n1 inputs by `ntk_sketch`, of at least two directions.
        second: features of n2 inputs, by the same function.

    Raises:
        ValueError: directions that disagree, or fewer than two.
    """
    m = first.shape[1]
    require(m >= 2, "n_directions", "be >= 2 for an error", m)
    require(second.shape[1:] == first.shape[1:], "second", f"have features {first.shape[1:]}", second.shape)
    mean = jnp.einsum("irt,jrt->ij", first, second, precision="highest") / m

    def add(r: Array, total: Array) -> Array:
        one = jnp.einsum("it,jt->ij", first[:, r], second[:, r], precision="highest")
        return total + (one - mean) ** 2

    squares = jax.lax.fori_loop(0, m, add, jnp.zeros_like(mean))
    # A sum of m products: its variance is m times that of one.
    return jnp.sqrt(squares * (m / (m - 1)))
