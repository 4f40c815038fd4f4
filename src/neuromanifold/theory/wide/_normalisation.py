"""Layers that rescale: layer normalisation and dropout.

    LayerNorm     z = x / sqrt(mean of x^2 + epsilon) over channels (and positions), the mean taken away:
                  nngp' = nngp / sqrt((q + eps)(q' + eps)),  ntk' = ntk / sqrt((q + eps)(q' + eps)),
                  q the variance of the input (its mean over the positions that are normalised together)
    Dropout       x m / rate,  m = 1 with probability `rate` (the share kept), else 0:
                  variances of an input with itself grow by 1 / rate, all other covariances stay

Behind a nonlinearity the mean over channels is not zero; its square is E phi(U) E phi(V), which the kernel
does not carry, so that LayerNorm is defined behind affine layers, where it is zero.

Source: Novak et al. 2020, ICLR; Schoenholz, Gilmer, Ganguli and Sohl-Dickstein 2017, ICLR (dropout).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neuromanifold._base import check_choice, check_real, require
from neuromanifold.theory.wide._dense import check_axes
from neuromanifold.theory.wide._elementwise import with_variances
from neuromanifold.theory.wide._kernel import Kernel, pairs_of
from neuromanifold.theory.wide._layer import Layer
from neuromanifold.theory.wide._masks import layer


def LayerNorm(
    axis: int | Sequence[int] = -1, eps: float = 1e-12, batch_axis: int = 0, channel_axis: int = -1
) -> Layer:
    """Outputs of mean zero and variance one.

    Args:
        axis: -1, over the channels; or (1, ..., -1), all axes but the batch, over the positions too.
        eps: added to the variance, > 0.
        batch_axis: 0.
        channel_axis: -1.
    """
    eps = check_real("eps", eps, 0, open_low=True)
    check_axes(batch_axis, channel_axis)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)

    def over_positions(n_axes: int) -> bool:
        normal = {a % n_axes for a in axes}
        known = normal in ({n_axes - 1}, set(range(1, n_axes)))
        require(known, "axis", f"be -1 or all of 1, ..., {n_axes - 1}", axis)
        return len(normal) > 1

    def apply(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        over_positions(inputs.ndim)
        seen = None if mask is None else jnp.broadcast_to(~mask, inputs.shape)
        # Where nothing is seen there is no mean.
        mean = jnp.nan_to_num(inputs.mean(axis=axes, keepdims=True, where=seen))
        var = jnp.nan_to_num(inputs.var(axis=axes, keepdims=True, where=seen))
        return (inputs - mean) / jnp.sqrt(var + eps)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        if not kernel.is_gaussian:
            raise ValueError(
                "LayerNorm must follow a layer with Gaussian outputs (Dense or another affine layer), got "
                "one without: the mean over its channels is not known."
            )
        whole = over_positions(len(kernel.shape1))

        def scale(q: Any, mask: Any) -> Any:
            if whole:
                places, n = tuple(range(1, q.ndim)), math.prod(q.shape[1:])
                seen = n if mask is None else jnp.maximum((~mask).sum(axis=places, keepdims=True), 1)
                q = jnp.broadcast_to(q.sum(axis=places, keepdims=True) / seen, q.shape)
            return jax.lax.rsqrt(q + eps)

        def own(covariance: Any, factor: Any) -> Any:
            one, other = pairs_of(factor, factor) if kernel.own_full else (factor, factor)
            return covariance * one * other

        first, second = map(scale, kernel.variances(), (kernel.mask1, kernel.mask2))
        one, other = kernel.across(first, second)
        return kernel.replace(
            nngp=kernel.nngp * one * other,
            ntk=None if kernel.ntk is None else kernel.ntk * one * other,
            cov1=own(kernel.cov1, first),
            cov2=None if kernel.cov2 is None else own(kernel.cov2, second),
        )

    return layer(lambda key, input_shape: (input_shape, ()), apply, transform, with_variances)


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Channels that are left out at random, each anew at each position.

    Args:
        rate: share that is kept, in (0, 1].
        mode: "train", or "test", which leaves none out.
    """
    rate = check_real("rate", rate, 0, 1, open_low=True)
    check_choice("mode", mode, ("train", "test"))
    drops = mode == "train" and rate < 1.0

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        if not drops:
            return inputs
        key = kwargs.get("rng")
        if key is None:
            raise ValueError("rng must be a key for Dropout in training, got None.")
        return jnp.where(jax.random.bernoulli(key, rate, inputs.shape), inputs / rate, 0.0)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        if not drops:
            return kernel
        n1 = kernel.nngp.shape[0]
        same = _same_place(kernel, jnp.eye(n1, dtype=bool) if kernel.x1_is_x2 else None)

        def raised(covariance: Any) -> Any:
            if covariance is None or not kernel.own_full:
                return None if covariance is None else covariance / rate
            return jnp.where(_equal_positions(kernel), covariance / rate, covariance)

        def across(covariance: Any) -> Any:
            return covariance if same is None else jnp.where(same, covariance / rate, covariance)

        return kernel.replace(
            nngp=across(kernel.nngp),
            ntk=None if kernel.ntk is None else across(kernel.ntk),
            cov1=raised(kernel.cov1),
            cov2=raised(kernel.cov2),
            is_gaussian=False,
        )

    return layer(lambda key, input_shape: (input_shape, ()), apply, transform)


def _equal_positions(kernel: Kernel) -> Any:
    """True where the two positions are one, shape (1, H, H', W, W', ...)."""
    equal = jnp.ones((1,) * (1 + 2 * kernel.n_spatial), bool)
    for k, n in enumerate(kernel.shape1[1:-1]):
        shape = [1] * equal.ndim
        shape[1 + 2 * k] = shape[2 + 2 * k] = n
        equal = equal & jnp.eye(n, dtype=bool).reshape(shape)
    return equal


def _same_place(kernel: Kernel, same_input: Any) -> Any:
    """True where input and position are one with themselves; None where the sets are two."""
    if same_input is None:
        return None
    shaped = same_input.reshape(*same_input.shape, *(1,) * (kernel.nngp.ndim - 2))
    return shaped & _equal_positions(kernel)[None] if kernel.full else shaped
