"""Empirical kernels of any function f(params, x): tangent kernel, and covariance of the outputs.

    Theta(x, x') = (1/T) sum_t sum_theta df(x)_t/dtheta df(x')_t/dtheta

Three ways lead to the same numbers, and the cheapest by count of operations is taken:

    structured derivatives      derivatives kept as the factors they are made of (`_factors`)
    Jacobian contraction        derivatives formed whole
    tangent-vector products     a column Theta v by one backward and one forward derivative (`_products`)

Kernels of many examples are made tile by tile, so that memory holds the result, the factors of the examples
and one tile; where the two sets are one, tiles below the diagonal are those above it.

Symbols: n1, n2 examples of the two sets; t a traced output (see `_axes`).

Source: Jacot, Gabriel and Hongler 2018, NeurIPS; Novak, Sohl-Dickstein and Schoenholz 2022, ICML.
"""

from __future__ import annotations

import collections
import enum
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.geometry.tangent._axes import Layout, batch_axes, layout, traced_outer
from neuromanifold.geometry.tangent._batch_axis import counts_examples
from neuromanifold.geometry.tangent._contract import contract, cost
from neuromanifold.geometry.tangent._factors import Factors, factors
from neuromanifold.geometry.tangent._parameters import as_arrays
from neuromanifold.geometry.tangent._products import by_products, operations

# Rows of a tile, outputs times examples: large enough for products of matrices to be fast.
_TILE = 512
_BUDGET = 2.0**30


class NtkImplementation(enum.IntEnum):
    """Ways to a tangent kernel; see the module's header. AUTO takes the cheapest."""

    AUTO = 0
    JACOBIAN_CONTRACTION = 1
    NTK_VECTOR_PRODUCTS = 2
    STRUCTURED_DERIVATIVES = 3


class Split(NamedTuple):
    """A function of one example (or of a whole set), with the parameters that are differentiated apart.

    Args:
        f: `f(leaves, x, kwargs)` -> outputs.
        leaves: real arrays, the parameters.
        where: layouts of the outputs of an example of the first and of the second set.
        axes: axes of examples of x and of kwargs, for `jax.vmap`.
        kwargs: keyword arguments that have an axis of examples.
    """

    f: Callable[..., Any]
    leaves: list[Any]
    where: tuple[Layout, Layout]
    axes: tuple[Any, dict[str, Any]]
    kwargs: dict[str, Any]


def split(
    f: Callable[..., Any],
    params: Any,
    sets: tuple[Any, Any],
    kwargs: dict[str, Any],
    trace_axes: Any,
    diagonal_axes: Any,
    vmap_axes: Any,
) -> Split:
    """One example's function, found out by `vmap_axes`; see `empirical_ntk_fn`."""
    real, rest = eqx.partition(params, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(real)
    require(len(leaves) > 0, "params", "hold at least one array of floats", params)

    def whole(leaves: Any, x: Any, some: dict[str, Any] | None = None) -> Any:
        return f(eqx.combine(jax.tree.unflatten(structure, leaves), rest), x, **{**kwargs, **(some or {})})

    shapes = [_shape_of(jax.eval_shape(whole, leaves, x)) for x in sets]
    shape = shapes[0]
    if isinstance(vmap_axes, str):
        check_choice("vmap_axes", vmap_axes, ("auto",))
        vmap_axes = 0 if all(counts_examples(whole, leaves, x) for x in sets) else None
    if vmap_axes is None:
        one, other = (layout(shape, trace_axes, diagonal_axes, None) for shape in shapes)
        same = all(one.shape[a] == other.shape[a] for a in (*one.traced, *one.diagonal))
        require(same, "x2", f"give outputs {one.shape} but for axes that are kept for both sets", other.shape)
        return Split(whole, leaves, (one, other), (0, {}), {})
    inputs, outputs, keywords = batch_axes(vmap_axes)
    require(-len(shape) <= outputs < len(shape), "vmap_axes", f"name one of {len(shape)} axes", outputs)
    outputs = range(len(shape))[outputs]
    named = {name: axis for name, axis in keywords.items() if axis is not None and name in kwargs}

    def single(leaves: Any, x: Any, some: dict[str, Any]) -> Any:
        """The outputs for an example, as a set of one."""
        one = {name: _mapped(_expanded, named[name], value) for name, value in some.items()}
        return jnp.squeeze(whole(leaves, _mapped(_expanded, inputs, x), one), outputs)

    where = layout(shape, trace_axes, diagonal_axes, outputs)
    return Split(single, leaves, (where, where), (inputs, named), {name: kwargs[name] for name in named})


def _shape_of(value: Any) -> tuple[int, ...]:
    real = hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)
    require(real, "the output of f", "be one array of floats", value)
    return value.shape


