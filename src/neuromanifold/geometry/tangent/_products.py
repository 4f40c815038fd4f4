"""Products of a tangent kernel with vectors, by one backward and one forward derivative.

    Theta(x, x') v = (df(x)/dtheta) ((df(x')/dtheta)^T v)

No derivative by all parameters is formed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array

from neuromanifold.geometry.tangent._axes import Layout
from neuromanifold.geometry.tangent._parameters import as_arrays


def empirical_ntk_vp_fn(
    f: Callable[..., Any], x1: Any, x2: Any | None, params: Any, **kwargs: Any
) -> Callable[[Any], Any]:
    """The map v -> Theta(x1, x2) v, with the kernel neither traced nor formed.

    Args:
        f: `f(params, x, **kwargs)` -> outputs, a pytree of real arrays.
        x1: inputs of the rows.
        x2: inputs of the columns; None: x1 again.
        params: a pytree; what holds no floats is not differentiated.
        kwargs: handed on to f.

    Returns:
        `ntk_vp_fn(v)`, with v like f(params, x2), of the form of f(params, x1).

    >>> import jax.numpy as jnp
    >>> from neuromanifold.geometry import empirical_ntk_vp_fn
    >>> product = empirical_ntk_vp_fn(lambda params, x: x @ params, jnp.eye(2), None, jnp.ones((2, 1)))
    >>> print(product(jnp.array([[3.0], [4.0]])).T)
    [[3. 4.]]
    """
    real, rest = eqx.partition(as_arrays(params), eqx.is_inexact_array)

    def at(x: Any) -> Callable[[Any], Any]:
        return lambda real: f(eqx.combine(real, rest), x, **kwargs)

    def ntk_vp_fn(vector: Any) -> Any:
        _, pull = jax.vjp(at(x1 if x2 is None else x2), real)
        return jax.jvp(at(x1), (real,), pull(vector))[1]

    return ntk_vp_fn


def by_products(
    f: Callable[..., Any],
    leaves: list[Any],
    where: tuple[Layout, Layout],
    axes: tuple[Any, Any],
    first: tuple[Any, Any],
    second: tuple[Any, Any],
    budget: float,
) -> Array:
    """The kernel (n1, n2, D, F, G), or (n, D, F, G), column by column.

    Args:
        f: `f(leaves, *inputs)` -> outputs of one example.
        leaves: parameters.
        where: layouts of the outputs of rows and of columns.
        axes: of examples of inputs, for `jax.vmap`.
        first: inputs of the rows.
        second: inputs of the columns.
        budget: bytes that gradients held at a time may take.
    """
    (t, d, n_free), (_, _, n_columns) = where[0].sizes, where[1].sizes
    of_row, of_column = where[0].order(), jnp.asarray(where[1].order())
    n_out = len(of_column)
    tangents = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    together = max(1, min(n_out, int(budget / 4 / max(tangents, 1))))
    paired = where[0].batch_kind != "free"

    def of_example(column: Any, rows: Any) -> Array:
        def entries(k: Any) -> Array:
            """(n1, F), or (F,): products with output k, traced first, then diagonal, then free."""
            y, pull = jax.vjp(lambda p: f(p, *column), leaves)
            cotangent = (jnp.arange(n_out) == of_column[k]).astype(y.dtype)
            (gradient,) = pull(cotangent.reshape(y.shape))

            def row(*inputs: Any) -> Array:
                pushed = jax.jvp(lambda p: f(p, *inputs), (leaves,), (gradient,))[1].reshape(-1)[of_row]
                return jax.lax.dynamic_slice_in_dim(pushed, (k // n_columns) * n_free, n_free)

            return row(*rows) if paired else jax.vmap(row, in_axes=axes)(*rows)

        made = jax.lax.map(entries, jnp.arange(n_out), batch_size=together)
        return made.reshape(t, d, n_columns, *made.shape[1:]).mean(0)

    if paired:
        made = jax.vmap(of_example, in_axes=(axes, axes))(second, first)
        return jnp.swapaxes(made, -1, -2)
    along = jax.tree.leaves(
        jax.tree.broadcast(axes, second, is_leaf=lambda a: a is None), is_leaf=lambda a: a is None
    )
    flat, structure = jax.tree.flatten(second)
    moving = [jnp.moveaxis(leaf, a, 0) for a, leaf in zip(along, flat, strict=True) if a is not None]

    def one_column(some: list[Any]) -> Array:
        rest = iter(some)
        column = [leaf if a is None else next(rest) for a, leaf in zip(along, flat, strict=True)]
        return of_example(jax.tree.unflatten(structure, column), first)

    # (n2, D, G, n1, F)
    return jax.lax.map(one_column, moving).transpose(3, 0, 1, 4, 2)


def operations(f: Callable[..., Any], leaves: list[Any], *inputs: Any) -> float:
    """Multiplications of f for one example: those of products of arrays, and one for any other entry."""
    return _operations(jax.make_jaxpr(f)(leaves, *inputs).jaxpr)


def _operations(jaxpr: Any) -> float:
    total = 0.0
    for eqn in jaxpr.eqns:
        size = sum(math.prod(v.aval.shape) for v in eqn.outvars)
        name = eqn.primitive.name
        inner = [v for v in eqn.params.values() if isinstance(v, core.ClosedJaxpr | core.Jaxpr)]
        if inner:
            bodies = [v.jaxpr if isinstance(v, core.ClosedJaxpr) else v for v in inner]
            total += eqn.params.get("length", 1) * sum(map(_operations, bodies))
        elif name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            total += size * math.prod(eqn.invars[0].aval.shape[a] for a in contracted)
        elif name == "conv_general_dilated":
            kernel, numbers = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"]
            total += size * math.prod(kernel) / kernel[numbers.rhs_spec[0]]
        else:
            total += size
    return total
