"""Affine layers on the channels, and layers without weights that only move axes.

    NTK parameterisation       z = W_std / sqrt(n) W x + b_std b,      W, b ~ N(0, 1)
    standard                   z = W x / sqrt(s_in) + b,    W ~ N(0, W_std^2 / n),  b ~ N(0, b_std^2)

    nngp' = W_std^2 nngp + b_std^2
    ntk'  = W_std^2 ntk + nngp'                       NTK parameterisation
    ntk'  = W_std^2 ntk + n nngp + 1                  standard, the 1 with a bias

Standard layers have widths s n of which the base n matters and the scale s does not, neither to the functions
drawn nor to how fast they learn: inputs are s_in n wide, outputs s_out `out_dim`. The scale behind a layer is
that before the next; it is 1 before the first.

Source: Jacot, Gabriel and Hongler 2018, NeurIPS; Sohl-Dickstein, Novak, Schoenholz and Lee 2020,
arXiv:2001.07301 (standard parameterisation).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.theory.wide._kernel import Kernel, positions_alone
from neuromanifold.theory.wide._layer import Layer, Needs, Own
from neuromanifold.theory.wide._masks import all_channels, layer

PARAMETERIZATIONS = ("ntk", "standard")


def Dense(
    out_dim: int,
    W_std: float = 1.0,
    b_std: float | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """A layer that mixes the channels; see the module's header.

    Args:
        out_dim: channels n_out behind it, >= 1; the kernel does not depend on it in NTK parameterisation.
        W_std: standard deviation of the weights, >= 0.
        b_std: standard deviation of the bias, >= 0; None: no bias.
        batch_axis: 0.
        channel_axis: -1.
        parameterization: "ntk" or "standard".
        s: scales of the widths before and behind the layer, integers >= 1; for "standard".

    Raises:
        ValueError: an argument outside its range.
    """
    check_integer("out_dim", out_dim, 1)
    check_axes(batch_axis, channel_axis)
    weight, bias, scale_in, scale_out = check_affine(W_std, b_std, parameterization, s)
    n_out = out_dim * scale_out

    def init_fn(key: Any, input_shape: Any) -> Any:
        key_w, key_b = jax.random.split(key)
        w = jax.random.normal(key_w, (input_shape[-1], n_out))
        b = None if bias is None else jax.random.normal(key_b, (n_out,))
        if parameterization == "standard":
            w = w * weight * math.sqrt(scale_in / input_shape[-1])
            b = None if b is None or bias is None else bias * b
        return (*input_shape[:-1], n_out), (w, b)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        z = jnp.matmul(inputs, w)
        z = z * weight / math.sqrt(inputs.shape[-1]) if parameterization == "ntk" else z / math.sqrt(scale_in)
        if b is None:
            return z
        shaped = b.reshape((1,) * (z.ndim - 1) + (-1,))
        return z + (shaped if parameterization == "standard" or bias is None else bias * shaped)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        return affine(kernel, weight, bias, parameterization, kernel.shape1[-1] / scale_in, n_out)

    return layer(init_fn, apply, transform, move=all_channels)


def affine(
    kernel: Kernel, weight: float, bias: float | None, parameterization: str, n_in: float, n_out: int
) -> Kernel:
    """The kernel behind weights that mix n_in inputs of unit scale, with what precedes them mixed already."""
    b2 = 0.0 if bias is None else bias**2
    moved = kernel.map(lambda covariance, n_batch, full: weight**2 * covariance)
    nngp = moved.nngp + b2
    ntk = moved.ntk
    if ntk is not None:
        if parameterization == "ntk":
            ntk = ntk + nngp
        else:
            ntk = ntk + n_in * kernel.nngp + (0.0 if bias is None else 1.0)
    return moved.replace(
        nngp=nngp,
        ntk=ntk,
        cov1=None if moved.cov1 is None else moved.cov1 + b2,
        cov2=None if moved.cov2 is None else moved.cov2 + b2,
        shape1=(*kernel.shape1[:-1], n_out),
        shape2=(*kernel.shape2[:-1], n_out),
        is_gaussian=True,
        centred=True,
        own=(True,) * len(kernel.own),
    )


def Identity() -> Layer:
    """A layer that changes nothing."""
    return layer(
        lambda key, input_shape: (input_shape, ()),
        lambda params, inputs, **kwargs: inputs,
        lambda kernel, **kwargs: kernel,
    )


def Flatten(batch_axis: int = 0, batch_axis_out: int = 0) -> Layer:
    """All positions and channels become channels: the kernel is the mean over equal positions.

    Args:
        batch_axis: 0.
        batch_axis_out: 0.
    """
    check_axes(batch_axis, -1)
    check_axes(batch_axis_out, -1)

    def init_fn(key: Any, input_shape: Any) -> Any:
        return (input_shape[0], math.prod(input_shape[1:])), ()

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return inputs.reshape(inputs.shape[0], -1)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        def mean(covariance: Any, n_batch: int, full: bool) -> Any:
            alone = positions_alone(covariance, n_batch, kernel.n_spatial, full)
            return alone.mean(axis=tuple(range(n_batch, alone.ndim)))

        return kernel.map(mean).replace(
            shape1=(kernel.shape1[0], math.prod(kernel.shape1[1:])),
            shape2=(kernel.shape2[0], math.prod(kernel.shape2[1:])),
            full=False,
            own_full=False,
            # Outputs of several positions differ in law.
            is_gaussian=kernel.is_gaussian and math.prod(kernel.shape1[1:-1]) == 1,
        )

    def move(mask: Any, shape: tuple[int, ...]) -> Any:
        return jnp.broadcast_to(mask, shape).reshape(shape[0], -1)

    return layer(init_fn, apply, transform, lambda asked: Needs(False, min(asked.own, Own.ALONE)), move)


def check_axes(batch_axis: int, channel_axis: int) -> None:
    """Refuse another order of axes than (n, *spatial, n_channels)."""
    require(batch_axis == 0, "batch_axis", "be 0, the first axis", batch_axis)
    require(channel_axis == -1, "channel_axis", "be -1, the last axis", channel_axis)


def check_affine(
    W_std: float, b_std: float | None, parameterization: str, s: tuple[int, int]
) -> tuple[float, float | None, int, int]:
    """Standard deviations and scales of the widths of an affine layer, checked."""
    weight = check_real("W_std", W_std, 0)
    bias = None if b_std is None else check_real("b_std", b_std, 0)
    check_choice("parameterization", parameterization, PARAMETERIZATIONS)
    require(len(s) == 2, "s", "hold two numbers, for the widths before and behind the layer", s)
    scale_in, scale_out = (check_integer(f"s[{k}]", x, 1) for k, x in enumerate(s))
    scaled = parameterization == "standard" or (scale_in, scale_out) == (1, 1)
    require(scaled, "s", "be (1, 1) but for the standard parameterisation", s)
    return weight, bias, scale_in, scale_out
