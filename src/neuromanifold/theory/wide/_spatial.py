"""Layers on images, or signals with any number of spatial axes: convolution and pooling.

    Conv        z(p) = W_std / sqrt(|F| n) sum_o W(o) x(s p + o) + b_std b,     |F| positions of the filter
                nngp'(p, p') = W_std^2 / |F| sum_o nngp(s p + o, s p' + o) + b_std^2,      likewise ntk
    ConvLocal   the same with weights of its own at each position: pairs of other positions have none
    AvgPool     mean over a window of each position; SumPool the sum
    GlobalAvgPool, GlobalSumPool    over all positions

With zeros around the image ("SAME") positions near the border have fewer terms, in the network as in the
kernel. Pooling needs covariances of all pairs of positions, which costs the square of their number.

Source: Novak et al. 2019, ICLR; Garriga-Alonso, Rasmussen and Aitchison 2019, ICLR; Arora et al. 2019,
NeurIPS (tangent kernel with global pooling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neuromanifold._base import check_integer, require
from neuromanifold.theory.wide._dense import affine, check_affine, check_axes
from neuromanifold.theory.wide._kernel import Kernel
from neuromanifold.theory.wide._layer import Layer, Needs, Own
from neuromanifold.theory.wide._masks import all_channels, at_centres, layer
from neuromanifold.theory.wide._windows import (
    around,
    check_window,
    counts,
    out_size,
    padded,
    window_sums,
)


def Conv(
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = "VALID",
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: tuple[str, str, str] | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Convolution with one filter for all positions; see the module's header.

    Args:
        out_chan: channels behind it, >= 1.
        filter_shape: sides of the filter, one for each spatial axis.
        strides: steps between outputs; 1 where None.
        padding: "VALID", "SAME" (zeros) or "CIRCULAR".
        W_std: standard deviation of the weights, >= 0.
        b_std: standard deviation of the bias, >= 0; None: no bias.
        dimension_numbers: None; axes are (n, *spatial, n_channels).
        parameterization: as for `Dense`.
        s: as for `Dense`.

    Raises:
        ValueError: an argument outside its range, or a filter larger than the image.
    """
    sides, steps = check_convolution(out_chan, filter_shape, strides, padding, dimension_numbers)
    weight, bias, scale_in, scale_out = check_affine(W_std, b_std, parameterization, s)
    n_places, n_out = math.prod(sides), out_chan * scale_out
    standard = parameterization == "standard"

    def init_fn(key: Any, input_shape: Any) -> Any:
        key_w, key_b = jax.random.split(key)
        n_in = input_shape[-1]
        w = jax.random.normal(key_w, (*sides, n_in, n_out))
        b = None if bias is None else jax.random.normal(key_b, (n_out,))
        if standard:
            w = w * weight * math.sqrt(scale_in / (n_in * n_places))
            b = None if b is None or bias is None else bias * b
        return (*moved_shape(input_shape, sides, steps, padding)[:-1], n_out), (w, b)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        z = convolved(inputs, w, sides, steps, padding)
        z = z / math.sqrt(scale_in) if standard else z * weight / math.sqrt(inputs.shape[-1] * n_places)
        if b is None:
            return z
        shaped = b.reshape((1,) * (z.ndim - 1) + (-1,))
        return z + (shaped if standard or bias is None else bias * shaped)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        check_spatial(kernel.shape1, sides)

        def mean(covariance: Any, n_batch: int, full: bool) -> Any:
            total = window_sums(covariance, n_batch, sides, steps, padding, full=full, shared=True)
            return total / n_places

        moved = kernel.map(mean).replace(
            shape1=moved_shape(kernel.shape1, sides, steps, padding),
            shape2=moved_shape(kernel.shape2, sides, steps, padding),
        )
        n_in = kernel.shape1[-1] / scale_in * n_places
        return affine(moved, weight, bias, parameterization, n_in, n_out)

    def move(mask: Any, shape: tuple[int, ...]) -> Any:
        return at_centres(sides, steps, padding)(all_channels(mask, shape), shape)

    return layer(init_fn, apply, transform, move=move)


