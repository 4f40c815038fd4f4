"""Convolution without shared weights, and its transpose.

    ConvLocal      z(p) = W_std / sqrt(|F| n) sum_o W(p, o) x(s p + o) + b_std b(p)
                   nngp'(p, p) = W_std^2 / |F| sum_o nngp(s p + o, s p + o) + b_std^2,    nngp'(p, p') = 0
    ConvTranspose  z(p) = W_std / sqrt(|F| n) sum_o W(o) y(p + o) + b_std b,
                   y the input with s - 1 zeros between positions: the kernel is that of a convolution of y

Each position of the first has filter and bias of its own, which nothing else shares: positions that differ
have no covariance. The transpose of a convolution with stride s has s times as many positions; "CIRCULAR"
adds what leaves the image at one side to the other.

Source: Novak et al. 2019, ICLR (locally connected networks); Novak et al. 2020, ICLR (transposes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neuromanifold.theory.wide._dense import affine, check_affine
from neuromanifold.theory.wide._kernel import Kernel, positions_alone
from neuromanifold.theory.wide._layer import Layer
from neuromanifold.theory.wide._masks import all_channels, at_centres, layer
from neuromanifold.theory.wide._spatial import check_convolution, check_spatial, moved_shape
from neuromanifold.theory.wide._windows import around, padded, window_sums


def ConvLocal(
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
    """Convolution with a filter and a bias of its own at each position; see the module's header.

    Args:
        out_chan: channels behind it, >= 1.
        filter_shape: sides of the filter, one for each spatial axis.
        strides: steps between outputs; 1 where None.
        padding: "VALID", "SAME" (zeros) or "CIRCULAR".
        W_std: standard deviation of the weights, >= 0.
        b_std: standard deviation of the biases, >= 0; None: no bias.
        dimension_numbers: None; axes are (n, *spatial, n_channels).
        parameterization: as for `Dense`.
        s: as for `Dense`.

    Raises:
        ValueError: an argument outside its range, or a filter larger than the image.

    Source: Novak et al. 2019, ICLR.
    """
    sides, steps = check_convolution(out_chan, filter_shape, strides, padding, dimension_numbers)
    weight, bias, scale_in, scale_out = check_affine(W_std, b_std, parameterization, s)
    n_places, n_out = math.prod(sides), out_chan * scale_out
    standard = parameterization == "standard"

    def init_fn(key: Any, input_shape: Any) -> Any:
        key_w, key_b = jax.random.split(key)
        shape = moved_shape(input_shape, sides, steps, padding)
        n_in = input_shape[-1]
        w = jax.random.normal(key_w, (*shape[1:-1], n_places, n_in, n_out))
        b = None if bias is None else jax.random.normal(key_b, (*shape[1:-1], n_out))
        if standard:
            w = w * weight * math.sqrt(scale_in / (n_in * n_places))
            b = None if b is None or bias is None else bias * b
        return (*shape[:-1], n_out), (w, b)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        places = "HWDABEFG"[: len(sides)]
        patches = _patches(jnp.asarray(inputs), sides, steps, padding)
        z = jnp.einsum(f"N{places}pi,{places}pio->N{places}o", patches, w)
        z = z / math.sqrt(scale_in) if standard else z * weight / math.sqrt(inputs.shape[-1] * n_places)
        if b is None:
            return z
        return z + (b if standard or bias is None else bias * b)[None]

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        check_spatial(kernel.shape1, sides)

        def mean(covariance: Any, n_batch: int, full: bool) -> Any:
            alone = positions_alone(covariance, n_batch, kernel.n_spatial, full)
            return window_sums(alone, n_batch, sides, steps, padding, full=False, shared=True) / n_places

        moved = kernel.map(mean).replace(
            shape1=moved_shape(kernel.shape1, sides, steps, padding),
            shape2=moved_shape(kernel.shape2, sides, steps, padding),
        )
        n_in = kernel.shape1[-1] / scale_in * n_places
        made = affine(moved, weight, bias, parameterization, n_in, n_out)
        return made.map(
            lambda covariance, n_batch, full: _spread(covariance, n_batch) if full else covariance
        )

    def move(mask: Any, shape: tuple[int, ...]) -> Any:
        return at_centres(sides, steps, padding)(all_channels(mask, shape), shape)

    return layer(init_fn, apply, transform, move=move)


def ConvTranspose(
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
    """The transpose of a convolution; see the module's header.

    Args:
        out_chan: channels behind it, >= 1.
        filter_shape: sides of the filter, one for each spatial axis.
        strides: outputs for each input along an axis; 1 where None.
        padding: "VALID", "SAME" (strides times as many positions) or "CIRCULAR".
        W_std: standard deviation of the weights, >= 0.
        b_std: standard deviation of the bias, >= 0; None: no bias.
        dimension_numbers: None; axes are (n, *spatial, n_channels).
        parameterization: as for `Dense`.
        s: as for `Dense`.

    Raises:
        ValueError: an argument outside its range.

    Source: Novak et al. 2020, ICLR.
    """
    sides, steps = check_convolution(out_chan, filter_shape, strides, padding, dimension_numbers)
    weight, bias, scale_in, scale_out = check_affine(W_std, b_std, parameterization, s)
    n_places, n_out = math.prod(sides), out_chan * scale_out
    standard = parameterization == "standard"

    def moved(shape: Sequence[int]) -> tuple[int, ...]:
        check_spatial(shape, sides)
        places = [_room(*each, padding)[2] for each in zip(shape[1:-1], sides, steps, strict=True)]
        return (shape[0], *places, n_out)

    def init_fn(key: Any, input_shape: Any) -> Any:
        key_w, key_b = jax.random.split(key)
        n_in = input_shape[-1]
        w = jax.random.normal(key_w, (*sides, n_in, n_out))
        b = None if bias is None else jax.random.normal(key_b, (n_out,))
        if standard:
            w = w * weight * math.sqrt(scale_in / (n_in * n_places))
            b = None if b is None or bias is None else bias * b
        return moved(input_shape), (w, b)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        wider, folds = _spaced(jnp.asarray(inputs), 1, sides, steps, padding, 1)
        letters = "HWDABEFG"[: len(sides)]
        spelled = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
        z = jax.lax.conv_general_dilated(wider, w, (1,) * len(sides), "VALID", dimension_numbers=spelled)
        z = _folded(z, folds)
        z = z / math.sqrt(scale_in) if standard else z * weight / math.sqrt(inputs.shape[-1] * n_places)
        if b is None:
            return z
        shaped = b.reshape((1,) * (z.ndim - 1) + (-1,))
        return z + (shaped if standard or bias is None else bias * shaped)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        shapes = moved(kernel.shape1), moved(kernel.shape2)

        def mean(covariance: Any, n_batch: int, full: bool) -> Any:
            wider, folds = _spaced(covariance, n_batch, sides, steps, padding, 2 if full else 1)
            ones = (1,) * len(sides)
            total = window_sums(wider, n_batch, sides, ones, "VALID", full=full, shared=True)
            return _folded(total, folds) / n_places

        n_in = kernel.shape1[-1] / scale_in * n_places
        made = affine(kernel.map(mean), weight, bias, parameterization, n_in, n_out)
        return made.replace(shape1=shapes[0], shape2=shapes[1])

    def move(mask: Any, shape: tuple[int, ...]) -> Any:
        # A position that a hole reaches is one.
        holes = all_channels(mask, shape)
        style = "SAME" if padding == "CIRCULAR" else padding
        wider, _ = _spaced(holes.astype(float), 1, sides, steps, style, 1)
        ones = (1,) * len(sides)
        return window_sums(wider, 1, sides, ones, "VALID", full=False, shared=True) > 0.5

    return layer(init_fn, apply, transform, move=move)


def _patches(x: Any, sides: Sequence[int], steps: Sequence[int], padding: str) -> Any:
    """Windows of the input, shape (n, *positions, places of the window, n_channels)."""
    sizes = x.shape[1:-1]
    x = padded(
        x,
        {1 + k: around(*each, padding) for k, each in enumerate(zip(sizes, sides, steps, strict=True))},
        padding,
    )
    counts = [(n - side) // step + 1 for n, side, step in zip(x.shape[1:-1], sides, steps, strict=True)]
    parts = []
    for offsets in _offsets(sides):
        index = [
            slice(o, o + (count - 1) * step + 1, step)
            for o, count, step in zip(offsets, counts, steps, strict=True)
        ]
        parts.append(x[(slice(None), *index)])
    return jnp.stack(parts, axis=-2)


def _offsets(sides: Sequence[int]) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = [()]
    for side in sides:
        places = [(*place, o) for place in places for o in range(side)]
    return places


def _spread(covariance: Any, n_batch: int) -> Any:
    """From equal positions alone to all pairs, zero where they differ."""
    for k in range(covariance.ndim - n_batch):
        axis = n_batch + 2 * k
        size = covariance.shape[axis]
        shape = [1] * (covariance.ndim + 1)
        shape[axis] = shape[axis + 1] = size
        covariance = jnp.expand_dims(covariance, axis + 1) * jnp.eye(size, dtype=covariance.dtype).reshape(
            shape
        )
    return covariance


def _room(size: int, side: int, step: int, padding: str) -> tuple[int, int, int]:
    """Zeros before and behind an axis whose positions are `step` apart, and positions in the end."""
    if padding == "SAME":
        total = side + step - 2
        low = side - 1 if step > side - 1 else -(-total // 2)
        return low, total - low, size * step
    total = side + step - 2 + max(side - step, 0)
    out = size * step + max(side - step, 0)
    return side - 1, total - (side - 1), size * step if padding == "CIRCULAR" else out


def _spaced(
    x: Any, n_batch: int, sides: Sequence[int], steps: Sequence[int], padding: str, each: int
) -> tuple[Any, dict[int, int]]:
    """Zeros between positions and around them, and the length to which each axis is to be closed."""
    config, folds = [(0, 0, 0)] * x.ndim, {}
    for k, (side, step) in enumerate(zip(sides, steps, strict=True)):
        for axis in range(n_batch + each * k, n_batch + each * (k + 1)):
            low, high, out = _room(x.shape[axis], side, step, padding)
            config[axis] = (low, high, step - 1)
            if padding == "CIRCULAR":
                folds[axis] = out
    return jax.lax.pad(x, jnp.zeros((), x.dtype), config), folds


def _folded(x: Any, folds: dict[int, int]) -> Any:
    """What leaves the middle of an axis on one side added on the other."""
    for axis, size in folds.items():
        low = (x.shape[axis] - size) // 2
        # Position i of x belongs to (i - low) mod size.
        before = -(-low // size) * size - low
        behind = -(x.shape[axis] + before) % size
        widths = [(0, 0)] * x.ndim
        widths[axis] = (before, behind)
        x = jnp.pad(x, widths)
        x = x.reshape(*x.shape[:axis], -1, size, *x.shape[axis + 1 :]).sum(axis=axis)
    return x
