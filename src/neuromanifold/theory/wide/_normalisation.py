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

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neuromanifold._base import check_choice, check_real, require
from neuromanifold.theory.wide._dense import check_axes
from neuromanifold.theory.wide._kernel import Kernel, positions_alone
from neuromanifold.theory.wide._layer import KernelFunction, Layer


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

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        over_positions(inputs.ndim)
        mean = inputs.mean(axis=axes, keepdims=True)
        return (inputs - mean) / jnp.sqrt(inputs.var(axis=axes, keepdims=True) + eps)

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        if not kernel.is_gaussian:
            raise ValueError(
                "LayerNorm must follow a layer with Gaussian outputs (Dense or another affine layer), got "
                "one without: the mean over its channels is not known."
            )
        whole = over_positions(len(kernel.shape1))

        def scale(covariance: Any) -> Any:
            q = positions_alone(covariance, 1, kernel.n_spatial, kernel.full)
            if whole:
                q = jnp.broadcast_to(q.mean(axis=tuple(range(1, q.ndim)), keepdims=True), q.shape)
            return jax.lax.rsqrt(q + eps)

        first, second = scale(kernel.cov1), scale(kernel.of_second())
        one, other = first, second
        if kernel.full:
            one = first.reshape(first.shape[0], *(m for n in first.shape[1:] for m in (n, 1)))
            other = second.reshape(second.shape[0], *(m for n in second.shape[1:] for m in (1, n)))
        across = one[:, None] * other[None]

        def own(covariance: Any, factor: Any) -> Any:
            if not kernel.full:
                return covariance * factor**2
            place = factor.reshape(factor.shape[0], *(m for n in factor.shape[1:] for m in (n, 1)))
            mirror = factor.reshape(factor.shape[0], *(m for n in factor.shape[1:] for m in (1, n)))
            return covariance * place * mirror

        return kernel.replace(
            nngp=kernel.nngp * across,
            ntk=None if kernel.ntk is None else kernel.ntk * across,
            cov1=own(kernel.cov1, first),
            cov2=None if kernel.cov2 is None else own(kernel.cov2, second),
        )

    return Layer(lambda key, input_shape: (input_shape, ()), apply_fn, KernelFunction(transform))


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Channels that are left out at random, each anew at each position.

    Args:
        rate: share that is kept, in (0, 1].
        mode: "train", or "test", which leaves none out.
    """
    rate = check_real("rate", rate, 0, 1, open_low=True)
    check_choice("mode", mode, ("train", "test"))
    drops = mode == "train" and rate < 1.0

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
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
            if not kernel.full:
                return covariance / rate
            return jnp.where(_equal_positions(kernel), covariance / rate, covariance)

        def across(covariance: Any) -> Any:
            return covariance if same is None else jnp.where(same, covariance / rate, covariance)

        return kernel.replace(
            nngp=across(kernel.nngp),
            ntk=None if kernel.ntk is None else across(kernel.ntk),
            cov1=raised(kernel.cov1),
            cov2=None if kernel.cov2 is None else raised(kernel.cov2),
            is_gaussian=False,
        )

    return Layer(lambda key, input_shape: (input_shape, ()), apply_fn, KernelFunction(transform))


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
