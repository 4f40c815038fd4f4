"""Branches: one input for several layers, and several outputs made one.

    FanOut        x -> (x, ..., x)
    FanInSum      nngp' = sum_k nngp_k,     ntk' = sum_k ntk_k
    FanInProd     nngp' = prod_k nngp_k,    ntk' = sum_k ntk_k prod_(l != k) nngp_l
    FanInConcat   along the channels: means weighted by their numbers of channels

Nothing is left over between two branches of a sum if, given all else, one of them is zero on average: if it
ends in an affine layer whose weights no other branch has, or in such a layer and an odd function. So all
branches but one must, or the sum is refused; a residual branch beside the identity is the common case. In a
product all branches but one must hold an affine layer of their own.

Source: Novak et al. 2020, ICLR.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from neuromanifold._base import check_integer, require
from neuromanifold.theory.wide._kernel import Kernel
from neuromanifold.theory.wide._layer import KernelFunction, Layer
from neuromanifold.theory.wide._masks import MaskedArray, joined, opened


def FanOut(num: int) -> Layer:
    """The input `num` times over, for `parallel`.

    Args:
        num: how often, >= 1.
    """
    check_integer("num", num, 1)
    return Layer(
        lambda key, input_shape: ([input_shape] * num, ()),
        lambda params, inputs, **kwargs: [inputs] * num,
        KernelFunction(lambda kernel, **kwargs: (kernel.replace(own=(*kernel.own, False)),) * num),
    )


def FanInSum() -> Layer:
    """The sum of all branches, each of one shape."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return _opened(inputs, lambda parts: sum(parts[1:], parts[0]), joined, kwargs)

    def transform(kernels: Any, **kwargs: Any) -> Kernel:
        parts = _alike("FanInSum", kernels)
        rest = [k for k in parts if k.own and not (k.own[-1] and k.centred)]
        _independent("FanInSum", rest, "end in an affine layer of its own, or in one and an odd function")
        return _joined(parts, lambda terms: sum(terms[1:], terms[0]), all(k.is_gaussian for k in parts))

    return Layer(_one_shape("FanInSum"), apply_fn, KernelFunction(transform))


def FanInProd() -> Layer:
    """The product of all branches, channel by channel."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return _opened(inputs, math.prod, joined, kwargs)

    def transform(kernels: Any, **kwargs: Any) -> Kernel:
        parts = _alike("FanInProd", kernels)
        rest = [k for k in parts if k.own and not k.own[-1]]
        _independent("FanInProd", rest, "hold an affine layer of its own")
        alone = len(parts) == 1 and parts[0].is_gaussian
        made = _joined([k.replace(ntk=None) for k in parts], math.prod, alone)
        if parts[0].ntk is None:
            return made
        terms = [
            one.ntk * math.prod(k.nngp for j, k in enumerate(parts) if j != i)
            for i, one in enumerate(parts)
            if one.ntk is not None
        ]
        return made.replace(ntk=sum(terms[1:], terms[0]))

    return Layer(_one_shape("FanInProd"), apply_fn, KernelFunction(transform))


def FanInConcat(axis: int = -1) -> Layer:
    """All branches one behind the other along the channels.

    Args:
        axis: -1, the channels.
    """
    require(axis == -1, "axis", "be -1, the channels", axis)

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        def holes(masks: Sequence[Any]) -> Any:
            # As far as holes go a branch of many channels is one channel.
            shaped = [jnp.broadcast_to(m, x.shape) for m, x in zip(masks, inputs, strict=True)]
            return jnp.concatenate(shaped, axis=-1)

        return _opened(inputs, lambda parts: jnp.concatenate(parts, axis=-1), holes, kwargs)

    def transform(kernels: Any, **kwargs: Any) -> Kernel:
        parts = _alike("FanInConcat", kernels, channels=False)
        widths = [k.shape1[-1] for k in parts]

        def mean(terms: Any) -> Any:
            weighted = [width / sum(widths) * term for width, term in zip(widths, terms, strict=True)]
            return sum(weighted[1:], weighted[0])

        # Channels of several branches differ in law; as one they are Gaussian for one branch alone.
        return _joined(parts, mean, len(parts) == 1 and parts[0].is_gaussian).replace(
            shape1=_concatenated([k.shape1 for k in parts]), shape2=_concatenated([k.shape2 for k in parts])
        )

    return Layer(lambda key, shapes: (_concatenated(shapes), ()), apply_fn, KernelFunction(transform))


def _opened(
    inputs: Any, join: Callable[[Any], Any], holes: Callable[[Any], Any], kwargs: dict[str, Any]
) -> Any:
    """Branches joined, and their holes, where there are any."""
    parts = [opened(x, kwargs.get("mask_constant")) for x in inputs]
    values = join([x for x, _ in parts])
    masks = [mask for _, mask in parts]
    if all(mask is None for mask in masks):
        return values
    there = [jnp.zeros((1,) * values.ndim, bool) if mask is None else mask for mask in masks]
    return MaskedArray(values, holes(there))


def _one_shape(name: str) -> Callable[..., Any]:
    def init_fn(key: Any, input_shape: Any) -> Any:
        first = tuple(input_shape[0])
        for shape in input_shape:
            rule = f"have the shape {first} of the first"
            require(tuple(shape) == first, f"a branch of {name}", rule, tuple(shape))
        return first, ()

    return init_fn


def _concatenated(shapes: Any) -> tuple[int, ...]:
    for shape in shapes:
        rule = f"agree with {tuple(shapes[0])} but for the channels"
        require(tuple(shape[:-1]) == tuple(shapes[0][:-1]), "a branch of FanInConcat", rule, tuple(shape))
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _alike(name: str, kernels: Any, channels: bool = True) -> list[Kernel]:
    branches = isinstance(kernels, list | tuple) and all(isinstance(k, Kernel) for k in kernels)
    require(branches and len(kernels) > 0, f"what comes before {name}", "be branches", type(kernels).__name__)
    made: list[Kernel] = list(kernels)
    first = made[0]
    for k in made:
        same = (
            k.nngp.shape == first.nngp.shape
            and (not channels or k.shape1 == first.shape1)
            and k.x1_is_x2 == first.x1_is_x2
        )
        require(same, f"branches of {name}", f"agree in shape with the first, {first.shape1}", k.shape1)
    return made


def _independent(name: str, rest: list[Kernel], rule: str) -> None:
    if len(rest) > 1:
        raise ValueError(
            f"each branch of {name} but one must {rule}, got {len(rest)} that do not: what they share has no "
            "covariance of this form."
        )


def _joined(kernels: Sequence[Kernel], join: Callable[[Any], Any], gaussian: bool) -> Kernel:
    first = kernels[0]
    return first.replace(
        nngp=join([k.nngp for k in kernels]),
        ntk=None if first.ntk is None else join([k.ntk for k in kernels]),
        cov1=None if any(k.cov1 is None for k in kernels) else join([k.cov1 for k in kernels]),
        cov2=None if any(k.cov2 is None for k in kernels) else join([k.cov2 for k in kernels]),
        is_gaussian=gaussian,
        centred=all(k.centred for k in kernels),
        mask1=joined([k.mask1 for k in kernels]),
        mask2=joined([k.mask2 for k in kernels]),
        own=tuple(all(level) for level in zip(*(k.own[:-1] for k in kernels), strict=True)),
    )
