"""Fixed linear maps of positions: any matrix, pictures resized, parts cut out.

    z(p) = sum_r L(p, r) x(r),      nngp'(p, p') = sum_(r, r') L(p, r) L(p', r') nngp(r, r'),     likewise ntk

No weight is drawn, and channels stay apart. The map is given as a function of the inputs, and the kernel is
that function applied to either position of a covariance in turn.

Source: linear maps of Gaussian vectors; names and arguments as in Novak et al. 2020, ICLR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold._base import check_choice, require
from neuromanifold.theory.wide._dense import check_axes
from neuromanifold.theory.wide._kernel import Kernel
from neuromanifold.theory.wide._layer import Layer, Needs
from neuromanifold.theory.wide._masks import MaskMove, layer
from neuromanifold.theory.wide._spatial import all_pairs, poolable

# Ways of interpolation that are linear in the picture with weights that do not depend on it.
_METHODS = ("nearest", "linear", "bilinear", "trilinear", "triangle")


def DotGeneral(
    *,
    lhs: Any | None = None,
    rhs: Any | None = None,
    dimension_numbers: Any = (((), ()), ((), ())),
    precision: Any | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Product with a constant array, `jax.lax.dot_general(inputs, rhs)`, or of `lhs` with the inputs.

    In the result the rows of the inputs are moved to the first axis and their channels to the last.

    Args:
        lhs: the constant on the left; None: the inputs are there.
        rhs: the constant on the right; None: the inputs are there. With neither nothing changes.
        dimension_numbers: axes that are contracted and shared, as for `jax.lax.dot_general`.
        precision: as for `jax.lax.dot_general`; None: the highest.
        batch_axis: 0.
        channel_axis: -1.

    Raises:
        ValueError: two constants, or a product that moves or contracts rows or channels.

    Source: see the module's header.
    """
    check_axes(batch_axis, channel_axis)
    require(lhs is None or rhs is None, "lhs", "be left out where rhs is given", "both")
    if lhs is None and rhs is None:
        return fixed(lambda x: x, positions_mixed=False)
    left = rhs is None
    other = jnp.asarray(lhs if left else rhs)
    contracted, shared = (tuple(pair[1 if left else 0]) for pair in dimension_numbers)
    exact = jax.lax.Precision.HIGHEST if precision is None else precision

    def move(x: Array) -> Array:
        last = x.ndim - 1
        for axis in (*contracted, *shared):
            require(
                axis % x.ndim not in (0, last),
                "dimension_numbers",
                "name neither rows nor channels",
                axis,
            )
        constant = other.astype(x.dtype)
        pair = (constant, x) if left else (x, constant)
        result = jax.lax.dot_general(*pair, dimension_numbers, exact)
        if other.ndim == 0:
            return result
        # Shared axes stand first, then those left of the one factor, then those of the other.
        added = other.ndim - len(contracted) - len(shared)
        if left:
            return jnp.moveaxis(result, len(shared) + added, 0)
        return jnp.moveaxis(result, (len(shared), result.ndim - added - 1), (0, -1))

    return fixed(move, positions_mixed=other.ndim > 0)