def _mapped(function: Callable[[Any, int], Any], axes: Any, tree: Any) -> Any:
    """A function of a leaf and its axis of examples, for each leaf that has one."""
    along = jax.tree.broadcast(axes, tree, is_leaf=lambda a: a is None)
    return jax.tree.map(
        lambda a, leaf: leaf if a is None else function(leaf, a), along, tree, is_leaf=lambda a: a is None
    )


def _expanded(leaf: Any, axis: int) -> Any:
    return jnp.expand_dims(leaf, axis)


def empirical_ntk_fn(
    f: Callable[..., Any],
    trace_axes: int | tuple[int, ...] | list[int] = (-1,),
    diagonal_axes: int | tuple[int, ...] | list[int] = (),
    vmap_axes: Any = "auto",
    implementation: int = NtkImplementation.AUTO,
    *,
    memory_budget: float = _BUDGET,
) -> Callable[..., Array]:
    """The tangent kernel of a function, as `ntk_fn(x1, x2, params, **kwargs)`.

    Outputs (n, a, b) give a kernel (n1, n2, a, a', b, b') without the traced axes and with each diagonal
    axis once; x2 = None is x1 again, and costs half.

    Args:
        f: `f(params, x, **kwargs)` -> a real array. params is any pytree (equinox modules themselves, as
            `lambda model, x: jax.vmap(model)(x)`); what holds no floats is not differentiated.
        trace_axes: axes of the outputs over which the kernel is a mean.
        diagonal_axes: axes for which only equal places are wanted.
        vmap_axes: axes that count examples: an integer for inputs and outputs, (of inputs, of outputs,
            {keyword: axis}), or None where examples are mixed, as by a batch norm. "auto" reads it off the
            function: 0 where it can be shown that the first axis only counts examples, and None else.
        implementation: an `NtkImplementation`; AUTO takes the cheapest.
        memory_budget: bytes, > 0, that factors and temporaries may take beside the result.

    Raises:
        ValueError: axes that are not there, outputs that are no real array, an unknown implementation; and by
            `ntk_fn`, inputs that are not finite.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.geometry import empirical_ntk_fn
    >>> ntk_fn = empirical_ntk_fn(lambda params, x: x @ params)
    >>> print(ntk_fn(jnp.eye(2), None, jnp.ones((2, 3))))
    [[1. 0.]
     [0. 1.]]
    """
    way = NtkImplementation(check_integer("implementation", int(implementation), 0, 3))
    check_real("memory_budget", memory_budget, 0, open_low=True)

    @eqx.filter_jit
    def compiled(x1: Any, x2: Any, params: Any, kwargs: dict[str, Any]) -> Array:
        made = split(f, params, (x1, x1 if x2 is None else x2), kwargs, trace_axes, diagonal_axes, vmap_axes)
        return _kernel(made, x1, x2, way, memory_budget)

    def ntk_fn(x1: Any, x2: Any | None, params: Any, **kwargs: Any) -> Array:
        x1, x2 = _pair(x1, x2)
        return compiled(x1, x2, as_arrays(params), kwargs)

    return ntk_fn


def _pair(x1: Any, x2: Any | None) -> tuple[Any, Any]:
    x1 = jax.tree.map(functools.partial(_finite, "x1"), x1)
    x2 = None if x2 is None else jax.tree.map(functools.partial(_finite, "x2"), x2)
    if x2 is not None:
        one, other = (jax.tree.structure(x) for x in (x1, x2))
        require(one == other, "x2", f"have the structure of x1, {one}", other)
    return x1, x2


def _finite(name: str, leaf: Any) -> Array:
    """An array of inputs; refused where one of its numbers is not finite."""
    array = jnp.asarray(leaf)
    if not isinstance(array, Tracer) and jnp.issubdtype(array.dtype, jnp.inexact):
        check_finite(name, array)
    return array