def AvgPool(
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = "VALID",
    normalize_edges: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Mean over a window.

    Args:
        window_shape: sides of the window, one for each spatial axis.
        strides: steps between windows; 1 where None.
        padding: "VALID", "SAME" (zeros) or "CIRCULAR".
        normalize_edges: at the border divide by the positions of the image under the window, not by all.
        batch_axis: 0.
        channel_axis: -1.
    """
    return _pool(
        window_shape, strides, padding, "edges" if normalize_edges else "window", batch_axis, channel_axis
    )


def SumPool(
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = "VALID",
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Sum over a window; arguments as for `AvgPool`."""
    return _pool(window_shape, strides, padding, "none", batch_axis, channel_axis)


def _pool(
    window: Sequence[int],
    strides: Sequence[int] | None,
    padding: str,
    divide: str,
    batch_axis: int,
    channel_axis: int,
) -> Layer:
    check_axes(batch_axis, channel_axis)
    sides, steps = check_window("window_shape", window, strides, padding)

    def divided(x: Any, sizes: Sequence[int], n_batch: int, each: int) -> Any:
        """By the number of positions; `each` axes stand for every spatial one."""
        if divide == "none":
            return x
        if divide == "window":
            return x / math.prod(sides) ** each
        for k, (size, side, step) in enumerate(zip(sizes, sides, steps, strict=True)):
            for axis in range(n_batch + each * k, n_batch + each * (k + 1)):
                shape = [1] * x.ndim
                shape[axis] = -1
                x = x / counts(size, side, step, padding).astype(x.dtype).reshape(shape)
        return x

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        total = window_sums(jnp.asarray(inputs), 1, sides, steps, padding, full=False, shared=True)
        return divided(total, inputs.shape[1:-1], 1, 1)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        check_spatial(kernel.shape1, sides)
        kernel = poolable(kernel)

        def pooled(covariance: Any, n_batch: int, full: bool) -> Any:
            total = window_sums(covariance, n_batch, sides, steps, padding, full=True, shared=False)
            return divided(total, kernel.shape1[1:-1], n_batch, 2)

        return kernel.map(pooled).replace(
            shape1=moved_shape(kernel.shape1, sides, steps, padding),
            shape2=moved_shape(kernel.shape2, sides, steps, padding),
        )

    def init_fn(key: Any, input_shape: Any) -> Any:
        return moved_shape(input_shape, sides, steps, padding), ()

    return layer(init_fn, apply, transform, all_pairs, at_centres(sides, steps, padding))


def GlobalAvgPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Mean over all positions, which may be any number; axes as for `AvgPool`.

    Args:
        batch_axis: 0.
        channel_axis: -1.
    """
    return _global_pool(True, batch_axis, channel_axis)


def GlobalSumPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Sum over all positions; arguments as for `GlobalAvgPool`."""
    return _global_pool(False, batch_axis, channel_axis)


def _global_pool(mean: bool, batch_axis: int, channel_axis: int) -> Layer:
    check_axes(batch_axis, channel_axis)

    def count(mask: Any) -> Any:
        """Positions that are no holes, at least one, from shape (n, *spatial)."""
        return jnp.maximum(jnp.sum(~mask, axis=tuple(range(1, mask.ndim))), 1)

    def apply(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        axes = tuple(range(1, inputs.ndim - 1))
        if not mean:
            return inputs.sum(axis=axes)
        if mask is None:
            return inputs.mean(axis=axes)
        total = jnp.broadcast_to(~mask, inputs.shape).sum(axis=axes)
        return inputs.sum(axis=axes) / jnp.maximum(total, 1)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        check_spatial(kernel.shape1, None)
        n = math.prod(kernel.shape1[1:-1])

        def summed(covariance: Any, n_batch: int, full: bool) -> Any:
            return covariance.sum(axis=tuple(range(n_batch, covariance.ndim)))

        made = (
            poolable(kernel)
            .map(summed)
            .replace(
                shape1=(kernel.shape1[0], kernel.shape1[-1]),
                shape2=(kernel.shape2[0], kernel.shape2[-1]),
                full=False,
                own_full=False,
            )
        )
        if not mean:
            return made
        if kernel.mask1 is None or kernel.mask2 is None:
            return made.map(lambda covariance, n_batch, full: covariance / n**2)
        first, second = count(kernel.mask1), count(kernel.mask2)
        one, other = made.across(first, second)
        return made.replace(
            nngp=made.nngp / (one * other),
            ntk=None if made.ntk is None else made.ntk / (one * other),
            cov1=None if made.cov1 is None else made.cov1 / first**2,
            cov2=None if made.cov2 is None else made.cov2 / second**2,
        )

    return layer(
        lambda key, input_shape: ((input_shape[0], input_shape[-1]), ()),
        apply,
        transform,
        all_pairs,
        lambda mask, shape: mask.all(axis=tuple(range(1, mask.ndim - 1))),
    )


def all_pairs(asked: Needs) -> Needs:
    """What mixes positions needs of what comes before it."""
    return Needs(True, Own.NONE if asked.own is Own.NONE else Own.FULL)


def poolable(kernel: Kernel) -> Kernel:
    """A kernel of all pairs of positions, without variances that are known at equal positions alone."""
    require(
        kernel.full,
        "a Kernel given to pooling or attention",
        "hold all pairs of positions",
        "equal ones alone",
    )
    return kernel if kernel.own_full else kernel.replace(cov1=None, cov2=None)


def check_convolution(
    out_chan: int, filter_shape: Any, strides: Any, padding: str, dimension_numbers: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sides and steps of a convolution of any kind, its arguments checked."""
    check_integer("out_chan", out_chan, 1)
    rule = "be None: (n, *spatial, n_channels)"
    require(dimension_numbers is None, "dimension_numbers", rule, dimension_numbers)
    return check_window("filter_shape", filter_shape, strides, padding)


def check_spatial(shape: Sequence[int], sides: Sequence[int] | None) -> None:
    """Refuse inputs without spatial axes, or with another number of them."""
    n = len(shape) - 2
    if sides is None:
        require(n >= 1, "inputs", "have spatial axes", tuple(shape))
    else:
        require(n == len(sides), "inputs", f"have {len(sides)} spatial axes, as the window has", tuple(shape))


def moved_shape(
    shape: Sequence[int], sides: Sequence[int], steps: Sequence[int], padding: str
) -> tuple[int, ...]:
    """The shape behind windows."""
    check_spatial(shape, sides)
    places = [
        out_size(n, side, step, padding) for n, side, step in zip(shape[1:-1], sides, steps, strict=True)
    ]
    return (shape[0], *places, shape[-1])


def convolved(inputs: Any, w: Any, sides: Sequence[int], steps: Sequence[int], padding: str) -> Any:
    """sum_o W(o) x(s p + o)."""
    inputs = jnp.asarray(inputs)
    sizes = inputs.shape[1:-1]
    added = {1 + k: around(*each, padding) for k, each in enumerate(zip(sizes, sides, steps, strict=True))}
    inputs = padded(inputs, added, padding)
    letters = "".join("HWDABCEFG"[k] for k in range(len(sides)))
    spelled = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return jax.lax.conv_general_dilated(inputs, w, steps, "VALID", dimension_numbers=spelled)