def ImageResize(
    shape: Sequence[int],
    method: str | jax.image.ResizeMethod,
    antialias: bool = True,
    precision: Any = jax.lax.Precision.HIGHEST,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Pictures of another size, by `jax.image.resize`.

    Args:
        shape: (-1, *spatial, -1): the new size, -1 where an axis stays.
        method: "nearest", or "linear" (also "bilinear", "trilinear", "triangle").
        antialias: widen the kernel where the picture shrinks.
        precision: as for `jax.image.resize`.
        batch_axis: 0.
        channel_axis: -1.

    Raises:
        ValueError: an unknown method, or another size of rows or channels.

    Source: see the module's header.
    """
    check_axes(batch_axis, channel_axis)
    name = method.name.lower() if isinstance(method, jax.image.ResizeMethod) else method
    check_choice("method", name, _METHODS)
    size = tuple(shape)
    ends = len(size) >= 3 and size[0] == size[-1] == -1
    require(ends, "shape", "be (-1, *spatial, -1), with spatial axes", size)

    def move(x: Array) -> Array:
        require(x.ndim == len(size), "inputs", f"have {len(size) - 2} spatial axes, as shape has", x.shape)
        wanted = tuple(n if m == -1 else m for n, m in zip(x.shape, size, strict=True))
        return jax.image.resize(x, wanted, name, antialias, precision)

    def holes(mask: Array, shape: tuple[int, ...]) -> Array:
        # What has a share of anything but holes is none.
        return move((~mask).astype(float)) < 1e-6

    return fixed(move, positions_mixed=True, holes=holes)


class _Slice:
    """Makes indices by indexing: `Slice[:, 1:4, ::2]`."""

    def __getitem__(self, idx: Any) -> Any:
        return idx


Slice = _Slice()


def Index(idx: Any, batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Part of the positions, `inputs[idx]`, as numpy indexes.

    Args:
        idx: integers and slices for the axes (n, *spatial, n_channels), made by `Slice[...]`; ":" for rows
            and channels. An integer takes its axis away.
        batch_axis: 0.
        channel_axis: -1.

    Raises:
        ValueError: rows or channels indexed, or more axes than there are.

    Source: see the module's header.
    """
    check_axes(batch_axis, channel_axis)
    parts = idx if isinstance(idx, tuple) else (idx,)
    for part in parts:
        rule = "hold integers, slices and ..., not arrays or new axes"
        require(part is Ellipsis or isinstance(part, int | slice), "idx", rule, part)

    def move(x: Array) -> Array:
        n_named = sum(part is not Ellipsis for part in parts)
        require(n_named <= x.ndim, "idx", f"name at most {x.ndim} axes, those of the inputs", idx)
        at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
        missing = (slice(None),) * (x.ndim - n_named)
        whole = (*parts[:at], *missing, *parts[at + 1 :])
        for axis, name in ((0, "rows"), (-1, "channels")):
            rule = f"be : for {name}, which no kernel can index"
            require(whole[axis] == slice(None), "idx", rule, whole[axis])
        return x[whole]

    return fixed(move, positions_mixed=False, selects=True)


def fixed(
    move: Callable[[Array], Array],
    *,
    positions_mixed: bool,
    selects: bool = False,
    holes: MaskMove | None = None,
) -> Layer:
    """A layer from a linear function of the inputs, the same for each channel.

    Args:
        move: from (n, *spatial, n_channels) to (n, *other spatial, n_channels).
        positions_mixed: an output may hold several positions, so that covariances of all pairs are needed.
        selects: outputs are some of the inputs, not multiples of them.
        holes: where holes are behind the layer; None: where nothing but holes arrives.
    """

    def where_nothing_arrives(mask: Array, shape: tuple[int, ...]) -> Array:
        whole = jnp.broadcast_to(mask, (*shape[:-1], mask.shape[-1]))
        return ~(move((~whole).astype(float)) != 0)

    def moved(shape: tuple[int, ...]) -> tuple[int, ...]:
        return jax.eval_shape(move, jax.ShapeDtypeStruct(tuple(shape), jnp.float32)).shape

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        kernel = poolable(kernel) if positions_mixed else kernel
        shape1, shape2 = moved(kernel.shape1), moved(kernel.shape2)

        def both(covariance: Any, n_batch: int, full: bool) -> Any:
            if full:
                return on_both(covariance, n_batch, move)
            once = _over_positions(covariance, n_batch, move)
            return once if selects else _over_positions(once, n_batch, move)

        return kernel.map(both).replace(
            shape1=shape1,
            shape2=shape2,
            full=kernel.full and len(shape1) > 2,
            own_full=kernel.own_full and len(shape1) > 2,
        )

    def needs(asked: Needs) -> Needs:
        return all_pairs(asked) if positions_mixed else asked

    return layer(
        lambda key, input_shape: (moved(input_shape), ()),
        lambda params, inputs, **kwargs: move(inputs),
        transform,
        needs,
        where_nothing_arrives if holes is None else holes,
    )


def _over_positions(covariance: Array, n_batch: int, move: Callable[[Array], Array]) -> Array:
    """`move` on the axes behind the batch."""
    places = covariance.shape[n_batch:]
    result = move(covariance.reshape(-1, *places, 1))
    return result.reshape(*covariance.shape[:n_batch], *result.shape[1:-1])


def on_both(
    covariance: Array,
    n_batch: int,
    move: Callable[[Array], Array],
    other: Callable[[Array], Array] | None = None,
) -> Array:
    """A linear function of either position of a covariance (*batch, H, H', W, W', ...).

    Args:
        covariance: see above.
        n_batch: axes of the batch.
        move: for the first position, of arrays (n, *spatial, n_channels); the rows are those of the batch,
            the first axis outermost, the channels the other positions.
        other: for the second position; None: the same.
    """
    n = (covariance.ndim - n_batch) // 2
    batch = covariance.shape[:n_batch]
    firsts, seconds = ([n_batch + 2 * k + side for k in range(n)] for side in (0, 1))
    ahead = covariance.transpose(*range(n_batch), *firsts, *seconds)
    rest = ahead.shape[n_batch + n :]
    moved = move(ahead.reshape(-1, *ahead.shape[n_batch : n_batch + n], _size(rest)))
    places = moved.shape[1:-1]
    # Now the second positions in front, the first behind.
    turned = jnp.moveaxis(moved.reshape(-1, _size(places), *rest), 1, -1)
    moved = (move if other is None else other)(turned)
    moved = jnp.moveaxis(moved, -1, 1).reshape(*batch, *places, *moved.shape[1:-1])
    n_first, n_second = len(places), moved.ndim - n_batch - len(places)
    order = [axis for k in range(n_first) for axis in (n_batch + k, n_batch + n_second + k)]
    return moved.transpose(*range(n_batch), *order)


def _size(shape: Sequence[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