def _kernel(made: Split, x1: Any, x2: Any, way: NtkImplementation, budget: float) -> Array:
    (where, other), axes = made.where, made.axes
    if where.batch is None:
        # The whole set is one example of its own.
        x1 = jax.tree.map(lambda v: v[None], x1)
        x2 = None if x2 is None else jax.tree.map(lambda v: v[None], x2)
    first = x1, made.kwargs
    second = first if x2 is None else (x2, made.kwargs)
    n1, n2 = _count(first, axes), _count(second, axes)
    paired = where.batch_kind != "free"
    require(not paired or n1 == n2, "x2", f"hold {n1} examples, as x1 does, on a diagonal", n2)
    sizes = (*where.sizes, other.sizes[2])
    factored = way != NtkImplementation.JACOBIAN_CONTRACTION
    keep = way == NtkImplementation.STRUCTURED_DERIVATIVES

    def derivatives(of: Layout, *inputs: Any) -> Factors:
        flat, structure = jax.tree.flatten(inputs)

        def f(leaves: Any, flat: Any) -> Any:
            return made.f(leaves, *jax.tree.unflatten(structure, flat))

        return factors(f, made.leaves, flat, of.order(), factored)

    one = _mapped(lambda leaf, axis: jnp.take(leaf, 0, axis=axis), axes, first)
    shapes = jax.eval_shape(functools.partial(derivatives, where), *one)
    columns = way == NtkImplementation.NTK_VECTOR_PRODUCTS
    if way == NtkImplementation.AUTO:
        pairs = n1 if paired else n1 * n2
        by_columns = 2.0 * pairs * math.prod(other.sizes) * operations(made.f, made.leaves, *one)
        # Columns come one after the other, in smaller products, which are slower by some factor.
        columns = 3.0 * by_columns < cost(shapes, sizes, n1, n2) * (pairs / (n1 * n2))
    if columns:
        columns_of = by_products(made.f, made.leaves, made.where, axes, first, second, budget)
        return where.arranged(columns_of, other.shape)

    def many(of: Layout, inputs: Any) -> Factors:
        # Without the barrier the CPU's compiler spoils the products by what it draws into them.
        return jax.lax.optimization_barrier(
            jax.vmap(functools.partial(derivatives, of), in_axes=axes)(*inputs)
        )

    if paired:
        left = many(where, first)
        right = left if x2 is None else many(other, second)

        def alone(a: Factors, b: Factors) -> Array:
            one, another = (jax.tree.map(lambda v: v[None], made) for made in (a, b))
            return contract(one, another, sizes, keep)[0, 0]

        return where.arranged(jax.vmap(alone)(left, right), other.shape)
    each = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))

    def some(of: Layout, inputs: Any, start: Any, size: int) -> Factors:
        def cut(leaf: Any, axis: int) -> Any:
            whole = leaf.shape[axis] == size
            return leaf if whole else jax.lax.dynamic_slice_in_dim(leaf, start, size, axis)

        return many(of, _mapped(cut, axes, inputs))

    tiled = _tiled(
        functools.partial(some, where, first),
        None if x2 is None else functools.partial(some, other, second),
        lambda a, b: contract(a, b, sizes, keep),
        (n1, n2),
        sizes,
        # Derivatives on their way hold about as much again.
        int(max(1, budget / (2 * each))),
    )
    return where.arranged(tiled, other.shape)


def _count(inputs: Any, axes: Any) -> int:
    sizes: set[int] = set()
    _mapped(lambda leaf, axis: sizes.add(leaf.shape[axis]), axes, inputs)
    require(len(sizes) == 1, "the inputs", "have one number of examples", sorted(sizes))
    return sizes.pop()


