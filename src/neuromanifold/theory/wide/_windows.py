"""Sums over windows of positions, for covariances of images.

    shared   C'(p, p') = sum_o C(s p + o, s p' + o)           one window over both positions: convolution
    apart    C'(p, p') = sum_o sum_o' C(s p + o, s p' + o')   a window for each position: pooling

Sums over a box are sums over its sides, axis after axis: a 3 x 3 window costs 3 + 3 shifted additions.

Padding: "VALID" keeps to the image, "SAME" surrounds it with zeros so that every s-th position keeps its
place, "CIRCULAR" closes it to a torus, with positions added where "SAME" adds zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold._base import check_choice, check_integer, require

PADDINGS = ("VALID", "SAME", "CIRCULAR")


def check_window(
    name: str, window: Sequence[int], strides: Sequence[int] | None, padding: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window and strides, checked, strides of 1 where none are given."""
    sides = tuple(check_integer(f"{name}[{k}]", n, 1) for k, n in enumerate(window))
    require(len(sides) > 0, name, "have an entry for each spatial axis", window)
    steps = (1,) * len(sides) if strides is None else tuple(strides)
    require(len(steps) == len(sides), "strides", f"have {len(sides)} entries, as {name} has", strides)
    steps = tuple(check_integer(f"strides[{k}]", n, 1) for k, n in enumerate(steps))
    check_choice("padding", padding, PADDINGS)
    return sides, steps


def around(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """Positions added before and behind an axis."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def out_size(size: int, window: int, stride: int, padding: str) -> int:
    """Positions behind the layer; at least one.

    Raises:
        ValueError: a window that is larger than the axis.
    """
    low, high = around(size, window, stride, padding)
    count = (size + low + high - window) // stride + 1
    require(count >= 1, "window", f"fit into {size} positions", window)
    return count


def padded(x: Array, around_axes: dict[int, tuple[int, int]], padding: str) -> Array:
    """Axes with positions added before and behind, zeros or from around the torus."""
    if not any(low or high for low, high in around_axes.values()):
        return x
    widths = [around_axes.get(axis, (0, 0)) for axis in range(x.ndim)]
    return jnp.pad(x, widths, mode="wrap" if padding == "CIRCULAR" else "constant")


def window_sums(
    covariance: Array,
    n_batch: int,
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
    *,
    full: bool,
    shared: bool,
) -> Array:
    """Sums over windows; see the module's header.

    Args:
        covariance: shape (*batch, H, H', W, W', ...), or (*batch, H, W, ...) where not full.
        n_batch: axes of the batch.
        window: sides of the window.
        strides: steps between windows.
        padding: see the module's header.
        full: pairs of positions are kept.
        shared: one window for both positions.
    """
    groups, added = [], {}
    # All axes are padded first: a compiler then adds slices of one array, axis after axis.
    for k, (side, step) in enumerate(zip(window, strides, strict=True)):
        first = n_batch + (2 * k if full else k)
        axes = (first, first + 1) if full else (first,)
        size = covariance.shape[first]
        added |= dict.fromkeys(axes, around(size, side, step, padding))
        count = out_size(size, side, step, padding)
        groups += [(together, side, step, count) for together in ([axes] if shared else [(a,) for a in axes])]
    covariance = padded(covariance, added, padding)
    for together, side, step, count in groups:
        covariance = _shifted(covariance, together, side, step, count)
    return covariance


def _shifted(x: Array, axes: Sequence[int], side: int, step: int, count: int) -> Array:
    total: Any = None
    for offset in range(side):
        index = [slice(None)] * x.ndim
        for axis in axes:
            index[axis] = slice(offset, offset + (count - 1) * step + 1, step)
        part = x[tuple(index)]
        total = part if total is None else total + part
    return total


def counts(size: int, window: int, stride: int, padding: str) -> Array:
    """Positions of the image under each window along an axis."""
    ones = jnp.ones(size)
    count = out_size(size, window, stride, padding)
    wider = padded(ones, {0: around(size, window, stride, padding)}, padding)
    return _shifted(wider, (0,), window, stride, count)
