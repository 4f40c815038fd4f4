"""Inputs with holes: sentences of several lengths, pictures of several sizes, in one array.

Entries equal to `mask_constant` (a number, or NaN) are holes. They count as zeros, and a position whose
channels are all holes stays one: layers carry along which positions those are, and covariances with them are
zero,

    nngp(x, p; x', p') = 0        where p of x or p' of x' is a hole,

while means over positions, as global pooling takes them, go over the others alone. A window keeps the hole at
its centre. Networks of finite width hand on a `MaskedArray`; `unmask_fn` makes arrays of them.

Source: Novak et al. 2020, ICLR, whose conventions these are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from neuromanifold.theory.wide._kernel import Kernel, pairs_of, without_holes
from neuromanifold.theory.wide._layer import KernelFunction, Layer, Needs
from neuromanifold.theory.wide._windows import around, out_size

MaskMove = Callable[[Array, tuple[int, ...]], Array]


class MaskedArray(eqx.Module):
    """Values, and which of them are holes.

    Args:
        masked_value: shape (n, *spatial, n_channels).
        mask: True at holes, a shape that broadcasts with it.
    """

    masked_value: Float[Array, "..."]
    mask: Bool[Array, "..."]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.masked_value.shape


def opened(inputs: Any, hole: Any | None = None) -> tuple[Array, Array | None]:
    """Values with zeros at holes, and where these are; None: there are none."""
    if isinstance(inputs, MaskedArray):
        zero = jnp.zeros((), inputs.masked_value.dtype)
        return jnp.where(inputs.mask, zero, inputs.masked_value), inputs.mask
    return without_holes(inputs, hole)


def unmask_fn(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose outputs have zeros at holes, from one that gives a `MaskedArray`.

    Args:
        fn: as `apply_fn` of a network.
    """

    @functools.wraps(fn)
    def plain(*args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        return jax.tree.map(lambda x: opened(x)[0], result, is_leaf=lambda x: isinstance(x, MaskedArray))

    return plain


def layer(
    init_fn: Callable[..., Any],
    apply: Callable[..., Any],
    transform: Callable[..., Kernel],
    needs: Callable[[Needs], Needs] = lambda asked: asked,
    move: MaskMove = lambda mask, shape: mask,
) -> Layer:
    """A layer of one input that heeds holes.

    Args:
        init_fn: of a `Layer`.
        apply: `apply(params, inputs, mask=..., **kwargs)` with zeros at holes; mask as in `opened`.
        transform: of a `KernelFunction`, without thought of holes but in its input.
        needs: of a `KernelFunction`.
        move: where holes are behind the layer, from `move(mask, shape)`, the mask with an axis of channels.
    """

    def apply_fn(params: Any, inputs: Any, mask_constant: Any | None = None, **kwargs: Any) -> Any:
        values, mask = opened(inputs, mask_constant)
        result = apply(params, values, mask=mask, **kwargs)
        return result if mask is None else MaskedArray(result, move(mask, values.shape))

    def masked(kernel: Kernel, **kwargs: Any) -> Kernel:
        result = transform(kernel, **kwargs)
        if kernel.mask1 is None or kernel.mask2 is None:
            return result
        # One channel stands for all; whole positions alone are holes.
        moved = [
            move(mask[..., None], (*shape[:-1], 1)).all(axis=-1)
            for mask, shape in ((kernel.mask1, kernel.shape1), (kernel.mask2, kernel.shape2))
        ]
        return zeroed(result.replace(mask1=moved[0], mask2=moved[1]))

    return Layer(init_fn, apply_fn, KernelFunction(masked, needs))


def zeroed(kernel: Kernel) -> Kernel:
    """Covariances with zeros where a position is a hole."""
    if kernel.mask1 is None or kernel.mask2 is None:
        return kernel
    one, other = kernel.across(kernel.mask1, kernel.mask2)

    def own(covariance: Any, mask: Array) -> Any:
        if covariance is None:
            return None
        first, second = pairs_of(mask, mask) if kernel.own_full else (mask, mask)
        return jnp.where(first | second, 0.0, covariance)

    return kernel.replace(
        nngp=jnp.where(one | other, 0.0, kernel.nngp),
        ntk=None if kernel.ntk is None else jnp.where(one | other, 0.0, kernel.ntk),
        cov1=own(kernel.cov1, kernel.mask1),
        cov2=own(kernel.cov2, kernel.mask2),
    )


def all_channels(mask: Array, shape: tuple[int, ...]) -> Array:
    """Holes behind a layer that mixes channels."""
    return mask.all(axis=-1, keepdims=True)


def at_centres(sides: Sequence[int], steps: Sequence[int], padding: str) -> MaskMove:
    """Holes behind windows: those at their centres."""

    def move(mask: Array, shape: tuple[int, ...]) -> Array:
        for k, (side, step) in enumerate(zip(sides, steps, strict=True)):
            size = mask.shape[1 + k]
            count = out_size(size, side, step, padding)
            first = (side - 1) // 2 - around(size, side, step, padding)[0]
            index = [slice(None)] * mask.ndim
            index[1 + k] = slice(first, first + (count - 1) * step + 1, step)
            mask = mask[tuple(index)]
        return mask

    return move


def joined(masks: Sequence[Array | None]) -> Array | None:
    """Holes of a sum or product: what is one in every branch that has any."""
    known = [mask for mask in masks if mask is not None]
    return functools.reduce(jnp.logical_and, known) if known else None