def _tiled(
    of_first: Callable[[Any, int], Factors],
    of_second: Callable[[Any, int], Factors] | None,
    contract: Callable[[Factors, Factors], Array],
    counts: tuple[int, int],
    sizes: tuple[int, int, int, int],
    fits: int,
) -> Array:
    """The kernel (n1, n2, D, F, G) tile by tile.

    Factors of as many examples of the second set as memory allows are held at a time; those of the first are
    made anew for each such block. The last tile of a row or column is moved back so as to end with it.

    Args:
        of_first: factors of so many examples of the first set from a start on.
        of_second: the same of the second set; None: it is the first.
        contract: a tile from factors of its rows and of its columns.
        counts: n1, n2.
        sizes: (T, D, F, G), as in `_contract`.
        fits: examples whose factors may be held.
    """
    n1, n2 = counts
    most = min(n1, fits, max(1, _TILE // sizes[2]))
    rows, columns = math.ceil(n1 / math.ceil(n1 / most)), math.ceil(n2 / math.ceil(n2 / fits))
    if rows == n1 and columns == n2:
        first = of_first(0, n1)
        return contract(first, first if of_second is None else of_second(0, n2))
    right = of_first if of_second is None else of_second
    tile = jax.eval_shape(lambda: contract(of_first(0, rows), right(0, columns)))
    out = jnp.zeros((n1, n2, *tile.shape[2:]), tile.dtype)
    if of_second is None and columns == n2:
        return _upper(of_first(0, n1), contract, rows, n1, out)

    def block(j: Any, out: Array) -> Array:
        left = jnp.minimum(j * columns, n2 - columns)
        held = right(left, columns)

        def tile(i: Any, out: Array) -> Array:
            top = jnp.minimum(i * rows, n1 - rows)
            return jax.lax.dynamic_update_slice(
                out, contract(of_first(top, rows), held), (top, left, 0, 0, 0)
            )

        return jax.lax.fori_loop(0, math.ceil(n1 / rows), tile, out)

    return jax.lax.fori_loop(0, math.ceil(n2 / columns), block, out)


def _upper(all_of_them: Factors, contract: Callable[..., Array], size: int, n: int, out: Array) -> Array:
    """The kernel of a set with itself: tiles on and above the diagonal, and their mirror images."""
    n_tiles = math.ceil(n / size)
    above = np.array([(i, j) for i in range(n_tiles) for j in range(i, n_tiles)])
    starts = jnp.asarray(np.minimum(above * size, n - size))

    def some(start: Any) -> Factors:
        return jax.tree.map(lambda v: jax.lax.dynamic_slice_in_dim(v, start, size), all_of_them)

    def tile(k: Any, out: Array) -> Array:
        top, left = starts[k, 0], starts[k, 1]
        made = contract(some(top), some(left))
        mirrored = made.transpose(1, 0, 2, 4, 3)
        out = jax.lax.dynamic_update_slice(out, mirrored, (left, top, 0, 0, 0))
        return jax.lax.dynamic_update_slice(out, made, (top, left, 0, 0, 0))

    return jax.lax.fori_loop(0, len(above), tile, out)


def empirical_nngp_fn(
    f: Callable[..., Any],
    trace_axes: int | tuple[int, ...] | list[int] = (-1,),
    diagonal_axes: int | tuple[int, ...] | list[int] = (),
) -> Callable[..., Array]:
    """The covariance of outputs of one network, as `nngp_fn(x1, x2, params, **kwargs)`.

        K(x, x') = (1/T) sum_t f(x)_t f(x')_t

    Axes as for `empirical_ntk_fn`; the first axis of the outputs counts examples.

    Args:
        f: `f(params, x, **kwargs)` -> a real array.
        trace_axes: axes of the outputs over which the kernel is a mean.
        diagonal_axes: axes for which only equal places are wanted.

    Raises:
        ValueError: axes that are not there.
    """

    def nngp_fn(x1: Any, x2: Any | None, params: Any, **kwargs: Any) -> Array:
        x1, x2 = _pair(x1, x2)
        params = as_arrays(params)
        first = f(params, x1, **kwargs)
        second = first if x2 is None else f(params, x2, **kwargs)
        return traced_outer(first, second, layout(first.shape, trace_axes, diagonal_axes, 0))

    return nngp_fn


@functools.cache
def _named(names: tuple[str, ...]) -> Any:
    """One class for one set of names, so that results can be added as trees."""
    return collections.namedtuple("EmpiricalKernel", names)


def empirical_kernel_fn(
    f: Callable[..., Any],
    trace_axes: int | tuple[int, ...] | list[int] = (-1,),
    diagonal_axes: int | tuple[int, ...] | list[int] = (),
    vmap_axes: Any = "auto",
    implementation: int = NtkImplementation.AUTO,
    *,
    memory_budget: float = _BUDGET,
) -> Callable[..., Any]:
    """Both kernels of one network, as `kernel_fn(x1, x2, get, params, **kwargs)`.

    `get` is "nngp", "ntk", a tuple of them (a named tuple comes back), or None for both. Arguments are those
    of `empirical_ntk_fn`.
    """
    made = {
        "nngp": empirical_nngp_fn(f, trace_axes, diagonal_axes),
        "ntk": empirical_ntk_fn(
            f, trace_axes, diagonal_axes, vmap_axes, implementation, memory_budget=memory_budget
        ),
    }

    def kernel_fn(x1: Any, x2: Any | None, get: Any, params: Any, **kwargs: Any) -> Any:
        asked = ("nngp", "ntk") if get is None else (get,) if isinstance(get, str) else tuple(get)
        for name in asked:
            require(name in made, "get", "be 'nngp', 'ntk', a tuple of them, or None", name)
        values = [made[name](x1, x2, params, **kwargs) for name in asked]
        return values[0] if isinstance(get, str) else _named(asked)(*values)

    return kernel_fn
